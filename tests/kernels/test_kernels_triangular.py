"""trsm and potrf: residuals in every layout, side and triangle; failures by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from kernels.cholesky import potrf, potrf_cost
from kernels.triangular import trsm, trsm_cost

Block = NDArray[Any]
OPS = {"N": lambda x: x, "T": lambda x: x.T, "C": lambda x: x.conj().T}
ORDERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
}


def _matrix(rng: np.random.Generator, m: int, n: int, dtype: str) -> Block:
    x = rng.standard_normal((m, n))
    return (x + 1j * rng.standard_normal((m, n)) if np.dtype(dtype).kind == "c" else x).astype(dtype)


@settings(max_examples=200, deadline=None)
@given(
    m=st.integers(0, 8),
    n=st.integers(0, 8),
    dtype=st.sampled_from(["f4", "f8", "c8", "c16"]),
    side=st.sampled_from("LR"),
    lower=st.booleans(),
    trans=st.sampled_from("NTC"),
    unit=st.booleans(),
    orders=st.tuples(st.sampled_from(sorted(ORDERS)), st.sampled_from(sorted(ORDERS))),
    seed=st.integers(0, 99),
)
def test_trsm_solves_with_any_triangle(
    m: int, n: int, dtype: str, side: Any, lower: bool, trans: Any, unit: bool, orders: tuple[str, str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    k = m if side == "L" else n
    b, full = _matrix(rng, m, n, dtype), _matrix(rng, k, k, dtype) / 8 + 2 * np.eye(k, dtype=dtype)
    given_b, given_t = ORDERS[orders[0]](b), ORDERS[orders[1]](full.astype(dtype))
    given_b.flags.writeable = given_t.flags.writeable = False
    x = trsm(given_b, given_t, side=side, lower=lower, trans=trans, unit=unit, alpha=2)
    t = np.tril(given_t) if lower else np.triu(given_t)
    if unit:
        np.fill_diagonal(t, 1)
    product = OPS[trans](t) @ x if side == "L" else x @ OPS[trans](t)
    assert x.dtype == np.dtype(dtype)
    np.testing.assert_allclose(product, 2 * b, rtol=0, atol=100 * np.finfo(dtype).eps)
    assert_array_equal(given_b, b)


def test_trsm_keeps_column_order() -> None:
    assert trsm(np.asfortranarray(np.ones((3, 2))), np.eye(3)).flags.f_contiguous


def test_trsm_says_what_triangle_it_needs() -> None:
    with pytest.raises(ValueError, match=r"T is 2 x 2, but B \(3 x 2\) on side L needs 3 x 3"):
        trsm(np.ones((3, 2)), np.eye(2))


@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 200])
def test_potrf_factors_positive_definite_tiles(n: int, lapack_type: str) -> None:
    x = _matrix(np.random.default_rng(n), n, n + 5, lapack_type)
    a = x @ x.conj().T + np.eye(n, dtype=lapack_type)
    kept = a.copy()
    factor = potrf(np.tril(a))
    assert factor.dtype == np.dtype(lapack_type)
    assert_array_equal(factor, np.tril(factor))
    eps = np.finfo(lapack_type).eps
    assert np.linalg.norm(factor @ factor.conj().T - a) <= 3 * eps * max(1, n) * (np.linalg.norm(a) + 1)
    assert_array_equal(a, kept)


@pytest.mark.parametrize("order", ["C", "F"])
def test_potrf_reads_only_the_lower_triangle(order: Any) -> None:
    a = np.array([[4.0, np.nan], [2.0, 5.0]], order=order)
    assert_array_equal(potrf(a), [[2, 0], [1, 2]])


@pytest.mark.parametrize(("bad", "offset", "minor"), [(0, 0, 1), (3, 0, 4), (3, 100, 104), (70, 0, 71)])
@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan])
def test_potrf_names_the_minor_that_fails(bad: int, offset: int, minor: int, value: float, lapack_type: str) -> None:
    a = np.eye(90, dtype=lapack_type)
    a[bad, bad] = value
    with pytest.raises(np.linalg.LinAlgError, match=f"minor of order {minor} is"):
        potrf(a, offset=offset)


def test_potrf_of_integers_is_float64() -> None:
    assert potrf(np.array([[4]])).dtype == np.float64


def test_potrf_refuses_rectangles() -> None:
    with pytest.raises(ValueError, match=r"square matrix is needed, not shape \(2, 3\)"):
        potrf(np.ones((2, 3)))


def test_costs() -> None:
    assert potrf_cost(6, "c8").flops == 4 * 72
    assert trsm_cost(2, 5, "f8").flops == 20
    assert trsm_cost(2, 5, "f8", side="R").flops == 50
