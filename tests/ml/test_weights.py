"""Weights of samples that are read late are refused as those in memory are."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

import sarray as sa
from wukong_sched.errors import TaskError

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((50, 3)), RNG.standard_normal(50)
SAMPLES = {"memory": X, "sarray": sa.from_array(X, (20, -1)), "dask": da.from_array(X, (13, -1))}
WRAPS = {"memory": np.asarray, "sarray": lambda w: sa.from_array(w, 7), "dask": lambda w: da.from_array(w, 20)}
FITS = {
    "regression": lambda x, w: sa.ml.LinearRegression().fit(x, Y, sample_weight=w).coef_,
    "regression without an intercept": lambda x, w: sa.ml.LinearRegression(fit_intercept=False).fit(x, Y, w).coef_,
    "scaler": lambda x, w: sa.ml.StandardScaler().fit(x, sample_weight=w).mean_,
}
ONE = np.arange(50) == 33
BAD = {
    "all negative": (-np.ones(50), "Negative values in data passed to `sample_weight`"),
    "one negative": (1.0 - 2 * ONE, "Negative values in data passed to `sample_weight`"),
    "one NaN": (np.where(ONE, np.nan, 1.0), "`sample_weight`, or values that are not finite"),
    "one infinite": (np.where(ONE, np.inf, 1.0), "`sample_weight`, or values that are not finite"),
    "all zero": (np.zeros(50), "Sample weights must contain at least one non-zero number"),
    "complex": (np.ones(50) + 1j, "sample_weight: Complex data not supported"),
    "too few": (np.ones(49), r"sample_weight.shape == \(49,\), expected \(50,\)"),
    "a column": (np.ones((50, 1)), r"sample_weight.shape == \(50, 1\), expected \(50,\)"),
}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("wrap", WRAPS)
def test_bad_weights_are_named(fit: str, samples: str, bad: str, wrap: str, capfd: pytest.CaptureFixture[str]) -> None:
    weights, message = BAD[bad]
    with pytest.raises(ValueError, match=message):
        FITS[fit](SAMPLES[samples], WRAPS[wrap](weights))
    assert "parameter number" not in capfd.readouterr().err  # LAPACK's complaint


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("wrap", WRAPS)
def test_weights_may_be_zero_in_whole_blocks(fit: str, samples: str, wrap: str) -> None:
    weights = np.where(np.arange(50) < 40, 0.0, 1.0)
    expected = FITS[fit](X, weights)
    np.testing.assert_allclose(FITS[fit](SAMPLES[samples], WRAPS[wrap](weights)), expected, rtol=1e-9, atol=1e-12)


SPOILT = np.arange(50) == 3
LIGHT = np.where(np.arange(50) < 20, 0.0, 1.0)


@pytest.mark.parametrize("chunks", [(10, 40), (20, 30), (50,), (30, 20), (0, 3, 1, 46)])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_weigh_nothing_are_looked_at_too(
    chunks: tuple[int, ...], fit_intercept: bool, value: float, capfd: pytest.CaptureFixture[str]
) -> None:
    model, lazy = sa.ml.LinearRegression(fit_intercept=fit_intercept), sa.from_array(X, (chunks, -1))
    for first in (False, True):
        weights, spoilt = (LIGHT, SPOILT) if first else (LIGHT[::-1], SPOILT[::-1])
        bad = np.where(spoilt[:, None] * [False, True, False], value, X)
        with pytest.raises(ValueError, match="LinearRegression: Input X or y contains NaN or infinity"):
            model.fit(sa.from_array(bad, (chunks, -1)), Y, sample_weight=weights)
        with pytest.raises(ValueError, match="LinearRegression: Input X or y contains NaN or infinity"):
            model.fit(lazy, sa.from_array(np.where(spoilt, value, Y), 7), sample_weight=weights)
    assert "parameter number" not in capfd.readouterr().err


@pytest.mark.parametrize("chunks", [(10, 40), (20, 30), (50,), (30, 20), (0, 3, 1, 46)])
def test_infinities_that_weigh_nothing_are_refused_and_missing_samples_are_not(chunks: tuple[int, ...]) -> None:
    for spoilt, weights in ((SPOILT, LIGHT), (SPOILT[::-1], LIGHT[::-1])):
        with pytest.raises(ValueError, match="StandardScaler: Input X contains infinity"):
            infinite = sa.from_array(np.where(spoilt[:, None], np.inf, X), (chunks, -1))
            sa.ml.StandardScaler().fit(infinite, sample_weight=weights)
        missing = sa.from_array(np.where(spoilt[:, None], np.nan, X), (chunks, -1))
        found = sa.ml.StandardScaler().fit(missing, sample_weight=weights)
        np.testing.assert_allclose(found.mean_, np.average(X, axis=0, weights=weights), rtol=1e-12)


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("wrap", WRAPS)
def test_complex_targets_are_named_too(samples: str, wrap: str) -> None:
    with pytest.raises(ValueError, match="Complex data not supported"):
        sa.ml.LinearRegression().fit(SAMPLES[samples], WRAPS[wrap](Y + 1j))


def test_samples_that_are_all_missing_are_not_a_matter_of_weights() -> None:
    missing, weights = sa.from_array(np.full((6, 2), np.nan), (4, -1)), sa.from_array(np.ones(6), 5)
    assert np.isnan(sa.ml.StandardScaler().fit(missing, sample_weight=weights).mean_).all()


LABELS = (X[:, 0] > 0).astype(np.int64)
SCORES = {
    "accuracy": lambda y, w: sa.ml.accuracy_score(y, LABELS, sample_weight=w),
    "weight of the right": lambda y, w: sa.ml.accuracy_score(y, LABELS, normalize=False, sample_weight=w),
    "determination": lambda y, w: sa.ml.r2_score(y, LABELS, sample_weight=w),
}
TARGETS = {"memory": LABELS, "sarray": sa.from_array(LABELS, 20), "dask": da.from_array(LABELS, 13)}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("weights", [np.zeros(50), np.zeros(50, np.int64)], ids=["float", "int"])
def test_scores_by_no_weight_at_all_are_refused(score: str, targets: str, wrap: str, weights: NDArray[Any]) -> None:
    with pytest.raises((ValueError, TaskError), match="Sample weights must contain at least one non-zero number"):
        float(SCORES[score](TARGETS[targets], WRAPS[wrap](weights)))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("targets", ["sarray", "dask"])
def test_no_weight_in_memory_is_refused_at_once(score: str, targets: str) -> None:
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero number"):
        SCORES[score](TARGETS[targets], np.zeros(50))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("targets", ["sarray", "dask"])
@pytest.mark.parametrize("shape", [(50, 1), (49,), ()])
@pytest.mark.parametrize("wrap", WRAPS)
def test_scores_take_a_weight_for_each_sample(score: str, targets: str, shape: tuple[int, ...], wrap: str) -> None:
    weights = np.ones(shape)
    weights = weights if wrap == "memory" or not shape else WRAPS[wrap](weights)
    with pytest.raises(ValueError, match=r"sample_weight.shape == .*, expected \(50,\)"):
        SCORES[score](TARGETS[targets], weights)


@pytest.mark.parametrize("targets", ["sarray", "dask"])
@pytest.mark.parametrize("wrap", WRAPS)
def test_scores_by_weights_that_cancel_are_scikit_learns(targets: str, wrap: str) -> None:
    weights, predicted = np.where(np.arange(50) % 3, 1.0, -1.0), RNG.integers(0, 2, 50)
    found = sa.ml.accuracy_score(TARGETS[targets], predicted, sample_weight=WRAPS[wrap](weights))
    expected = sklearn.metrics.accuracy_score(LABELS, predicted, sample_weight=weights)
    assert float(found) == pytest.approx(expected)


@pytest.mark.parametrize("samples", ["sarray", "dask"])
def test_a_wrapped_score_by_no_weight_is_refused(samples: str) -> None:
    for model in (LogisticRegression(), KMeans(2, n_init=1)):
        fitted = sa.ml.ParallelPostFit(model).fit(X, LABELS)
        with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero number"):
            fitted.score(SAMPLES[samples], LABELS, sample_weight=np.zeros(50))
