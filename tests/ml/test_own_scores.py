"""Scores that are an estimator's own: their weights, and what stands around the estimator."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn.decomposition
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    RANSACRegressor,
    TweedieRegressor,
)
from sklearn.metrics import d2_tweedie_score, get_scorer
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

import sarray as sa
from sarray.ml import ParallelPostFit
from sarray.ml.deviance import Deviance
from wukong_sched.errors import TaskError

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


@pytest.mark.parametrize("kind", LAZY)
def test_rows_that_weigh_nothing_are_looked_at_too(kind: str) -> None:
    model, wrap = ParallelPostFit(KMEANS).fit(X), sa.from_array if kind == "sarray" else da.from_array
    bad = np.where(np.arange(60)[:, None] == 3, np.nan, X)
    for chunks in (CHUNKS, (60,)):
        with pytest.raises((ValueError, TaskError), match="Input X contains NaN"):
            float(model.score(wrap(bad, (chunks, -1)), sample_weight=WEIGHTS))


WRAPPED: dict[str, tuple[Any, Any]] = {
    "classes": (ParallelPostFit(LogisticRegression()), CLASSES),
    "numbers": (ParallelPostFit(LinearRegression()), X[:, 1] + RNG.standard_normal(60)),
    "clusters": (ParallelPostFit(KMEANS), Y),
    "density": (ParallelPostFit(GaussianMixture(2, random_state=0)), Y),
    "counts": (ParallelPostFit(PoissonRegressor()), CLASSES + 1),
    "twice": (ParallelPostFit(ParallelPostFit(LogisticRegression())), CLASSES),
    "last": (make_pipeline(sklearn.decomposition.PCA(2), ParallelPostFit(LogisticRegression())), CLASSES),
    "frozen": (FrozenEstimator(ParallelPostFit(LogisticRegression()).fit(X, CLASSES)), CLASSES),
    "a search": (GridSearchCV(ParallelPostFit(LogisticRegression()), {"estimator__C": [0.1, 1.0]}, cv=2), CLASSES),
    "of a search": (ParallelPostFit(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)), CLASSES),
    "of a search for clusters": (ParallelPostFit(GridSearchCV(KMEANS, {"n_clusters": [2, 3]}, cv=2)), CLASSES),
}


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_within_score_as_what_they_wrap(name: str, kind: str) -> None:
    estimator, y = WRAPPED[name]
    model = ParallelPostFit(estimator).fit(X, y)
    found = model.score(LAZY[kind], y)
    assert isinstance(found, type(LAZY[kind]))
    assert float(found) == pytest.approx(model.score(X, y), rel=1e-9)
    if name in ("classes", "numbers", "clusters", "counts", "twice", "frozen"):
        weighed = model.score(LAZY[kind], y, WEIGHTS)
        assert float(weighed) == pytest.approx(model.score(X, y, WEIGHTS), rel=1e-9)
        assert float(weighed) != pytest.approx(float(found))


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("scoring", ["accuracy", "f1"])
def test_wrappers_within_may_score_as_they_are_asked_to(scoring: str, kind: str) -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, scoring="roc_auc")
    for estimator in (LogisticRegression(), search):
        model = ParallelPostFit(ParallelPostFit(estimator, scoring=scoring)).fit(X, CLASSES)
        for options in ({}, {"sample_weight": WEIGHTS}):
            found = model.score(LAZY[kind], CLASSES, **options)
            assert float(found) == pytest.approx(model.score(X, CLASSES, **options))
            assert float(found) == pytest.approx(get_scorer(scoring)(model, X, CLASSES, **options))


@pytest.mark.parametrize("kind", LAZY)
def test_weights_of_wrappers_within_are_routed_as_in_memory(kind: str) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        asking, not_asking = (
            ParallelPostFit(make_pipeline(sklearn.decomposition.PCA(2), ParallelPostFit(inner))).fit(X, CLASSES)
            for inner in (LogisticRegression().set_score_request(sample_weight=each) for each in (True, False))
        )
        found = asking.score(LAZY[kind], CLASSES, WEIGHTS)
        assert float(found) == pytest.approx(asking.score(X, CLASSES, WEIGHTS))
        for samples in (X, LAZY[kind]):
            with pytest.raises(TypeError):
                not_asking.score(samples, CLASSES, WEIGHTS)


def test_weights_may_be_the_third_argument() -> None:
    model = ParallelPostFit(LogisticRegression()).fit(X, CLASSES)
    for samples in (X, *LAZY.values()):
        assert float(model.score(samples, CLASSES, WEIGHTS)) == pytest.approx(
            model.estimator_.score(X, CLASSES, WEIGHTS)
        )
    assert not hasattr(model, "set_score_request")  # the estimator's own says who asks for weights


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


MODELS: dict[str, Any] = {
    "poisson": PoissonRegressor(),
    "gamma": GammaRegressor(),
    "tweedie": TweedieRegressor(power=1.5),
    "tweedie, normal": TweedieRegressor(power=0),
    "tweedie, extreme": TweedieRegressor(power=-0.5, link="log"),
    "tweedie, inverse": TweedieRegressor(power=3),
    "last": make_pipeline(sklearn.decomposition.PCA(3), PoissonRegressor()),
    "frozen": FrozenEstimator(GammaRegressor().fit(X, np.exp(X[:, 1]))),
    "fewer features": RFE(PoissonRegressor()),
}
COUNTS = RNG.poisson(np.exp(X[:, 0])) + 1


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weights", [None, WEIGHTS, sa.from_array(WEIGHTS, 11), da.from_array(WEIGHTS, 11)])
def test_scores_of_generalized_linear_models_are_shares_of_deviance(name: str, kind: str, weights: Any) -> None:
    model = ParallelPostFit(MODELS[name]).fit(X, COUNTS)
    given = {} if weights is None else {"sample_weight": weights}
    found = model.score(LAZY[kind], COUNTS, **given)
    expected = model.score(X, COUNTS, **dict.fromkeys(given, WEIGHTS))
    assert not isinstance(found, float)
    assert float(found) == pytest.approx(expected, rel=1e-9)
    assert expected != pytest.approx(model.score(X, COUNTS)) or not given


@given(
    st.sampled_from([-1.0, 0.0, 1.0, 1.3, 2.0, 2.5]),
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0, 1)), min_size=2, max_size=12),
    st.integers(1, 12),
)
def test_the_share_of_deviance_is_scikit_learns(power: float, rows: list[Any], chunk: int) -> None:
    y, predicted, weights = (np.array(each) for each in zip(*rows, strict=True))
    assume((weights > 0.01).any() and np.ptp(y[weights > 0.01]) > 0.01)
    found = Deviance(power)(sa.from_array(y, chunk), predicted, sample_weight=weights)
    expected = d2_tweedie_score(y, predicted, sample_weight=weights, power=power)
    assert float(found) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", ["sarray", "dask", "memory"])
@pytest.mark.parametrize(("name", "least"), [("poisson", -1.0), ("gamma", 0.0), ("tweedie, inverse", 0.0)])
def test_targets_that_no_distribution_has_are_refused(name: str, least: float, kind: str) -> None:
    model = ParallelPostFit(MODELS[name]).fit(X, COUNTS)
    bad = np.where(np.arange(60) == 33, least, COUNTS)
    wrap: Any = {"sarray": lambda y: sa.from_array(y, 20), "dask": lambda y: da.from_array(y, 20), "memory": np.asarray}
    with pytest.raises((ValueError, TaskError), match=r"Some value\(s\) of y are out of the valid range of the loss"):
        float(model.score(LAZY["sarray"], wrap[kind](bad)))


BLOBS = np.where(np.arange(60) < 9, -1, CLASSES)
KEEPING: dict[str, tuple[Any, Any]] = {
    "consensus": (RANSACRegressor(random_state=0), Y + X[:, 1]),
    "consensus last": (make_pipeline(sklearn.decomposition.PCA(3), RANSACRegressor(random_state=0)), Y + X[:, 1]),
    "labels of its own": (SelfTrainingClassifier(LogisticRegression()), BLOBS),
    "search": (GridSearchCV(KMEANS, {"n_clusters": [2, 3]}, cv=2), Y),
}


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("name", KEEPING)
def test_weights_that_scikit_learn_keeps_from_a_score_are_refused_alike(name: str, kind: str) -> None:
    estimator, y = KEEPING[name]
    model = ParallelPostFit(estimator).fit(X, y)
    for samples in (X, LAZY[kind]):
        with pytest.raises(ValueError, match=r"Passing extra keyword arguments to \w+\.score.* is only supported if"):
            model.score(samples, y, sample_weight=WEIGHTS)


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize(("asked", "error"), [(False, TypeError), (None, UnsetMetadataPassedError)])
def test_weights_that_are_routed_nowhere_are_refused_alike(
    asked: bool | None, error: type[Exception], kind: str
) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = ParallelPostFit(consensus(asked))
        for samples in (X, LAZY[kind]):
            with pytest.raises(error):
                model.score(samples, Y, sample_weight=WEIGHTS)


@pytest.mark.parametrize("kind", LAZY)
def test_weights_are_routed_as_in_memory(kind: str) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = ParallelPostFit(consensus(True))
        found = model.score(LAZY[kind], Y, sample_weight=WEIGHTS)
        assert float(found) == pytest.approx(model.score(X, Y, sample_weight=WEIGHTS))
        assert float(found) != pytest.approx(model.score(X, Y))


def consensus(asked: bool | None) -> Any:
    """A fitted pipeline whose last regression asks, or does not ask, for weights of scores."""
    inner = LinearRegression().set_score_request(sample_weight=asked).set_fit_request(sample_weight=False)
    return make_pipeline(sklearn.decomposition.PCA(3), RANSACRegressor(inner, random_state=0)).fit(X, Y + X[:, 1])


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
