"""Principal components of rows that do not fit into memory.

**full**: the R factor of the centred rows, by a tree of Householder QR factorizations in one pass, and its singular
values and right singular vectors, which are those of the centred rows. Backward stable: each singular value is wrong
by a small multiple of eps s_1. 2 m n^2 flops.

**covariance_eigh**: eigenvalues and vectors of the covariance, summed in one pass about the means of pieces. Half the
flops, in products rather than factorizations, but an error of eps s_1 in s_1^2: of s_k it is larger than above by
s_1 / s_k.

**auto**: the second if it is sure to be good, and that is found out: where the rows are many (scikit-learn's rule) the
covariance is taken; if a variance that the result depends on then turns out smaller than `LOSS` times the largest,
the rows are read once more and factored in full. So the structure of what runs depends on the data: `fit` computes.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sarray.ml.containers import lazy_stays_lazy
from sarray.ml.parameters import checked_values, instead_of, one_of
from sarray.ml.projection import Projection
from sarray.ml.row_moments import FACTOR, SCATTER, flipped, moments, threads_for
from sarray.ml.rows import lazy, samples

SOLVERS = ("auto", "full", "covariance_eigh")
LOSS = 1e-6
"""Smallest share of the largest variance that is taken from a covariance: six digits of sixteen are lost there."""


class Spectrum(NamedTuple):
    """All principal axes, and the sums of squares along them."""

    shape: tuple[int, int]
    """m and n."""
    mean: NDArray[Any]
    values: NDArray[Any]
    """Singular values, in falling order: min(m, n) of a factor, n of a covariance."""
    squares: NDArray[Any]
    """Theirs, which are infinite or 0 of values that are not, if these are huge or tiny enough."""
    axes: NDArray[Any]


@lazy_stays_lazy
class PCA(Projection):
    """Principal component analysis, in one pass over the samples.

    Parameters
    ----------
    n_components
        How many: a number, None for min(m, n), or a share of the variance between 0 and 1.
    whiten
        Whether transformed samples have variance 1 along every component.
    svd_solver
        "full", "covariance_eigh", or "auto" for whichever is both fast and accurate here; see `sarray.ml.pca`.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, singular_values_, mean_, n_components_, n_samples_,
    noise_variance_, n_features_in_, feature_names_in_
        scikit-learn's, as NumPy arrays; signs by its `svd_flip`.

    X is m x n: arrays, lazy ones with all columns in one chunk, or anything scikit-learn takes, but no sparse
    matrices. In memory one block and n^2 numbers. 2 m n^2 flops for "full", m n^2 for "covariance_eigh".

    >>> import numpy as np, sarray as sa
    >>> X = sa.asarray(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), chunks=(1, -1))
    >>> pca = sa.ml.PCA(1).fit(X)
    >>> np.round(pca.components_, 4), np.round(pca.transform(X).compute()[:, 0], 4)
    (array([[0.7071, 0.7071]]), array([-1.4142,  0.    ,  1.4142]))
    """

    _parameter_constraints: ClassVar = {"whiten": ["boolean"]}

    @instead_of("sklearn.decomposition.PCA")
    def __init__(
        self, n_components: float | None = None, *, whiten: bool = False, svd_solver: str = "auto"
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.svd_solver = svd_solver

    def fit(self, X: Any, y: Any = None) -> PCA:
        """Components of X; `y` is not used. ValueError for NaN, infinities and an n_components that there is not."""
        checked_values(self)
        one_of("PCA", "svd_solver", self.svd_solver, SOLVERS)
        X = samples(self, X, reset=True, least=2, whole=True)
        _check_count(self.n_components, min(X.shape))
        with threads_for(X.shape[1]):
            self._set_attributes(self._spectrum(X), X.dtype)
        return self

    def _spectrum(self, X: Any) -> Spectrum:
        m, n = X.shape
        if self.svd_solver == "full" or (self.svd_solver == "auto" and (n > 1000 or m < 10 * n)):
            return _factored(X)
        found = _covariance(X)
        if self.svd_solver == "auto" and not self._is_accurate(found):
            return _factored(X)
        return found

    def _is_accurate(self, found: Spectrum) -> bool:
        """Whether every variance that the result depends on is well above the rounding errors of the largest."""
        count = _count(self.n_components, found)
        rest = found.squares[count:]
        needed = [found.squares[count - 1], *([rest.mean()] if len(rest) else [])]
        return bool(min(needed) >= LOSS * found.squares[0])

    def _set_attributes(self, found: Spectrum, dtype: Any) -> None:
        variance = found.squares / (found.shape[0] - 1)
        total, count = variance.sum(), _count(self.n_components, found)
        self.n_samples_, self.n_components_ = found.shape[0], count
        self.mean_ = found.mean.astype(dtype)
        self.components_ = flipped(found.axes[:count]).astype(dtype)
        self.explained_variance_ = variance[:count].astype(dtype)
        with np.errstate(invalid="ignore"):  # the share of nothing is NaN, as in scikit-learn
            self.explained_variance_ratio_ = (variance[:count] / total).astype(dtype)
        self.singular_values_ = found.values[:count].astype(dtype)
        self.noise_variance_ = float(variance[count:].mean()) if count < min(found.shape) else 0.0

    def transform(self, X: Any) -> Any:
        """Samples along the components, m x n_components_: lazy if X is, else a NumPy array."""
        check_is_fitted(self)
        X = samples(self, X, reset=False)
        scale = self._scale() if self.whiten else np.ones(1, X.dtype)
        axes = (self.components_ / scale[:, None]).astype(X.dtype).T
        return X @ axes - (self.mean_ @ axes).astype(X.dtype)

    def inverse_transform(self, X: Any) -> Any:
        """Samples that `transform` takes to X, m x n_components_: lazy if X is, else a NumPy array."""
        X = self._projected(X)
        axes = self.components_ * self._scale()[:, None] if self.whiten else self.components_
        return X @ axes + self.mean_

    def _scale(self) -> NDArray[Any]:
        """Standard deviations along the components, none below eps."""
        scale = np.sqrt(self.explained_variance_)
        found: NDArray[Any] = np.maximum(scale, np.finfo(scale.dtype).eps)
        return found

    def get_covariance(self) -> NDArray[Any]:
        """The covariance of the model, n x n: that of the components, and noise along all other directions."""
        check_is_fitted(self)
        beyond = np.maximum(self.explained_variance_ - self.noise_variance_, 0.0)
        # Of a whitened model scikit-learn scales the axes here, so that this is no covariance of X; so do we.
        axes = self.components_ * self._scale()[:, None] if self.whiten else self.components_
        covariance: NDArray[Any] = (axes.T * beyond) @ axes
        covariance.flat[:: len(covariance) + 1] += self.noise_variance_
        return covariance

    def get_precision(self) -> NDArray[Any]:
        """The inverse of `get_covariance`; where there is noise, from the components (matrix inversion lemma)."""
        check_is_fitted(self)
        noise, n = self.noise_variance_, self.components_.shape[1]
        beyond = self.explained_variance_ - noise
        if noise == 0.0 or self.whiten or not (beyond > 0).all():
            found: NDArray[Any] = np.linalg.inv(self.get_covariance())
            return found
        # the components are orthonormal: along them the precision is 1 / variance, elsewhere 1 / noise
        found = (self.components_.T * (1 / self.explained_variance_ - 1 / noise)) @ self.components_
        return found + np.eye(n) / noise

    def score_samples(self, X: Any) -> Any:
        """Log-likelihood of each sample under the model, m: lazy if X is, else a NumPy array."""
        check_is_fitted(self)
        X, precision = samples(self, X, reset=False), self.get_precision()
        away = X - self.mean_
        constant = len(precision) * np.log(2 * np.pi) - np.linalg.slogdet(precision)[1]
        return -0.5 * (away * (away @ precision)).sum(axis=1) - 0.5 * constant

    def score(self, X: Any, y: Any = None) -> Any:
        """Mean log-likelihood of the samples: a number, or a lazy one if X is lazy. `y` is not used."""
        found = self.score_samples(X).mean()
        return found if lazy(X) is not None else float(found)


def _factored(X: Any) -> Spectrum:
    found = moments("PCA", FACTOR, X)
    _, s, axes = np.linalg.svd(found.factor)
    values = s[: min(X.shape)]
    with np.errstate(over="ignore"):
        return Spectrum(X.shape, found.mean, values, values**2, axes)


def _covariance(X: Any) -> Spectrum:
    found = moments("PCA", SCATTER, X)
    squares, vectors = np.linalg.eigh(found.factor, "U")
    squares = np.maximum(squares[::-1], 0.0)
    return Spectrum(X.shape, found.mean, np.sqrt(squares), squares, vectors.T[::-1])


def _check_count(asked: Any, most: int) -> None:
    """ValueError for components that there are not; a share is below 1, a number is from 0 up."""
    if asked is None:
        return
    whole = isinstance(asked, (int, np.integer)) and not isinstance(asked, bool)
    share = isinstance(asked, (float, np.floating)) and 0 < asked < 1
    if not (share or (whole and 0 <= asked <= most)):
        raise ValueError(
            f"PCA: n_components={asked!r} must be a number between 0 and min(n_samples, n_features)={most}, None, or a "
            "share of the variance between 0.0 and 1.0"
        )


def _count(asked: Any, found: Spectrum) -> int:
    """How many components: as many as asked for, or as explain more than the share."""
    if asked is None:
        return min(found.shape)
    if isinstance(asked, (int, np.integer)):
        return int(asked)
    return int(np.searchsorted(np.cumsum(found.squares / found.squares.sum()), asked, side="right")) + 1
