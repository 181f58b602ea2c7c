"""QR of blocks and stacks: scaled residuals over the gallery, shapes, layouts, and what travels."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import kernels.qr
from kernels.qr import (
    QR,
    Stack,
    Triangles,
    form_q,
    form_q_cost,
    gemqrt,
    gemqrt_cost,
    geqrt,
    geqrt_cost,
    tpmqrt,
    tpmqrt_cost,
    tpqrt,
    tpqrt_cost,
)

Block = NDArray[Any]
Maker = Callable[[int, int, str], Block]
SHAPES = [
    (1, 1),
    (5, 1),
    (1, 5),
    (7, 7),
    (40, 13),
    (13, 40),
    (300, 100),
    (100, 300),
    (150, 150),
    (0, 3),
    (3, 0),
    (0, 0),
]


def _scaled(difference: Block, reference: float, n: int, dtype: Any) -> float:
    return float(np.linalg.norm(difference) / (max(reference, np.finfo(dtype).tiny) * max(n, 1) * np.finfo(dtype).eps))


def _check(a: Block, q: Block, r: Block, bound: float = 6.0) -> None:
    """Scaled residual, orthogonality and triangularity; norms of scaled values, as 1e200 squared is not a number."""
    n, scale = max(a.shape), float(np.max(np.abs(a), initial=0.0)) or 1.0
    a, r = a / a.dtype.type(scale), r / r.dtype.type(scale)
    assert _scaled(a - q @ r, float(np.linalg.norm(a)), n, a.dtype) < bound if a.any() else not (q @ r).any()
    assert _scaled(q.conj().T @ q - np.eye(q.shape[1]), 1.0, n, a.dtype) < bound
    assert_array_equal(r, np.triu(r))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few dozen rows are cut into pieces, and have several T factors from 49 columns."""
    monkeypatch.setattr(kernels.qr, "PIECE_ROWS", 16)
    monkeypatch.setattr(kernels.qr, "NARROW", 48)
    monkeypatch.setattr(kernels.qr, "WIDE_PANEL", 20)


@pytest.mark.parametrize("shape", SHAPES)
def test_geqrt_is_backward_stable(maker: Maker, lapack_type: str, shape: tuple[int, int]) -> None:
    a = maker(*shape, lapack_type)
    q, r = geqrt(a)
    formed = form_q(q)
    k = min(shape)
    assert (formed.shape, r.shape, formed.dtype, r.dtype) == ((shape[0], k), (k, shape[1]), a.dtype, a.dtype)
    assert formed.flags.c_contiguous and r.flags.c_contiguous
    _check(a, formed, r)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("shape", [(60, 60), (60, 90), (130, 59), (180, 49)])
def test_several_t_factors_make_one_q(maker: Maker, lapack_type: str, shape: tuple[int, int]) -> None:
    a = maker(*shape, lapack_type)
    q, r = geqrt(a)
    assert q.pieces[0].t.shape == (20, min(shape))
    _check(a, form_q(q), r)
    k = min(shape)
    np.testing.assert_allclose(
        gemqrt(q, form_q(q), trans="C"), np.eye(shape[0], k), atol=1000 * np.finfo(lapack_type).eps
    )


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("shape", [(64, 1), (65, 3), (333, 4), (1000, 16), (900, 100), (900, 110)])
def test_pieces_are_joined_stably(maker: Maker, lapack_type: str, shape: tuple[int, int]) -> None:
    a = maker(*shape, lapack_type)
    q, r = geqrt(a)
    assert len(q.pieces) > 1 and q.join is not None
    _check(a, form_q(q), r)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (200, 120)])
