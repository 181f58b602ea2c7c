"""Inside scikit-learn's pipelines, searches and validations."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import sarray as sa
from sarray.ml import ParallelPostFit

X, Y = make_classification(120, 6, random_state=0)


def test_pipelines_of_wrapped_steps_and_wrapped_pipelines() -> None:
    expected = make_pipeline(StandardScaler(), PCA(3), SVC()).fit(X, Y).predict(X)
    inside = make_pipeline(
        ParallelPostFit(StandardScaler()), ParallelPostFit(PCA(3)), ParallelPostFit(SVC())
    ).fit(X, Y)  # fmt: skip
    around = ParallelPostFit(make_pipeline(StandardScaler(), PCA(3), SVC())).fit(X, Y)
    lazy = sa.from_array(X, (50, -1))
    for model in (inside, around):
        found = model.predict(lazy)
        assert isinstance(found, sa.Array)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(model.predict(X), expected)
        assert float(model.score(lazy, Y)) == pytest.approx((expected == Y).mean())


def test_our_own_estimators_in_a_lazy_pipeline() -> None:
    model = make_pipeline(sa.ml.StandardScaler(), sa.ml.PCA(3), sa.ml.LinearRegression())
    lazy = sa.from_array(X, (50, -1))
    theirs = make_pipeline(StandardScaler(), PCA(3), LinearRegression()).fit(X, Y)
    found = model.fit(lazy, Y).predict(lazy)
    assert isinstance(found, sa.Array)
    np.testing.assert_allclose(found, theirs.predict(X), atol=1e-9)


def test_searches_find_what_they_find_without() -> None:
    grid = {"C": [0.01, 1.0, 100.0]}
    plain = GridSearchCV(LogisticRegression(), grid, cv=3).fit(X, Y)
    wrapped = GridSearchCV(ParallelPostFit(LogisticRegression()), {"estimator__C": grid["C"]}, cv=3).fit(X, Y)
    assert wrapped.best_params_ == {"estimator__C": plain.best_params_["C"]}
    np.testing.assert_array_equal(wrapped.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    searched = ParallelPostFit(GridSearchCV(LogisticRegression(), grid, cv=3)).fit(X, Y)
    np.testing.assert_array_equal(searched.predict(sa.from_array(X, (50, -1))), plain.predict(X))


@pytest.mark.parametrize("scoring", [None, "accuracy", "roc_auc"])
def test_validation_scores_are_those_without(scoring: str | None) -> None:
    plain = cross_val_score(LogisticRegression(), X, Y, cv=3, scoring=scoring)
    wrapped = ParallelPostFit(LogisticRegression())
    np.testing.assert_array_equal(cross_val_score(wrapped, X, Y, cv=3, scoring=scoring), plain)
    own = ParallelPostFit(LogisticRegression(), scoring=scoring)
    np.testing.assert_array_equal(cross_val_score(own, X, Y, cv=3), plain)


def test_lazy_samples_of_dask_are_validated_by_a_scoring_that_is_given() -> None:
    model, lazy = ParallelPostFit(LogisticRegression()), da.from_array(X, (50, -1))
    plain = cross_val_score(LogisticRegression(), X, Y, cv=3)
    np.testing.assert_array_equal(cross_val_score(model, lazy, Y, cv=3, scoring="accuracy"), plain)
    with pytest.raises(TypeError, match=r"compute first \(x.compute\(\)\[index\]\)"):
        cross_val_score(model, sa.from_array(X, (50, -1)), Y, cv=3)


def test_clones_have_parameters_and_no_state() -> None:
    model = ParallelPostFit(SVC(C=2.0), scoring="accuracy").fit(X, Y)
    copy = clone(model)
    assert (copy.estimator.C, copy.scoring) == (2.0, "accuracy")
    assert copy.estimator is not model.estimator
    assert not hasattr(copy, "estimator_")
    assert copy.set_params(estimator__C=3.0, random_state=7).get_params()["estimator__C"] == 3.0
    assert copy.estimator.random_state == 7


def test_kinds_and_weights_are_those_of_the_estimator() -> None:
    assert is_classifier(ParallelPostFit(SVC())) and is_regressor(ParallelPostFit(LinearRegression()))
    weights = np.where(Y == 1, 10.0, 1.0)
    ours = ParallelPostFit(LogisticRegression()).fit(X, Y, sample_weight=weights)
    np.testing.assert_array_equal(ours.coef_, LogisticRegression().fit(X, Y, sample_weight=weights).coef_)
    boosted = AdaBoostClassifier(ParallelPostFit(LogisticRegression()), n_estimators=2, random_state=0).fit(X, Y)
    plain = AdaBoostClassifier(LogisticRegression(), n_estimators=2, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(boosted.predict(X), plain.predict(X))
