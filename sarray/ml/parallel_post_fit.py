"""An estimator fitted here, whose predictions are computed in parallel, block by block."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sarray.array import identity_token
from sarray.ml.block_method import call_blocks, dense, lazy_like
from sarray.ml.post_fit_score import Wrapper, default_metric, handed_on, lazy_metric, own_score, weights_taken
from sarray.ml.rows import in_memory, is_dask, is_lazy, lazy, with_shape

SEED = "random_state"
WEIGHTS = {"sample_weight"}
"""Parameters of `partial_fit` that go with rows."""
METHODS = (
    "fit", "fit_transform", "fit_predict", "partial_fit", "predict", "predict_proba", "predict_log_proba",
    "decision_function", "transform", "inverse_transform",
)  # fmt: skip
"""Methods whose parameters are the estimator's; those of `score` may be the scorer's."""
KNOWN = 8
"""Rows of the samples that are kept, to try methods on."""
F = TypeVar("F", bound=Callable[..., Any])


def _if_has(name: str) -> Callable[[F], F]:
    """A method that is there if the estimator, fitted or not yet, has this one; else its own AttributeError."""

    def check(self: ParallelPostFit) -> bool:
        getattr(self.__dict__.get("estimator_", self.estimator), name)
        return True

    found: Callable[[F], F] = available_if(check)
    return found


class ParallelPostFit(Wrapper, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Fit here, predict in parallel: any estimator of scikit-learn, its methods applied to blocks of rows.

    Parameters
    ----------
    estimator
        What is fitted: a clone of it, `estimator_`. One that is fitted already is used as it is until `fit` is called.
    scoring
        What `score` computes, a name or function as scikit-learn's; None for the estimator's own score.

    Attributes
    ----------
    estimator_
        The fitted estimator, here or before. Its other attributes (`classes_`, `coef_`, `n_features_in_`, ...) are
        found here too.

    Methods are those that the estimator has. Given an `sarray.Array` or a Zarr array they return a lazy `Array`, given
    a Dask array a Dask array, and given anything else what the estimator returns. The rows of a result are cut like
    those of X, whose columns must be in one chunk (ValueError with the rechunk to type). Sparse results become dense
    blocks, labels that are strings an array of strings; a method that returns several arrays gives several. `fit`,
    `fit_transform` and `fit_predict` read lazy samples into memory; `partial_fit` reads one block after another.

    The estimator is one constant of the program: a function's process loads it once in a job, not once for each task.
    Blocks are computed under scikit-learn's configuration as it was when the result was built.

    >>> import numpy as np, sarray as sa
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> model = sa.ml.ParallelPostFit(LogisticRegression()).fit(X, y)
    >>> model.predict(sa.asarray(X, chunks=(2, -1)))
    sarray.Array(map_blocks, shape=(4,), dtype=int64, chunks=((2, 2),))
    >>> model.predict(X)
    array([0, 0, 1, 1])
    """

    __metadata_request__score: ClassVar = {"sample_weight": UNUSED}  # who asks for weights is the estimator

    def __init__(self, estimator: Any, scoring: Any = None) -> None:
        self.estimator = estimator
        self.scoring = scoring

    # -- fitting ------------------------------------------------------------------------------------------------------

    @property
    def fit(self) -> Callable[..., ParallelPostFit]:
        """``fit(X, y=None, **fit_params)``: fit a clone of the estimator; lazy arguments are read into memory.

        It has the parameter ``sample_weight`` if the estimator's `fit` has, as scikit-learn looks for that.
        """
        return self._fit_weighted if has_fit_parameter(self.estimator, "sample_weight") else self._fit

    def _fit(self, X: Any, y: Any = None, **fit_params: Any) -> ParallelPostFit:
        self._fitted("fit", X, y, fit_params)
        return self

    def _fit_weighted(self, X: Any, y: Any = None, sample_weight: Any = None, **fit_params: Any) -> ParallelPostFit:
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self._fit(X, y, **given, **fit_params)

    @_if_has("fit_transform")
    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """`fit`, and the same samples transformed, by the estimator's own way to do both: not all transform alike."""
        return self._fitted_like("fit_transform", X, y, fit_params)

    @_if_has("fit_predict")
    def fit_predict(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """`fit`, and the labels of the same samples."""
        return self._fitted_like("fit_predict", X, y, fit_params)

    @_if_has("partial_fit")
    def partial_fit(self, X: Any, y: Any = None, **fit_params: Any) -> ParallelPostFit:
        """Fit on to more samples, of a lazy array block after block; results that are lazy still keep the old state."""
        fitted, fit_params = self._trained(), self._routed("partial_fit", fit_params)
        estimator = clone(self.estimator) if fitted is None else copy.deepcopy(fitted)
        array = lazy(X)
        if array is None:
            estimator.partial_fit(X, in_memory(y), **fit_params)
            self._keep(estimator, X)
            return self
        beside = {"y": y, **{name: fit_params.pop(name) for name in WEIGHTS & fit_params.keys()}}
        for low, high in (array.expression.chunks[0].bounds(block) for block in range(array.numblocks[0])):
            if low < high:
                rows = array[low:high].compute()
                own = {name: in_memory(values[low:high]) for name, values in _along(beside, array).items()}
                estimator.partial_fit(rows, own.pop("y", None), **own, **fit_params)
                self._keep(estimator, rows)
        return self

    def _fitted(self, method: str, X: Any, y: Any, fit_params: dict[str, Any]) -> Any:
        """Fit a clone by one of its methods, and return what that returns."""
        estimator, samples = clone(self.estimator), in_memory(X)
        given = {name: in_memory(value) for name, value in self._routed(method, fit_params).items()}
        call = getattr(estimator, method)
        targets = (in_memory(y),) if y is not None or _takes_targets(call) else ()
        found = call(samples, *targets, **given)
        self._keep(estimator, samples)
        return found

    def _fitted_like(self, method: str, X: Any, y: Any, fit_params: dict[str, Any]) -> Any:
        """What a method that fits returns, as lazy as X is."""
        if is_dask(X):
            with_shape(X)  # before anything is fitted
        found = self._fitted(method, X, y, fit_params)
        return lazy_like(X, found) if is_lazy(X) else found

    def _keep(self, estimator: Any, samples: Any) -> None:
        """This is the fitted estimator from now on: its state has a new name, and a few rows that it takes are kept."""
        self.estimator_ = estimator
        self._kept = estimator, identity_token("estimator"), _some_rows(samples)

    def _trained(self) -> Any:
        """The estimator fitted here, or the given one if it is fitted; None if neither is."""
        if "estimator_" in self.__dict__:
            return self.estimator_
        given = self.__dict__.get("estimator")  # not there while this is being unpickled
        return given if given is not None and _is_fitted(given) else None

    def _state(self) -> tuple[str, Any]:
        """The name of the estimator's state, and rows that it takes, if known.

        Of one not fitted here a name for now: whoever fitted it may fit it again, and nobody would tell.
        """
        fitted, token, rows = self.__dict__.get("_kept", (None, "", None))
        known = _learned_row(self.estimator_) if rows is None else rows
        return (token if fitted is self.estimator_ else identity_token("estimator")), known

    # -- what blocks become -------------------------------------------------------------------------------------------

    @_if_has("predict")
    def predict(self, X: Any, **options: Any) -> Any:
        """Predictions: labels, targets, clusters."""
        return self._called("predict", X, options)

    @_if_has("predict_proba")
    def predict_proba(self, X: Any, **options: Any) -> Any:
        """Probability of each class; of several outputs a list."""
        return self._called("predict_proba", X, options)

    @_if_has("predict_log_proba")
    def predict_log_proba(self, X: Any, **options: Any) -> Any:
        """Logarithm of the probability of each class; of several outputs a list."""
        return self._called("predict_log_proba", X, options)

    @_if_has("decision_function")
    def decision_function(self, X: Any, **options: Any) -> Any:
        """Distance from what separates the classes."""
        return self._called("decision_function", X, options)

    @_if_has("transform")
    def transform(self, X: Any, **options: Any) -> Any:
        """Transformed samples."""
        return self._called("transform", X, options)

    @_if_has("inverse_transform")
    def inverse_transform(self, X: Any, **options: Any) -> Any:
        """Samples that `transform` takes to X."""
        return self._called("inverse_transform", X, options)

    @_if_has("score_samples")
    def score_samples(self, X: Any) -> Any:
        """A score of each sample: how normal it is, or the logarithm of its density."""
        return self._called("score_samples", X, {})

    def _called(self, name: str, X: Any, options: dict[str, Any]) -> Any:
        check_is_fitted(self)
        options = self._routed(name, options)
        if not is_dask(X) and lazy(X) is None:
            return getattr(self.estimator_, name)(X, **options)
        token, known = self._state()
        return call_blocks(self.estimator_, token, name, X, known, options)

    @_if_has("score")
    def score(self, X: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Any:
        """The score by `scoring`, or the estimator's own; a lazy number of lazy samples.

        Lazy are accuracy, the coefficient of determination, the deviance that generalized linear models explain, and
        scores of scikit-learn's clusterers and densities, to which `y` means nothing. By any other `scoring`
        predictions are computed here, in parallel, and read into memory. TypeError for a score that is no sum over
        samples, for options that it does not take, and without targets that it needs; ValueError for those options
        that somebody on the way keeps, and for targets that scikit-learn refuses: of lazy ones when it is computed,
        of an `Array` as a TaskError that quotes it.
        """
        check_is_fitted(self)
        options |= {} if sample_weight is None else {"sample_weight": sample_weight}
        options = self._routed("score", options)
        if not is_lazy(X) and not is_lazy(y):
            own = self.scoring is None
            return self.estimator_.score(X, y, **options) if own else self._scored(self.scoring, X, y, options)
        metric = self.scoring if self.scoring is not None else default_metric(self.estimator_)
        if metric is None:
            if not is_lazy(X):
                return self.estimator_.score(X, in_memory(y), **options)
            given = handed_on(self.estimator_, options)
            return own_score(self.estimator_, self._state()[0], X, given)
        if self.scoring is None:
            options = dict(handed_on(self.estimator_, options))
            weights_taken(self.estimator_, options)
        compute = lazy_metric(metric)
        if compute is not None:
            if y is None:
                whose = type(self.estimator_).__name__
                raise TypeError(f"the score of {whose} compares predictions with targets; write score(X, y)")
            return compute(y, self.predict(X), **options)
        return self._scored(metric, X, in_memory(y), {name: in_memory(value) for name, value in options.items()})

    def _scored(self, metric: Any, X: Any, y: Any, options: dict[str, Any]) -> Any:
        return get_scorer(metric)(self, X, y, **options)

    # -- what scikit-learn asks ---------------------------------------------------------------------------------------

    @_if_has("set_output")
    def set_output(self, *, transform: str | None = None) -> ParallelPostFit:
        """The container of what the estimator's `transform` returns for samples in memory."""
        for each in (self.estimator, self.__dict__.get("estimator_")):
            if each is not None:
                each.set_output(transform=transform)
        return self

    @_if_has("get_feature_names_out")
    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the features that `transform` makes."""
        check_is_fitted(self)
        return self.estimator_.get_feature_names_out(input_features)

    def get_metadata_routing(self) -> MetadataRouter:
        """Who asks for parameters, where scikit-learn's metadata routing is on: the estimator, for each method.

        For `score` that is what was given as `scoring`, if anything was.
        """
        mapping, scores = MethodMapping(), MethodMapping().add(caller="score", callee="score")
        for each in METHODS if self.scoring is not None else (*METHODS, "score"):
            mapping.add(caller=each, callee=each)
        router = MetadataRouter(owner=type(self).__name__).add(estimator=self.estimator, method_mapping=mapping)
        return router if self.scoring is None else router.add(scorer=get_scorer(self.scoring), method_mapping=scores)

    def _routed(self, method: str, options: dict[str, Any]) -> dict[str, Any]:
        """Those of the options that are asked for, where metadata are routed; else all of them."""
        if not options or not get_config()["enable_metadata_routing"]:
            return options
        whose = "scorer" if method == "score" and self.scoring is not None else "estimator"
        found: dict[str, Any] = process_routing(self, method, **options)[whose][method]
        return found

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters; among the deep ones ``random_state``, if the estimator has it, for who fixes it by that name."""
        found: dict[str, Any] = super().get_params(deep=deep)
        inner = f"estimator__{SEED}"
        return found | {SEED: found[inner]} if deep and inner in found else found

    def set_params(self, **params: Any) -> ParallelPostFit:
        """Set parameters, of the estimator too: ``estimator__C=2``."""
        super().set_params(**{f"estimator__{SEED}" if name == SEED else name: params[name] for name in params})
        return self

    def __getattr__(self, name: str) -> Any:
        """What the estimator has learned; `estimator_` itself is the given one, if that was fitted before."""
        fitted = None if name.startswith("_") or not name.endswith("_") else self._trained()
        if fitted is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return fitted if name == "estimator_" else getattr(fitted, name)

    def __sklearn_is_fitted__(self) -> bool:
        return self._trained() is not None

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)


def _is_fitted(estimator: Any) -> bool:
    """Whether an estimator may be called: it is fitted, or needs no fit."""
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError, AttributeError):  # the latter of what is no estimator of scikit-learn's kind
        return False
    return True


