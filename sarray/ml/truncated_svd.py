"""The largest singular values of rows that do not fit into memory, without centring them."""

from __future__ import annotations

import operator
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sarray.ml.containers import lazy_stays_lazy
from sarray.ml.parameters import checked_values, instead_of
from sarray.ml.projection import Projection
from sarray.ml.row_moments import FACTOR, flipped, moments, threads_for, uncentred
from sarray.ml.rows import samples


@lazy_stays_lazy
class TruncatedSVD(Projection):
    """Projection on the right singular vectors of the largest singular values, in one pass over the samples.

    Parameters
    ----------
    n_components
        How many, at most the number of features.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, singular_values_, n_features_in_, feature_names_in_
        scikit-learn's, as NumPy arrays; signs by its `svd_flip`.

    X is m x n: arrays, lazy ones with all columns in one chunk, or anything scikit-learn takes, but no sparse
    matrices. Neither randomized nor iterated, so there is nothing to set: R of X from a tree of Householder QR
    factorizations, then the SVD of R. Backward stable. 2 m n^2 + 9 n^3 flops, in memory one block and n^2 numbers. For
    thousands of features see `sarray.svd_compressed`.

    >>> import numpy as np, sarray as sa
    >>> X = sa.asarray(np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]), chunks=(1, -1))
    >>> svd = sa.ml.TruncatedSVD(1).fit(X)
    >>> np.round(svd.singular_values_, 12), np.round(np.abs(svd.components_), 12)
    (array([4.]), array([[0., 1.]]))
    """

    _parameter_constraints: ClassVar = {"n_components": [Interval(Integral, 1, None, closed="left")]}

    @instead_of("sklearn.decomposition.TruncatedSVD")
    def __init__(self, n_components: int = 2) -> None:
        self.n_components = n_components

    def fit(self, X: Any, y: Any = None) -> TruncatedSVD:
        """Components of X; `y` is not used. ValueError for NaN, infinities and an n_components that there is not."""
        checked_values(self)
        X = samples(self, X, reset=True, whole=True)
        count = operator.index(self.n_components)
        if not 1 <= count <= X.shape[1]:
            raise ValueError(
                f"TruncatedSVD: n_components({count}) must be <= n_features({X.shape[1]}), and at least 1"
            )
        with threads_for(X.shape[1]):
            found = moments("TruncatedSVD", FACTOR, X)
            _, s, axes = np.linalg.svd(uncentred(found))
        count = min(count, *X.shape)
        self._set_attributes(s[:count], flipped(axes[:count]), found.factor / np.sqrt(X.shape[0]), X.dtype)
        return self

    def _set_attributes(self, s: NDArray[Any], axes: NDArray[Any], root: NDArray[Any], dtype: Any) -> None:
        """`root` is a square root of the covariance: root^T root."""
        variance, total = ((root @ axes.T) ** 2).sum(axis=0), (root**2).sum()
        self.components_, self.singular_values_ = axes.astype(dtype), s.astype(dtype)
        self.explained_variance_ = variance.astype(dtype)
        with np.errstate(invalid="ignore"):  # the share of nothing is NaN, as in scikit-learn
            self.explained_variance_ratio_ = (variance / total).astype(dtype)

    def transform(self, X: Any) -> Any:
        """Samples along the components, m x n_components: lazy if X is, else a NumPy array."""
        check_is_fitted(self)
        X = samples(self, X, reset=False)
        return X @ self.components_.T.astype(X.dtype)

    def inverse_transform(self, X: Any) -> Any:
        """Samples in the space of the components as samples in that of the features: lazy if X is."""
        return self._projected(X) @ self.components_
