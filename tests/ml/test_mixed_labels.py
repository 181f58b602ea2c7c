"""Labels of different types: equal where Python says so, and no number is compared with a string."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import sarray as sa
from sarray.ml import ParallelPostFit, accuracy_score

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 2))
NUMBERS = (X[:, 0] > 0).astype(int)
OTHERS = np.where(np.arange(30) % 3, NUMBERS, 1 - NUMBERS)
WORDS, OTHER_WORDS = (np.array(["no", "yes"])[each] for each in (NUMBERS, OTHERS))
KINDS: dict[str, Any] = {
    "object": lambda y: y.astype(object),
    "float": lambda y: y * 1.0,
    "object float": lambda y: (y * 1.0).astype(object),
    "bool": lambda y: y.astype(bool),
    "object bool": lambda y: y.astype(bool).astype(object),
    "Int64": lambda y: pd.Series(y, dtype="Int64"),
    "category": lambda y: pd.Series(y, dtype="category"),
    "series": lambda y: pd.Series(y, dtype=object),
    "list": lambda y: y.tolist(),
}
WRAPS = pytest.mark.parametrize("wrap", [sa.from_array, da.from_array])


@WRAPS
@pytest.mark.parametrize("kind", KINDS)
def test_equal_numbers_are_counted_whatever_their_type(kind: str, wrap: Any) -> None:
    true, expected = KINDS[kind](NUMBERS), (NUMBERS == OTHERS).mean()
    assert float(accuracy_score(true, wrap(OTHERS, 7))) == expected
    assert float(accuracy_score(wrap(OTHERS, 7), true)) == expected
    model = ParallelPostFit(LogisticRegression()).fit(X, OTHERS)
    assert float(model.score(wrap(X, (7, -1)), true)) == (model.predict(X) == NUMBERS).mean()


@WRAPS
@pytest.mark.parametrize("kind", [str, object, lambda y: pd.Series(y), list])
def test_equal_words_are_counted_whatever_their_type(kind: Any, wrap: Any) -> None:
    true = WORDS.astype(kind) if isinstance(kind, type) and kind is not list else kind(WORDS)
    model = ParallelPostFit(LogisticRegression()).fit(X, OTHER_WORDS)
    assert float(model.score(wrap(X, (7, -1)), true)) == (model.predict(X) == WORDS).mean()


MIXED: dict[str, tuple[Any, Any]] = {
    "strings and numbers": (NUMBERS.astype(str), lambda wrap: wrap(NUMBERS, 7)),
    "objects and numbers": (NUMBERS.astype(str).astype(object), lambda wrap: wrap(NUMBERS, 7)),
    "a list": ([0, "1"] * 15, lambda wrap: wrap(NUMBERS, 7)),
    "numbers and strings": (NUMBERS, lambda wrap: lazy_words(wrap)),
}


def lazy_words(wrap: Any) -> Any:
    """Predictions that are words."""
    return ParallelPostFit(LogisticRegression()).fit(X, WORDS).predict(wrap(X, (7, -1)))


@WRAPS
@pytest.mark.parametrize("name", MIXED)
def test_numbers_are_not_compared_with_strings(name: str, wrap: Any) -> None:
    true, make = MIXED[name]
    for first, second in ((true, make(wrap)), (make(wrap), true)):
        with pytest.raises(ValueError, match=r"Mix of label input types \(string and number\): y_true has .*, y_pred "):
            accuracy_score(first, second)


def test_lazy_strings_are_not_compared_with_lazy_numbers() -> None:
    with pytest.raises(ValueError, match="y_true has <U3, y_pred int64"):
        accuracy_score(lazy_words(sa.from_array), sa.from_array(NUMBERS, 7))


def test_objects_of_dask_are_looked_at_when_they_are_read() -> None:
    words = da.from_array(WORDS.astype(object), (15,))
    assert float(accuracy_score(words, OTHER_WORDS)) == (WORDS == OTHER_WORDS).mean()
    assert float(accuracy_score(words, da.from_array(OTHER_WORDS.astype(object), 7))) == (WORDS == OTHER_WORDS).mean()
    assert float(accuracy_score(da.from_array(NUMBERS.astype(object), 7), OTHERS)) == (NUMBERS == OTHERS).mean()
    for first, second in ((words, NUMBERS), (NUMBERS, words)):
        with pytest.raises(ValueError, match="Mix of label input types"):
            accuracy_score(first, second).compute()


@WRAPS
@pytest.mark.parametrize("missing", [None, pd.NA, (1, 2)])
def test_what_is_neither_is_refused(wrap: Any, missing: Any) -> None:
    labels: NDArray[Any] = np.empty(30, object)
    labels[:] = NUMBERS
    labels[3] = missing
    with pytest.raises(ValueError, match=r"neither all numbers nor all strings: \w+, \w+"):
        accuracy_score(labels, wrap(NUMBERS, 7))


@WRAPS
def test_a_score_without_targets_says_so(wrap: Any) -> None:
    model = ParallelPostFit(LogisticRegression()).fit(X, NUMBERS)
    with pytest.raises(TypeError, match=r"LogisticRegression .* write score\(X, y\)"):
        model.score(wrap(X, (7, -1)))
