"""Least squares against scikit-learn's, whatever the chunks, the rank and the means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from sarray.ml import LinearRegression
from tests.arrays.drawn import cuts

SETTINGS = st.fixed_dictionaries({"fit_intercept": st.booleans()})


def close(ours: Any, theirs: Any, tolerance: float = 1e-9) -> None:
    """The same results, relative to the largest."""
    for name in ("coef_", "intercept_", "singular_"):
        expected = getattr(theirs, name)
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.shape(getattr(ours, name)) == np.shape(expected)
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=0, atol=tolerance * scale, err_msg=name)
    assert ours.rank_ == theirs.rank_


@settings(max_examples=60)
@given(
    data=st.data(), options=SETTINGS, rows=st.integers(2, 40), columns=st.integers(1, 6), targets=st.integers(0, 3),
    weighted=st.booleans(), seed=st.integers(0, 2**20),
)  # fmt: skip
def test_results_are_scikit_learns(
    data: st.DataObject, options: dict[str, Any], rows: int, columns: int, targets: int, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns)) + 5
    y = rng.standard_normal((rows, targets) if targets else rows)
    weights = rng.integers(1, 4, rows) if weighted else None
    lazy = sa.from_array(X, (data.draw(cuts(rows)), -1))
    ours = LinearRegression(**options).fit(lazy, sa.from_array(y, 3), sample_weight=weights)
    theirs = sklearn.linear_model.LinearRegression(**options).fit(X, y, sample_weight=weights)
    if rows > columns + 1:  # otherwise the fit is exact, and the solution of least norm as sensitive as the problem
        close(ours, theirs, 1e-7)
    np.testing.assert_allclose(ours.predict(lazy), theirs.predict(X), rtol=0, atol=1e-6 * max(1, np.abs(y).max()))
    np.testing.assert_allclose(ours.predict(X), ours.predict(lazy).compute(), atol=1e-12)


def test_the_solution_of_least_norm_where_the_rank_is_not_full(rng: np.random.Generator) -> None:
    X = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 6))
    y = rng.standard_normal(50)
    ours = LinearRegression().fit(sa.from_array(X, (11, -1)), y)
    theirs = sklearn.linear_model.LinearRegression().fit(X, y)
    assert ours.rank_ == 3
    close(ours, theirs, 1e-8)


def test_means_far_from_zero_cost_no_digits(rng: np.random.Generator) -> None:
    X, weights = rng.standard_normal((200, 3)), np.array([1.0, -2.0, 3.0])
    far = LinearRegression().fit(sa.from_array(X + 1e7, (30, -1)), X @ weights)
    np.testing.assert_allclose(far.coef_, weights, atol=1e-8)


def test_types_of_results_follow_the_samples(rng: np.random.Generator) -> None:
    X = rng.standard_normal((30, 2)).astype("f4")
    y = X[:, 0]
    for samples in (X, sa.from_array(X, (7, -1))):
        model = LinearRegression().fit(samples, y)
        assert model.coef_.dtype == np.float32 and isinstance(model.coef_, np.ndarray)
        assert model.predict(samples).dtype == np.float32
    assert isinstance(LinearRegression().fit(X, y).predict(X), np.ndarray)


def test_samples_in_files(rng: np.random.Generator) -> None:
    X = rng.standard_normal((30, 2))
    stored = zarr.create_array({}, shape=X.shape, dtype=X.dtype, chunks=(7, 2))
    stored[:] = X
    model = LinearRegression().fit(stored, X[:, 0])
    np.testing.assert_allclose(model.predict(stored), X[:, 0], atol=1e-12)
    assert isinstance(model.predict(stored), sa.Array)
    assert float(model.score(stored, X[:, 0])) == pytest.approx(1.0)


def test_targets_may_be_objects_that_are_numbers(rng: np.random.Generator) -> None:
    X, y = rng.standard_normal((30, 2)), rng.integers(0, 9, 30).astype(object)
    lazy = sa.from_array(X, (7, -1))
    np.testing.assert_allclose(LinearRegression().fit(lazy, y).coef_, LinearRegression().fit(X, y).coef_, atol=1e-12)
    np.testing.assert_array_equal(
        LinearRegression().fit(lazy, list(y)).coef_, LinearRegression().fit(lazy, y.astype(float)).coef_
    )
    for bad in ([np.nan] * 30, ["word"] * 30):
        with pytest.raises(ValueError, match=r"NaN|could not convert|bytes/strings"):
            LinearRegression().fit(lazy, np.array(bad, object))


@pytest.mark.parametrize("kind", [sa.ml.PCA, sa.ml.TruncatedSVD, sa.ml.StandardScaler, LinearRegression])
def test_zarr_arrays_of_cut_columns_are_told_what_they_have(kind: Any, rng: np.random.Generator) -> None:
    stored = zarr.create_array({}, shape=(20, 4), dtype="f8", chunks=(5, 2))
    stored[:] = X = rng.standard_normal((20, 4))
    y = (X[:, 0],) if kind is LinearRegression else ()
    with pytest.raises(ValueError, match=r"columns; type sarray.from_array\(X, chunks=\(5, -1\)\)"):
        kind().fit(stored, *y)
    kind().fit(sa.from_array(stored, chunks=(5, -1)), *y)


def test_what_cannot_be_fitted_is_refused(rng: np.random.Generator) -> None:
    X = rng.standard_normal((30, 2))
    lazy = sa.from_array(X, (7, -1))
    with pytest.raises(ValueError, match=r"type X.rechunk\(\{1: -1\}\)"):
        LinearRegression().fit(lazy.rechunk({1: 1}), X[:, 0])
    with pytest.raises(ValueError, match="there are 30 samples, and an array of shape"):
        LinearRegression().fit(lazy, X[:5, 0])
    for bad in (np.nan, np.inf):
        spoilt = X.copy()
        spoilt[20, 1] = bad
        with pytest.raises(ValueError, match="NaN or infinity"):
            LinearRegression().fit(sa.from_array(spoilt, (7, -1)), X[:, 0])
    with pytest.raises(TypeError, match="no parameter positive here; known: fit_intercept, tol; for it use sklearn"):
        LinearRegression(positive=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="X has 1 features, but LinearRegression is expecting 2"):
        LinearRegression().fit(X, X[:, 0]).predict(lazy[:, :1])
