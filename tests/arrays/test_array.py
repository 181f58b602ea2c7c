"""Arrays as Python and NumPy see them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import sarray as sa
from sarray import numpy_calls
from tests.arrays.drawn import chunked


def test_facts() -> None:
    x = sa.zeros((4, 6), dtype="f4", chunks=(2, 3))
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((4, 6), 2, 24, 4, 96)
    assert (x.chunks, x.numblocks, x.device) == (((2, 2), (3, 3)), (2, 2), "cpu")
    assert repr(x) == "sarray.Array(full, shape=(4, 6), dtype=float32, chunks=((2, 2), (3, 3)))"
    assert (sa.ones((2, 3)).T.shape, sa.ones((2, 3, 4)).mT.shape, sa.ones((2, 3, 4)).T.shape) == (
        (3, 2),
        (2, 4, 3),
        (4, 3, 2),
    )


def test_one_element_is_a_number() -> None:
    assert float(sa.asarray([2.5])) == 2.5
    assert int(sa.asarray(7)) == 7
    assert complex(sa.asarray(1j)) == 1j
    assert bool(sa.asarray([[True]])) is True
    assert operator.index(sa.asarray(3)) == 3
    assert sa.asarray(np.float32(0.5)).item() == 0.5
    assert [10, 20, 30][sa.asarray(1)] == 20


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (bool, ValueError, r"x\.any\(\)"),
        (float, TypeError, r"x\.compute\(\)"),
        (int, TypeError, r"x\.compute\(\)"),
        (complex, TypeError, r"x\.compute\(\)"),
        (operator.index, TypeError, r"int\(x\)"),
        (hash, TypeError, "unhashable"),
        (lambda x: operator.setitem(x, 0, 1), TypeError, r"sarray\.where"),
        (lambda x: x[0].mT, ValueError, r"x\[:, None\]"),
        (lambda x: np.array(x, copy=False), ValueError, r"numpy\.asarray\(x\)"),
        (lambda x: len(x.sum()), TypeError, "no length"),
        (lambda x: iter(x.sum()), TypeError, r"float\(x\)"),
        (lambda x: x.transpose(0, 0), ValueError, "each one once"),
        (lambda x: x.compute(executor="cluster"), ValueError, "known: threads, serial"),
        (lambda x: x.compute(workers=0), ValueError, "workers=0"),
    ],
)
def test_what_arrays_are_not_is_said(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(sa.ones((2, 3)))


def test_iteration_is_lazy_and_over_rows() -> None:
    x = sa.asarray(np.arange(6).reshape(3, 2), chunks=1)
    rows = list(x)
    assert len(x) == 3 and all(isinstance(row, sa.Array) for row in rows)
    np.testing.assert_array_equal(sa.compute(*rows), np.arange(6).reshape(3, 2))
    assert 5 in x and 6 not in x


def test_numpy_arrays_on_the_left_stay_lazy() -> None:
    values = np.arange(4.0)
    x = sa.from_array(values, 2)
    for found, expected in (
        (values + x, values * 2),
        (np.float64(2) * x, values * 2),
        (values @ x, values @ values),
        (values > x, np.zeros(4, bool)),
        (np.add(x, 1), values + 1),
        (np.exp(x), np.exp(values)),
        (np.arctan2(values, x + 1), np.arctan2(values, values + 1)),
        (np.add.reduce(x), values.sum()),
        (np.maximum.reduce(x[:, None], axis=1), values),
    ):
        assert isinstance(found, sa.Array)
        np.testing.assert_array_equal(found.compute(), expected)


def test_numpys_functions_stay_lazy() -> None:
    values = np.random.default_rng(0).random((12, 3))
    x = sa.from_array(values, (4, 3))
    for name, function in {
        "sum": lambda a: np.sum(a, axis=0),
        "mean": lambda a: np.mean(a, axis=(0, 1), keepdims=True),
        "max": lambda a: np.max(a),
        "clip": lambda a: np.clip(a, 0.2, 0.8),
        "where": lambda a: np.where(a > 0.5, a, 0),
        "transpose": lambda a: np.transpose(a),
        "matmul": lambda a: np.matmul(a.T, a),
        "norm": lambda a: np.linalg.norm(a),
        "svdvals": lambda a: np.linalg.svdvals(a),
        "cholesky": lambda a: np.linalg.cholesky(a.T @ a),
        "expand_dims": lambda a: np.expand_dims(a, 0),
        "squeeze": lambda a: np.squeeze(a[:1]),
        "round": lambda a: np.round(a, 2),
        "broadcast_to": lambda a: np.broadcast_to(a, (2, 12, 3)),
        "ones_like": lambda a: np.ones_like(a),
    }.items():
        found = function(x)
        assert isinstance(found, sa.Array), name
        np.testing.assert_allclose(found.compute(), function(values), rtol=1e-12, err_msg=name)
    definite = x.T @ x
    found = np.linalg.cholesky(definite, upper=True)
    assert isinstance(found, sa.Array)
    np.testing.assert_allclose(found.compute(), np.linalg.cholesky(definite.compute()).T, rtol=1e-12, atol=1e-14)
    q, r = np.linalg.qr(x)
    np.testing.assert_allclose((q @ r).compute(), values)
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    np.testing.assert_allclose((u * s @ vh).compute(), values)
    assert (np.shape(x), np.ndim(x), np.size(x), np.iscomplexobj(x)) == ((12, 3), 2, 36, False)
    assert np.result_type(x, np.float32) == np.float64


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.linalg.svd(x), "full_matrices=True"),
        (lambda x: np.linalg.qr(x, mode="complete"), r"sarray\.tsqr"),
        (lambda x: np.linalg.qr(x, "r"), "by name"),
        (lambda x: np.median(x), r"numpy\.median\(x\.compute\(\), \.\.\.\)"),
        (lambda x: np.modf(x), r"numpy\.modf has no counterpart"),
        (lambda x: np.add.accumulate(x), r"numpy\.add\.accumulate"),
        (lambda x: np.add(x, 1, out=np.zeros((2, 3))), r"x\.store\(target\)"),
        (lambda x: np.sum(x, out=np.zeros(())), r"x\.store\(target\)"),
        (lambda x: np.sum(x, where=np.ones((2, 3), bool)), r"sarray\.sum"),
        (lambda x: np.add(x, "a"), "NotImplemented"),
    ],
)
def test_numpys_other_functions_never_compute_silently(call: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call(sa.ones((2, 3)))


def test_the_tables_of_numpys_functions_name_what_there_is() -> None:
    named = {*numpy_calls.UFUNCS.values(), *numpy_calls.REDUCING.values(), *numpy_calls.FUNCTIONS.values()}
    assert {name for name in named if name not in sa.__all__} == set()
    assert {name for name in numpy_calls.UFUNCS if not isinstance(getattr(np, name), np.ufunc)} == set()


def test_every_public_name_is_there_and_described() -> None:
    assert sorted(set(sa.__all__)) == sorted(sa.__all__)
    assert [name for name in sa.__all__ if not getattr(sa, name).__doc__] == []


@given(chunked((0, 3)), st.data())
def test_axes_in_another_order(pair: tuple[NDArray[Any], sa.Array], data: st.DataObject) -> None:
    values, x = pair
    order = tuple(data.draw(st.permutations(range(values.ndim))))
    expected = np.transpose(values, order)
    for found in (
        x.transpose(order),
        x.transpose(*order),
        sa.permute_dims(x, order),
        (x * 1).T.transpose(order[::-1] and [values.ndim - 1 - axis for axis in order]),
    ):
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found.compute(executor="serial"), expected)


@given(chunked((0, 3), least=1, finite=True), st.data())
def test_new_and_repeated_axes(pair: tuple[NDArray[Any], sa.Array], data: st.DataObject) -> None:
    values, x = pair
    axis = data.draw(st.integers(-values.ndim - 1, values.ndim))
    expected = np.expand_dims(values, axis)
    found = sa.expand_dims(x, axis)
    np.testing.assert_array_equal(found.compute(executor="serial"), expected)
    np.testing.assert_array_equal(sa.squeeze(found, axis).compute(executor="serial"), values)
    shape = tuple(data.draw(st.integers(0, 4)) if extent == 1 else extent for extent in expected.shape)
    repeated = sa.broadcast_to(found, (2, *shape), chunks=2)
    np.testing.assert_array_equal(repeated.compute(executor="serial"), np.broadcast_to(expected, (2, *shape)))
    total = repeated.astype("f8").sum(axis=0).compute(executor="serial")
    np.testing.assert_array_equal(total, np.broadcast_to(expected, (2, *shape)).astype("f8").sum(axis=0))


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda a: sa.tsqr(a, arity=2.5), TypeError, "tsqr: arity must be an integer, got 2.5"),
        (lambda a: sa.svd_compressed(a, 1.5), TypeError, "k must be an integer, got 1.5"),
        (lambda a: sa.svd_compressed(a, 1, seed=-1), ValueError, "seed must not be negative, got -1"),
        (lambda a: sa.svd_compressed(a, 1, seed="a"), TypeError, "seed must be an integer, got 'a'"),
        (lambda a: sa.svd_compressed(a, 1, n_power_iter=0.5), TypeError, "n_power_iter must be an integer"),
        (lambda a: sa.svd_compressed(a, 1, n_oversamples="2"), TypeError, "n_oversamples must be an integer"),
    ],
)
def test_parameters_of_factorizations_are_checked_when_they_are_built(
    build: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        build(sa.ones((6, 3)))
