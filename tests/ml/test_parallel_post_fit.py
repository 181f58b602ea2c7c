"""Estimators fitted here and called block by block: what they return, lazily, for every kind of input."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import LabelBinarizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

import sarray as sa
from sarray.ml import ParallelPostFit

ROWS, COLUMNS = 60, 4
CHUNKS = (0, 17, 0, 20, 23, 0)
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
ESTIMATORS: dict[str, BaseEstimator] = {
    "LogisticRegression": LogisticRegression(),
    "LinearRegression": LinearRegression(),
    "SVC": SVC(),
    "KMeans": KMeans(3, n_init=1, random_state=0),
    "PCA": PCA(2),
    "StandardScaler": StandardScaler(),
    "RandomForestClassifier": RandomForestClassifier(5, random_state=0),
}


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    X = rng.standard_normal((ROWS, COLUMNS))
    y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 1)
    y[:3] = [0, 1, 2]  # every class is there, whatever was drawn
    return X, y


@pytest.fixture
def lazies(data: tuple[NDArray[Any], NDArray[Any]]) -> dict[str, Any]:
    """The samples as each kind of lazy input."""
    X, _ = data
    stored = zarr.create_array({}, shape=X.shape, dtype=X.dtype, chunks=(17, COLUMNS))
    stored[:] = X
    return {
        "sarray": sa.from_array(X, (CHUNKS, -1)),
        "dask": da.from_array(X, chunks=(CHUNKS, -1)),
        "zarr": stored,
    }


@pytest.mark.filterwarnings("ignore:divide by zero encountered in log")  # of probabilities that are 0
@pytest.mark.parametrize("kind", ["sarray", "dask", "zarr"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_blocks_become_what_all_rows_become(
    name: str, kind: str, data: tuple[NDArray[Any], NDArray[Any]], lazies: dict[str, Any]
) -> None:
    X, y = data
    lazy, plain = lazies[kind], clone(ESTIMATORS[name]).fit(X, y)
    wrapped = ParallelPostFit(ESTIMATORS[name]).fit(X, y)
    assert sum(hasattr(wrapped, method) for method in METHODS) > 0
    for method in METHODS:
        assert hasattr(wrapped, method) == hasattr(plain, method)
        if hasattr(plain, method):
            expected, found = getattr(plain, method)(X), getattr(wrapped, method)(lazy)
            assert isinstance(found, da.Array if kind == "dask" else sa.Array)
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            assert found.chunks[0] == ((17, 17, 17, 9) if kind == "zarr" else CHUNKS)
            np.testing.assert_allclose(found.compute(), expected, rtol=1e-9, atol=1e-12)
            np.testing.assert_array_equal(getattr(wrapped, method)(X), expected)


@pytest.mark.parametrize("dtype", ["f4", "i8", "f8"])
def test_types_follow_the_samples(dtype: str, rng: np.random.Generator) -> None:
    X = rng.integers(-9, 9, (30, 3)).astype(dtype)
    scaled = ParallelPostFit(StandardScaler()).fit(X).transform(sa.from_array(X, (7, -1)))
    expected = StandardScaler().fit(X).transform(X)
    assert scaled.dtype == expected.dtype == (np.float32 if dtype == "f4" else np.float64)
    np.testing.assert_allclose(scaled, expected, rtol=1e-5)


def test_several_outputs_keep_their_shapes(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    lazy, targets = sa.from_array(X, (CHUNKS, -1)), np.stack([y, y % 2], 1)
    regressor = ParallelPostFit(RandomForestRegressor(3, random_state=0)).fit(X, X[:, :2])
    assert regressor.predict(lazy).shape == (ROWS, 2)
    np.testing.assert_array_equal(regressor.predict(lazy), regressor.predict(X))
    forest = ParallelPostFit(RandomForestClassifier(3, random_state=0)).fit(X, targets)
    found, expected = forest.predict_proba(lazy), forest.predict_proba(X)
    assert [each.shape for each in found] == [(ROWS, 3), (ROWS, 2)]
    for ours, theirs in zip(sa.compute(*found), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_options_reach_the_method(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, _ = data
    process = ParallelPostFit(GaussianProcessRegressor(optimizer=None)).fit(X[:20], X[:20, 0])
    found = process.predict(sa.from_array(X, (CHUNKS, -1)), return_std=True)
    expected = process.predict(X, return_std=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def test_components_come_back(data: tuple[NDArray[Any], NDArray[Any]], lazies: dict[str, Any]) -> None:
    X, _ = data
    pca = ParallelPostFit(PCA(2)).fit(X)
    for lazy in lazies.values():
        back = pca.inverse_transform(pca.transform(lazy))
        assert back.shape == X.shape
        np.testing.assert_allclose(np.asarray(back), pca.inverse_transform(pca.transform(X)), atol=1e-12)


def test_columns_in_several_chunks_are_refused_with_what_to_type(
    data: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    X, y = data
    model = ParallelPostFit(SVC()).fit(X, y)
    for cut in (sa.from_array(X, (20, 2)), da.from_array(X, chunks=(20, 2))):
        with pytest.raises(ValueError, match=r"predict: .*chunks of \(2, 2\) columns; type X.rechunk\(\{1: -1\}\)"):
            model.predict(cut)
    stored = zarr.create_array({}, shape=X.shape, dtype=X.dtype, chunks=(20, 2))
    stored[:] = X
    with pytest.raises(ValueError, match=r"type sarray.from_array\(X, chunks=\(20, -1\)\)"):
        model.predict(stored)
    np.testing.assert_array_equal(model.predict(sa.from_array(stored, chunks=(20, -1))), model.predict(X))


def test_dask_arrays_of_unknown_length_stay_lazy(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    model = ParallelPostFit(LogisticRegression()).fit(X, y)
    some = da.from_array(X, chunks=(20, -1))
    some = some[some[:, 0] > 0]
    np.testing.assert_array_equal(model.predict(some).compute(), model.predict(X[X[:, 0] > 0]))


def test_pandas_is_read_at_once_and_names_are_kept(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = ParallelPostFit(StandardScaler()).set_output(transform="pandas").fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert isinstance(model.transform(frame), pd.DataFrame)
    assert model.get_feature_names_out().tolist() == list("abcd")


def test_words_stay_words(data: tuple[NDArray[Any], NDArray[Any]], lazies: dict[str, Any]) -> None:
    X, y = data
    model = ParallelPostFit(SVC()).fit(X, np.array(["no", "yes", "maybe"])[y])
    np.testing.assert_array_equal(model.predict(lazies["dask"]).compute(), model.predict(X))
    np.testing.assert_array_equal(model.predict(lazies["sarray"]).compute(), model.predict(X))


def test_what_refuses_zeros_is_tried_on_known_rows(rng: np.random.Generator) -> None:
    X = rng.integers(1, 4, (30, 2))
    encoder = ParallelPostFit(OneHotEncoder()).fit(X)
    np.testing.assert_array_equal(encoder.transform(sa.from_array(X, (7, -1))), encoder.transform(X).toarray())


def test_one_column_may_be_no_axis(rng: np.random.Generator) -> None:
    y = rng.integers(0, 3, 20)
    binarizer = ParallelPostFit(LabelBinarizer()).fit(y)
    np.testing.assert_array_equal(binarizer.transform(sa.from_array(y, 6)), binarizer.transform(y))


def test_fitting_reads_lazy_samples(data: tuple[NDArray[Any], NDArray[Any]], lazies: dict[str, Any]) -> None:
    X, y = data
    for lazy in lazies.values():
        model = ParallelPostFit(LogisticRegression()).fit(lazy, sa.from_array(y, 10), sample_weight=np.ones(ROWS))
        np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(X, y).coef_)


def test_fitting_and_calling_at_once(data: tuple[NDArray[Any], NDArray[Any]], lazies: dict[str, Any]) -> None:
    X, _ = data
    for lazy in lazies.values():
        kind = da.Array if isinstance(lazy, da.Array) else sa.Array
        transformed = ParallelPostFit(PCA(2)).fit_transform(lazy)
        labels = ParallelPostFit(DBSCAN(eps=0.7)).fit_predict(lazy)
        assert isinstance(transformed, kind) and isinstance(labels, kind)
        np.testing.assert_allclose(np.asarray(transformed), PCA(2).fit_transform(X), atol=1e-12)
        np.testing.assert_array_equal(np.asarray(labels), DBSCAN(eps=0.7).fit_predict(X))


def test_fitting_on_goes_by_blocks_and_leaves_lazy_results_alone(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    lazy = sa.from_array(X, (CHUNKS, -1))
    ours, theirs = ParallelPostFit(SGDClassifier(random_state=0)), SGDClassifier(random_state=0)
    ours.partial_fit(lazy, y, classes=[0, 1, 2])
    for rows, labels in zip(np.split(X, [17, 37]), np.split(y, [17, 37]), strict=True):
        theirs.partial_fit(rows, labels, classes=[0, 1, 2])
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)
    before, expected = ours.predict(lazy), theirs.predict(X)
    ours.partial_fit(X, np.zeros(ROWS))
    np.testing.assert_array_equal(before, expected)
    assert before.name != ours.predict(lazy).name
    assert ours.predict(lazy).name == ours.predict(lazy).name


SCORES: dict[str, Callable[[], ParallelPostFit]] = {
    "accuracy": lambda: ParallelPostFit(LogisticRegression()),
    "r2": lambda: ParallelPostFit(LinearRegression()),
    "sum": lambda: ParallelPostFit(KMeans(3, n_init=1, random_state=0)),
    "mean": lambda: ParallelPostFit(GaussianMixture(2, random_state=0)),
    "asked for": lambda: ParallelPostFit(LogisticRegression(), scoring="r2"),
    "by probability": lambda: ParallelPostFit(LogisticRegression(), scoring="neg_log_loss"),
}


@pytest.mark.parametrize("kind", ["sarray", "dask", "zarr"])
@pytest.mark.parametrize("name", SCORES)
def test_scores_are_those_of_all_rows(
    name: str, kind: str, data: tuple[NDArray[Any], NDArray[Any]], lazies: dict[str, Any]
) -> None:
    X, y = data
    model = SCORES[name]().fit(X, y)
    found = model.score(lazies[kind], y)
    assert isinstance(found, float if name == "by probability" else da.Array if kind == "dask" else sa.Array)
    assert float(found) == pytest.approx(model.score(X, y), rel=1e-9)


def test_scores_take_weights(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    model, weights = ParallelPostFit(LogisticRegression()).fit(X, y), np.arange(ROWS)
    found = model.score(sa.from_array(X, (CHUNKS, -1)), y, sample_weight=weights)
    assert float(found) == pytest.approx(model.score(X, y, sample_weight=weights))


def test_a_score_that_is_no_sum_is_refused(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    class Odd(PCA):  # type: ignore[misc]
        pass

    X, _ = data
    lazy = sa.from_array(X, (20, -1))
    assert float(ParallelPostFit(Odd(2)).fit(X).score(lazy)) == pytest.approx(PCA(2).fit(X).score(X))
    with pytest.raises(TypeError, match="is a sum over samples; give ParallelPostFit"):
        ParallelPostFit(LocalOutlier()).fit(X).score(lazy)


class LocalOutlier(LocalOutlierFactor):  # type: ignore[misc]
    """Has a score that nobody knows."""

    def score(self, X: Any, y: Any = None) -> float:
        """Return nothing of interest."""
        return float(len(X))


def test_methods_and_attributes_are_those_of_the_estimator(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    assert not hasattr(ParallelPostFit(SVC()), "predict_proba")
    assert not hasattr(ParallelPostFit(StandardScaler()), "predict")
    assert not hasattr(ParallelPostFit(SVC()), "partial_fit")
    assert not hasattr(ParallelPostFit(SVC()), "n_features_in_")
    with pytest.raises(NotFittedError):
        ParallelPostFit(SVC()).predict(X)
    model = ParallelPostFit(SVC()).fit(X, y)
    assert (model.classes_.tolist(), model.n_features_in_) == ([0, 1, 2], COLUMNS)
    assert not hasattr(model, "labels_")
    assert ParallelPostFit(KMeans(3, n_init=1)).fit(X).labels_.shape == (ROWS,)
    assert not hasattr(model.estimator, "classes_")


def test_fitted_estimators_can_be_frozen_pickled_and_copied(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    lazy, fitted = sa.from_array(X, (CHUNKS, -1)), SVC().fit(X, y)
    frozen = ParallelPostFit(FrozenEstimator(fitted)).fit(X, y)
    loaded = pickle.loads(pickle.dumps(frozen))
    for model in (frozen, loaded):
        np.testing.assert_array_equal(model.predict(lazy), fitted.predict(X))


def test_no_rows_at_all(data: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = data
    model = ParallelPostFit(LogisticRegression()).fit(X, y)
    assert model.predict_proba(sa.zeros((0, COLUMNS), chunks=(1, -1))).compute().shape == (0, 3)
