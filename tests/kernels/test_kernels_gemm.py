"""gemm and herk: every layout of operands and accumulators, against NumPy in higher precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from kernels.gemm import gemm, gemm_cost, herk, herk_cost, leading

Block = NDArray[Any]
TYPES = ["f4", "f8", "c8", "c16"]
OPS = {"N": lambda x: x, "T": lambda x: x.T, "C": lambda x: x.conj().T}
LAYOUTS = {
    "rows": lambda x: np.ascontiguousarray(x),
    "columns": lambda x: np.asfortranarray(x),
    "slice": lambda x: np.pad(x, ((1, 2), (3, 1)))[1 : 1 + x.shape[0], 3 : 3 + x.shape[1]],
    "column slice": lambda x: np.asfortranarray(np.pad(x, ((1, 2), (3, 1))))[1 : 1 + x.shape[0], 3 : 3 + x.shape[1]],
    "strided": lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "unaligned": lambda x: _unaligned(x),
}
ACCUMULATORS = ["rows", "columns", "slice", "column slice", "strided", "reversed"]


def _unaligned(x: Block) -> Block:
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    out = raw.view(x.dtype).reshape(x.shape) if x.size else x.copy()
    out[...] = x
    return out


def _matrix(rng: np.random.Generator, m: int, n: int, dtype: str) -> Block:
    x = rng.standard_normal((m, n))
    return (x + 1j * rng.standard_normal((m, n)) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def _close(actual: Block, expected: Block, k: int) -> None:
    eps = np.finfo(actual.dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=0, atol=20 * (k + 2) * eps)


SIZES = st.integers(0, 9)


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.tuples(SIZES, SIZES, SIZES),
    dtype=st.sampled_from(TYPES),
    ops=st.tuples(st.sampled_from("NTC"), st.sampled_from("NTC")),
    layouts=st.tuples(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(sorted(LAYOUTS))),
    target=st.sampled_from(ACCUMULATORS),
    alpha=st.sampled_from([1, -1, 0.5]),
    seed=st.integers(0, 99),
)
def test_gemm_accumulates_op_a_op_b_in_any_layout(
    sizes: Any, dtype: str, ops: Any, layouts: Any, target: str, alpha: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = sizes
    a = _matrix(rng, *((m, k) if ops[0] == "N" else (k, m)), dtype)
    b = _matrix(rng, *((k, n) if ops[1] == "N" else (n, k)), dtype)
    c = LAYOUTS[target](_matrix(rng, m, n, dtype))
    product = OPS[ops[0]](a.astype("c16")) @ OPS[ops[1]](b.astype("c16"))
    expected = c + alpha * product
    x, y = LAYOUTS[layouts[0]](a), LAYOUTS[layouts[1]](b)
    x.flags.writeable = y.flags.writeable = False
    if layouts[0] != "swapped" and layouts[1] != "swapped":
        _close(gemm(x, y, trans_a=ops[0], trans_b=ops[1]), product, k)
    assert gemm(x, y, c, alpha=alpha, trans_a=ops[0], trans_b=ops[1]) is c
    _close(c, expected, k)
    assert_array_equal(x, a)
    assert_array_equal(y, b)
    gemm(x, y, out=c, trans_a=ops[0], trans_b=ops[1])
    _close(c, product, k)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "?", "f2", "g"])
def test_gemm_of_other_types_is_numpys_matmul(dtype: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (4, 5)).astype(dtype), rng.integers(0, 3, (5, 3)).astype(dtype)
    result = gemm(a, b)
    assert_array_equal(result, a @ b, strict=True)
    c = np.ones((4, 3), result.dtype)
    assert_array_equal(gemm(a, b, c), (a @ b + np.ones_like(c)), strict=True)


def test_gemm_of_mixed_types_promotes_as_numpy() -> None:
    a, b = np.ones((2, 3), "f4"), np.ones((3, 2), "i4")
    assert gemm(a, b).dtype == np.float64
    assert gemm(a, np.ones((3, 2), "c16")).dtype == np.complex128


def test_gemm_with_nothing_to_sum_leaves_the_accumulator_and_clears_a_new_block() -> None:
    c = np.full((2, 3), 5.0)
    assert_array_equal(gemm(np.ones((2, 0)), np.ones((0, 3)), c), np.full((2, 3), 5.0))
    assert_array_equal(gemm(np.ones((2, 0)), np.ones((0, 3))), np.zeros((2, 3)))


def test_gemm_overwrites_nan_in_out() -> None:
    out = np.full((2, 2), np.nan)
    assert_array_equal(gemm(np.eye(2), np.eye(2), out=out), np.eye(2))


def test_gemm_says_which_shapes_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"2 x 3, op\(B\) is 2 x 3"):
        gemm(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"C is \(3, 3\)"):
        gemm(np.ones((2, 3)), np.ones((3, 2)), np.ones((3, 3)))


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_leading_dimension_describes_memory(layout: str) -> None:
    x = LAYOUTS[layout](np.arange(20.0).reshape(4, 5))
    found = leading(x)
    usable = {
        "rows": (True, 5),
        "columns": (False, 4),
        "slice": (True, 9),
        "column slice": (False, 7),
        "swapped": (True, 5),
    }
    assert found == usable.get(layout)


@settings(max_examples=100, deadline=None)
@given(
    n=SIZES,
    k=SIZES,
    dtype=st.sampled_from(TYPES),
    layout=st.sampled_from(sorted(set(LAYOUTS) - {"swapped"})),
    target=st.sampled_from(ACCUMULATORS),
    trans=st.booleans(),
    seed=st.integers(0, 99),
)
def test_herk_updates_the_lower_triangle_alone(
    n: int, k: int, dtype: str, layout: str, target: str, trans: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a = _matrix(rng, *((k, n) if trans else (n, k)), dtype)
    wide = a.astype("c16")
    product = wide.conj().T @ wide if trans else wide @ wide.conj().T
    x = LAYOUTS[layout](a)
    full = herk(x, trans=trans)
    _close(full, product, k)
    assert_array_equal(full, full.conj().T)
    start = _matrix(rng, n, n, dtype)
    start[np.arange(n), np.arange(n)] = start.diagonal().real
    c = LAYOUTS[target](start.copy())
    assert herk(x, c, alpha=-1, trans=trans) is c
    _close(np.tril(c), np.tril(start - product), k)
    if target in ("rows", "columns", "slice", "column slice"):
        assert_array_equal(np.triu(c, 1), np.triu(start, 1))


def test_herk_of_integers_is_exact() -> None:
    a = np.array([[1, 2], [3, 4]])
    assert_array_equal(herk(a), a @ a.T)


def test_costs_count_flops_by_type() -> None:
    assert gemm_cost(2, 3, 4, "c16").flops == 4 * gemm_cost(2, 3, 4, "f8").flops == 4 * 48
    assert herk_cost(6, 4, "f8").flops * 2 == gemm_cost(6, 6, 4, "f8").flops
    assert gemm_cost(2, 3, 4, "f4").bytes_in == 4 * (8 + 12)