def test_signs_are_lapacks(shape: tuple[int, int], lapack_type: str) -> None:
    a = np.random.default_rng(0).standard_normal(shape).astype(lapack_type)
    expected_q, expected_r = np.linalg.qr(a)
    q, r = geqrt(a)
    tolerance = 200 * np.finfo(lapack_type).eps
    np.testing.assert_allclose(r, expected_r, atol=tolerance * 10, rtol=0)
    np.testing.assert_allclose(form_q(q), expected_q, atol=tolerance, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(0, 200),
    n=st.integers(0, 12),
    p=st.integers(0, 5),
    rows=st.sampled_from([8, 16, 8192]),
    dtype=st.sampled_from(["f4", "f8", "c8", "c16"]),
    order=st.sampled_from(["C", "F", "strided", "swapped"]),
    seed=st.integers(0, 9),
)
def test_q_is_one_unitary_matrix(m: int, n: int, p: int, rows: int, dtype: str, order: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = (
        (rng.standard_normal((m, n)) + 1j * rng.standard_normal((m, n)) * (np.dtype(dtype).kind == "c")).astype(dtype)
        if np.dtype(dtype).kind == "c"
        else rng.standard_normal((m, n)).astype(dtype)
    )
    layouts = {
        "C": a,
        "F": np.asfortranarray(a),
        "strided": np.repeat(a, 2, 1)[:, ::2],
        "swapped": a.astype(a.dtype.newbyteorder()),
    }
    kernels.qr.PIECE_ROWS, before = rows, kernels.qr.PIECE_ROWS
    try:
        q, r = geqrt(layouts[order])
    finally:
        kernels.qr.PIECE_ROWS = before
    k, eps = min(m, n), np.finfo(dtype).eps
    full = gemqrt(q, np.eye(m, dtype=dtype))
    tolerance = 30 * (m + 1) * eps
    np.testing.assert_allclose(full.conj().T @ full, np.eye(m), atol=tolerance)
    np.testing.assert_allclose(form_q(q), full[:, :k], atol=tolerance)
    turned = gemqrt(q, a, trans="C")
    np.testing.assert_allclose(turned[:k], r, atol=tolerance * 10)
    np.testing.assert_allclose(turned[k:], 0, atol=tolerance * 10)
    c = rng.standard_normal((k, p)).astype(dtype)
    np.testing.assert_allclose(form_q(q, c), full[:, :k] @ c, atol=tolerance * 10)
    x = np.asfortranarray(rng.standard_normal((m, p)).astype(dtype))
    np.testing.assert_allclose(gemqrt(q, x), full @ x, atol=tolerance * 10)
    np.testing.assert_allclose(gemqrt(q, x, trans="C"), full.conj().T @ x, atol=tolerance * 10)


def test_form_q_writes_into_a_slice_of_rows() -> None:
    a = np.random.default_rng(0).standard_normal((50, 4))
    q, _ = geqrt(a)
    whole = np.full((70, 6), np.nan)
    form_q(q, out=whole[10:60, 1:5])
    assert_array_equal(whole[10:60, 1:5], form_q(q))
    assert np.isnan(whole[:10]).all() and np.isnan(whole[60:]).all() and np.isnan(whole[:, [0, 5]]).all()


def test_inputs_stay_as_they_are(lapack_type: str) -> None:
    a = np.random.default_rng(0).standard_normal((30, 5)).astype(lapack_type, order="F")
    kept = a.copy()
    q, _ = geqrt(a)
    c = np.ones((5, 5), lapack_type)
    form_q(q, c)
    gemqrt(q, a, trans="C")
    assert_array_equal(a, kept)
    assert_array_equal(c, np.ones((5, 5)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_and_inf_come_out_as_nan(value: float) -> None:
    a = np.ones((20, 3))
    a[4, 1] = value
    assert np.isnan(geqrt(a).r[1, 1])


def test_integers_are_factored_as_float64_and_half_as_single() -> None:
    assert geqrt(np.eye(3, dtype=int)).r.dtype == np.float64
    assert geqrt(np.eye(3, dtype="f2")).r.dtype == np.float32
    with pytest.raises(TypeError, match=r"not (longdouble|float128|float96)"):
        geqrt(np.eye(3, dtype="g"))


def test_reflectors_pickle_and_know_their_size() -> None:
    a = np.random.default_rng(0).standard_normal((40000, 3))
    q, _ = geqrt(a)
    again = pickle.loads(pickle.dumps(q, protocol=5))
    assert q.shape == (40000, 3) and len(q.pieces) == 5
    assert q.nbytes == again.nbytes >= a.nbytes
    assert len(pickle.dumps(q)) < q.nbytes + 4000
    assert_array_equal(form_q(again), form_q(q))


def test_same_block_gives_same_bits_in_any_order() -> None:
    a = np.random.default_rng(0).standard_normal((20000, 5))
    first, second = geqrt(a), geqrt(np.asfortranarray(a))
    assert_array_equal(first.r, second.r)
    assert_array_equal(form_q(first.q), form_q(second.q))


@pytest.mark.parametrize("heights", [[4], [4, 4], [4, 4, 4], [1, 4, 2], [0, 3], [2, 1], [0], [0, 0], [4, 0, 4]])
def test_stacks_of_any_heights(heights: list[int], lapack_type: str) -> None:
    rng = np.random.default_rng(len(heights))
    blocks = [np.triu(rng.standard_normal((h, 4))).astype(lapack_type) for h in heights]
    stack = np.concatenate(blocks)
    q, r = tpqrt(blocks)
    formed = np.concatenate(tpmqrt(q, np.eye(len(r), dtype=lapack_type)))
    assert q.heights == tuple(heights) and r.shape == (min(sum(heights), 4), 4)
    _check(stack, formed, r)


@pytest.mark.parametrize("n", [1, 3, 40, 130])
def test_two_triangles_are_joined_stably(n: int, maker: Maker, lapack_type: str) -> None:
    blocks = [np.triu(maker(n, n, lapack_type)), np.triu(maker(n, n, lapack_type)) * 2]
    q, r = tpqrt(blocks)
    assert isinstance(q.q, Triangles)
    formed = np.concatenate(tpmqrt(q, np.eye(n, dtype=lapack_type)))
    _check(np.concatenate(blocks), formed, r)


@pytest.mark.parametrize("count", [2, 3])
def test_applying_a_stacks_adjoint_gives_r_over_zeros(count: int, lapack_type: str) -> None:
    rng = np.random.default_rng(3)
    blocks = [np.triu(rng.standard_normal((40, 40))).astype(lapack_type) for _ in range(count)]
    q, r = tpqrt(blocks)
    top, *rest = tpmqrt(q, blocks, trans="C")
    tolerance = 500 * np.finfo(lapack_type).eps
    np.testing.assert_allclose(top, r, atol=tolerance)
    for block in rest:
        np.testing.assert_allclose(block, 0, atol=tolerance)
    for back, block in zip(tpmqrt(q, [top, *rest]), blocks, strict=True):
        np.testing.assert_allclose(back, block, atol=tolerance)


def test_stacks_need_one_width() -> None:
    with pytest.raises(ValueError, match=r"one common width, not \[2, 3\]"):
        tpqrt([np.eye(2), np.eye(3)])


def test_wrong_sizes_say_what_is_needed() -> None:
    q, _ = geqrt(np.ones((5, 2)))
    with pytest.raises(ValueError, match="needs 2 rows, not 3"):
        form_q(q, np.ones((3, 1)))
    with pytest.raises(ValueError, match="Q is 5 x 5, C has 4 rows"):
        gemqrt(q, np.ones((4, 1)))


def test_a_whole_tsqr_from_the_parts(lapack_type: str) -> None:
    rng = np.random.default_rng(1)
    a = rng.standard_normal((700, 6)).astype(lapack_type)
    leaves = [geqrt(a[i:j]) for i, j in [(0, 100), (100, 103), (103, 500), (500, 700)]]
    joins = [tpqrt([leaves[0].r, leaves[1].r]), tpqrt([leaves[2].r, leaves[3].r])]
    root = tpqrt([join.r for join in joins])
    tops = tpmqrt(root.q, np.eye(6, dtype=lapack_type))
    parts = [c for join, top in zip(joins, tops, strict=True) for c in tpmqrt(join.q, top)]
    q = np.concatenate([form_q(leaf.q, c) for leaf, c in zip(leaves, parts, strict=True)])
    _check(a, q, root.r)


def test_costs() -> None:
    assert geqrt_cost(1000, 10, "c16").flops == pytest.approx(4 * geqrt_cost(1000, 10, "f8").flops)
    assert form_q_cost(100, 10, 10, "f8").flops * 2 == gemqrt_cost(100, 10, 10, "f8").flops
    assert tpqrt_cost([300, 300], 300, "f8").flops < geqrt_cost(600, 300, "f8").flops / 4
    assert tpmqrt_cost([4, 4, 4], 4, 4, "f8") == form_q_cost(12, 4, 4, "f8")


def test_results_are_named() -> None:
    factored, stacked = geqrt(np.eye(2)), tpqrt([np.eye(2)])
    assert isinstance(factored, QR) and isinstance(stacked.q, Stack)
