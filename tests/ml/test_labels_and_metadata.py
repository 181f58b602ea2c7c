"""Labels that are strings, parameters that go with rows, containers that were asked for, searches within a wrapper."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 4))
NUMBERS = (X[:, 0] + 0.5 * RNG.standard_normal(30) > 0).astype(int)
WORDS = np.array(["no", "perhaps"])[NUMBERS]
CHUNKS = (10, 0, 7, 13)
LAZY = sa.from_array(X, (CHUNKS, 4))


@pytest.mark.parametrize("labels", [WORDS, WORDS.astype(object)], ids=["str", "object"])
def test_labels_that_are_strings(labels: Any) -> None:
    model = ParallelPostFit(SVC()).fit(X, labels)
    expected = SVC().fit(X, labels).predict(X)
    found = model.predict(LAZY)
    assert (found.shape, found.chunks[0], found.dtype) == ((30,), CHUNKS, np.array(labels.tolist()).dtype)
    np.testing.assert_array_equal(found.compute(), expected)
    np.testing.assert_array_equal(found[5:12].compute(), expected[5:12])
    np.testing.assert_array_equal(model.predict(da.from_array(X, (7, -1))).compute(), expected)


def test_strings_come_from_functions_too() -> None:
    found = ParallelPostFit(SVC()).fit(X, WORDS).predict(LAZY).compute(executor="functions", workers=1)
    np.testing.assert_array_equal(found, SVC().fit(X, WORDS).predict(X))


@pytest.mark.parametrize("labels", [WORDS, WORDS.astype(object), NUMBERS])
@pytest.mark.parametrize("samples", [LAZY, da.from_array(X, (7, -1)), X])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_labels(labels: Any, samples: Any, weighted: bool) -> None:
    options = {"sample_weight": np.arange(1.0, 31.0)} if weighted else {}
    expected = SVC().fit(X, labels).score(X, labels, **options)
    model = ParallelPostFit(SVC()).fit(X, labels)
    assert float(model.score(samples, labels, **options)) == pytest.approx(expected, rel=1e-12)
    if labels.dtype != object and not isinstance(samples, np.ndarray):
        assert float(model.score(samples, da.from_array(labels, 7), **options)) == pytest.approx(expected, rel=1e-12)


def test_accuracy_of_strings_one_of_which_nobody_predicts() -> None:
    lazy = ParallelPostFit(SVC()).fit(X, WORDS).predict(LAZY)
    predicted = lazy.compute()
    true = np.where(np.arange(30) < 5, "zebra", WORDS)
    expected = (true == predicted).mean()
    assert float(sa.ml.accuracy_score(true, lazy)) == expected
    assert float(sa.ml.accuracy_score(lazy, true)) == expected
    assert float(sa.ml.accuracy_score(lazy, lazy)) == 1.0
    assert float(sa.ml.accuracy_score(true, lazy, normalize=False)) == (true == predicted).sum()


def test_scorers_of_strings() -> None:
    model = ParallelPostFit(SVC(), scoring="f1_macro").fit(X, WORDS)
    assert model.score(LAZY, WORDS) == model.score(X, WORDS)


def test_unknown_chunks_are_predicted_and_scored_when_known() -> None:
    some = da.from_array(X, (7, -1))
    some = some[some[:, 1] > 0]
    model, wanted = ParallelPostFit(SVC()).fit(X, NUMBERS), X[:, 1] > 0
    np.testing.assert_array_equal(model.predict(some).compute(), SVC().fit(X, NUMBERS).predict(X[wanted]))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        model.score(some, NUMBERS[wanted])


@pytest.mark.parametrize("labels", [WORDS, NUMBERS, sa.from_array(NUMBERS, 4)])
@pytest.mark.parametrize("weights", [None, np.arange(1.0, 31.0), sa.from_array(np.arange(1.0, 31.0), 11)])
def test_partial_fits_take_what_goes_with_rows(labels: Any, weights: Any) -> None:
    known = np.asarray(labels)
    model, plain = ParallelPostFit(SGDClassifier(random_state=0)), SGDClassifier(random_state=0)
    model.partial_fit(LAZY, labels, classes=np.unique(known), sample_weight=weights)
    for low, high in [(0, 10), (10, 17), (17, 30)]:
        part = None if weights is None else np.asarray(weights)[low:high]
        plain.partial_fit(X[low:high], known[low:high], classes=np.unique(known), sample_weight=part)
    np.testing.assert_array_equal(model.coef_, plain.coef_)


def test_partial_fits_refuse_what_does_not_go_with_rows() -> None:
    with pytest.raises(ValueError, match=r"sample_weight has shape \(29,\), there are 30 samples"):
        ParallelPostFit(SGDClassifier()).partial_fit(LAZY, NUMBERS, classes=[0, 1], sample_weight=np.ones(29))


class Moved(SVC):  # type: ignore[misc]
    """Adds a number out of a long array, whose repr leaves it out."""

    def predict(self, X: Any, offset: Any = None) -> Any:
        """Labels, moved."""
        return super().predict(X) + offset[1500]


def test_options_that_look_alike_are_not_taken_for_each_other() -> None:
    model, other = ParallelPostFit(Moved()).fit(X, NUMBERS), np.zeros(3000)
    other[1500] = 5
    first, second = sa.compute(model.predict(LAZY, offset=np.zeros(3000)), model.predict(LAZY, offset=other))
    np.testing.assert_array_equal(first + 5, second)


@pytest.mark.parametrize("scoring", [None, "accuracy", "roc_auc", ["accuracy", "roc_auc"]])
def test_a_search_within_scores_by_what_it_searched_by(scoring: Any) -> None:
    refit: Any = "roc_auc" if isinstance(scoring, list) else True
    search = GridSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=2, scoring=scoring, refit=refit)
    model = ParallelPostFit(search).fit(X, NUMBERS)
    assert float(model.score(LAZY, NUMBERS)) == pytest.approx(model.estimator_.score(X, NUMBERS))


@pytest.mark.parametrize("estimator", [sa.ml.PCA(2), sa.ml.TruncatedSVD(2), sa.ml.StandardScaler()])
def test_frames_are_made_of_frames_and_lazy_samples_stay_lazy(estimator: Any) -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(estimator.fit_transform(LAZY), sa.Array)
        assert isinstance(estimator.transform(LAZY), sa.Array)
        found = estimator.fit_transform(frame)
        assert isinstance(found, pd.DataFrame) and isinstance(estimator.transform(frame), pd.DataFrame)
        assert found.columns.tolist() == estimator.get_feature_names_out().tolist()
    assert isinstance(estimator.transform(frame), np.ndarray)


def test_routed_weights_reach_the_estimator() -> None:
    weights = RNG.random(30)
    with sklearn.config_context(enable_metadata_routing=True):
        plain = LogisticRegression().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        expected = cross_val_score(plain, X, NUMBERS, cv=3, params={"sample_weight": weights})
        found = cross_val_score(ParallelPostFit(plain), X, NUMBERS, cv=3, params={"sample_weight": weights})
    np.testing.assert_array_equal(found, expected)
