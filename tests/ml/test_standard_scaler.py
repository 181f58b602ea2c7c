"""Scaling against scikit-learn's: weights, missing values, constant features, samples that come one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.preprocessing
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from sarray.ml import StandardScaler
from tests.arrays.drawn import cuts

OPTIONS = st.fixed_dictionaries({"with_mean": st.booleans(), "with_std": st.booleans()})


def same(ours: Any, theirs: Any) -> None:
    """The same attributes."""
    for name in ("mean_", "var_", "scale_", "n_samples_seen_"):
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert (found is None) == (expected is None), name
        if expected is not None:
            assert np.shape(found) == np.shape(expected), name
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(max_examples=60)
@given(
    data=st.data(), options=OPTIONS, rows=st.integers(1, 40), columns=st.integers(1, 4), missing=st.booleans(),
    weighted=st.booleans(), seed=st.integers(0, 2**20),
)  # fmt: skip
def test_results_are_scikit_learns(
    data: st.DataObject, options: dict[str, bool], rows: int, columns: int, missing: bool, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns)) * 3 + 100
    X[:, 0] = 7.1
    if missing:
        X[1:][rng.random((rows - 1, columns)) < 0.3] = np.nan
    weights = rng.integers(1, 5, rows) * 1.0 if weighted and any(options.values()) else None
    lazy = sa.from_array(X, (data.draw(cuts(rows)), -1))
    ours = StandardScaler(**options).fit(lazy, sample_weight=weights)
    theirs = sklearn.preprocessing.StandardScaler(**options).fit(X, sample_weight=weights)
    same(ours, theirs)
    scaled = ours.transform(lazy)
    assert isinstance(scaled, sa.Array)
    np.testing.assert_allclose(scaled, theirs.transform(X), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.inverse_transform(scaled), X, rtol=1e-10)


def test_samples_may_come_one_after_another(rng: np.random.Generator) -> None:
    X = rng.standard_normal((90, 3)) + 1e6
    ours, theirs = StandardScaler(), sklearn.preprocessing.StandardScaler().fit(X)
    for part in np.split(X, [10, 55]):
        ours.partial_fit(sa.from_array(part, (8, -1)))
    same(ours, theirs)
    same(ours.fit(X[:5]), sklearn.preprocessing.StandardScaler().fit(X[:5]))


def test_types_stay(rng: np.random.Generator) -> None:
    X = rng.standard_normal((20, 2)).astype("f4")
    lazy = sa.from_array(X, (6, -1))
    scaler = StandardScaler().fit(lazy)
    assert scaler.transform(lazy).dtype == scaler.transform(X).dtype == np.float32
    assert scaler.mean_.dtype == np.float64
    plain = StandardScaler(with_mean=False, with_std=False).fit(X)
    assert plain.transform(X) is not X


def test_variances_survive_means_that_dwarf_them(rng: np.random.Generator) -> None:
    X = rng.standard_normal((2000, 1)) * 1e-3 + 1e9
    found = StandardScaler().fit(sa.from_array(X, (300, -1)))
    # The means themselves are rounded to 1e-7, a ten-thousandth of the deviation.
    np.testing.assert_allclose(found.var_, (X - 1e9).var(axis=0), rtol=1e-4)


def test_infinities_are_refused(rng: np.random.Generator) -> None:
    X = rng.standard_normal((20, 2))
    X[13, 1] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        StandardScaler().fit(sa.from_array(X, (6, -1)))
    with pytest.raises(TypeError, match="no parameter copy here"):
        StandardScaler(copy=False)  # type: ignore[call-arg]
