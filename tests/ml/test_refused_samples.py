"""Samples that are not rows of features: what the error says."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from sklearn.linear_model import LogisticRegression

import sarray as sa
from sarray.ml import ParallelPostFit

X = np.random.default_rng(0).standard_normal((60, 4))
Y = (X[:, 0] > 0).astype(np.int64)
LAZY = {"sarray": sa.from_array(X, (20, -1)), "dask": da.from_array(X, (20, -1))}


@pytest.fixture
def model() -> ParallelPostFit:
    return ParallelPostFit(LogisticRegression()).fit(X, Y)


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("count", [10, 61])
def test_targets_that_are_not_as_many_as_samples(model: ParallelPostFit, kind: str, count: int) -> None:
    targets = np.resize(Y, count)
    for y in (targets, sa.from_array(targets, 7), da.from_array(targets, 7)):
        with pytest.raises(ValueError, match=rf"y_true has shape \({count},\), y_pred \(60,\); they must be the same"):
            model.score(LAZY[kind], y)


@pytest.mark.parametrize("kind", LAZY)
def test_samples_without_an_axis_of_features(model: ParallelPostFit, kind: str) -> None:
    message = r"predict: expected 2D array, got shape \(60,\); write X\[:, None\]"
    with pytest.raises(ValueError, match=message) as caught:
        model.predict(LAZY[kind][:, 0])
    assert "[0. 0.]" not in str(caught.value)
    with pytest.raises(ValueError, match=r"predict: expected an array of samples, got shape \(\)"):
        model.predict(LAZY[kind][0, 0])


def test_a_number_of_features_that_nobody_knows(model: ParallelPostFit) -> None:
    some: Any = LAZY["dask"][:, da.from_array(np.ones(4, bool), chunks=4)]
    with pytest.raises(
        ValueError, match=r"predict: needs to know how many columns there are; .* type X = X.compute_chunk_sizes\(\)"
    ):
        model.predict(some)


def test_a_zarr_group_is_no_array(model: ParallelPostFit) -> None:
    group = zarr.create_group({})
    group.create_array("x", shape=X.shape, dtype=X.dtype)[:] = X
    for call in (model.predict, model.score, sa.ml.PCA(2).fit, ParallelPostFit(LogisticRegression()).fit):
        with pytest.raises(TypeError, match=r"Zarr group .* its arrays: \['x'\]; write group\['x'\]"):
            call(group, Y) if call != model.predict else call(group)
