"""Targets, predictions and weights that scikit-learn's scores refuse in memory are refused of lazy samples too."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn.metrics
import zarr
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, TweedieRegressor
from sklearn.multioutput import MultiOutputClassifier
from sklearn.tree import DecisionTreeClassifier

import sarray as sa
from sarray.ml import ParallelPostFit, accuracy_score, metrics, r2_score
from wukong_sched.errors import TaskError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = (X[:, 0] > 0).astype(np.int64)
SEVERAL = RNG.integers(0, 3, (60, 2))
ONE = np.arange(60) == 33


def stored(values: Any) -> Any:
    """A Zarr array."""
    found = zarr.create_array({}, shape=values.shape, dtype=values.dtype, chunks=(13, *values.shape[1:]))
    found[:] = values
    return found


SAMPLES = {"sarray": sa.from_array(X, (20, -1)), "dask": da.from_array(X, (20, -1))}
WRAPS: dict[str, Any] = {
    "memory": np.asarray,
    "list": np.ndarray.tolist,
    "sarray": lambda y: sa.from_array(y, (13, -1)[: y.ndim]),
    "dask": lambda y: da.from_array(y, (13, -1)[: y.ndim]),
    "zarr": stored,
}
CASES: dict[str, tuple[Any, Any, Any, str]] = {
    "classes, NaN": (LogisticRegression(), Y, np.where(ONE, np.nan, Y), "Input y_true contains NaN"),
    "classes, infinity": (LogisticRegression(), Y, np.where(ONE, np.inf, Y), "Input y_true contains .*infinity"),
    "classes, fractions": (LogisticRegression(), Y, np.where(ONE, 0.5, Y), "metrics can't .* continuous"),
    "classes, complex": (LogisticRegression(), Y, Y + 1j, "Complex data not supported"),
    "several classes": (DecisionTreeClassifier(max_depth=2), SEVERAL, SEVERAL, "multioutput is not supported"),
    "numbers, NaN": (Ridge(), X[:, 0], np.where(ONE, np.nan, X[:, 0]), "Input.* contains NaN"),
    "numbers, infinity": (Ridge(), X[:, 0], np.where(ONE, np.inf, X[:, 0]), "Input.* contains .*infinity"),
    "numbers, complex": (Ridge(), X[:, 0], X[:, 0] + 1j, "Complex data not supported"),
    "columns, NaN": (Ridge(), X[:, :2], np.where(ONE[:, None], np.nan, X[:, :2]), "Input.* contains NaN"),
    "counts, NaN": (PoissonRegressor(), Y, np.where(ONE, np.nan, Y), "Input.* contains NaN"),
    "normal deviance, NaN": (TweedieRegressor(power=0), Y, np.where(ONE, np.nan, Y), "Input.* contains NaN"),
    "deviance, complex": (TweedieRegressor(power=0), Y, Y + 1j, "Complex data not supported"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("wrap", WRAPS)
def test_targets_that_are_refused_in_memory_are_refused(name: str, kind: str, wrap: str) -> None:
    estimator, fitted, y, message = CASES[name]
    model = ParallelPostFit(estimator).fit(X, fitted)
    with pytest.raises((ValueError, TypeError)), np.errstate(invalid="ignore"):
        model.score(X, y)
    with pytest.raises((ValueError, TaskError), match=message):
        float(model.score(SAMPLES[kind], WRAPS[wrap](y)))


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("name", CASES)
def test_those_in_memory_are_refused_at_once(name: str, kind: str) -> None:
    estimator, fitted, y, message = CASES[name]
    model = ParallelPostFit(estimator).fit(X, fitted)
    with pytest.raises(ValueError, match=message):
        model.score(SAMPLES[kind], y)


@pytest.mark.parametrize("wrap", ["sarray", "dask", "zarr"])
@pytest.mark.parametrize("score", [accuracy_score, r2_score])
def test_a_lazy_type_is_refused_at_once(score: Any, wrap: str) -> None:
    indicators = np.stack([Y, 1 - Y], axis=1)
    for true, predicted in ((Y, Y + 1j), (indicators, indicators + 1j)):
        with pytest.raises(ValueError, match="y_pred: Complex data not supported"):
            score(true, WRAPS[wrap](predicted))
        with pytest.raises(ValueError, match="y_true: Complex data not supported"):
            score(WRAPS[wrap](predicted), true)
    with pytest.raises(ValueError, match="sample_weight: Complex data not supported"):
        score(Y, WRAPS[wrap](Y), sample_weight=Y + 1j)
    with pytest.raises(ValueError, match="sample_weight: Complex data not supported"):
        score(Y, Y, sample_weight=WRAPS[wrap](Y + 1j))


@pytest.mark.parametrize("wrap", ["sarray", "dask", "zarr"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5])
def test_predictions_are_looked_at_too(wrap: str, value: float) -> None:
    bad = np.where(ONE, value, Y)
    with pytest.raises(ValueError, match="y_pred contains"):
        accuracy_score(WRAPS[wrap](Y), bad)
    with pytest.raises((ValueError, TaskError), match="y_pred contains"):
        float(accuracy_score(Y, WRAPS[wrap](bad)))
    if not np.isfinite(value):
        with pytest.raises((ValueError, TaskError), match="contains NaN or infinity"):
            float(r2_score(Y, WRAPS[wrap](bad)))


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_of_scores_are_finite(wrap: str, value: float) -> None:
    weights, clusters = np.where(ONE, value, 1.0), ParallelPostFit(KMeans(2, n_init=1)).fit(X)
    for score in (
        lambda: accuracy_score(SAMPLES["sarray"][:, 0] > 0, Y, sample_weight=WRAPS[wrap](weights)),
        lambda: r2_score(SAMPLES["sarray"][:, 0], Y, sample_weight=WRAPS[wrap](weights)),
        lambda: clusters.score(SAMPLES["sarray"], sample_weight=WRAPS[wrap](weights)),
    ):
        with pytest.raises((ValueError, TaskError), match=r"sample_weight.* contains|contains .*sample_weight"):
            float(score())


@pytest.mark.parametrize("wrap", ["memory", "sarray", "dask"])
@pytest.mark.parametrize("split", [False, True], ids=["in each block", "in two blocks"])
def test_several_labels_are_indicators_in_all_blocks_together(wrap: str, split: bool) -> None:
    indicators = RNG.integers(0, 2, (60, 2))
    other = np.where(np.arange(60)[:, None] < 26, indicators, indicators + 1) if split else SEVERAL
    predicted = SAMPLES["dask" if wrap == "dask" else "sarray"][:, :2] > 0
    expected = sklearn.metrics.accuracy_score(indicators, X[:, :2] > 0)
    for dtype in ("i8", "f4"):
        found = accuracy_score(WRAPS[wrap](indicators.astype(dtype)), predicted)
        assert float(found) == pytest.approx(expected)
        with pytest.raises((ValueError, TaskError), match="multiclass-multioutput is not supported"):
            float(accuracy_score(WRAPS[wrap](other.astype(dtype)), predicted))


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("wrap", WRAPS)
def test_several_classifiers_are_scored_by_any_number_of_classes(kind: str, wrap: str) -> None:
    model = ParallelPostFit(MultiOutputClassifier(LogisticRegression())).fit(X, SEVERAL)
    found = model.score(SAMPLES[kind], WRAPS[wrap](SEVERAL))
    assert float(found) == pytest.approx(model.score(X, SEVERAL))
    for samples in (X, SAMPLES[kind]):
        with pytest.raises(ValueError, match="y must have at least two dimensions"):
            model.score(samples, np.ones(60))


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("estimator", [LogisticRegression(), Ridge(), PoissonRegressor(), KMeans(2, n_init=1)])
def test_no_samples_are_refused(estimator: Any, kind: str) -> None:
    model = ParallelPostFit(estimator).fit(X, Y)
    for samples in (X, SAMPLES[kind]):
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) .* while a minimum of 1 is required"):
            model.score(samples[:0], Y[:0])


@pytest.mark.parametrize("wrap", ["sarray", "dask"])
def test_several_words_are_no_indicators(wrap: str) -> None:
    words = da.from_array(SEVERAL.astype(str), (13, -1)) if wrap == "dask" else SEVERAL.astype(str)
    with pytest.raises(ValueError, match="multiclass-multioutput is not supported"):
        accuracy_score(words, WRAPS[wrap](SEVERAL))


@pytest.mark.parametrize("wrap", ["sarray", "dask"])
def test_whole_numbers_of_any_type_are_classes(wrap: str) -> None:
    for dtype in ("f4", "f8", "i1", "u8", bool):
        assert float(accuracy_score(WRAPS[wrap](Y.astype(dtype)), (X[:, 1] > 0).astype(dtype))) == (
            sklearn.metrics.accuracy_score(Y, X[:, 1] > 0)
        )


def test_scores_of_huge_numbers_are_not_taken_for_infinities() -> None:
    y = X[:, 0] * 1e150
    assert float(r2_score(sa.from_array(y, 13), y * 1.5)) == pytest.approx(sklearn.metrics.r2_score(y, y * 1.5))


@pytest.mark.parametrize("wrap", ["memory", "sarray", "dask"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "i1", "u1", "bool"])
def test_sums_of_weights_of_short_types_do_not_overflow(wrap: str, dtype: str) -> None:
    weights = np.full(70_000, 1, dtype)
    true, predicted = RNG.integers(0, 2, (2, 70_000))
    lazy = (da if wrap == "dask" else sa).from_array(predicted, 20_000)
    given = (da if wrap == "dask" else sa).from_array(weights, 30_000) if wrap != "memory" else weights
    assert float(r2_score(true, lazy, sample_weight=given)) == pytest.approx(sklearn.metrics.r2_score(true, predicted))


def test_looking_at_numbers_costs_one_task_for_all_blocks(monkeypatch: Any) -> None:
    true, predicted = (sa.from_array(X[:, column], 6) for column in (0, 1))
    looked_at = sa.plan(r2_score(true, predicted)).tasks
    monkeypatch.setattr(metrics, "total_weight", lambda name, true, other, weights: (true * 0 + weights).sum(axis=0))
    assert looked_at == sa.plan(r2_score(true, predicted)).tasks + 1
