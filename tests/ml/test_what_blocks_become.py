"""A block that becomes something else than the rows that were tried: held if the type can, refused and never cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import sarray as sa
from sarray.ml import ParallelPostFit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
CODED = np.round(X)
WORDS = np.array([["a", "x"], ["b", "y"], ["c", "x"]] * 4)
WRAPS = pytest.mark.parametrize("wrap", [sa.from_array, da.from_array])


def fees(samples: NDArray[Any]) -> NDArray[Any]:
    """Nothing for a row, the number 0, or a part of it; of rows without any, integers."""
    return np.array([[0 if row[0] <= 0 else row[0] * 0.37] for row in samples])


def answers(samples: NDArray[Any]) -> NDArray[Any]:
    """Words as wide as the longest."""
    return np.array(["yes" if row[0] > 0 else "n" for row in samples])


def computed(wrap: Any, function: Callable[[Any], Any], fitted: Any, samples: Any) -> Any:
    """What a function makes of lazy samples, having been fitted to others."""
    return ParallelPostFit(FunctionTransformer(function)).fit(fitted).transform(wrap(samples, (5, -1))).compute()


@WRAPS
def test_rows_that_were_fitted_to_tell_the_type(wrap: Any) -> None:
    np.testing.assert_array_equal(computed(wrap, fees, X, X), fees(X))
    np.testing.assert_array_equal(computed(wrap, np.emath.sqrt, X, X), np.emath.sqrt(X))


@WRAPS
def test_rows_are_known_from_all_over_the_samples(wrap: Any) -> None:
    ordered = X[np.argsort(X[:, 0])]
    np.testing.assert_array_equal(computed(wrap, fees, ordered, ordered), fees(ordered))


@WRAPS
@pytest.mark.parametrize(
    ("function", "fitted", "types"),
    [
        (fees, -np.abs(X), "became float64, .* int64"),
        (np.emath.sqrt, np.abs(X), "became complex128, .* float64"),
        (answers, -np.abs(X), "became <U3, .* <U1"),
        (lambda x: answers(x).astype(object if (x > 0).any() else str), -np.abs(X), "became <U3, .* <U1"),
        (lambda x: x[:, 0] > 0 if (x > 0).any() else answers(x), -np.abs(X), "became bool, .* <U1"),
        (lambda x: (x[:, 0] > 0).astype(object) if (x > 0).any() else answers(x), -np.abs(X), "became bool, .* <U1"),
        (lambda x: np.where(x > 0, "7", "8") if (x > 0).any() else x > 0, -np.abs(X), "became <U1, .* bool"),
    ],
)
def test_a_type_that_cannot_hold_a_block_is_an_error(wrap: Any, function: Any, fitted: Any, types: str) -> None:
    with pytest.raises((ValueError, sa.TaskError), match=f"transform: a block {types}.* X.compute\\(\\)"):
        computed(wrap, function, fitted, X)


@WRAPS
def test_estimators_that_work_in_place_leave_known_rows_alone(wrap: Any) -> None:
    model = ParallelPostFit(StandardScaler(copy=False)).fit(1 + np.abs(X))
    kept = model._kept[2].copy()
    for name in ("transform", "inverse_transform"):
        assert getattr(model, name)(wrap(X, (5, -1))).dtype == X.dtype
    np.testing.assert_array_equal(model._kept[2], kept)


@WRAPS
def test_estimators_that_nobody_fitted_here_are_not_cut_either(wrap: Any) -> None:
    class Wider(BaseEstimator):  # type: ignore[misc]
        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, samples: Any, y: Any = None) -> Any:
            """Learns nothing."""
            return self

        def predict(self, samples: Any) -> Any:
            """Zeros become integers."""
            return samples[:, 0] if samples.any() else samples[:, 0].astype(int)

    found = ParallelPostFit(Wider()).predict(wrap(X, (5, -1)))
    with pytest.raises((ValueError, sa.TaskError), match="predict: a block became float64"):
        found.compute()


@WRAPS
def test_a_block_of_other_columns_or_rows_is_an_error(wrap: Any) -> None:
    message = r"transform: a block of shape \(5, 3\) became \(\d, \d\), "
    for function in (lambda x: np.c_[x, x] if (x > 0).any() else x, lambda x: x[x[:, 0] <= 0]):
        with pytest.raises((ValueError, sa.TaskError), match=message):
            computed(wrap, function, -np.abs(X), X)


@WRAPS
def test_columns_are_those_of_known_rows_and_not_of_zeros(wrap: Any) -> None:
    np.testing.assert_array_equal(computed(wrap, lambda x: np.c_[x, x] if x.any() else x, X, X), np.c_[X, X])


@WRAPS
def test_rows_that_are_dropped_are_refused_at_once(wrap: Any) -> None:
    model = ParallelPostFit(FunctionTransformer(lambda x: x[x[:, 0] >= 0])).fit(-np.abs(X))
    with pytest.raises(ValueError, match=r"2 rows became \(0, 3\)"):
        model.transform(wrap(X, (5, -1)))


@WRAPS
@pytest.mark.parametrize("samples", [CODED, WORDS], ids=["numbers", "words"])
@pytest.mark.parametrize("before", [False, True], ids=["fitted here", "fitted before"])
def test_codes_go_back_where_unknown_ones_are_ignored(wrap: Any, samples: Any, before: bool) -> None:
    encoder = OneHotEncoder(handle_unknown="ignore").fit(samples)
    model = ParallelPostFit(encoder) if before else ParallelPostFit(encoder).fit(samples)
    back = model.inverse_transform(wrap(encoder.transform(samples).toarray(), (5, -1)))
    np.testing.assert_array_equal(back.compute(), samples)


def test_unknown_codes_are_objects_where_objects_can_be() -> None:
    encoder = OneHotEncoder(handle_unknown="ignore").fit(CODED)
    codes = encoder.transform(CODED).toarray()
    codes[7] = 0
    model = ParallelPostFit(encoder)
    found = model.inverse_transform(da.from_array(codes, (5, -1))).compute()
    np.testing.assert_array_equal(found, encoder.inverse_transform(codes))
    with pytest.raises(sa.TaskError, match=r"a block became object, .* float64"):
        model.inverse_transform(sa.from_array(codes, (5, -1))).compute()
