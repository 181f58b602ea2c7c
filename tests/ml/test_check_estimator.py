"""No check of scikit-learn fails that its own estimator passes."""

from __future__ import annotations

from typing import Any

import pytest
import sklearn.decomposition
import sklearn.linear_model
import sklearn.preprocessing
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from sarray import ml
from tests.ml.oracle import failed_checks

BARE: dict[str, BaseEstimator] = {
    "LogisticRegression": sklearn.linear_model.LogisticRegression(),
    "LinearRegression": sklearn.linear_model.LinearRegression(),
    "SVC": SVC(),
    "KMeans": KMeans(),
    "PCA": sklearn.decomposition.PCA(),
    "StandardScaler": sklearn.preprocessing.StandardScaler(),
    "RandomForestClassifier": RandomForestClassifier(10, random_state=0),
}
OURS: dict[str, tuple[Any, BaseEstimator]] = {
    "LinearRegression": (ml.LinearRegression(), sklearn.linear_model.LinearRegression()),
    "LinearRegression(fit_intercept=False)": (
        ml.LinearRegression(fit_intercept=False),
        sklearn.linear_model.LinearRegression(fit_intercept=False),
    ),
    "PCA": (ml.PCA(), sklearn.decomposition.PCA()),
    "PCA(whiten=True)": (ml.PCA(2, whiten=True), sklearn.decomposition.PCA(2, whiten=True)),
    "PCA(svd_solver='covariance_eigh')": (
        ml.PCA(svd_solver="covariance_eigh"),
        sklearn.decomposition.PCA(svd_solver="covariance_eigh"),
    ),
    "TruncatedSVD": (ml.TruncatedSVD(), sklearn.decomposition.TruncatedSVD()),
    "StandardScaler": (ml.StandardScaler(), sklearn.preprocessing.StandardScaler()),
}


SLOW = {"LogisticRegression", "KMeans"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name in SLOW)) for name in BARE])
def test_wrapped_estimators(name: str) -> None:
    assert failed_checks(ml.ParallelPostFit(BARE[name])) - failed_checks(BARE[name]) == {}


@pytest.mark.parametrize("name", OURS)
def test_estimators_of_our_own(name: str) -> None:
    ours, theirs = OURS[name]
    assert failed_checks(ours) - failed_checks(theirs) == {}
