"""Scores against scikit-learn's, lazily."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from sarray.ml import accuracy_score, r2_score
from sarray.ml.deviance import Deviance
from tests.arrays.drawn import cuts
from wukong_sched.errors import TaskError

SHAPES = st.one_of(st.tuples(st.integers(2, 30)), st.tuples(st.integers(2, 30), st.integers(1, 3)))


def lazily(data: st.DataObject, values: Any) -> Any:
    """The values in some chunks, or as they are."""
    rows = sa.from_array(values, (data.draw(cuts(len(values))), *[1] * (values.ndim - 1)))
    return data.draw(st.sampled_from([values, rows]))


@given(data=st.data(), shape=SHAPES, normalize=st.booleans(), weighted=st.booleans(), seed=st.integers(0, 2**20))
def test_accuracy(data: st.DataObject, shape: tuple[int, ...], normalize: bool, weighted: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 2, (2, *shape))
    if len(shape) == 2 and shape[1] == 1:
        true, predicted = true[:, 0], predicted[:, 0]
    weights = rng.random(shape[0]) if weighted else None
    expected = sklearn.metrics.accuracy_score(true, predicted, normalize=normalize, sample_weight=weights)
    given_true, given_predicted = lazily(data, true), lazily(data, predicted)
    found = accuracy_score(given_true, given_predicted, normalize=normalize, sample_weight=weights)
    assert isinstance(found, sa.Array) == any(isinstance(each, sa.Array) for each in (given_true, given_predicted))
    assert float(found) == pytest.approx(expected)


@pytest.mark.parametrize("multioutput", ["uniform_average", "variance_weighted", "raw_values", None])
@settings(max_examples=40)
@given(
    data=st.data(), shape=SHAPES, force=st.booleans(), weighted=st.booleans(), constant=st.booleans(),
    met=st.booleans(), seed=st.integers(0, 2**20),
)  # fmt: skip
def test_r2(
    multioutput: str | None, data: st.DataObject, shape: tuple[int, ...], force: bool, weighted: bool, constant: bool,
    met: bool, seed: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(-4, 5, (2, *shape)) * 1.0
    if constant:
        true[(slice(None), *[0] * (true.ndim - 1))] = 2.0
    predicted = true.copy() if met else predicted
    weights = rng.integers(1, 4, shape[0]) * 1.0 if weighted else None
    options: dict[str, Any] = {"multioutput": multioutput, "force_finite": force, "sample_weight": weights}
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = sklearn.metrics.r2_score(true, predicted, **options)
        found = r2_score(lazily(data, true), sa.from_array(predicted, 4), **options).compute()
    np.testing.assert_allclose(found if np.ndim(expected) else float(np.squeeze(found)), expected, atol=1e-9)


OBJECTS: dict[str, Any] = {
    "floats": lambda y: y.astype(object),
    "decimals": lambda y: np.array([Decimal(float(each)) for each in y], object),
    "huge": lambda y: np.array([2**70, *y[1:].tolist()], object),
    "mixed": lambda y: np.array([True, 2, np.float32(0.5), *y[3:].tolist()], object),
}
WRAPS = pytest.mark.parametrize("wrap", [sa.from_array, da.from_array])


@WRAPS
@pytest.mark.parametrize("kind", OBJECTS)
def test_numbers_that_are_objects_are_scored(kind: str, wrap: Any, rng: np.random.Generator) -> None:
    predicted, weights = rng.random(20) + 0.5, rng.random(20).astype(object)
    true = OBJECTS[kind](predicted + rng.random(20))
    expected = sklearn.metrics.r2_score(true, predicted, sample_weight=weights)
    lazy = wrap(predicted, 7)
    for each in (weights, da.from_array(weights, 9)):
        assert float(r2_score(true, lazy, sample_weight=each)) == pytest.approx(expected)
    assert float(r2_score(da.from_array(true, 9), predicted, sample_weight=weights)) == pytest.approx(expected)
    expected = sklearn.metrics.d2_tweedie_score(true, predicted, power=1)
    assert float(Deviance(1.0)(true, lazy)) == pytest.approx(expected)
    assert float(Deviance(1.0)(da.from_array(true, 9), lazy)) == pytest.approx(expected)
    right = accuracy_score(lazy > 1, predicted > 1.2, sample_weight=weights)
    assert float(right) == pytest.approx(
        sklearn.metrics.accuracy_score(predicted > 1, predicted > 1.2, sample_weight=weights)
    )


@WRAPS
@pytest.mark.parametrize(("value", "error"), [(None, ValueError), ("word", ValueError), (1j, TypeError)])
def test_objects_that_are_no_numbers_are_refused(value: Any, error: Any, wrap: Any, rng: np.random.Generator) -> None:
    true: Any = rng.random(20).astype(object)
    true[3] = value
    for lazy in (rng.random(20), wrap(rng.random(20), 7)):
        with pytest.raises(error):
            r2_score(true, lazy)
    with pytest.raises(ValueError, match=r"y_true must be an array-like\. Got None instead"):
        r2_score(None, wrap(rng.random(20), 7))


@pytest.mark.parametrize("chunks", [(0, 20, 40), (20, 0, 40), (20, 40, 0), (60,)])
@pytest.mark.parametrize("kind", ["i8", "f8"])
def test_several_labels_may_come_in_empty_chunks(chunks: tuple[int, ...], kind: str, rng: np.random.Generator) -> None:
    true, predicted = rng.integers(0, 2, (2, 60, 3)).astype(kind)
    expected = sklearn.metrics.accuracy_score(true, predicted)
    for wrap in (sa.from_array, da.from_array):
        lazy = wrap(true, (chunks, -1))
        assert float(accuracy_score(lazy, predicted)) == pytest.approx(expected)
        assert float(accuracy_score(lazy, wrap(predicted, ((30, 0, 30), 2)))) == pytest.approx(expected)
        with pytest.raises((ValueError, TaskError), match="multiclass-multioutput is not supported"):
            float(accuracy_score(wrap(np.where(np.arange(60)[:, None] == 33, 2, true), (chunks, -1)), predicted))


def test_dask_scores_are_dasks(rng: np.random.Generator) -> None:
    true, predicted = rng.standard_normal((2, 50))
    lazy = da.from_array(predicted, chunks=20)
    found = r2_score(true, lazy)
    assert isinstance(found, da.Array)
    assert float(found) == pytest.approx(sklearn.metrics.r2_score(true, predicted))
    assert float(accuracy_score(true > 0, lazy > 0)) == pytest.approx(((true > 0) == (predicted > 0)).mean())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"y_true has shape \(3,\), y_pred \(4,\); they must be"):
        accuracy_score(sa.ones(3), sa.ones(4))
    with pytest.raises(ValueError, match="multioutput='none' is not one of 'uniform_average'"):
        r2_score(sa.ones(3), sa.ones(3), multioutput="none")
    with pytest.raises(ValueError, match="needs two samples, got 1"):
        r2_score(sa.ones(1), sa.ones(1))
    with pytest.raises(ValueError, match=r"y_true has shape \(3, 2\), y_pred \(3, 3\)"):
        r2_score(sa.ones((3, 2)), sa.ones((3, 3)))
    assert accuracy_score(["a", "b"], ["a", "c"]) == 0.5


def test_targets_may_have_weights(rng: np.random.Generator) -> None:
    true = rng.standard_normal((20, 3))
    predicted = true + rng.standard_normal((20, 3))
    lazy = sa.from_array(true, (6, -1))
    expected = sklearn.metrics.r2_score(true, predicted, multioutput=[0.2, 0.3, 0.5])
    assert float(sa.ml.r2_score(lazy, predicted, multioutput=[0.2, 0.3, 0.5])) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"\(2,\) weights, there are \(3,\) targets"):
        sa.ml.r2_score(lazy, predicted, multioutput=[0.5, 0.5])


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u8", "bool"])
@pytest.mark.parametrize("wrap", [lambda y: sa.from_array(y, 7), lambda y: da.from_array(y, 7)])
def test_whole_numbers_are_squared_without_overflow(dtype: str, wrap: Any, rng: np.random.Generator) -> None:
    most = 2 if dtype == "bool" else min(np.iinfo(dtype).max, 10**9)
    true, predicted = (rng.integers(0, most, 20).astype(dtype) for _ in range(2))
    expected = sklearn.metrics.r2_score(true.astype("f8"), predicted.astype("f8"))
    weights = rng.integers(1, 100, 20).astype("u1")
    assert float(r2_score(wrap(true), predicted)) == pytest.approx(expected)
    assert float(r2_score(true, wrap(predicted), sample_weight=weights)) == pytest.approx(
        sklearn.metrics.r2_score(true.astype("f8"), predicted.astype("f8"), sample_weight=weights)
    )
