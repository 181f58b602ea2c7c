"""On function processes: a fitted estimator goes to each process once, and fitting gives the bits of threads."""

from __future__ import annotations

import collections
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import sarray as sa
from sarray.ml import ParallelPostFit

TASKS = 20


def test_it_is_loaded_once_in_each_warm_process(tmp_path: Path, rng: np.random.Generator) -> None:
    log = tmp_path / "loaded"

    class Counted(LogisticRegression):  # type: ignore[misc]
        """Writes down each process that loads it."""

        def __setstate__(self, state: dict[str, Any]) -> None:
            super().__setstate__(state)
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")

    X = rng.standard_normal((TASKS * 10, 3))
    model = ParallelPostFit(Counted()).fit(X, X[:, 0] > 0)
    lazy = sa.from_array(X, (10, -1))
    predictions, chances = model.predict(lazy), model.predict_proba(lazy)
    assert sa.plan(predictions, chances).tasks == 2 * TASKS
    found = sa.compute(predictions, chances, executor="functions", workers=2)
    np.testing.assert_array_equal(found[0], model.predict(X))
    np.testing.assert_allclose(found[1], model.predict_proba(X), rtol=1e-12)
    loaded = collections.Counter(log.read_text().split())
    assert str(os.getpid()) not in loaded
    assert 1 <= len(loaded) <= 2
    assert set(loaded.values()) == {1}


def test_estimators_fit_on_functions_as_in_threads(rng: np.random.Generator) -> None:
    X = rng.standard_normal((200, 3)) + 5
    lazy, y = sa.from_array(X, (30, -1)), X @ np.arange(3.0)
    with sa.config(executor="functions", workers=2):
        pca, model = sa.ml.PCA(2).fit(lazy), sa.ml.LinearRegression().fit(lazy, y)
        projected, samples = pca.transform(lazy).compute(), sa.ml.make_classification(50, random_state=0, chunks=20)
        drawn = sa.compute(*samples)
    np.testing.assert_array_equal(pca.components_, sa.ml.PCA(2).fit(lazy).components_)
    np.testing.assert_array_equal(model.coef_, sa.ml.LinearRegression().fit(lazy, y).coef_)
    np.testing.assert_allclose(projected, pca.transform(X), atol=1e-12)
    for ours, threads in zip(drawn, sa.compute(*samples), strict=True):
        np.testing.assert_array_equal(ours, threads)
