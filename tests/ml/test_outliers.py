"""Outlier detectors, and whatever else scores samples one by one."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.svm import OneClassSVM

import sarray as sa
from sarray.ml import ParallelPostFit
from tests.ml.oracle import failed_checks

X = np.random.default_rng(0).standard_normal((60, 4))
CHUNKS = (20, 0, 17, 23)
DETECTORS: dict[str, BaseEstimator] = {
    "IsolationForest": IsolationForest(n_estimators=5, random_state=0),
    "LocalOutlierFactor": LocalOutlierFactor(5, novelty=True),
    "OneClassSVM": OneClassSVM(),
    "EllipticEnvelope": EllipticEnvelope(random_state=0),
}
DENSITIES = {"GaussianMixture": GaussianMixture(2, random_state=0), "KernelDensity": KernelDensity(), "PCA": PCA(2)}


@pytest.mark.parametrize("wrap", [sa.from_array, da.from_array])
@pytest.mark.parametrize("name", DETECTORS | DENSITIES)
def test_samples_are_scored_one_by_one(name: str, wrap: Any) -> None:
    model = ParallelPostFit((DETECTORS | DENSITIES)[name]).fit(X)
    lazy = wrap(X, (CHUNKS, -1))
    found = model.score_samples(lazy)
    assert isinstance(found, type(lazy)) and found.chunks == (CHUNKS,)
    np.testing.assert_allclose(found.compute(), model.estimator_.score_samples(X), rtol=1e-12)
    np.testing.assert_array_equal(model.score_samples(X), model.estimator_.score_samples(X))


def test_only_those_that_score_samples_do() -> None:
    assert not hasattr(ParallelPostFit(LogisticRegression()), "score_samples")
    assert not hasattr(ParallelPostFit(LocalOutlierFactor()), "score_samples")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name != "OneClassSVM")) for name in DETECTORS]
)
def test_checks_of_outlier_detectors(name: str) -> None:
    assert failed_checks(ParallelPostFit(DETECTORS[name])) - failed_checks(DETECTORS[name]) == {}
