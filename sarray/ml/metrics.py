"""How good predictions are: scikit-learn's numbers, lazy if one of the arguments is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sklearn.metrics
from numpy.typing import ArrayLike

from sarray.array import Array, as_array
from sarray.ml.finite import finite, numbers, total_weight
from sarray.ml.labels import classes, comparable, plain
from sarray.ml.rows import is_dask, is_lazy, lazy, like_rows, weighed, with_shape


def accuracy_score(y_true: Any, y_pred: Any, *, normalize: bool = True, sample_weight: Any = None) -> Any:
    """The share of samples whose predicted labels are right; of several labels (m x t) all must be.

    Parameters
    ----------
    y_true, y_pred
        m labels, or m x t; numbers or strings.
    normalize
        False: the number of such samples, or the sum of their weights.
    sample_weight
        m weights.

    Returns
    -------
    A lazy array without axes if an argument is lazy, else scikit-learn's own result.

    Raises ValueError for no samples and shapes that do not fit, for numbers compared with strings, for what is no label
    (NaN, infinities, fractions, complex numbers), for several labels that are not two different ones, and for weights
    that are all zero or not finite: of lazy ones when the score is computed, of an `Array` as a TaskError that quotes
    it.

    >>> import numpy as np, sarray as sa
    >>> y = sa.asarray(np.array([0, 1, 1, 0]), chunks=2)
    >>> float(sa.ml.accuracy_score(y, np.array([0, 1, 0, 0])))
    0.75
    """
    if not any(map(is_lazy, (y_true, y_pred, sample_weight))):
        return sklearn.metrics.accuracy_score(y_true, y_pred, normalize=normalize, sample_weight=sample_weight)
    dask = any(map(is_dask, (y_true, y_pred, sample_weight)))
    true, first = classes("y_true", _labels(y_true, dask))
    predicted, second = classes("y_pred", _labels(y_pred, dask))
    found = _share_right("accuracy_score", true, predicted, normalize, sample_weight)
    return found * first * second


def exact_matches(y_true: Any, y_pred: Any) -> Any:
    """The share of samples all of whose labels are right, of any number of classes: the score of several classifiers.

    Raises ValueError unless there are several labels of each sample.
    """
    true = _labels(y_true, is_dask(y_true) or is_dask(y_pred))
    if true.ndim == 1:
        raise ValueError("y must have at least two dimensions for multi target classification but has only one")
    return _share_right("score", true, y_pred, True, None)


def _share_right(name: str, y_true: Any, y_pred: Any, normalize: bool, sample_weight: Any) -> Any:
    labels = comparable(name, y_true, y_pred)
    true, predicted, weights, one = aligned(name, *labels, sample_weight)
    right = true == predicted
    right = right if right.ndim == 1 else right.all(axis=1)
    if weights is not None:
        total = (right * weights).sum() * one
        return total / weights.sum() if normalize else total
    return right.mean() if normalize else (right * 1.0).sum()


def r2_score(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str | ArrayLike | None = "uniform_average",
    force_finite: bool = True,
) -> Any:
    """The coefficient of determination, 1 - sum w (y - p)^2 / sum w (y - mean y)^2.

    Parameters
    ----------
    y_true, y_pred
        m targets, or m x t.
    sample_weight
        m weights w.
    multioutput
        What becomes of t numbers: "uniform_average" or None, "variance_weighted", "raw_values" for all of them, or t
        weights of their average.
    force_finite
        Whether targets that do not vary give 1 if they are met and 0 if not, and not NaN or -inf.

    Returns
    -------
    A lazy array without axes (of t numbers for "raw_values") if an argument is lazy, else scikit-learn's own result.

    Targets are read twice: for their mean, and for their distance from it. Raises ValueError for shapes that do not
    fit, for an unknown `multioutput`, for lazy arguments of fewer than two samples, for complex numbers, for NaN and
    infinities, and for weights all zero (the latter of what is lazy when the score is computed, of an `Array` as a
    TaskError that quotes it).

    >>> import numpy as np, sarray as sa
    >>> y = sa.asarray(np.array([1.0, 2.0, 3.0]), chunks=2)
    >>> float(sa.ml.r2_score(y, np.array([1.0, 2.0, 4.0])))
    0.5
    """
    if not any(map(is_lazy, (y_true, y_pred, sample_weight))):
        options = {"multioutput": multioutput, "force_finite": force_finite}
        return sklearn.metrics.r2_score(y_true, y_pred, sample_weight=sample_weight, **options)
    combine = _combining(multioutput)
    true, predicted, weights, one = aligned("r2_score", y_true, y_pred, sample_weight)
    if true.shape[0] < 2:
        raise ValueError(f"r2_score: needs two samples, got {true.shape[0]}")
    true, predicted = (floats(each) if each.ndim == 2 else floats(each)[:, None] for each in (true, predicted))
    weights = 1.0 if weights is None else weights[:, None]
    total = total_weight("r2_score", true, predicted, weights) * one
    residual = (weights * (true - predicted) ** 2).sum(axis=0)
    spread = (weights * (true - (weights * true).sum(axis=0) / total) ** 2).sum(axis=0)
    return combine(_ratios(residual, spread, force_finite), spread)


def floats(values: Any) -> Any:
    """The same as floating-point numbers: squares of small integers do not fit their type, and bool has no -.

    So are objects, which are Dask's here.
    """
    return values.astype(np.float64) if values.dtype.kind in "biuO" else values


def _combining(multioutput: Any) -> Callable[[Any, Any], Any]:
    """What becomes of the scores of several targets."""
    if multioutput is None or isinstance(multioutput, str):
        if multioutput not in MULTIOUTPUT:
            known = ", ".join(map(repr, MULTIOUTPUT))
            raise ValueError(f"r2_score: multioutput={multioutput!r} is not one of {known}, nor weights of the targets")
        return MULTIOUTPUT[multioutput]
    weights = np.asarray(multioutput, np.float64)

    def averaged(scores: Any, spread: Any) -> Any:
        if weights.shape != scores.shape:
            raise ValueError(f"r2_score: multioutput has {weights.shape} weights, there are {scores.shape} targets")
        return (scores * weights).sum() / weights.sum()

    return averaged


def aligned(name: str, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any, Any]:
    """All as arrays whose rows are cut alike, and 1 if a weight is not zero; if one is Dask's, for Dask to cut."""
    dask = any(map(is_dask, (y_true, y_pred, sample_weight)))
    given = {"y_true": y_true, "y_pred": y_pred}
    first, second = ((_for_dask if dask else _as_lazy)(finite(label, each)) for label, each in given.items())
    if first.ndim == 2 and second.ndim == 1 and first.shape[1] == 1:
        second = second[:, None]
    if second.ndim == 2 and first.ndim == 1 and second.shape[1] == 1:
        first = first[:, None]
    if first.shape != second.shape:
        raise ValueError(f"{name}: y_true has shape {first.shape}, y_pred {second.shape}; they must be the same")
    if 0 in first.shape:
        raise ValueError(f"{name}: Found array with 0 sample(s) (shape={first.shape}) while a minimum of 1 is required")
    weights = _weights(sample_weight, first.shape[0])
    one = 1.0 if weights is None else weighed(_for_dask(weights) if dask else weights)
    if dask:
        return first, second, _for_dask(weights), one
    first = first if first.ndim < 2 else first.rechunk({1: -1})
    return first, like_rows(second, first), None if weights is None else like_rows(weights, first), one


