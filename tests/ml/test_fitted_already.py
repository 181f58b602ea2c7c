"""Estimators that were fitted before they were wrapped, or put in by hand: called as those fitted here are."""

from __future__ import annotations

import pickle
from typing import Any

import dask.array as da
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, OneHotEncoder, OrdinalEncoder
from sklearn.svm import SVC

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = (X[:, 0] > 0).astype(np.int64)
CHUNKS = (20, 0, 17, 23)
LAZY = {"sarray": sa.from_array(X, (CHUNKS, -1)), "dask": da.from_array(X, (CHUNKS, -1))}
FITTED = LogisticRegression().fit(X, Y)


def wrapped() -> ParallelPostFit:
    """A wrapper whose `fit` was not called."""
    return ParallelPostFit(FITTED)


def put_in() -> ParallelPostFit:
    """A wrapper with an estimator put in by hand."""
    model = ParallelPostFit(LogisticRegression())
    model.estimator_ = FITTED
    return model


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("make", [wrapped, put_in])
def test_they_predict_and_score(make: Any, kind: str) -> None:
    model = make()
    np.testing.assert_array_equal(np.asarray(model.predict(LAZY[kind])), FITTED.predict(X))
    np.testing.assert_array_equal(model.predict(X), FITTED.predict(X))
    assert float(model.score(LAZY[kind], Y)) == pytest.approx(FITTED.score(X, Y))
    assert (model.classes_.tolist(), model.n_features_in_, model.estimator_ is FITTED) == ([0, 1], 4, True)
    np.testing.assert_array_equal(model.coef_, FITTED.coef_)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(np.asarray(loaded.predict(LAZY[kind])), FITTED.predict(X))


def test_fitting_leaves_the_given_one_alone() -> None:
    model = ParallelPostFit(FITTED).fit(X, 1 - Y)
    np.testing.assert_allclose(model.coef_, -FITTED.coef_, rtol=1e-3)
    np.testing.assert_array_equal(model.predict(LAZY["sarray"]), model.predict(X))
    assert FITTED.score(X, Y) > 0.9


def test_fitting_on_goes_on_from_the_given_one() -> None:
    given = SGDClassifier(random_state=0).fit(X, Y)
    model, plain = ParallelPostFit(given), SGDClassifier(random_state=0).fit(X, Y)
    before = given.coef_.copy()
    np.testing.assert_array_equal(model.partial_fit(X, 1 - Y).coef_, plain.partial_fit(X, 1 - Y).coef_)
    np.testing.assert_array_equal(given.coef_, before)


def test_what_is_fitted_anew_is_a_new_estimator_to_processes() -> None:
    given = LogisticRegression().fit(X, Y)
    model = ParallelPostFit(given)
    first = model.predict(LAZY["sarray"])
    np.testing.assert_array_equal(first.compute(executor="functions", workers=1), given.predict(X))
    given.fit(X, 1 - Y)
    np.testing.assert_array_equal(
        model.predict(LAZY["sarray"]).compute(executor="functions", workers=1), given.predict(X)
    )


def test_clones_and_estimators_not_fitted_are_not_fitted() -> None:
    for model in (clone(wrapped()), clone(put_in()), ParallelPostFit(SVC()), ParallelPostFit(FrozenEstimator(SVC()))):
        with pytest.raises(NotFittedError):
            model.predict(LAZY["sarray"])
        with pytest.raises(NotFittedError):
            model.score(LAZY["sarray"], Y)
        assert not hasattr(model, "classes_") and not hasattr(model, "estimator_")


def test_frozen_ones_and_those_that_need_no_fit() -> None:
    frozen = ParallelPostFit(FrozenEstimator(FITTED))
    np.testing.assert_array_equal(frozen.predict(LAZY["sarray"]), FITTED.predict(X))
    doubled = ParallelPostFit(FunctionTransformer(np.abs)).transform(LAZY["sarray"])
    np.testing.assert_array_equal(doubled, np.abs(X))


WORDS = np.array(["no", "perhaps", "yes"])[RNG.integers(0, 3, 60)]
NUMBERS = RNG.integers(1, 4, (60, 2))


@pytest.mark.parametrize("encoder", [OneHotEncoder(sparse_output=False), OrdinalEncoder()])
def test_encoders_know_a_row_that_they_take(encoder: Any) -> None:
    for values in (WORDS[:, None], WORDS[:, None].astype(object), NUMBERS):
        fitted = clone(encoder).fit(values)
        lazy, expected = da.from_array(values, (7, -1)), fitted.transform(values)
        np.testing.assert_array_equal(ParallelPostFit(fitted).transform(lazy).compute(), expected)
        codes = sa.from_array(expected, (7, -1))
        if values.dtype != object:
            np.testing.assert_array_equal(ParallelPostFit(fitted).inverse_transform(codes).compute(), values)


def test_encoders_of_labels_know_one_of_them() -> None:
    fitted = LabelEncoder().fit(WORDS)
    for lazy in (da.from_array(WORDS, 7), da.from_array(WORDS.astype(object), 7)):
        np.testing.assert_array_equal(ParallelPostFit(fitted).transform(lazy).compute(), fitted.transform(WORDS))
