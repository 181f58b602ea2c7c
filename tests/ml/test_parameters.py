"""Values that a parameter cannot have are refused when an estimator is fitted, as by scikit-learn's own."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn.decomposition
import sklearn.linear_model
import sklearn.preprocessing

import sarray as sa

X = np.random.default_rng(0).standard_normal((20, 3))
SAMPLES = {"memory": X, "sarray": sa.from_array(X, (7, -1)), "dask": da.from_array(X, (7, -1))}
THEIRS: dict[Any, Any] = {
    sa.ml.LinearRegression: sklearn.linear_model.LinearRegression,
    sa.ml.PCA: sklearn.decomposition.PCA,
    sa.ml.StandardScaler: sklearn.preprocessing.StandardScaler,
    sa.ml.TruncatedSVD: sklearn.decomposition.TruncatedSVD,
}
BAD = [
    (sa.ml.LinearRegression, {"fit_intercept": "no"}),
    (sa.ml.LinearRegression, {"fit_intercept": 1}),
    (sa.ml.LinearRegression, {"tol": -1e-6}),
    (sa.ml.LinearRegression, {"tol": "small"}),
    (sa.ml.PCA, {"whiten": "x"}),
    (sa.ml.StandardScaler, {"with_mean": "a"}),
    (sa.ml.StandardScaler, {"with_std": None}),
    (sa.ml.TruncatedSVD, {"n_components": 2.0}),
    (sa.ml.TruncatedSVD, {"n_components": 0}),
]


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize(("kind", "parameters"), BAD)
def test_values_are_refused_as_by_scikit_learn(kind: Any, parameters: dict[str, Any], samples: str) -> None:
    with pytest.raises(ValueError) as expected:
        THEIRS[kind](**parameters).fit(X, X[:, 0])
    with pytest.raises(type(expected.value)) as found:
        kind(**parameters).fit(SAMPLES[samples], X[:, 0])
    assert str(found.value) == str(expected.value)
    assert all(f"'{name}' parameter of {kind.__name__}" in str(found.value) for name in parameters)


@pytest.mark.parametrize("samples", SAMPLES)
def test_they_are_not_looked_at_where_that_is_configured(samples: str) -> None:
    with sklearn.config_context(skip_parameter_validation=True):
        model = sa.ml.StandardScaler(with_mean=1).fit(SAMPLES[samples])  # type: ignore[arg-type]
    np.testing.assert_allclose(model.mean_, X.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("samples", SAMPLES)
def test_a_regression_asks_for_targets(samples: str) -> None:
    with pytest.raises(ValueError, match="This LinearRegression estimator requires y to be passed, but the target"):
        sa.ml.LinearRegression().fit(SAMPLES[samples], None)
