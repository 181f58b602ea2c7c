"""What transformers have in common that project samples on components: `components_`, k x n, says the rest."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from sarray.ml.rows import FLOATS, lazy


class Projection(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer of m x n samples to m x k; float32 stays float32."""

    components_: NDArray[Any]

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """`fit`, and `transform` of the same samples."""
        return self.fit(X).transform(X)

    def _projected(self, X: Any) -> Any:
        """Samples in the space of the components, checked: an `Array` of a lazy input, else a NumPy array."""
        check_is_fitted(self)
        found = lazy(X)
        return check_array(X, dtype=list(FLOATS)) if found is None else found

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
