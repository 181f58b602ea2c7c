"""tsqr: residuals over a gallery of matrices, every row chunking and arity, and the errors of its caller."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sarray as sa
from sarray.lowering.tsqr import widths
from tests.linalg.evaluation import LAPACK, cuts, evaluate, filled
from tests.linalg.gallery import GALLERY, departure, residual

CHUNKS = [7, 1, 60, (1, 20, 0, 3, 36), (0, 0, 60), (59, 1)]


def check(a: np.ndarray, q: np.ndarray, r: np.ndarray) -> None:
    """Q R is A, Q is orthonormal, R is triangular."""
    k = min(a.shape)
    assert q.shape == (a.shape[0], k)
    assert r.shape == (k, a.shape[1])
    assert residual(a, q @ r) < 10
    assert departure(q) < 10
    assert not np.tril(r, -1).any()


@pytest.mark.parametrize("dtype", LAPACK)
@pytest.mark.parametrize("name", GALLERY)
def test_gallery(name: str, dtype: str, rng: np.random.Generator) -> None:
    a = GALLERY[name](rng, 60, 9, dtype)
    for chunks in CHUNKS:
        q, r = evaluate(*sa.tsqr(sa.asarray(a, chunks=(chunks, -1)), arity=3), verify=False)
        assert q.dtype == r.dtype == dtype
        check(a, q, r)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...], int]:
    """A matrix, its row chunks, and an arity."""
    m, n = draw(st.integers(0, 40)), draw(st.integers(0, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return filled(rng, (m, n), draw(st.sampled_from(LAPACK))), draw(cuts(m)), draw(st.integers(2, 5))


@given(cases())
def test_any_rows(case: tuple[np.ndarray, tuple[int, ...], int]) -> None:
    a, chunks, arity = case
    q, r = sa.tsqr(sa.asarray(a, chunks=(chunks, -1)), arity=arity)
    assert q.chunks[0] == chunks
    check(a, *evaluate(q, r))


@given(cases())
def test_each_factor_alone_is_what_it_is_with_the_other(case: tuple[np.ndarray, tuple[int, ...], int]) -> None:
    a, chunks, arity = case
    q, r = sa.tsqr(sa.asarray(a, chunks=(chunks, -1)), arity=arity)
    both = evaluate(q, r)
    alone = [evaluate(q)[0], evaluate(r)[0]]
    assert [x.tobytes() for x in both] == [x.tobytes() for x in alone]


@pytest.mark.parametrize("blocks", [1, 2, 3, 8, 9, 17, 64, 65])
def test_all_heights_of_the_tree(blocks: int, rng: np.random.Generator) -> None:
    a = rng.standard_normal((2 * blocks, 3))
    for arity in (2, 8):
        check(a, *evaluate(*sa.tsqr(sa.asarray(a, chunks=(2, -1)), arity=arity)))


@given(st.integers(1, 10_000), st.integers(2, 20))
def test_each_level_has_room_for_the_one_below(blocks: int, arity: int) -> None:
    levels = widths(blocks, arity)
    assert levels[0] == blocks
    assert levels[-1] == 1
    assert all((high - 1) * arity < low <= high * arity for low, high in pairwise(levels))


def test_wide_matrix_has_a_trapezoidal_r(rng: np.random.Generator) -> None:
    a = rng.standard_normal((5, 12))
    check(a, *evaluate(*sa.tsqr(sa.asarray(a, chunks=(2, -1)))))


def test_wide_blocks_take_the_panels_of_several_reflectors(rng: np.random.Generator) -> None:
    a = rng.standard_normal((700, 150))
    check(a, *evaluate(*sa.tsqr(sa.asarray(a, chunks=(170, -1)), arity=2)))


def test_transposed_input_is_read_where_it_lies(rng: np.random.Generator) -> None:
    a = rng.standard_normal((4, 30))
    check(a.T, *evaluate(*sa.tsqr(sa.asarray(a, chunks=(-1, 7)).T)))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64"])
def test_integers_are_factored_as_float64(dtype: str, rng: np.random.Generator) -> None:
    a = filled(rng, (30, 4), dtype)
    q, r = evaluate(*sa.tsqr(sa.asarray(a, chunks=(8, -1))))
    assert q.dtype == r.dtype == np.float64
    check(a.astype(float), q, r)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scales_near_the_ends_of_the_exponents(scale: float, rng: np.random.Generator) -> None:
    a = rng.standard_normal((40, 4)) * scale
    q, r = evaluate(*sa.tsqr(sa.asarray(a, chunks=(11, -1))))
    check(a / scale, q, r / scale)


def test_nan_reaches_r() -> None:
    a = np.ones((20, 3))
    a[7, 1] = np.nan
    _, r = evaluate(*sa.tsqr(sa.asarray(a, chunks=(6, -1))))
    assert np.isnan(r).any()


def test_nothing_is_shared_with_the_input(rng: np.random.Generator) -> None:
    a = rng.standard_normal((30, 4))
    kept = a.copy()
    evaluate(*sa.tsqr(sa.asarray(a, chunks=(8, -1))))
    np.testing.assert_array_equal(a, kept)


def test_threads_give_the_same_bits_as_the_serial_driver(rng: np.random.Generator) -> None:
    q, r = sa.tsqr(sa.asarray(rng.standard_normal((500, 6)), chunks=(13, -1)))
    threads = sa.compute(q, r)
    assert [x.tobytes() for x in threads] == [x.tobytes() for x in evaluate(q, r)]


def test_callers_errors() -> None:
    with pytest.raises(ValueError, match=r"type A\.rechunk\(\{1: -1\}\)"):
        sa.tsqr(sa.ones((4, 4), chunks=2))
    with pytest.raises(ValueError, match=r"needs a matrix, got shape \(4,\)"):
        sa.tsqr(sa.ones(4))
    with pytest.raises(ValueError, match="arity of 2 or more, got 1"):
        sa.tsqr(sa.ones((4, 2)), arity=1)
    with pytest.raises(TypeError, match="not float16"):
        sa.tsqr(sa.ones((4, 2), dtype="float16"))
