"""Metadata routing: a wrapper asks for what its estimator asks for, as scikit-learn's own meta-estimators do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = (X[:, 0] + RNG.standard_normal(60) > 0).astype(int)
WEIGHTS = 3 * RNG.random(60)
LAZY = sa.from_array(X, (7, -1))
WITHIN: dict[str, Callable[[Any], Any]] = {
    "alone": lambda model: model.fit(X, Y, sample_weight=WEIGHTS),
    "pipeline": lambda model: make_pipeline(model).fit(X, Y, sample_weight=WEIGHTS),
    "search": lambda model: GridSearchCV(model, {}, cv=3).fit(X, Y, sample_weight=WEIGHTS),
    "validation": lambda model: cross_validate(model, X, Y, cv=3, params={"sample_weight": WEIGHTS}),
    "on": lambda model: model.partial_fit(X, Y, classes=[0, 1], sample_weight=WEIGHTS),
    "score": lambda model: model.fit(X, Y).score(X, Y, sample_weight=WEIGHTS),
    "lazy score": lambda model: model.fit(X, Y).score(LAZY, Y, sample_weight=WEIGHTS),
}


def asking_for_scores() -> Any:
    """A classifier that asks for weights of scores."""
    return LogisticRegression().set_fit_request(sample_weight=False).set_score_request(sample_weight=True)


@pytest.fixture(autouse=True)
def routed() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("name", WITHIN)
def test_weights_that_nobody_spoke_of_are_refused(name: str) -> None:
    estimator = SGDClassifier(random_state=0) if name == "on" else LogisticRegression()
    with pytest.raises(ValueError, match=r"\[.*sample_weight.*\] are passed but are not explicitly set"):
        WITHIN[name](ParallelPostFit(estimator))


def test_weights_go_where_they_are_asked_for() -> None:
    asking = LogisticRegression().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    weighted = LogisticRegression().fit(X, Y, WEIGHTS)
    found = GridSearchCV(ParallelPostFit(asking), {}, cv=3).fit(X, Y, sample_weight=WEIGHTS).best_estimator_
    np.testing.assert_array_equal(found.coef_, weighted.coef_)
    refusing = clone(asking).set_fit_request(sample_weight=False).set_score_request(sample_weight=True)
    search = GridSearchCV(ParallelPostFit(refusing), {}, cv=3).fit(X, Y, sample_weight=WEIGHTS)
    plain = GridSearchCV(refusing, {}, cv=3).fit(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.best_estimator_.coef_, LogisticRegression().fit(X, Y).coef_)
    assert search.best_score_ == plain.best_score_ != GridSearchCV(asking, {}, cv=3).fit(X, Y).best_score_
    model = search.best_estimator_
    expected = accuracy_score(Y, model.predict(X), sample_weight=WEIGHTS)
    assert float(model.score(LAZY, Y, sample_weight=WEIGHTS)) == pytest.approx(expected)


def test_transformers_in_pipelines_get_theirs() -> None:
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    steps = scaler, LogisticRegression().set_fit_request(sample_weight=False)
    ours = make_pipeline(*map(ParallelPostFit, steps)).fit(X, Y, sample_weight=WEIGHTS)
    theirs = make_pipeline(*steps).fit(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(ours[0].mean_, StandardScaler().fit(X, sample_weight=WEIGHTS).mean_)
    np.testing.assert_array_equal(ours[1].coef_, theirs[1].coef_)


def test_fitting_on_routes_classes_and_weights() -> None:
    asking = SGDClassifier(random_state=0).set_partial_fit_request(classes=True, sample_weight=True)
    ours = ParallelPostFit(asking).partial_fit(X, Y, classes=[0, 1], sample_weight=WEIGHTS)
    theirs = SGDClassifier(random_state=0).partial_fit(X, Y, classes=[0, 1], sample_weight=WEIGHTS)
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)


@pytest.mark.parametrize("samples", [X, LAZY], ids=["memory", "lazy"])
def test_weights_of_a_given_scoring_are_the_scorers(samples: Any) -> None:
    scorer = make_scorer(accuracy_score)
    model = ParallelPostFit(LogisticRegression(), scoring=scorer).fit(X, Y)
    with pytest.raises(UnsetMetadataPassedError):
        model.score(samples, Y, sample_weight=WEIGHTS)
    model.scoring = scorer.set_score_request(sample_weight=True)
    expected = accuracy_score(Y, model.predict(X), sample_weight=WEIGHTS)
    assert float(model.score(samples, Y, sample_weight=WEIGHTS)) == pytest.approx(expected)


UNSPOKEN: dict[str, Callable[[], Any]] = {
    "wrapper's scoring": lambda: ParallelPostFit(asking_for_scores(), scoring="accuracy"),
    "search's scoring": lambda: GridSearchCV(asking_for_scores(), {}, cv=3, scoring="accuracy"),
    "searched": lambda: GridSearchCV(LogisticRegression().set_fit_request(sample_weight=False), {}, cv=3),
}


@pytest.mark.parametrize("samples", [X, LAZY], ids=["memory", "lazy"])
@pytest.mark.parametrize("within", UNSPOKEN)
def test_weights_that_nobody_within_spoke_of_are_refused(within: str, samples: Any) -> None:
    model = ParallelPostFit(UNSPOKEN[within]()).fit(X, Y)
    with pytest.raises(UnsetMetadataPassedError):
        model.score(samples, Y, WEIGHTS)
