"""scikit-learn's configuration, which is of a thread, holds for lazy results as it was when they were built."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
HOLED = np.where(np.arange(180).reshape(60, 3) == 11, np.nan, X)
EXECUTORS = ["threads", "functions", "serial", "dask"]


class Scaled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Takes a parameter with its samples."""

    def fit(self, samples: Any, y: Any = None) -> Any:
        """Learns nothing."""
        self.fitted_ = True
        return self

    def transform(self, samples: Any, factor: int = 1) -> Any:
        """Samples times a number."""
        return samples * factor


def lazy(values: Any, executor: str) -> Any:
    """In three blocks, as whoever computes them takes them."""
    return (da if executor == "dask" else sa).from_array(values, (20, -1))


def computed(found: Any, executor: str) -> Any:
    """Computed where the configuration is another one."""
    return found.compute() if executor == "dask" else found.compute(executor=executor, workers=2)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_not_checked_in_memory_is_not_checked_in_tasks(executor: str) -> None:
    model = ParallelPostFit(Ridge()).fit(X, X.sum(axis=1))
    with sklearn.config_context(assume_finite=True):
        found, expected = model.predict(lazy(HOLED, executor)), model.predict(HOLED)
    np.testing.assert_allclose(computed(found, executor), expected, rtol=1e-12)
    assert np.isnan(expected).sum() == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_parameters_are_routed_in_tasks(executor: str) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = ParallelPostFit(FeatureUnion([("a", Scaled().set_transform_request(factor=True))])).fit(X)
        found = model.transform(lazy(X, executor), factor=3)
    np.testing.assert_array_equal(computed(found, executor), 3 * X)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_containers_are_those_of_the_caller(executor: str) -> None:
    steps = StandardScaler(), FunctionTransformer(lambda frame: frame.iloc[:, :2])
    with sklearn.config_context(transform_output="pandas"):
        model = ParallelPostFit(make_pipeline(*steps)).fit(X)
        found = model.transform(lazy(X, executor))
    np.testing.assert_allclose(computed(found, executor), StandardScaler().fit_transform(X)[:, :2], rtol=1e-12)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_own_scores_are_the_callers_too(executor: str) -> None:
    rows = FunctionTransformer(lambda frame: frame.iloc[:, :2])
    with sklearn.config_context(transform_output="pandas"):
        model = ParallelPostFit(make_pipeline(StandardScaler(), rows, KMeans(2, n_init=1, random_state=0))).fit(X)
        found, expected = model.score(lazy(X, executor)), model.score(X)
    assert float(computed(found, executor)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("call", ["predict", "score"])
def test_results_of_different_configurations_have_different_names(call: str) -> None:
    samples, model = lazy(X, "threads"), ParallelPostFit(KMeans(2, n_init=1, random_state=0)).fit(X)
    names = [getattr(model, call)(samples).expression.name for _ in range(2)]
    with sklearn.config_context(assume_finite=True):
        names.append(getattr(model, call)(samples).expression.name)
    assert names[0] == names[1] != names[2]
