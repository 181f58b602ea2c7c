"""cholesky: residuals, all sizes and chunkings, both triangles, and matrices that are not positive definite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sarray as sa
from tests.linalg.evaluation import LAPACK, cuts, filled, value
from tests.linalg.gallery import residual


def definite(rng: np.random.Generator, n: int, dtype: str = "float64") -> np.ndarray:
    """A Hermitian positive definite matrix."""
    x = filled(rng, (n, n + 3), dtype)
    return x @ x.conj().T


def check(a: np.ndarray, lower: np.ndarray) -> None:
    """L L^H is A, and L is lower triangular with a positive diagonal."""
    assert residual(a, lower @ lower.conj().T) < 10
    assert not np.triu(lower, 1).any()
    assert (np.diagonal(lower).real > 0).all()
    assert not np.diagonal(lower).imag.any()


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...]]:
    """A matrix, and chunks of its rows and columns, mostly alike."""
    n = draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(cuts(n))
    columns = draw(st.one_of(st.just(rows), st.just(rows), cuts(n)))
    return definite(rng, n, draw(st.sampled_from(LAPACK))), rows, columns


@given(cases(), st.booleans())
def test_any_chunks_and_either_triangle(
    case: tuple[np.ndarray, tuple[int, ...], tuple[int, ...]], upper: bool
) -> None:
    a, rows, columns = case
    hidden = np.triu(np.full_like(a, np.nan), 1)
    triangle = np.triu(a) + hidden.T if upper else np.tril(a) + hidden
    factor = sa.cholesky(sa.asarray(triangle, chunks=(rows, columns)), upper=upper)
    found = value(factor)
    assert found.dtype == a.dtype
    check(a, found.conj().T if upper else found)


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 7])
def test_tasks_are_counted_in_closed_form(blocks: int) -> None:
    factor = sa.cholesky(sa.eye(3 * blocks, chunks=3))
    assert factor.plan().tasks == blocks + blocks * (blocks - 1) // 2 + (blocks - 1) * blocks * (blocks + 1) // 6
    np.testing.assert_array_equal(value(factor), np.eye(3 * blocks))


def test_graded_matrices_keep_their_small_pivots(rng: np.random.Generator) -> None:
    scale = np.logspace(0, -6, 24)
    a = scale[:, None] * definite(rng, 24) * scale
    lower = value(sa.cholesky(sa.asarray(a, chunks=5)))
    check(a, lower)
    np.testing.assert_allclose(lower / scale[:, None], np.linalg.cholesky(a) / scale[:, None], rtol=1e-6, atol=1e-8)


def test_hilbert_matrix_is_factored_as_by_lapack() -> None:
    a = 1 / (np.arange(10)[:, None] + np.arange(10) + 1.0)
    check(a, value(sa.cholesky(sa.asarray(a, chunks=3))))


def test_integers_are_factored_as_float64() -> None:
    a = np.array([[4, 2, 0], [2, 5, 1], [0, 1, 9]])
    for dtype in ("int8", "int64"):
        lower = value(sa.cholesky(sa.asarray(a.astype(dtype), chunks=2)))
        assert lower.dtype == np.float64
        np.testing.assert_allclose(lower, np.linalg.cholesky(a), rtol=1e-15)


@pytest.mark.parametrize("bad", [0, 2, 3, 7, 10])
@pytest.mark.parametrize("chunks", [1, 4, 11, (4, 0, 7)])
def test_the_leading_minor_is_named_in_the_whole_matrix(bad: int, chunks: object, rng: np.random.Generator) -> None:
    a = np.eye(11)
    a[bad, bad] = -1
    with pytest.raises(sa.TaskError, match=f"cholesky: block .* leading minor of order {bad + 1} ") as caught:
        sa.cholesky(sa.asarray(a, chunks=(chunks, chunks))).compute()
    assert isinstance(caught.value.__cause__, np.linalg.LinAlgError)


def test_nan_is_not_positive_definite() -> None:
    a = np.eye(9)
    a[5, 5] = np.nan
    with pytest.raises(sa.TaskError, match="leading minor of order 6 "):
        sa.cholesky(sa.asarray(a, chunks=2)).compute()


def test_threads_give_the_same_bits_as_the_serial_driver(rng: np.random.Generator) -> None:
    factor = sa.cholesky(sa.asarray(definite(rng, 120), chunks=16))
    assert factor.compute().tobytes() == value(factor).tobytes()


def test_callers_errors() -> None:
    with pytest.raises(ValueError, match=r"needs a square matrix, got shape \(4, 5\)"):
        sa.cholesky(sa.ones((4, 5)))
    with pytest.raises(ValueError, match=r"needs a square matrix, got shape \(4,\)"):
        sa.cholesky(sa.ones(4))
    with pytest.raises(TypeError, match="not float16"):
        sa.cholesky(sa.eye(4, dtype="float16"))
