"""Corners where scikit-learn's numbers are easily missed: constant features, more features than samples, weights."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.decomposition
import sklearn.linear_model
import sklearn.preprocessing
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 12), st.integers(1, 5), st.floats(0.1, 1e8), st.integers(0, 2**20), st.integers(1, 12))
def test_constant_features_weigh_nothing(m: int, n: int, value: float, seed: int, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    X, y, weights = np.full((m, n), value), rng.standard_normal(m), rng.random(m) + 0.1
    model = sa.ml.LinearRegression().fit(sa.from_array(X, (chunk, -1)), y, sample_weight=weights)
    np.testing.assert_array_equal(model.coef_, np.zeros(n))
    assert model.rank_ == 0
    np.testing.assert_allclose(model.intercept_, np.average(y, weights=weights), rtol=1e-12, atol=1e-12)


def test_features_that_hardly_vary_still_count() -> None:
    X = 1e6 + 1e-3 * np.arange(8.0)[:, None]
    y = 3.0 * np.arange(8.0)
    model = sa.ml.LinearRegression(tol=0.0).fit(sa.from_array(X, (3, -1)), y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-4)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)])
@pytest.mark.parametrize("components", [1, 3, 0.6, None])
def test_noise_and_precision_are_scikit_learns(
    solver: str, shape: tuple[int, int], components: float | None, rng: np.random.Generator
) -> None:
    X = rng.standard_normal(shape)
    ours = sa.ml.PCA(components, svd_solver=solver).fit(sa.from_array(X, (2, -1)))
    theirs = sklearn.decomposition.PCA(components, svd_solver=solver).fit(X)
    assert ours.n_components_ == theirs.n_components_
    np.testing.assert_allclose(ours.noise_variance_, theirs.noise_variance_, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, atol=1e-12)
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-10)
    if theirs.noise_variance_ > 1e-8:
        np.testing.assert_allclose(ours.get_precision(), theirs.get_precision(), rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(float(ours.score(sa.from_array(X, (2, -1)))), theirs.score(X), rtol=1e-8)


@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize("with_std", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_samples_seen_are_scikit_learns(
    with_mean: bool, with_std: bool, missing: bool, rng: np.random.Generator
) -> None:
    X, weights = rng.standard_normal((12, 3)), rng.random(12) + 0.5
    X[0, 1] = np.nan if missing else 0.0
    options = {"with_mean": with_mean, "with_std": with_std}
    for given_weights in (None, weights):
        ours = sa.ml.StandardScaler(**options).fit(sa.from_array(X, (5, -1)), sample_weight=given_weights)
        theirs = sklearn.preprocessing.StandardScaler(**options).fit(X, sample_weight=given_weights)
        np.testing.assert_allclose(ours.n_samples_seen_, theirs.n_samples_seen_, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-170, 1e-163, 1e-150, 1e140])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_squares_that_underflow_are_not_taken_for_constants(
    scale: float, fit_intercept: bool, rng: np.random.Generator
) -> None:
    X = rng.standard_normal((40, 3)) * scale
    model = sa.ml.LinearRegression(fit_intercept=fit_intercept).fit(sa.from_array(X, (9, -1)), X @ [1.0, 2.0, 3.0])
    np.testing.assert_allclose(model.coef_, [1.0, 2.0, 3.0], rtol=1e-9)
    assert model.rank_ == 3


@pytest.mark.parametrize("scale", [1e-170, 1.0, 1e160])
def test_singular_values_are_no_roots_of_squares(scale: float, rng: np.random.Generator) -> None:
    X = rng.standard_normal((40, 3))
    ours = sa.ml.PCA(2, svd_solver="full").fit(sa.from_array(X * scale, (9, -1)))
    theirs = sklearn.decomposition.PCA(2, svd_solver="full").fit(X)
    np.testing.assert_allclose(ours.singular_values_, theirs.singular_values_ * scale, rtol=1e-9)
    np.testing.assert_allclose(ours.components_, theirs.components_, rtol=1e-9)


@pytest.mark.parametrize("chunks", [(4,), (0, 4), (4, 0), (2, 0, 2)])
def test_blocks_of_no_rows_are_no_distance_away(chunks: tuple[int, ...]) -> None:
    X = np.stack([np.full(4, 3e155), np.array([1.0, 2.0, 3.0, 4.0])], axis=1)
    scaler = sa.ml.StandardScaler().fit(sa.from_array(X, (chunks, -1)))
    np.testing.assert_array_equal(scaler.var_, [0.0, 1.25])
    np.testing.assert_array_equal(scaler.mean_, [3e155, 2.5])


def test_columns_that_are_all_missing_in_a_block_are_no_distance_away() -> None:
    X = np.array([[np.nan, 1.0], [np.nan, 3.0], [3e155, np.nan], [3e155, np.nan]])
    scaler = sa.ml.StandardScaler().fit(sa.from_array(X, (2, -1)))
    np.testing.assert_array_equal(scaler.var_, [0.0, 1.0])
