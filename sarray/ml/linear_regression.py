"""Ordinary least squares on rows that do not fit into memory."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sarray.ml.metrics import r2_score
from sarray.ml.parameters import checked_values, instead_of
from sarray.ml.row_moments import FACTOR, Moments, moments, threads_for, uncentred
from sarray.ml.rows import FLOATS, is_lazy, lazy, like_rows, real, samples, weights_of

ROUNDING = 32 * np.finfo(np.float64).eps
"""Standard deviation, as a share of the mean, up to which a feature is constant."""


class LinearRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear least squares, min ||y - X w - b||, in one pass over X and y.

    Parameters
    ----------
    fit_intercept
        Whether there is an intercept b; X is then centred, block by block.
    tol
        Singular values of X below `tol` times the largest count as zero.

    Attributes
    ----------
    coef_, intercept_, rank_, singular_, n_features_in_, feature_names_in_
        scikit-learn's, as NumPy arrays.

    X is m x n and y has m entries, or m x t; arrays, lazy ones with all columns in one chunk, or anything scikit-learn
    takes, but no sparse matrices. The R factor of [X y] comes from a tree of Householder QR factorizations with the
    means taken off (`kernels.moments`), and the solution of least norm from the SVD of its n columns. Backward
    stable. 2 m (n + t)^2 flops, in memory one block and (n + t)^2 numbers.

    >>> import numpy as np, sarray as sa
    >>> X = sa.asarray(np.array([[0.0], [1.0], [2.0], [3.0]]), chunks=(2, -1))
    >>> model = sa.ml.LinearRegression().fit(X, 2 * X[:, 0] + 1)
    >>> np.round(model.coef_, 12), round(float(model.intercept_), 12)
    (array([2.]), 1.0)
    >>> np.round(model.predict(X).compute(), 12)
    array([1., 3., 5., 7.])
    """

    _parameter_constraints: ClassVar = {"fit_intercept": ["boolean"], "tol": [Interval(Real, 0, None, closed="left")]}

    @instead_of("sklearn.linear_model.LinearRegression")
    def __init__(self, *, fit_intercept: bool = True, tol: float = 1e-6) -> None:
        self.fit_intercept = fit_intercept
        self.tol = tol

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearRegression:
        """Fit to X (m x n) and y (m, or m x t); ValueError for NaN, infinities and shapes that do not fit."""
        checked_values(self)
        if y is None:
            raise ValueError("This LinearRegression estimator requires y to be passed, but the target y is None.")
        if lazy(X) is None:
            X, y = validate_data(self, X, y, y_numeric=True, multi_output=True, dtype=list(FLOATS))
        else:
            X = samples(self, X, reset=True, whole=True)
            y = like_rows(y if is_lazy(y) else _targets(y), X)
            real("y", y)
        weights = weights_of(sample_weight, X)
        n = X.shape[1]
        with threads_for(n):
            found = moments("LinearRegression", FACTOR, X, y, weights=weights)
            r = _without_constants(found, n) if self.fit_intercept else uncentred(found)
            solution, _, rank, singular = np.linalg.lstsq(r[:, :n], r[:, n:], rcond=self.tol)
        self.coef_ = solution.T.astype(X.dtype)
        self.rank_, self.singular_ = int(rank), singular[: min(X.shape)].astype(X.dtype)
        offset = found.mean[n:] - found.mean[:n] @ solution
        self.intercept_: Any = offset.astype(X.dtype) if self.fit_intercept else 0.0
        if y.ndim == 1:
            self.coef_ = self.coef_[0]
            self.intercept_ = offset.astype(X.dtype)[0] if self.fit_intercept else 0.0
        return self

    def predict(self, X: Any) -> Any:
        """X w + b, m or m x t: lazy if X is, else a NumPy array."""
        check_is_fitted(self)
        return samples(self, X, reset=False) @ self.coef_.T + self.intercept_

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """The coefficient of determination of the predictions: a number, or a lazy one if X or y is lazy."""
        return r2_score(y, self.predict(X), sample_weight=sample_weight)


def _targets(y: Any) -> NDArray[Any]:
    """Targets in memory, as scikit-learn checks them beside samples: finite numbers, which objects may be, too."""
    checked: NDArray[Any] = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
    return checked


def _without_constants(found: Moments, n: int) -> NDArray[Any]:
    """R of the centred columns, with 0 for features that do not vary: what centring leaves of them is rounding."""
    rounding = ROUNDING * np.sqrt(found.weight) * np.abs(found.mean[:n])
    r = found.factor.copy()
    largest = np.abs(r[:, :n]).max(axis=0, initial=np.finfo(np.float64).tiny)  # squares of small numbers underflow
    r[:, :n][:, largest * np.linalg.norm(r[:, :n] / largest, axis=0) <= rounding] = 0.0
    return r
