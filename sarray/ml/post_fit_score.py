"""Scores of lazy samples: by the predictions of blocks, or by the estimator's own score of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from sarray.ml.block_method import BlockScore, map_rows
from sarray.ml.metrics import accuracy_score, r2_score
from sarray.ml.rows import is_dask, lazy, whole_rows

METRICS: Mapping[str, Callable[..., Any]] = {"accuracy": accuracy_score, "r2": r2_score}
"""Scorers, by scikit-learn's names, that are lazy; all others read the predictions, and score those."""

SUMS = {"KMeans", "MiniBatchKMeans", "BisectingKMeans", "KernelDensity"}
MEANS = {"PCA", "FactorAnalysis", "GaussianMixture", "BayesianGaussianMixture"}
"""Estimators of scikit-learn whose own score of samples is a sum over them; a mean."""


def default_metric(estimator: Any) -> Any:
    """The metric that an estimator's score is, a name or a scorer; None if it is one of its own.

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> default_metric(make_pipeline(SVC()))
    'accuracy'
    """
    last = getattr(estimator, "steps", None)
    if last is not None:
        return default_metric(last[-1][1])
    best = getattr(estimator, "best_estimator_", None)
    if best is not None:  # a search scores by what it searched by
        return default_metric(best) if estimator.scoring is None else _searched_by(estimator)
    score = getattr(type(estimator), "score", None)
    owners = {ClassifierMixin.score: "accuracy", RegressorMixin.score: "r2"}
    return owners.get(score) if score is not None else None


def _searched_by(search: Any) -> Any:
    if isinstance(search.scoring, str) or callable(search.scoring):
        return search.scoring
    return search.scorer_[search.refit]


def own_score(estimator: Any, token: str, x: Any) -> Any:
    """A clusterer's or a density's score of lazy samples, a lazy number; TypeError if it is no sum over samples."""
    names = {kind.__name__ for kind in type(estimator).__mro__ if kind.__module__.startswith("sklearn.")}
    if not names & (SUMS | MEANS):
        raise TypeError(
            f"nobody knows whether the score of {type(estimator).__name__} is a sum over samples; give "
            "ParallelPostFit(estimator, scoring=...), or score(X.compute()) if it fits into memory"
        )
    array: Any = x if is_dask(x) else lazy(x)
    whole_rows("score", x, array.chunks)
    mean = bool(names & MEANS)
    parts = map_rows(BlockScore(estimator, mean), f"{token}-score", x, (), np.dtype(np.float64), one=True)
    return parts.sum() / array.shape[0] if mean else parts.sum()
