"""scikit-learn on arrays larger than memory: predictions in parallel, and estimators by this project's linear algebra.

>>> import sarray as sa
>>> X, y = sa.ml.make_regression(10_000, 4, noise=1.0, random_state=0, chunks=(1000, -1))
>>> model = sa.ml.LinearRegression().fit(X, y)
>>> float(model.score(X, y)) > 0.99
True

Estimators need scikit-learn (``pip install "sarray[ml]"``), which is imported when one is first used: a function that
computes their tasks does without. An input is lazy if it is an `sarray.Array`, a Dask array or a Zarr array; results of
lazy inputs are lazy, and what `fit` learns is NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sarray.ml.datasets import make_classification, make_regression
    from sarray.ml.linear_regression import LinearRegression
    from sarray.ml.metrics import accuracy_score, r2_score
    from sarray.ml.parallel_post_fit import ParallelPostFit
    from sarray.ml.pca import PCA
    from sarray.ml.standard_scaler import StandardScaler
    from sarray.ml.truncated_svd import TruncatedSVD

__all__ = [
    "PCA",
    "LinearRegression",
    "ParallelPostFit",
    "StandardScaler",
    "TruncatedSVD",
    "accuracy_score",
    "make_classification",
    "make_regression",
    "r2_score",
]

HOMES = {
    "PCA": "pca",
    "LinearRegression": "linear_regression",
    "ParallelPostFit": "parallel_post_fit",
    "StandardScaler": "standard_scaler",
    "TruncatedSVD": "truncated_svd",
    "accuracy_score": "metrics",
    "make_classification": "datasets",
    "make_regression": "datasets",
    "r2_score": "metrics",
}
"""Public name -> the file that it is in, loaded at its first use."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A public name, from its file; or a file, as in ``sarray.ml.datasets.make_classification``."""
        if name in HOMES.values():
            return importlib.import_module(f"sarray.ml.{name}")
        if name not in HOMES:
            raise AttributeError(f"module 'sarray.ml' has no attribute {name!r}; it has {', '.join(__all__)}")
        return getattr(importlib.import_module(f"sarray.ml.{HOMES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted(__all__)
