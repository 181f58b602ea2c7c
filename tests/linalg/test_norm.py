"""norm against NumPy: every order, axis, type and chunking, and exponents where squares do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sarray as sa
from tests.linalg.evaluation import cuts, filled, value

VECTOR = [None, 0, 1, 2, 3, 0.5, -1, -2, np.inf, -np.inf]
MATRIX = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]
TYPES = ["int32", "bool", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("order", VECTOR)
def test_vector_norms(order: float | None, keepdims: bool, rng: np.random.Generator) -> None:
    a = rng.standard_normal((5, 6, 7))
    x = sa.asarray(a, chunks=3)
    for axis in (0, 1, -1):
        found = value(sa.norm(x, order, axis=axis, keepdims=keepdims))
        np.testing.assert_allclose(found, np.linalg.norm(a, order, axis=axis, keepdims=keepdims), rtol=1e-13)
    np.testing.assert_allclose(value(sa.norm(x[0, 0], order)), np.linalg.norm(a[0, 0], order), rtol=1e-13)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("order", MATRIX)
def test_matrix_norms(order: float | str | None, keepdims: bool, rng: np.random.Generator) -> None:
    for shape in ((7, 5), (5, 7), (6, 6)):
        a = rng.standard_normal(shape)
        for chunks in (2, -1, (3, -1), (-1, 3)):
            for axis in (None, (0, 1), (1, 0)):
                found = value(sa.norm(sa.asarray(a, chunks=chunks), order, axis=axis, keepdims=keepdims))
                expected = np.linalg.norm(a, order, axis=axis, keepdims=keepdims)
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("order", [None, "fro", 1, -1, np.inf, -np.inf])
def test_stacks_of_matrices(order: float | str | None, rng: np.random.Generator) -> None:
    a = rng.standard_normal((4, 5, 6))
    for axis in ((0, 1), (2, 0), (-1, -2)):
        found = value(sa.norm(sa.asarray(a, chunks=2), order, axis=axis))
        np.testing.assert_allclose(found, np.linalg.norm(a, order, axis=axis), rtol=1e-13)


@pytest.mark.parametrize("dtype", TYPES)
def test_types_are_numpys(dtype: str, rng: np.random.Generator) -> None:
    a = filled(rng, (8, 5), dtype)
    x = sa.asarray(a, chunks=3)
    tolerance = 1e-6 if a.dtype.itemsize // (2 if a.dtype.kind == "c" else 1) < 8 else 1e-13
    for order in (None, 1, 2, np.inf):
        found, expected = value(sa.norm(x, order)), np.linalg.norm(a, order)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance)
    for order in (0, 1, 3):
        found, expected = value(sa.norm(x, order, axis=0)), np.linalg.norm(a, order, axis=0)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance)


@given(st.data())
def test_any_chunks(data: st.DataObject) -> None:
    m, n = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    a = rng.standard_normal((m, n))
    x = sa.asarray(a, chunks=(data.draw(cuts(m)), data.draw(cuts(n))))
    for axis in (None, 0, 1):
        np.testing.assert_allclose(value(sa.norm(x, axis=axis)), np.linalg.norm(a, axis=axis), rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-200, 1e-320, 1e200, 1e307])
def test_squares_neither_overflow_nor_vanish(scale: float) -> None:
    a = np.array([3.0, 0.0, 4.0, 0.0, 0.0, 0.0]) * scale
    tolerance = 1e-3 if scale < 1e-300 else 1e-15
    np.testing.assert_allclose(value(sa.norm(sa.asarray(a, chunks=2))), 5 * scale, rtol=tolerance)


def test_blocks_of_very_different_sizes_are_combined() -> None:
    a = np.array([3e200, 4e200, 1e-200, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(value(sa.norm(sa.asarray(a, chunks=2))), 5e200, rtol=1e-15)
    np.testing.assert_allclose(value(sa.norm(sa.asarray(a[2:], chunks=1))), 1.0, rtol=1e-15)


def test_nan_and_infinity() -> None:
    assert np.isnan(value(sa.norm(sa.asarray(np.array([1.0, np.nan, 2.0]), chunks=1))))
    assert value(sa.norm(sa.asarray(np.array([1.0, -np.inf, 2.0]), chunks=1))) == np.inf


def test_callers_errors() -> None:
    x = sa.ones((2, 3, 4), chunks=2)
    with pytest.raises(ValueError, match="vectors have one axis and matrices two, got 3"):
        sa.norm(x, 2)
    with pytest.raises(ValueError, match="vectors have no norm 'fro'"):
        sa.norm(x, "fro", axis=0)
    with pytest.raises(ValueError, match="matrices have no norm 3"):
        sa.norm(x, 3, axis=(0, 1))
    with pytest.raises(ValueError, match="axis 3 is none of an array of 3 dimensions"):
        sa.norm(x, axis=3)
    with pytest.raises(ValueError, match=r"axes \(0, -3\) are the same axis"):
        sa.norm(x, axis=(0, -3))
    with pytest.raises(ValueError, match="for one matrix"):
        sa.norm(x, 2, axis=(0, 1))
