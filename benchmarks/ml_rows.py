"""The rows of scikit-learn's work: for each side, how to set it up and how to measure it once; see `rows.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Measure, Row, cut, matrix, timed

CHUNKS = 20


def clusters(rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
    """Return random samples."""
    return np.random.default_rng(1).standard_normal((int(rows * scale), columns))


# SVC prediction: 400,000 rows of 20 features, 20 chunks


def fitted_svc() -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the classifier that every side predicts with, and the 1,000 samples that it is fitted to."""
    from sklearn.datasets import make_classification
    from sklearn.svm import SVC

    X, y = make_classification(n_samples=1000, n_features=20, random_state=0)
    return SVC(gamma="scale"), X, y


def svc_sarray(scale: float) -> Measure:
    import sarray as sa

    classifier, X, y = fitted_svc()
    model, values = sa.ml.ParallelPostFit(classifier).fit(X, y), clusters(400_000, 20, scale)
    samples = sa.from_array(values, chunks=(cut(len(values), CHUNKS), -1))
    return timed(lambda: model.predict(samples).compute())


def svc_sklearn(scale: float) -> Measure:
    classifier, X, y = fitted_svc()
    classifier.fit(X, y)
    values = clusters(400_000, 20, scale)
    return timed(lambda: classifier.predict(values))


def svc_dask_ml(scale: float) -> Measure:
    import dask.array as da
    from dask_ml.wrappers import ParallelPostFit

    classifier, X, y = fitted_svc()
    model, values = ParallelPostFit(classifier).fit(X, y), clusters(400_000, 20, scale)
    samples = da.from_array(values, chunks=(cut(len(values), CHUNKS), -1), name=False)
    return timed(lambda: model.predict(samples).compute(scheduler="threads"))


# PCA: 10 components of 500,000 rows of 100 features, 16 chunks


def pca_samples(scale: float) -> np.ndarray:
    """Return samples whose first ten principal axes stand out."""
    strength = np.concatenate([np.linspace(6, 2, 10), np.ones(90)])
    return matrix(int(500_000 * scale), 100) * strength + 1


def pca_sarray(scale: float) -> Measure:
    import sarray as sa

    values = pca_samples(scale)
    samples = sa.from_array(values, chunks=(cut(len(values), 16), -1))
    return timed(lambda: sa.ml.PCA(10).fit(samples))


def pca_sarray_full(scale: float) -> Measure:
    import sarray as sa

    values = pca_samples(scale)
    samples = sa.from_array(values, chunks=(cut(len(values), 16), -1))
    return timed(lambda: sa.ml.PCA(10, svd_solver="full").fit(samples))


def pca_full(scale: float) -> Measure:
    from sklearn.decomposition import PCA

    values = pca_samples(scale)
    return timed(lambda: PCA(10, svd_solver="full").fit(values))


def pca_covariance_eigh(scale: float) -> Measure:
    from sklearn.decomposition import PCA

    values = pca_samples(scale)
    return timed(lambda: PCA(10, svd_solver="covariance_eigh").fit(values))


ML_ROWS: dict[str, Row] = {
    "svc": Row(
        "SVC prediction, 400,000 x 20",
        {"sarray": svc_sarray, "sklearn": svc_sklearn, "dask_ml": svc_dask_ml},
        {"sklearn": 0.6, "dask_ml": 1.0},
    ),
    "pca": Row(
        "PCA(10) of 500,000 x 100",
        {
            "sarray": pca_sarray,
            "sarray_full": pca_sarray_full,
            "sklearn_full": pca_full,
            "sklearn_covariance_eigh": pca_covariance_eigh,
        },
        {"sklearn_full": 0.5, "sklearn_covariance_eigh": 1.0},
    ),
}

ML_THREADS: dict[str, tuple[int | None, ...]] = {"sarray": (None,), "sarray_full": (None,), "dask_ml": (1,)}
"""BLAS threads of each side; those not named are measured with one and with all, and the better one counts."""
