"""Scores of lazy samples: by the predictions of blocks, or by the estimator's own score of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier
from sklearn.covariance import EllipticEnvelope
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    GammaRegressor,
    LogisticRegressionCV,
    PoissonRegressor,
    RANSACRegressor,
    TweedieRegressor,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.metadata_routing import process_routing

from sarray.array import Array
from sarray.ml.block_method import BlockScore, map_rows
from sarray.ml.configured import Configured
from sarray.ml.deviance import Deviance
from sarray.ml.linear_regression import LinearRegression
from sarray.ml.metrics import accuracy_score, exact_matches, r2_score
from sarray.ml.rows import is_dask, is_lazy, lazy, like_rows, rows_of_dask, weighed, whole_rows, with_shape

METRICS: Mapping[str, Callable[..., Any]] = {"accuracy": accuracy_score, "r2": r2_score}
"""Scorers, by scikit-learn's names, that are lazy; all others read the predictions, and score those."""

SUMS = {"KMeans", "MiniBatchKMeans", "BisectingKMeans", "KernelDensity"}
MEANS = {"PCA", "FactorAnalysis", "GaussianMixture", "BayesianGaussianMixture"}
"""Estimators of scikit-learn, and of this package, whose own score of samples is a sum over them; a mean."""
KNOWN = ("sklearn.", "sarray.ml.")
"""Where the estimators are whose scores those names speak of."""
OWNERS: Mapping[type, str | Callable[..., Any]] = {
    ClassifierMixin: "accuracy",
    DummyClassifier: "accuracy",
    EllipticEnvelope: "accuracy",
    KNeighborsClassifier: "accuracy",
    MultiOutputClassifier: exact_matches,
    RadiusNeighborsClassifier: "accuracy",
    RegressorMixin: "r2",
    DummyRegressor: "r2",
    LinearRegression: "r2",
}
"""Classes that define `score`, and the metrics that it computes of predictions."""
POWERS: Mapping[type, Callable[[Any], float]] = {
    PoissonRegressor: lambda model: 1.0,
    GammaRegressor: lambda model: 2.0,
    TweedieRegressor: lambda model: float(model.power),
}
"""Generalized linear models, whose score is the share of Tweedie's deviance that they explain; the deviance's power."""
FOLDS = {LogisticRegressionCV, RFECV}
"""Classes whose `score` is by their parameter `scoring`."""
WITHIN: Mapping[type, str] = {RANSACRegressor: "estimator_", RFE: "estimator_", SelfTrainingClassifier: "estimator_"}
"""Classes whose `score` is that of an estimator within, and where that is."""
KEEPING = {RANSACRegressor, SelfTrainingClassifier}
"""Those of them that hand no weights on, unless metadata are routed."""


class Wrapper:
    """An estimator around a fitted one, whose score it has unless it is asked for another."""

    estimator_: Any
    scoring: Any
    """A scorer, or its name; None for the score of the estimator within."""


def default_metric(estimator: Any) -> Any:
    """The metric that an estimator's score is, a name or a scorer; None if it is one of its own.

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> default_metric(make_pipeline(SVC()))
    'accuracy'
    """
    last = _last(estimator)
    if isinstance(last, Wrapper):
        return last.scoring
    if _is_search(last):  # which scores by what it searched by
        return default_metric(last.best_estimator_) if last.scoring is None else _searched_by(last)
    owner = _owner(last)
    if owner in FOLDS and last.scoring not in (None, "warn"):
        return last.scoring
    if owner in FOLDS:
        return "accuracy" if is_classifier(last) else "r2"
    powers = [power(last) for kind, power in POWERS.items() if isinstance(last, kind) and owner in kind.__mro__]
    return Deviance(*powers) if powers else OWNERS.get(owner)


def lazy_metric(metric: Any) -> Callable[..., Any] | None:
    """What computes a metric of lazy targets and predictions lazily, if anything does."""
    if isinstance(metric, str):
        return METRICS.get(metric)
    return metric if isinstance(metric, Deviance) or metric is exact_matches else None


def _owner(estimator: Any) -> type:
    """The class that defines `score`, its own or one that it inherits from."""
    return next((each for each in type(estimator).__mro__ if "score" in vars(each)), object)


def _within(estimator: Any) -> tuple[str, Any] | None:
    """The estimator that one asks for its score, and the name by which it routes to that: "" if it does not."""
    if isinstance(estimator, FrozenEstimator):
        return "", estimator.estimator
    if isinstance(estimator, Wrapper):
        return ("estimator", estimator.estimator_) if estimator.scoring is None else None
    if hasattr(estimator, "steps"):
        name, last = estimator.steps[-1]
        return name, last
    place = WITHIN.get(_owner(estimator))
    return ("estimator", getattr(estimator, place)) if place else None