def _labels(values: Any, dask: bool) -> Any:
    """Labels as an array, if asked as one that goes with Dask's; ValueError for objects that are no labels."""
    found = _for_dask(values) if dask else lazy(values) if is_lazy(values) else np.asarray(values)
    return plain(found) if isinstance(found, np.ndarray) else found


def _weights(given: Any, rows: int) -> Any:
    """One weight for each row, or None; of any sign, as scikit-learn's scores take them."""
    if given is None:
        return None
    weights = numbers(given)
    weights = weights.astype(np.float64) if weights.dtype.kind == "O" else weights  # Dask's objects
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected ({rows},)")
    return weights


def _for_dask(values: Any) -> Any:
    """Dask's array, or what is to go with one in memory; None stays None."""
    return with_shape(values) if is_dask(values) else None if values is None else np.asarray(values)


def _as_lazy(values: Any) -> Array:
    found = lazy(values)
    return as_array(values) if found is None else found


def _ratios(residual: Any, spread: Any, force_finite: bool) -> Any:
    """One score per target; `np.where` is whichever library's the arrays are."""
    constant = spread == 0
    ratio = 1 - residual / np.where(constant, 1.0, spread)
    met = np.where(residual == 0, 1.0, 0.0) if force_finite else np.where(residual == 0, np.nan, -np.inf)
    return np.where(constant, met, ratio)


def _weighted(scores: Any, spread: Any) -> Any:
    """By spread; evenly if nothing varies."""
    total = spread.sum()
    return np.where(total == 0, scores.mean(), (scores * spread).sum() / np.where(total == 0, 1.0, total))


MULTIOUTPUT: Mapping[str | None, Callable[[Any, Any], Any]] = {
    "uniform_average": lambda scores, spread: scores.mean(),
    "variance_weighted": _weighted,
    "raw_values": lambda scores, spread: scores,
    None: lambda scores, spread: scores.mean(),
}
"""What becomes of the scores of several targets."""
