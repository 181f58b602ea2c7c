"""Scores that are an estimator's own: their weights, and what stands around the estimator."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn.decomposition
from sklearn.cluster import KMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, LogisticRegressionCV, RANSACRegressor
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = (X[:, 0] > 0).astype(np.int64)
WEIGHTS = np.where(np.arange(60) < 20, 0.0, RNG.random(60))
CHUNKS = (20, 0, 17, 23)
LAZY = {"sarray": sa.from_array(X, (CHUNKS, -1)), "dask": da.from_array(X, (CHUNKS, -1))}
KMEANS = KMeans(3, n_init=1, random_state=0)
CLUSTERERS: dict[str, Any] = {
    "alone": KMEANS,
    "last": make_pipeline(sklearn.decomposition.PCA(2), KMEANS),
    "last of ours": make_pipeline(sa.ml.StandardScaler(), sa.ml.PCA(2), KMEANS),
    "frozen": FrozenEstimator(KMeans(3, n_init=1, random_state=0).fit(X)),
    "frozen pipeline": FrozenEstimator(make_pipeline(sklearn.decomposition.PCA(2), KMEANS).fit(X)),
}
ESTIMATORS: dict[str, Any] = CLUSTERERS | {
    "frozen classifier": FrozenEstimator(LogisticRegression().fit(X, Y)),
    "frozen density": FrozenEstimator(GaussianMixture(2, random_state=0).fit(X)),
    "frozen search": FrozenEstimator(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, Y)),
    "search for clusters": GridSearchCV(KMEANS, {"n_clusters": [2, 3]}, cv=2),
    "our regression": sa.ml.LinearRegression(),
    "our components": sa.ml.PCA(2),
    "our components last": make_pipeline(sa.ml.StandardScaler(), sa.ml.PCA(2)),
    "dummy classifier": DummyClassifier(),
    "dummy regressor": DummyRegressor(),
}

CLASSES = (X[:, 0] + RNG.standard_normal(60) > 0).astype(np.int64)
NO_L1_RATIO = {"l1_ratios": (0,), "use_legacy_attributes": False}
IN_OTHER_WORDS: dict[str, tuple[Any, Any]] = {
    "neighbours": (KNeighborsClassifier(), CLASSES),
    "neighbours within": (RadiusNeighborsClassifier(1e9), CLASSES),
    "regression by folds": (LogisticRegressionCV(Cs=2, cv=2, scoring="accuracy", **NO_L1_RATIO), CLASSES),
    "regression by folds, scored otherwise": (LogisticRegressionCV(Cs=2, cv=2, scoring="r2", **NO_L1_RATIO), CLASSES),
    "regression by folds, as it is": (LogisticRegressionCV(Cs=2, cv=2, scoring=None, **NO_L1_RATIO), CLASSES),
    "outliers": (EllipticEnvelope(random_state=0), np.where(CLASSES, 1, -1)),
    "several outputs": (MultiOutputClassifier(LogisticRegression()), np.stack([CLASSES, Y], axis=1)),
    "fewer features": (RFE(LogisticRegression()), CLASSES),
    "fewer features of a regression": (RFE(LinearRegression()), X[:, 1] + RNG.standard_normal(60)),
    "fewer features by folds": (RFECV(LogisticRegression(), cv=2), CLASSES),
    "fewer features by folds of a regression": (RFECV(LinearRegression(), cv=2), X[:, 1] + RNG.standard_normal(60)),
    "fewer features for clusters": (make_pipeline(RFE(LogisticRegression()), KMEANS), CLASSES),
    "consensus": (RANSACRegressor(random_state=0), X[:, 1] + RNG.standard_normal(60)),
    "labels of its own": (SelfTrainingClassifier(LogisticRegression()), np.where(np.arange(60) < 9, -1, CLASSES)),
}


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("name", IN_OTHER_WORDS)
def test_scores_that_are_a_metric_in_other_words(name: str, kind: str) -> None:
    estimator, y = IN_OTHER_WORDS[name]
    model = ParallelPostFit(estimator).fit(X, y)
    found, expected = model.score(LAZY[kind], y), model.score(X, y)
    assert isinstance(found, type(LAZY[kind]))
    assert float(found) == pytest.approx(expected, rel=1e-9)
    assert expected != 1.0


def test_weights_of_scores_that_are_a_metric_in_other_words() -> None:
    model = ParallelPostFit(KNeighborsClassifier()).fit(X, CLASSES)
    found = model.score(LAZY["sarray"], CLASSES, sample_weight=WEIGHTS)
    assert float(found) == pytest.approx(model.score(X, CLASSES, sample_weight=WEIGHTS), rel=1e-12)
    several = ParallelPostFit(IN_OTHER_WORDS["several outputs"][0]).fit(X, np.stack([CLASSES, Y], axis=1))
    with pytest.raises(TypeError, match="the score of MultiOutputClassifier of lazy samples takes no sample_weight"):
        several.score(LAZY["sarray"], np.stack([CLASSES, Y], axis=1), sample_weight=WEIGHTS)


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_scores_are_those_of_all_rows_and_lazy(name: str, kind: str) -> None:
    model = ParallelPostFit(ESTIMATORS[name]).fit(X, Y)
    found = model.score(LAZY[kind], Y)
    assert isinstance(found, type(LAZY[kind]))
    assert float(found) == pytest.approx(float(model.score(X, Y)), rel=1e-9)


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("name", CLUSTERERS)
@pytest.mark.parametrize("wrap", [np.asarray, lambda w: sa.from_array(w, 11), lambda w: da.from_array(w, 11)])
def test_weights_reach_the_rows_that_they_are_of(name: str, kind: str, wrap: Any) -> None:
    model = ParallelPostFit(CLUSTERERS[name]).fit(X)
    found = model.score(LAZY[kind], sample_weight=wrap(WEIGHTS))
    assert float(found) == pytest.approx(model.score(X, sample_weight=WEIGHTS), rel=1e-9)
    assert float(found) != pytest.approx(model.score(X))


def test_one_weight_for_all_rows() -> None:
    model = ParallelPostFit(KMEANS).fit(X)
    assert float(model.score(LAZY["sarray"], sample_weight=2.0)) == pytest.approx(2 * model.score(X))
    assert float(model.score(LAZY["sarray"], sample_weight=None)) == pytest.approx(model.score(X))


@pytest.mark.parametrize("kind", LAZY)
def test_weights_that_are_not_as_many_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"there are 60 samples, and .* of shape \(59,\) to go with them"):
        ParallelPostFit(KMEANS).fit(X).score(LAZY[kind], sample_weight=np.ones(59))


@pytest.mark.parametrize("estimator", [GaussianMixture(2), KernelDensity(), sa.ml.PCA(2)])
@pytest.mark.parametrize("kind", LAZY)
def test_options_that_a_score_does_not_take_are_refused(estimator: Any, kind: str) -> None:
    model = ParallelPostFit(estimator).fit(X)
    with pytest.raises(TypeError, match=r"takes no sample_weight; leave it out, or write score\(X.compute\(\), sample"):
        model.score(LAZY[kind], sample_weight=WEIGHTS)


class Other(KMeans):  # type: ignore[misc]
    """Scores in its own way."""

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The number of samples, squared."""
        return float(len(X)) ** 2


def test_a_score_of_its_own_way_is_nobodys_sum() -> None:
    model = ParallelPostFit(Other(3, n_init=1)).fit(X)
    with pytest.raises(TypeError, match="nobody knows whether the score of Other is a sum"):
        model.score(LAZY["sarray"])
    assert model.score(X) == 3600.0


def test_means_over_rows_of_unknown_number_are_refused() -> None:
    some = LAZY["dask"][LAZY["dask"][:, 0] > 0]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        ParallelPostFit(GaussianMixture(2, random_state=0)).fit(X).score(some)
    model = ParallelPostFit(KMEANS).fit(X)
    assert float(model.score(some)) == pytest.approx(model.score(X[X[:, 0] > 0]))