def _is_search(estimator: Any) -> bool:
    """Whether this is a search that found something, and not a wrapper of one, which shows what that learned."""
    return not isinstance(estimator, Wrapper) and hasattr(estimator, "best_estimator_")


def _last(estimator: Any) -> Any:
    """The estimator that scores: the last step of a pipeline, and what is within one that asks that for its score."""
    while (found := _within(estimator)) is not None:
        estimator = found[1]
    return estimator


def handed_on(estimator: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of the options reaches the estimator that scores; ValueError, where scikit-learn's is, if nothing may."""
    is_routed = get_config()["enable_metadata_routing"]
    while options and estimator is not None:
        name, inner = _within(estimator) or ("", None)
        if name and is_routed:
            options = process_routing(estimator, "score", **options)[name]["score"]
        elif is_routed and (isinstance(estimator, Wrapper) or _is_search(estimator) or _owner(estimator) in FOLDS):
            process_routing(estimator, "score", **options)  # who scores is a metric; it refuses what nobody spoke of
        elif hasattr(estimator, "steps"):
            options = {option: value for option, value in options.items() if value is not None}
        elif not is_routed and (_owner(estimator) in KEEPING or _is_search(estimator)):
            raise ValueError(
                f"Passing extra keyword arguments to {type(estimator).__name__}.score is only supported if metadata "
                f"are routed: leave {', '.join(options)} out, or sklearn.set_config(enable_metadata_routing=True) and "
                "say who takes it: estimator.set_score_request(sample_weight=True)"
            )
        estimator = inner
    return options


def _scoring(estimator: Any) -> Any:
    """The estimator that scores by itself: of a search that is not asked for a metric, the best that it found."""
    last = _last(estimator)
    return _scoring(last.best_estimator_) if _is_search(last) else last


def _searched_by(search: Any) -> Any:
    if isinstance(search.scoring, str) or callable(search.scoring):
        return search.scoring
    return search.scorer_[search.refit]


def own_score(estimator: Any, token: str, x: Any, options: Mapping[str, Any]) -> Any:
    """A clusterer's or a density's score of lazy samples, a lazy number; targets mean nothing to any of them.

    Their weights are cut like the samples. Raises TypeError for scores that are no sums over samples, and for options
    that the score does not take.
    """
    kind = _scoring(estimator)
    names = {each.__name__ for each in type(kind).__mro__ if each.__module__.startswith(KNOWN)}
    if not (names & (SUMS | MEANS) and _owner(kind).__module__.startswith(KNOWN)):
        raise TypeError(
            f"nobody knows whether the score of {type(kind).__name__} is a sum over samples; give "
            "ParallelPostFit(estimator, scoring=...), or score(X.compute()) if it fits into memory"
        )
    weights = weights_taken(estimator, options)
    array: Any = x if is_dask(x) else lazy(x)
    whole_rows("score", x, array.chunks)
    if array.shape[0] == 0:
        raise ValueError(f"score: Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required")
    mean = bool(names & MEANS)
    count = with_shape(array).shape[0] if mean else 1
    beside = [] if weights is None else [_column(weights, array)]
    one = weighed(beside[0] if is_lazy(weights) else weights) if beside else 1.0
    configured = Configured.now(_routed(estimator))
    name = f"{token}-score-{configured.token}"
    parts = map_rows(BlockScore(configured, mean), name, x, (), np.dtype(np.float64), *beside, one=True)
    return parts.sum() * one / count


def _routed(estimator: Any) -> Any:
    """The estimator without a search around it, which hands no weights on."""
    return estimator.best_estimator_ if _is_search(estimator) else estimator


def weights_taken(estimator: Any, options: Mapping[str, Any]) -> Any:
    """The weights among options; TypeError for any option that the estimator's score does not take."""
    kind = _scoring(estimator)
    taken = inspect.signature(kind.score).parameters.keys() & {"sample_weight"}
    for name in options.keys() - taken:
        raise TypeError(
            f"the score of {type(kind).__name__} of lazy samples takes no {name}; leave it out, or write "
            f"score(X.compute(), {name}=...) if X fits into memory"
        )
    return options.get("sample_weight")


def _column(weights: Any, x: Any) -> Any:
    """Weights of samples as m x 1, cut like them: an `Array`, or a Dask array if they are Dask's."""
    if isinstance(weights, Real):
        weights = np.full(x.shape[0], float(weights))
    if isinstance(x, Array):
        return like_rows(weights, x)[:, None]
    given: Any = with_shape(weights) if is_dask(weights) else np.asarray(weights)
    if given.shape != with_shape(x).shape[:1]:
        raise ValueError(f"there are {x.shape[0]} samples, and weights of shape {given.shape} to go with them")
    return (given.rechunk((x.chunks[0],)) if is_dask(given) else rows_of_dask(x, given))[:, None]
