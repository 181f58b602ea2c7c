"""Principal components against scikit-learn's: attributes, projections, likelihoods, and when which method runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.decomposition
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from sarray.ml import PCA, TruncatedSVD, pca
from tests.arrays.drawn import cuts

ATTRIBUTES = ("mean_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "noise_variance_")


def spread(rng: np.random.Generator, rows: int, columns: int) -> Any:
    """Samples whose principal axes are well apart, and far from the origin."""
    basis = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    return rng.standard_normal((rows, columns)) * 2.0 ** -np.arange(columns) @ basis + 3


def close(ours: Any, theirs: Any, names: tuple[str, ...], tolerance: float) -> None:
    """The same attributes, and axes of the same directions and signs where they are determined."""
    for name in names:
        expected = getattr(theirs, name)
        assert np.shape(getattr(ours, name)) == np.shape(expected), name
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-6, atol=tolerance, err_msg=name)
    for found, expected, value in zip(ours.components_, theirs.components_, theirs.singular_values_, strict=True):
        if value > 1e-5:
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("solver", ["auto", "full", "covariance_eigh"])
@settings(max_examples=40)
@given(
    data=st.data(), rows=st.integers(3, 80), columns=st.integers(1, 6), whiten=st.booleans(), seed=st.integers(0, 2**20)
)
def test_results_are_scikit_learns(
    solver: str, data: st.DataObject, rows: int, columns: int, whiten: bool, seed: int
) -> None:
    X = spread(np.random.default_rng(seed), rows, columns)
    asked = data.draw(st.none() | st.integers(1, min(rows, columns)) | st.floats(0.1, 0.9))
    lazy = sa.from_array(X, (data.draw(cuts(rows)), -1))
    ours = PCA(asked, whiten=whiten, svd_solver=solver).fit(lazy)
    solver_there = "full" if solver == "auto" else solver  # of a covariance it counts noise otherwise where m < n
    theirs = sklearn.decomposition.PCA(asked, whiten=whiten, svd_solver=solver_there).fit(X)
    assert (ours.n_components_, ours.n_samples_, ours.n_features_in_) == (theirs.n_components_, rows, columns)
    close(ours, theirs, ATTRIBUTES, 1e-6 if solver == "covariance_eigh" else 1e-9)
    if theirs.singular_values_[-1] > 1e-2:
        np.testing.assert_allclose(ours.transform(lazy), theirs.transform(X), rtol=1e-4, atol=1e-4)
        back = theirs.inverse_transform(theirs.transform(X))
        np.testing.assert_allclose(ours.inverse_transform(ours.transform(lazy)), back, atol=1e-6)


@pytest.mark.parametrize("whiten", [False, True])
def test_lazy_stays_lazy_and_numpy_is_computed(whiten: bool, rng: np.random.Generator) -> None:
    X = spread(rng, 200, 5)
    lazy = sa.from_array(X, ((0, 60, 0, 100, 40), -1))
    ours, theirs = PCA(3, whiten=whiten), sklearn.decomposition.PCA(3, whiten=whiten)
    np.testing.assert_allclose(ours.fit_transform(X), theirs.fit_transform(X), atol=1e-8)
    for method in ("transform", "score_samples", "score"):
        found, expected = getattr(ours, method)(lazy), getattr(theirs, method)(X)
        assert isinstance(found, sa.Array)
        assert not isinstance(getattr(ours, method)(X), sa.Array)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-10)
    np.testing.assert_allclose(ours.get_precision(), theirs.get_precision(), rtol=1e-6)
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    assert ours.transform(lazy).chunks == (lazy.chunks[0], (3,))


@pytest.mark.parametrize(
    ("shape", "decay", "asked", "factored"),
    [
        ((100, 4), 1.0, 2, False),  # a good covariance
        ((100, 4), 1e-1, 2, False),  # 1e-2 is the share of the second variance, and 1e-5 that of the noise
        ((100, 4), 1e-3, 1, True),  # the noise is below 1e-6
        ((100, 4), 1e-4, 2, True),  # the second variance is below 1e-6
        ((30, 4), 1.0, 2, True),  # few rows
    ],
)
def test_auto_factors_where_a_covariance_would_not_do(
    shape: tuple[int, int], decay: float, asked: int, factored: bool, rng: np.random.Generator, monkeypatch: Any
) -> None:
    calls = []
    original = pca._factored
    monkeypatch.setattr(pca, "_factored", lambda X: calls.append(X) or original(X))
    X = rng.standard_normal(shape) * decay ** np.arange(shape[1])
    PCA(asked).fit(X)
    assert len(calls) == factored


def test_small_components_are_as_good_as_those_of_a_factorization(rng: np.random.Generator) -> None:
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    scales = np.array([1.0, 1e-3, 1e-6, 1e-9, 1e-12])
    q = np.linalg.qr(rng.standard_normal((400, 6)) + 1)[0]
    q -= q.mean(axis=0)
    X = np.linalg.qr(q)[0][:, :5] * scales @ basis
    found = PCA(4).fit(sa.from_array(X, (64, -1)))
    np.testing.assert_allclose(found.singular_values_, scales[:4], rtol=1e-5)


def test_what_there_is_not_is_refused(rng: np.random.Generator) -> None:
    X = rng.standard_normal((30, 4))
    with pytest.raises(TypeError, match="PCA: there is no parameter tol here; known: n_components, whiten, svd_solver"):
        PCA(2, tol=1.0)  # type: ignore[call-arg]
    for bad in (5, -1, 1.5, 0.0, "mle", True):
        with pytest.raises(ValueError, match="must be a number between 0 and min"):
            PCA(bad).fit(X)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="svd_solver='arpack' is not one of 'auto', 'full', 'covariance_eigh'"):
        PCA(svd_solver="arpack").fit(X)
    with pytest.raises(ValueError, match="needs 2 sample"):
        PCA().fit(sa.ones((1, 4)))


@settings(max_examples=40)
@given(data=st.data(), rows=st.integers(2, 60), columns=st.integers(2, 6), seed=st.integers(0, 2**20))
def test_truncated_svd_is_scikit_learns(data: st.DataObject, rows: int, columns: int, seed: int) -> None:
    X = spread(np.random.default_rng(seed), rows, columns)
    asked = data.draw(st.integers(1, min(rows, columns)))
    lazy = sa.from_array(X, (data.draw(cuts(rows)), -1))
    ours = TruncatedSVD(asked).fit(lazy)
    _, s, vh = np.linalg.svd(X, full_matrices=False)
    np.testing.assert_allclose(ours.singular_values_, s[:asked], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.abs(ours.components_ @ vh[:asked].T), np.eye(asked), atol=1e-6)
    projected = X @ ours.components_.T
    np.testing.assert_allclose(ours.transform(lazy), projected, atol=1e-10)
    np.testing.assert_allclose(ours.explained_variance_, projected.var(axis=0), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(ours.explained_variance_ratio_, projected.var(axis=0) / X.var(axis=0).sum(), atol=1e-9)
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(lazy)), projected @ ours.components_, atol=1e-10)


def test_truncated_svd_has_the_signs_of_scikit_learn(rng: np.random.Generator) -> None:
    X = spread(rng, 300, 6)
    ours = TruncatedSVD(3).fit(sa.from_array(X, (64, -1)))
    theirs = sklearn.decomposition.TruncatedSVD(3, algorithm="arpack").fit(X)
    close(ours, theirs, ("explained_variance_", "explained_variance_ratio_", "singular_values_"), 1e-9)
    with pytest.raises(TypeError, match="no parameter n_iter here; known: n_components; for it use sklearn"):
        TruncatedSVD(2, n_iter=7)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"n_components\(7\) must be <= n_features\(6\)"):
        TruncatedSVD(7).fit(X)
