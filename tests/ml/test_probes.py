"""What a method returns is found without the samples: of words, of frames, of what follows the number of rows."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder, MaxAbsScaler, OneHotEncoder

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
NUMBERS = RNG.integers(1, 4, (30, 2))
WORDS = np.array(["no", "perhaps", "yes"])[RNG.integers(0, 3, 30)]
DOCUMENTS = np.array(["a b c", "d e", "f"] * 4)
FRAME = pd.DataFrame(NUMBERS, columns=["a", "b"])


@pytest.mark.parametrize(
    "samples",
    [FRAME, NUMBERS.tolist(), NUMBERS, scipy.sparse.csr_matrix(NUMBERS), sa.from_array(NUMBERS, (7, -1)), NUMBERS[:1]],
    ids=["frame", "list", "array", "sparse", "lazy", "one row"],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_rows_of_whatever_was_fitted_to_are_kept(samples: Any) -> None:
    coder = FirstSeen().fit(samples)
    np.testing.assert_array_equal(ParallelPostFit(FirstSeen()).fit(samples).transform(sa.from_array(NUMBERS, (7, -1))),
                                  coder.transform(NUMBERS))  # fmt: skip


class FirstSeen(MaxAbsScaler):  # type: ignore[misc]
    """Refuses samples that are zero."""

    def transform(self, X: Any) -> Any:
        """As its parent does; ValueError for zeros."""
        if not np.asarray(X).all():
            raise ValueError("a sample is zero")
        return super().transform(X)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("samples", [FRAME, NUMBERS.tolist()], ids=["frame", "list"])
def test_codes_of_frames_and_lists(samples: Any) -> None:
    found = ParallelPostFit(OneHotEncoder()).fit(samples).transform(sa.from_array(NUMBERS, (7, -1)))
    np.testing.assert_array_equal(found, OneHotEncoder().fit_transform(NUMBERS).toarray())


@pytest.mark.parametrize("fitted", [str, object])
@pytest.mark.parametrize("given", [str, object])
def test_words_of_dask(fitted: Any, given: Any) -> None:
    labels, given_words = WORDS.astype(fitted), da.from_array(WORDS.astype(given), 7)
    found = ParallelPostFit(LabelEncoder()).fit(labels).transform(given_words)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found.compute(), LabelEncoder().fit_transform(WORDS))
    coded = ParallelPostFit(OneHotEncoder()).fit(labels[:, None]).transform(given_words[:, None])
    assert coded.shape == (30, 3)
    np.testing.assert_array_equal(coded.compute(), OneHotEncoder().fit_transform(WORDS[:, None]).toarray())


@pytest.mark.parametrize("given", [str, object])
def test_documents_of_dask(given: Any) -> None:
    plain = HashingVectorizer(n_features=16)
    for documents in (DOCUMENTS, DOCUMENTS.tolist()):
        model = ParallelPostFit(plain).fit(documents)
        found = model.transform(da.from_array(DOCUMENTS.astype(given), 5))
        np.testing.assert_array_equal(found.compute(), plain.transform(DOCUMENTS).toarray())


def test_words_of_an_array() -> None:
    model = ParallelPostFit(LogisticRegression()).fit(NUMBERS, WORDS)
    words = model.predict(sa.from_array(NUMBERS, (7, -1)))
    found = ParallelPostFit(LabelEncoder()).fit(WORDS).transform(words)
    np.testing.assert_array_equal(found, LabelEncoder().fit(WORDS).transform(model.predict(NUMBERS)))


def test_any_error_of_a_probe_is_that_of_the_last() -> None:
    model = ParallelPostFit(HashingVectorizer(n_features=16))  # was never fitted: nothing is known but zeros
    with pytest.raises(AttributeError, match="has no attribute 'lower'"):
        model.transform(da.from_array(DOCUMENTS.astype(object), 5))


def test_codes_go_back() -> None:
    words = np.array([["x"], ["y"]] * 5)
    model, codes = ParallelPostFit(OneHotEncoder()).fit(words), np.eye(2)[[0, 1, 1, 0]]
    for lazy in (sa.from_array(codes, (3, -1)), da.from_array(codes, (3, -1))):
        np.testing.assert_array_equal(model.inverse_transform(lazy).compute(), words[[0, 1, 1, 0]])


@pytest.mark.parametrize("wrap", [sa.from_array, da.from_array])
def test_what_follows_the_number_of_rows_is_refused(wrap: Any) -> None:
    model = ParallelPostFit(GaussianProcessRegressor(optimizer=None)).fit(X[:20], X[:20, 0])
    message = r"predict: 2 rows became \(2,\) and \(2, 2\), 8 rows \(8,\) and \(8, 8\).* call it with X.compute\(\)"
    for rows in (20, 2):
        with pytest.raises(ValueError, match=message):
            model.predict(wrap(X, (rows, -1)), return_cov=True)
    assert [each.shape for each in model.predict(wrap(X, (20, -1)), return_std=True)] == [(60,), (60,)]


SPARSE = scipy.sparse.random(60, 30, 0.2, random_state=0, format="csr")
BLOCKS = da.from_array(SPARSE.toarray(), chunks=((20, 0, 40), -1)).map_blocks(scipy.sparse.csr_matrix)


def test_sparse_blocks_of_dask() -> None:
    y = (X[:, 0] > 0).astype(int)
    model = ParallelPostFit(LogisticRegression()).fit(SPARSE, y)
    np.testing.assert_array_equal(model.predict(BLOCKS).compute(), model.predict(SPARSE))
    assert float(model.score(BLOCKS, y)) == pytest.approx(model.score(SPARSE, y))
    scaled = ParallelPostFit(MaxAbsScaler()).fit(SPARSE).transform(BLOCKS).compute()
    np.testing.assert_array_equal(scaled, MaxAbsScaler().fit_transform(SPARSE).toarray())


def test_own_scores_of_sparse_blocks_of_dask() -> None:
    model = ParallelPostFit(KMeans(3, n_init=1, random_state=0)).fit(SPARSE)
    assert float(model.score(BLOCKS)) == pytest.approx(model.score(SPARSE))