def _some_rows(samples: Any) -> Any:
    """A few rows, from all over arrays, frames, lists or sparse matrices, as an array of their own; None of none."""
    with suppress(Exception):  # samples may be anything that an estimator takes, and need not be cut
        count = samples.shape[0] if hasattr(samples, "shape") else len(samples)
        rows = dense(samples[:: max(1, count // KNOWN)][:KNOWN]).copy()
        return rows if len(rows) else None
    return None


def _learned_row(estimator: Any) -> Any:
    """A row of what an encoder knows, the first category of each feature or the first label; None of others."""
    if hasattr(estimator, "categories_"):
        return np.array([[known[0] for known in estimator.categories_]], object)
    labels = getattr(estimator, "classes_", None)
    return labels[:1] if isinstance(labels, np.ndarray) and labels.size else None


def _along(given: dict[str, Any], array: Any) -> dict[str, Any]:
    """What goes with each row, ready to be cut; ValueError if it is not as many."""
    found = {name: value if is_lazy(value) else np.asarray(value) for name, value in given.items() if value is not None}
    for name, value in found.items():
        if value.shape[:1] != array.shape[:1]:
            raise ValueError(f"partial_fit: {name} has shape {value.shape}, there are {array.shape[0]} samples")
    return found


def _takes_targets(method: Callable[..., Any]) -> bool:
    """Whether a method has a place for y, as all have but those that fit to labels alone."""
    kinds = [each.kind for each in inspect.signature(method).parameters.values()]
    return kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) > 1 or inspect.Parameter.VAR_POSITIONAL in kinds
