"""Blocks of formula arrays are slices of NumPy's, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from kernels.creation import arange_block, arange_cost, eye_block, full_block, full_cost

FINITE = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)


@settings(max_examples=200, deadline=None)
@given(
    start=FINITE, step=FINITE.filter(bool), size=st.integers(1, 300), cut=st.data(), dtype=st.sampled_from(["f4", "f8"])
)
def test_arange_of_floats_has_numpys_bits(start: float, step: float, size: int, cut: st.DataObject, dtype: str) -> None:
    whole = np.arange(start, start + step * (size + 1), step, dtype=dtype)
    offset = cut.draw(st.integers(0, len(whole)))
    count = cut.draw(st.integers(0, len(whole) - offset))
    assert_array_equal(arange_block(start, step, offset, count, dtype), whole[offset : offset + count], strict=True)


@settings(max_examples=100, deadline=None)
@given(start=st.integers(-(2**62), 2**62), step=st.integers(-(2**40), 2**40).filter(bool), cut=st.data())
def test_arange_of_large_integers_is_exact(start: int, step: int, cut: st.DataObject) -> None:
    whole = np.arange(start, start + 50 * step, step)
    offset = cut.draw(st.integers(0, 50))
    count = cut.draw(st.integers(0, 50 - offset))
    assert_array_equal(arange_block(start, step, offset, count, "i8"), whole[offset : offset + count], strict=True)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize(("start", "step"), [(0, 1), (3, 2), (1, 7)])
def test_arange_of_every_type(dtype: str, start: int, step: int) -> None:
    whole = np.arange(start, start + 17 * step, step, dtype=dtype)
    for offset, count in [(0, 17), (0, 1), (1, 3), (5, 12), (17, 0)]:
        assert_array_equal(arange_block(start, step, offset, count, dtype), whole[offset : offset + count], strict=True)


def test_arange_of_float32_beyond_its_integers() -> None:
    whole = np.arange(0.5, 2**25, 1.0, dtype="f4")
    assert_array_equal(arange_block(0.5, 1.0, 2**24, 1000, "f4"), whole[2**24 : 2**24 + 1000], strict=True)


def test_arange_of_complex_steps() -> None:
    whole = np.arange(1 + 2j, 31 + 32j, 1.5)
    assert_array_equal(arange_block(1 + 2j, 1.5, 3, 5, "c16"), whole[3:8], strict=True)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(-8, 8), st.integers(0, 6), st.integers(0, 6))
def test_eye_blocks_are_slices(m: int, n: int, k: int, row: int, column: int) -> None:
    whole = np.eye(row + m, column + n, k, dtype="f4")
    assert_array_equal(eye_block((m, n), (row, column), k, "f4"), whole[row:, column:], strict=True)


@pytest.mark.parametrize("value", [0, 0.0, False, 1, -0.0, 2.5, np.nan, np.float32(3), np.array(4)])
@pytest.mark.parametrize("dtype", ["f8", "c8"])
def test_full_blocks(value: Any, dtype: str) -> None:
    block = full_block((2, 3), value, dtype)
    expected = np.full((2, 3), value, dtype)
    assert_array_equal(block, expected, strict=True)
    assert_array_equal(np.signbit(block.real), np.signbit(expected.real))


def test_costs() -> None:
    assert (full_cost(10, "f4").bytes_out, full_cost(10, "f4").flops) == (40, 0)
    assert arange_cost(10, "f4").bytes_out == 40
