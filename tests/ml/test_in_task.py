"""Fits to what is in memory, within a task: as scikit-learn's searches do where they run on an executor."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sarray as sa
import sarray.joblib  # registers the backend
from wukong_sched.drivers.pump import marked
from wukong_sched.errors import NestedComputeError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
Y = (X[:, 0] > 0).astype(np.int64)
WEIGHTS = RNG.random(120)
FITS = {
    "regression": lambda x: sa.ml.LinearRegression().fit(x, X[:, :2], sample_weight=WEIGHTS).coef_,
    "full": lambda x: sa.ml.PCA(2, svd_solver="full").fit_transform(x),
    "covariance": lambda x: sa.ml.PCA(2, svd_solver="covariance_eigh").fit_transform(x),
    "svd": lambda x: sa.ml.TruncatedSVD(2).fit_transform(x),
    "scaler": lambda x: sa.ml.StandardScaler().fit_transform(x),
}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("block", ["128MiB", "1KiB"])
def test_fits_are_the_same_within_a_task(name: str, block: str) -> None:
    with sa.config({"chunk_bytes": block}):
        expected = FITS[name](X)
        with marked():
            found = FITS[name](X)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", FITS)
def test_lazy_samples_are_still_refused_within_a_task(name: str) -> None:
    with marked(), pytest.raises(NestedComputeError, match="inside a task"):
        FITS[name](sa.from_array(X, (50, -1)))


@pytest.mark.parametrize("executor", ["threads", "functions"])
def test_searches_on_an_executor_find_what_they_find_here(executor: str) -> None:
    model = make_pipeline(sa.ml.StandardScaler(), sa.ml.PCA(), LogisticRegression())
    grid: dict[str, Any] = {"pca__n_components": [1, 3]}
    plain = GridSearchCV(model, grid, cv=3).fit(X, Y)
    with joblib.parallel_backend("sarray", executor=executor):
        found = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
