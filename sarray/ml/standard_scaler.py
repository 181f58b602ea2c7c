"""Features brought to mean 0 and variance 1, on rows that do not fit into memory."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kernels.moments import join_columns
from sarray.ml.containers import lazy_stays_lazy
from sarray.ml.parameters import checked_values, instead_of
from sarray.ml.row_moments import COLUMNS, pass_over
from sarray.ml.rows import samples, weights_of


@lazy_stays_lazy
class StandardScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """(x - mean) / standard deviation of every feature, from one pass over the samples.

    Parameters
    ----------
    with_mean, with_std
        Whether means are taken off, and whether features are divided by their standard deviations.

    Attributes
    ----------
    mean_, var_, scale_, n_samples_seen_, n_features_in_, feature_names_in_
        scikit-learn's, as NumPy arrays; None where not asked for. NaN counts as missing.

    X is m x n: arrays, lazy ones with all columns in one chunk, or anything scikit-learn takes, but no sparse
    matrices. Sums of squares are taken about the mean of each block, and joined by the update of Chan, Golub and
    LeVeque (`kernels.moments`). 5 m n flops.

    >>> import numpy as np, sarray as sa
    >>> X = sa.asarray(np.array([[1.0, 10.0], [3.0, 10.0]]), chunks=(1, -1))
    >>> sa.ml.StandardScaler().fit_transform(X).compute()
    array([[-1.,  0.],
           [ 1.,  0.]])
    """

    _parameter_constraints: ClassVar = {"with_mean": ["boolean"], "with_std": ["boolean"]}

    @instead_of("sklearn.preprocessing.StandardScaler")
    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean = with_mean
        self.with_std = with_std

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> StandardScaler:
        """Means and variances of X; ValueError for infinities."""
        for name in ("mean_", "var_", "scale_", "n_samples_seen_", "_seen"):
            self.__dict__.pop(name, None)
        return self.partial_fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> StandardScaler:
        """Means and variances of X and of all samples seen before; `y` is not used."""
        checked_values(self)
        X = samples(self, X, reset=not hasattr(self, "_seen"), whole=True, ensure_all_finite="allow-nan")
        weights = weights_of(sample_weight, X)
        counted = weights if self.with_mean or self.with_std else None  # samples are left, as scikit-learn's
        found = pass_over("StandardScaler", COLUMNS, X, weights=counted)
        if not np.isfinite(found[1]).all():
            raise ValueError("StandardScaler: Input X contains infinity; remove such samples first")
        seen = self.__dict__.get("_seen")
        self._seen: NDArray[Any] = found if seen is None else join_columns([seen, found])
        self._set_attributes(self._seen, whole=sample_weight is None)
        return self

    def _set_attributes(self, moments: NDArray[Any], whole: bool) -> None:
        count, mean, squares = moments
        seen = count.astype(np.int64) if whole else count
        self.n_samples_seen_ = seen[0] if (seen == seen[0]).all() else seen
        variance = np.divide(squares, count, out=np.full_like(mean, np.nan), where=count != 0)
        mean = np.where(count != 0, mean, np.nan)
        self.mean_: Any = mean if self.with_mean or self.with_std else None
        self.var_ = variance if self.with_std else None
        scale = np.where(constant(variance, mean, count), 1.0, np.sqrt(variance))
        self.scale_: Any = scale if self.with_std else None

    def transform(self, X: Any, copy: bool | None = None) -> Any:
        """Scaled samples, in X's type: lazy if X is, else a new NumPy array (whatever `copy` says)."""
        check_is_fitted(self)
        X = samples(self, X, reset=False, ensure_all_finite="allow-nan")
        X = X - self.mean_.astype(X.dtype) if self.with_mean else X
        X = X / self.scale_.astype(X.dtype) if self.with_std else X
        return X if self.with_mean or self.with_std else X + X.dtype.type(0)

    def inverse_transform(self, X: Any, copy: bool | None = None) -> Any:
        """Samples as they were before `transform`: lazy if X is, else a new NumPy array."""
        check_is_fitted(self)
        X = samples(self, X, reset=False, ensure_all_finite="allow-nan")
        X = X * self.scale_.astype(X.dtype) if self.with_std else X
        X = X + self.mean_.astype(X.dtype) if self.with_mean else X
        return X if self.with_mean or self.with_std else X + X.dtype.type(0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def constant(variance: Any, mean: Any, count: Any) -> Any:
    """Features whose variance is no more than rounding makes of none; scikit-learn's bound.

    >>> constant(np.array([1.0, 1e-33]), np.array([1.0, 1.0]), np.array([10.0, 10.0])).tolist()
    [False, True]
    """
    eps = np.finfo(np.float64).eps
    return (variance <= count * eps * variance + (count * mean * eps) ** 2) | (variance == 0)
