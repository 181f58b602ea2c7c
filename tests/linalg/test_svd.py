"""svd, svdvals and svd_compressed: residuals over a gallery, shapes, chunkings, and the errors of their callers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sarray as sa
from tests.linalg.evaluation import LAPACK, cuts, evaluate, filled, value
from tests.linalg.gallery import GALLERY, departure, eps, residual


def check(a: np.ndarray, u: np.ndarray, s: np.ndarray, vh: np.ndarray) -> None:
    """U S Vh is A, U and V are orthonormal, S falls and is what NumPy finds."""
    k = min(a.shape)
    assert (u.shape, s.shape, vh.shape) == ((a.shape[0], k), (k,), (k, a.shape[1]))
    assert residual(a, u * s @ vh) < 20
    assert departure(u) < 20
    assert departure(vh.conj().T) < 20
    assert (np.diff(s) <= 0).all()
    assert (s >= 0).all()
    expected = np.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(s, expected, rtol=0, atol=20 * k * eps(a) * max(expected, default=0))


@pytest.mark.parametrize("dtype", LAPACK)
@pytest.mark.parametrize("name", GALLERY)
def test_gallery(name: str, dtype: str, rng: np.random.Generator) -> None:
    a = GALLERY[name](rng, 50, 8, dtype)
    u, s, vh = evaluate(*sa.svd(sa.asarray(a, chunks=((9, 0, 3, 38), -1))), verify=False)
    assert (u.dtype, s.dtype, vh.dtype) == (a.dtype, a.real.dtype, a.dtype)
    check(a, u, s, vh)
    u, s, vh = evaluate(*sa.svd(sa.asarray(a.T.copy(), chunks=(-1, 7))), verify=False)
    check(a.T, u, s, vh)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, tuple[object, object]]:
    """A matrix with chunks along one axis."""
    m, n = draw(st.integers(0, 25)), draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a = filled(rng, (m, n), draw(st.sampled_from(LAPACK)))
    return a, (draw(cuts(m)), -1) if draw(st.booleans()) else (-1, draw(cuts(n)))


@given(cases())
def test_any_shape_with_chunks_along_either_axis(case: tuple[np.ndarray, tuple[object, object]]) -> None:
    a, chunks = case
    x = sa.asarray(a, chunks=chunks)
    check(a, *evaluate(*sa.svd(x)))
    expected = np.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(
        value(sa.svdvals(x)), expected, rtol=0, atol=20 * max(1, *a.shape) * eps(a) * max(expected, default=0)
    )


def test_the_long_factor_is_cut_like_the_matrix() -> None:
    u, s, vh = sa.svd(sa.ones((10, 2), chunks=(4, -1)))
    assert (u.chunks, s.chunks, vh.chunks) == (((4, 4, 2), (2,)), ((2,),), ((2,), (2,)))
    u, s, vh = sa.svd(sa.ones((2, 10), chunks=(-1, 4)))
    assert (u.chunks, s.chunks, vh.chunks) == (((2,), (2,)), ((2,),), ((2,), (4, 4, 2)))


def test_integers_are_decomposed_as_float64(rng: np.random.Generator) -> None:
    for dtype in ("bool", "int8", "int64"):
        a = filled(rng, (30, 4), dtype)
        check(a.astype(float), *evaluate(*sa.svd(sa.asarray(a, chunks=(8, -1)))))
        assert value(sa.svdvals(sa.asarray(a, chunks=(8, -1)))).dtype == np.float64


def test_nan_is_an_error_that_names_the_operation() -> None:
    a = np.ones((20, 3))
    a[7, 1] = np.nan
    with pytest.raises(sa.TaskError, match="svd: block") as caught:
        sa.svd(sa.asarray(a, chunks=(6, -1))).S.compute()
    assert isinstance(caught.value.__cause__, np.linalg.LinAlgError)


def test_callers_errors() -> None:
    with pytest.raises(ValueError, match=r"type A\.rechunk\(\{1: -1\}\), or svd_compressed"):
        sa.svd(sa.ones((6, 4), chunks=2))
    with pytest.raises(ValueError, match=r"svdvals: .* type A\.rechunk\(\{0: -1\}\)"):
        sa.svdvals(sa.ones((4, 6), chunks=2))
    with pytest.raises(ValueError, match=r"needs a matrix, got shape \(2, 2, 2\)"):
        sa.svd(sa.ones((2, 2, 2)))
    with pytest.raises(TypeError, match="not float16"):
        sa.svd(sa.ones((4, 2), dtype="float16"))


def low_rank(rng: np.random.Generator, m: int, n: int, dtype: str, fall: float) -> tuple[np.ndarray, np.ndarray]:
    """A matrix with singular values fall^0, fall^1, ...; and those."""
    k = min(m, n)
    u, v = (np.linalg.qr(filled(rng, (size, k), dtype))[0] for size in (m, n))
    s = fall ** np.arange(k)
    return (u * s @ v.conj().T).astype(dtype), s


@pytest.mark.parametrize("dtype", LAPACK)
@pytest.mark.parametrize(("m", "n", "chunks"), [(60, 40, 13), (40, 60, (7, 60)), (33, 33, (33, 5)), (50, 30, -1)])
def test_compressed_finds_the_largest(
    m: int, n: int, chunks: object, dtype: str, rng: np.random.Generator
) -> None:
    a, s = low_rank(rng, m, n, dtype, 0.5)
    found = sa.svd_compressed(sa.asarray(a, chunks=chunks), k=5, n_power_iter=1, seed=1)
    u, values, vh = evaluate(*found)
    tolerance = 1e-4 if a.real.dtype == np.float32 else 1e-6
    np.testing.assert_allclose(values, s[:5], rtol=tolerance)
    assert (u.dtype, values.dtype, vh.dtype) == (a.dtype, a.real.dtype, a.dtype)
    assert departure(u) < 50
    assert departure(vh.conj().T) < 50
    # Eckart and Young: no matrix of rank 5 is nearer than s[5].
    assert np.linalg.norm(a - u * values @ vh, 2) <= (1 + 10 * tolerance) * s[5] + 1e-6


def test_compressed_is_exact_for_what_has_no_more_rank(rng: np.random.Generator) -> None:
    a = filled(rng, (40, 3)) @ filled(rng, (3, 30))
    u, s, vh = evaluate(*sa.svd_compressed(sa.asarray(a, chunks=9), k=3, seed=0))
    assert residual(a, u * s @ vh) < 50


def test_power_iterations_bring_the_error_down() -> None:
    a, s = low_rank(np.random.default_rng(0), 120, 100, "float64", 0.97)
    x = sa.asarray(a, chunks=30)
    errors = []
    for powers in (0, 1, 3):
        u, values, vh = evaluate(*sa.svd_compressed(x, k=10, n_power_iter=powers, seed=3), verify=False)
        errors.append(np.linalg.norm(a - u * values @ vh, 2) / s[10])
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1.05


def test_the_seed_decides_whatever_the_chunks(rng: np.random.Generator) -> None:
    a = filled(rng, (30, 20))
    one, other = (
        value(sa.svd_compressed(sa.asarray(a, chunks=chunks), k=2, seed=7).S, verify=False) for chunks in (4, (30, 11))
    )
    np.testing.assert_allclose(one, other, rtol=1e-10)
    assert not np.allclose(one, value(sa.svd_compressed(sa.asarray(a, chunks=4), k=2, seed=8).S), rtol=1e-10)


def test_compressed_callers_errors() -> None:
    x = sa.ones((6, 4), chunks=2)
    with pytest.raises(ValueError, match=r"k must be from 1 to 4 for shape \(6, 4\), got 5"):
        sa.svd_compressed(x, 5)
    with pytest.raises(ValueError, match="n_power_iter and n_oversamples must not be negative, got -1, 10"):
        sa.svd_compressed(x, 2, n_power_iter=-1)
    with pytest.raises(ValueError, match=r"needs a matrix, got shape \(4,\)"):
        sa.svd_compressed(sa.ones(4), 1)


@pytest.mark.parametrize("powers", [0, 1, 2])
def test_compressed_reads_the_matrix_no_more_than_it_says(powers: int, rng: np.random.Generator) -> None:
    reads: list[tuple[slice, ...]] = []

    class Counted:
        """An array that notes what is read of it."""

        shape, dtype, ndim = (24, 20), np.dtype("f8"), 2
        values = rng.standard_normal((24, 20))

        def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
            reads.append(index)
            return np.asarray(self.values[index])

    x = sa.from_array(Counted(), chunks=8)
    reads.clear()
    sa.compute(*sa.svd_compressed(x, k=3, n_power_iter=powers, seed=0))
    assert len(reads) <= 9 * (2 + 2 * powers)
