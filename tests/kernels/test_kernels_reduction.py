"""Reductions, partial results and norms against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import kernels.elementwise
from kernels.norm import combine_squares, finish_norm, sum_of_squares, sum_of_squares_cost
from kernels.reduction import (
    Cascade,
    combine,
    combine_cost,
    finish_mean,
    mean_dtypes,
    reduce_block,
    reduce_cost,
    reduction_dtype,
)

Block = NDArray[Any]
TYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
NUMPY = {"sum": np.sum, "prod": np.prod, "min": np.min, "max": np.max, "all": np.all, "any": np.any}


@pytest.mark.parametrize("name", sorted(NUMPY))
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), ()])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reduce_block_is_numpys_reduction(name: str, dtype: str, axis: Any, keepdims: bool) -> None:
    a = np.random.default_rng(0).integers(0, 3, (4, 3, 5)).astype(dtype)
    expected = np.asarray(NUMPY[name](a, axis=axis, keepdims=keepdims))
    for block in (a, np.asfortranarray(a), a.astype(a.dtype.newbyteorder())):
        result = reduce_block(name, block, axis, keepdims=keepdims)
        assert_array_equal(result, expected, strict=True)
        assert isinstance(result, np.ndarray)
    assert reduction_dtype(name, a.dtype) == expected.dtype


@pytest.mark.parametrize("name", ["min", "max"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16"])
def test_nan_propagates(name: str, dtype: str) -> None:
    a = np.ones((3, 3), dtype)
    a[1, 2] = np.nan
    assert_array_equal(np.isnan(reduce_block(name, a, 0)), [False, False, True])
    parts = [reduce_block(name, a[i : i + 1], 0) for i in range(3)]
    assert_array_equal(np.isnan(combine(name, parts)), [False, False, True])


@pytest.mark.parametrize("name", sorted(NUMPY))
@pytest.mark.parametrize("dtype", TYPES)
def test_an_empty_block_changes_nothing(name: str, dtype: str) -> None:
    a = np.random.default_rng(1).integers(0, 2, (6, 2)).astype(dtype)
    parts = [reduce_block(name, part, 0, keepdims=True) for part in (a[:0], a[:4], a[4:4], a[4:])]
    assert_array_equal(combine(name, parts), reduce_block(name, a, 0, keepdims=True), strict=True)


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=40))
def test_cascade_joins_all_in_order(values: list[int]) -> None:
    cascade = Cascade(np.add)
    for value in values:
        cascade.push(np.array(value))
    assert cascade.total() == sum(values)
    assert len(cascade._held) == bin(len(values)).count("1")


def test_cascade_is_a_balanced_tree() -> None:
    total = combine("sum", [np.array(0.1, "f4")] * 2**16)
    assert total == np.float32(0.1) * 2**16


@pytest.mark.parametrize("dtype", TYPES)
def test_mean_has_numpys_types(dtype: str) -> None:
    a = np.random.default_rng(0).integers(0, 2, 50).astype(dtype)
    accumulate, result = mean_dtypes(dtype)
    mean = finish_mean(reduce_block("sum", a, dtype=accumulate), a.size, result)
    assert_array_equal(mean, np.asarray(np.mean(a)), strict=True)


def test_mean_of_nothing_is_nan_with_numpys_warning() -> None:
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(finish_mean(np.array(0.0), 0, "f8"))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=12),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), max_size=12),
)
def test_norms_of_any_exponents_neither_overflow_nor_vanish(first: list[float], second: list[float]) -> None:
    pair = combine_squares([sum_of_squares(np.array(first)), sum_of_squares(np.array(second, "f8"))])
    expected = math.hypot(*first, *second)
    if math.isfinite(expected):
        assert math.isclose(float(finish_norm(pair)), expected, rel_tol=1e-13, abs_tol=1e-322)


@pytest.mark.parametrize("exponent", [-300, -200, 0, 200, 300])
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_norm_of_scaled_blocks(exponent: int, dtype: str) -> None:
    a = np.random.default_rng(0).standard_normal((50, 40)).astype(dtype)
    if dtype == "c16":
        a = a * (1 + 2j)
    expected = np.linalg.norm(a)
    parts = [sum_of_squares(block * 10.0**exponent) for block in (a[:30], a[30:])]
    actual = finish_norm(combine_squares(parts)) / 10.0**exponent
    np.testing.assert_allclose(actual, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["i4", "u1", "?", "f2", "f4", "c8"])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_squares_of_any_type_along_axes(dtype: str, axis: Any) -> None:
    a = np.random.default_rng(0).integers(0, 2, (6, 5)).astype(dtype) * np.array(100).astype(dtype)
    wide = a.astype("c16")
    for keepdims in (True, False):
        actual = finish_norm(sum_of_squares(a, axis, keepdims=keepdims))
        expected = np.sqrt((np.abs(wide) ** 2).sum(axis=axis, keepdims=keepdims))
        assert actual.shape == np.shape(expected)
        np.testing.assert_allclose(actual, expected, rtol=1e-14)


def test_norm_of_columns_with_different_exponents() -> None:
    a = np.array([[3e200, 3e-200, 0.0, np.inf, np.nan], [4e200, 4e-200, 0.0, 1.0, 1.0]])
    norm = finish_norm(sum_of_squares(a, 0))
    np.testing.assert_allclose(norm, [5e200, 5e-200, 0, np.inf, np.nan], rtol=1e-15)


def test_norm_of_nothing_is_zero() -> None:
    assert finish_norm(sum_of_squares(np.empty((0, 3)))) == 0
    assert_array_equal(finish_norm(sum_of_squares(np.empty((0, 3)), 0)), np.zeros(3))


def test_norm_in_pieces_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    a = np.random.default_rng(0).standard_normal((300, 20))
    whole = finish_norm(sum_of_squares(a))
    monkeypatch.setattr(kernels.elementwise, "PIECE", 64)
    np.testing.assert_allclose(finish_norm(sum_of_squares(a)), whole, rtol=1e-14)
    np.testing.assert_allclose(finish_norm(sum_of_squares(a * 1e250)), whole * 1e250, rtol=1e-14)


def test_norm_keeps_the_asked_precision() -> None:
    assert finish_norm(sum_of_squares(np.ones(4, "f4")), "f4").dtype == np.float32


def test_costs() -> None:
    assert reduce_cost(100, 1, "f4").bytes_in == 400
    assert combine_cost(4, 10, "f8").flops == 30
    assert sum_of_squares_cost(10, 1, "c16").bytes_in == 160
