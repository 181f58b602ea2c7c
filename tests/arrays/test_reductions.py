from __future__ import annotations

import operator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sarray as sa
from tests.arrays.drawn import NUMBERS, chunked

NAMES = ["sum", "prod", "min", "max", "mean", "any", "all"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=50)
@given(pair=chunked((0, 3), NUMBERS, most=7, least=1, finite=True), data=st.data())
def test_reductions_are_numpys(name: str, pair: tuple[NDArray[Any], sa.Array], data: st.DataObject) -> None:
    values, x = pair
    axes = data.draw(
        st.none() | st.sets(st.integers(-values.ndim, values.ndim - 1)).map(tuple) if values.ndim else st.none()
    )
    if axes is not None and len({axis % values.ndim for axis in axes}) < len(axes):
        axes = None
    keepdims, arity = data.draw(st.booleans()), data.draw(st.sampled_from([None, 2, 3, 100]))
    if name in ("min", "max") and values.dtype.kind == "c":
        values, x = values.real, x.real
    if name == "prod" and values.dtype.kind in "fc":
        values, x = values / 50, x / 50
    with np.errstate(all="ignore"):
        expected = np.asarray(getattr(np, name)(values, axis=axes, keepdims=keepdims))
        found = getattr(sa, name)(x, axis=axes, keepdims=keepdims, split_every=arity).compute(executor="serial")
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if values.dtype.kind in "biu" and name != "mean":
        np.testing.assert_array_equal(found, expected)
    else:
        eps = np.finfo(found.dtype).eps if found.dtype.kind in "fc" else 0
        np.testing.assert_allclose(found, expected, rtol=200 * eps, atol=200 * eps * float(np.abs(values).sum()))


def test_types_that_are_asked_for() -> None:
    x = sa.ones(10, dtype="f4", chunks=3)
    assert sa.sum(x, dtype="f8").compute().dtype == np.float64
    assert x.prod(dtype="i8").compute() == 1
    assert sa.mean(sa.asarray(np.array([1, 2], "i4")), dtype="f4").compute().dtype == np.float32


@pytest.mark.parametrize(("name", "neutral"), [("sum", 0.0), ("prod", 1.0), ("any", False), ("all", True)])
def test_nothing_reduces_to_what_changes_nothing(name: str, neutral: Any) -> None:
    x = sa.zeros((0, 3), chunks=2)
    np.testing.assert_array_equal(getattr(x, name)(axis=0).compute(), np.full(3, neutral))
    assert getattr(x, name)(axis=1).shape == (0,)
    assert getattr(x, name)(axis=1).compute().shape == (0,)


def test_the_mean_of_nothing_is_nan() -> None:
    assert np.isnan(sa.zeros(0).mean().compute())


def test_nan_and_infinity_propagate() -> None:
    values = np.array([1.0, np.nan, -np.inf, 3.0])
    x = sa.from_array(values, 1)
    assert np.isnan(sa.compute(x.sum(), x.min(), x.max(), x.mean())).all()
    assert sa.compute(x[2:].min(), x[2:].max()) == (-np.inf, 3.0)


def test_empty_chunks_change_no_minimum() -> None:
    x = sa.from_array(np.array([5, 7, 6], "i1"), ((0, 2, 0, 1, 0),))
    assert sa.compute(x.min(), x.max()) == (5, 7)


@pytest.mark.parametrize("arity", [2, 3, 8, 1000])
def test_a_tree_has_the_depth_that_its_arity_gives(arity: int) -> None:
    x = sa.ones(1000, chunks=1)
    levels = 1
    while arity**levels < 1000:
        levels += 1
    assert sa.sum(x, split_every=arity).plan().depth == 1 + levels
    assert float(sa.sum(x, split_every=arity)) == 1000


def test_sums_have_the_same_bits_on_every_executor() -> None:
    x = sa.random.default_rng(3).normal(size=(300, 7), chunks=(10, 3))
    sums = [
        x.sum(axis=0).compute(executor=executor, workers=n)
        for executor, n in (("serial", 1), ("threads", 1), ("threads", 3))
    ]
    assert {each.tobytes() for each in sums} == {sums[0].tobytes()}


@given(st.integers(1, 40), st.integers(1, 4), st.integers(2, 5))
def test_tree_reduce_keeps_the_order(count: int, size: int, arity: int) -> None:
    values = np.arange(count * size * 2).reshape(2, count * size)

    def leftmost_digits(*blocks: NDArray[Any]) -> NDArray[Any]:
        assert len(blocks) <= arity
        assert all((a < b).all() for a, b in pairwise(blocks))
        return np.minimum.reduce(blocks)

    found = sa.tree_reduce(sa.from_array(values, (1, size)), leftmost_digits, arity, axis=1)
    np.testing.assert_array_equal(found.compute(executor="serial"), values[:, :size])
    assert found.chunks == ((1, 1), (size,))


def test_tree_reduce_has_one_task_for_every_combination() -> None:
    x = sa.arange(1024, chunks=1)
    total = sa.tree_reduce(x, operator.add)
    assert (total.plan().tasks, total.plan().depth) == (1023, 10)
    assert total.compute() == 1024 * 1023 // 2


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda x: x.sum(axis=2), ValueError, "axis 2 is out of bounds for an array of 2 dimensions"),
        (lambda x: x.sum(axis=(0, 0)), ValueError, "twice"),
        (lambda x: x[:0].min(axis=0), ValueError, "no minimum"),
        (lambda x: (x * 1j).max(), TypeError, "abs"),
        (lambda x: x.sum(split_every=1), ValueError, "split_every=1"),
        (lambda x: sa.tree_reduce(x, operator.add, 1), ValueError, "arity=1"),
        (lambda x: sa.tree_reduce(x, None), TypeError, "must be a function"),
        (lambda x: sa.tree_reduce(x.rechunk((3, 2)), operator.add), ValueError, r"rechunk\({0: size}\)"),
        (lambda x: sa.tree_reduce(sa.asarray(1.0), operator.add), ValueError, "0 dimensions"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_built(build: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build(sa.ones((4, 4), chunks=2))


def test_a_combination_of_another_shape_is_refused() -> None:
    with pytest.raises(sa.TaskError, match=r"tree_reduce: block \(0,\).*must return a block like its arguments"):
        sa.tree_reduce(sa.ones(4, chunks=2), lambda a, b: a[:1]).compute()
