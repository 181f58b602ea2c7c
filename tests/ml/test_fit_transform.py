"""`fit_transform` of lazy samples: the estimator's own, which may be another than `fit` and `transform`."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import NMF, DictionaryLearning
from sklearn.impute import SimpleImputer
from sklearn.manifold import LocallyLinearEmbedding
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 4)), RNG.standard_normal(60)
CODES = RNG.integers(0, 8, (60, 2)).astype(float)
CHUNKS = (20, 0, 17, 23)
WRAPS = pytest.mark.parametrize("wrap", [sa.from_array, da.from_array])
OWN: dict[str, tuple[BaseEstimator, Any]] = {
    "TargetEncoder": (TargetEncoder(cv=KFold(3)), CODES),
    "in a pipeline": (make_pipeline(TargetEncoder(cv=KFold(3)), StandardScaler()), CODES),
    "LocallyLinearEmbedding": (LocallyLinearEmbedding(n_neighbors=8, random_state=0), X),
    "NMF": (NMF(2, random_state=0, max_iter=1000, tol=1e-3), np.abs(X)),
    "DictionaryLearning": (DictionaryLearning(2, random_state=0, max_iter=5), X),
}


@WRAPS
@pytest.mark.filterwarnings("ignore:Orthogonal matching pursuit ended prematurely")
@pytest.mark.parametrize("name", OWN)
def test_numbers_are_the_estimators(name: str, wrap: Any) -> None:
    estimator, samples = OWN[name]
    expected = clone(estimator).fit_transform(samples, Y)
    other = clone(estimator).fit(samples, Y).transform(samples)
    assert not np.allclose(expected, other, rtol=1e-12, atol=0)
    lazy = wrap(samples, (CHUNKS, -1))
    found = ParallelPostFit(estimator).fit_transform(lazy, Y)
    assert isinstance(found, type(lazy)) and found.chunks[0] == CHUNKS
    np.testing.assert_array_equal(found.compute(), expected)


@WRAPS
def test_several_results_are_several_arrays(wrap: Any) -> None:
    lazy = wrap(X, (CHUNKS, -1))
    found = ParallelPostFit(PLSRegression(2)).fit_transform(lazy, Y)
    for ours, theirs in zip(found, PLSRegression(2).fit_transform(X, Y), strict=True):
        assert isinstance(ours, type(lazy))
        np.testing.assert_array_equal(ours.compute(), theirs)


@WRAPS
def test_sparse_results_are_dense_where_they_are_read(wrap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[int] = []
    plain = scipy.sparse.csr_matrix.toarray

    def counted(matrix: Any) -> Any:
        filled.append(matrix.shape[0])
        return plain(matrix)

    monkeypatch.setattr(scipy.sparse.csr_matrix, "toarray", counted)
    found = ParallelPostFit(OneHotEncoder()).fit_transform(wrap(CODES, (CHUNKS, -1)))
    assert found.shape == (60, 16) and not filled
    np.testing.assert_array_equal(found[:20].compute(), plain(OneHotEncoder().fit_transform(CODES)[:20]))
    assert set(filled) <= {0, 20}
    graph = ParallelPostFit(KNeighborsTransformer(n_neighbors=3)).fit_transform(wrap(X, (CHUNKS, -1)))
    np.testing.assert_array_equal(graph.compute(), plain(KNeighborsTransformer(n_neighbors=3).fit_transform(X)))


def test_they_go_to_functions() -> None:
    found = ParallelPostFit(OneHotEncoder()).fit_transform(sa.from_array(CODES, (CHUNKS, -1)))
    np.testing.assert_array_equal(
        found.compute(executor="functions", workers=1), OneHotEncoder().fit_transform(CODES).toarray()
    )


@WRAPS
@pytest.mark.parametrize("container", ["pandas", "default"])
def test_frames_are_for_samples_in_memory(wrap: Any, container: str) -> None:
    model = ParallelPostFit(StandardScaler())
    with sklearn.config_context(transform_output=container):
        found = model.fit_transform(wrap(X, (CHUNKS, -1)))
        assert isinstance(model.fit_transform(X), pd.DataFrame) == (container == "pandas")
    np.testing.assert_array_equal(found.compute(), StandardScaler().fit_transform(X))


def test_words_stay_words() -> None:
    words = da.from_array(np.array([["yes"], ["no"], ["perhaps"]] * 4), (5, -1)).astype(object)
    found = ParallelPostFit(SimpleImputer(strategy="most_frequent", missing_values="no")).fit_transform(words)
    np.testing.assert_array_equal(found.compute()[:3, 0], ["yes", "perhaps", "perhaps"])


def test_chunks_of_unknown_size_are_refused_before_anything_is_fitted() -> None:
    some = da.from_array(X, (20, -1))
    model = ParallelPostFit(StandardScaler())
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        model.fit_transform(some[some[:, 0] > 0])
    assert not hasattr(model, "estimator_")
