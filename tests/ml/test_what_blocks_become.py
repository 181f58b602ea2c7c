"""A block that becomes something else than the rows that were tried: held if the type can, refused and never cut."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import MiniBatchSparsePCA, SparsePCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, OneHotEncoder, StandardScaler

import sarray as sa
from sarray.ml import ParallelPostFit
from sarray.ml.block_method import BlockScore, Method, dense
from sarray.ml.configured import Configured

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


class Centred(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Takes means off the samples that it is given."""

    def fit(self, X: Any, y: Any = None) -> Centred:
        """The means."""
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X: Any) -> Any:
        """The same array."""
        X -= self.mean_
        return X


IN_PLACE: dict[str, Any] = {
    "subtracted": Centred(),
    "by a ufunc": FunctionTransformer(lambda x: np.negative(x, out=x)),
    "where asked": StandardScaler(copy=False),
    "as it is": FunctionTransformer(),
    "in a pipeline": make_pipeline(StandardScaler(copy=False), Centred()),
    "by LAPACK": FunctionTransformer(lambda x: scipy.linalg.solve_triangular(np.eye(len(x)) * 2, x, overwrite_b=True)),
    "by FFT": FunctionTransformer(partial(scipy.fft.dct, axis=1, overwrite_x=True)),
    "though forbidden": FunctionTransformer(lambda x: (x.setflags(write=True), np.add(x, 1, out=x))[1]),
}
LAZY: dict[str, Any] = {
    "sarray": lambda x: sa.from_array(x, (13, -1)),
    "a task's result": lambda x: sa.map_blocks(np.copy, sa.from_array(x, (13, -1)), dtype=np.float64),
    "dask": lambda x: da.from_array(x, (13, -1)),
    "dask, one block": lambda x: da.from_array(x, -1),
}


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("name", IN_PLACE)
def test_estimators_may_work_in_place(name: str, kind: str) -> None:
    given = X.copy()
    model = ParallelPostFit(IN_PLACE[name]).fit(X.copy())
    found = model.transform(LAZY[kind](given)).compute()
    np.testing.assert_array_equal(found, model.transform(X.copy()))
    assert found.flags.writeable and not np.shares_memory(found, given)
    np.testing.assert_array_equal(given, X)


@pytest.mark.parametrize("kind", LAZY)
def test_scores_may_work_in_place(kind: str) -> None:
    model = ParallelPostFit(make_pipeline(Centred(), KMeans(2, n_init=1, random_state=0))).fit(X.copy())
    assert float(model.score(LAZY[kind](X.copy()))) == pytest.approx(model.score(X.copy()))


@pytest.mark.parametrize("name", [*IN_PLACE, "sparse"])
def test_blocks_that_others_read_are_left_alone(name: str) -> None:
    estimator = (IN_PLACE | {"sparse": MaxAbsScaler(copy=False)})[name].fit(X.copy())
    block: Any = scipy.sparse.csr_matrix(X) if name == "sparse" else X.copy()
    found = Method(Configured.now(estimator), "transform", (3,), X.dtype)(block)
    np.testing.assert_allclose(found, estimator.transform(X.copy()), rtol=1e-15)
    np.testing.assert_array_equal(dense(block), X)


def test_blocks_that_are_scored_are_left_alone() -> None:
    estimator = make_pipeline(Centred(), KMeans(2, n_init=1, random_state=0)).fit(X.copy())
    block = X.copy()
    assert BlockScore(Configured.now(estimator), False)(block) == pytest.approx([estimator.score(X.copy())])
    np.testing.assert_array_equal(block, X)


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


@WRAPS
@pytest.mark.parametrize("kind", [SparsePCA, MiniBatchSparsePCA])
@pytest.mark.parametrize("components", [1, 2])
def test_one_row_may_become_a_vector(wrap: Any, kind: Any, components: int) -> None:
    estimator = kind(components, random_state=0).fit(X)
    assert estimator.transform(X[:1]).shape == (components,)
    found = ParallelPostFit(estimator).transform(wrap(X, ((20, 19, 1), -1))).compute()
    np.testing.assert_allclose(found, estimator.transform(X), rtol=1e-9, atol=1e-12)


@WRAPS
def test_one_row_that_becomes_more_or_less_is_an_error(wrap: Any) -> None:
    for function in (lambda x: x if len(x) > 1 else x[0, :2], lambda x: x if len(x) > 1 else x.T):
        model = ParallelPostFit(FunctionTransformer(function)).fit(X)
        with pytest.raises((ValueError, sa.TaskError), match=r"a block of shape \(1, 3\) became \("):
            model.transform(wrap(X, ((39, 1), -1))).compute()


class Meeting:
    """Two threads within a method: the second comes while the first is there, and stays until that has left."""

    def __init__(self) -> None:
        self.arrivals = itertools.count()
        self.second_is_here, self.first_has_left = threading.Event(), threading.Event()


class Changing(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Changes itself for the time of a call and back again, as KBinsDiscretizer does; the first two calls meet."""

    meeting = Meeting()

    def fit(self, samples: Any, y: Any = None) -> Any:
        """Starts as it is between calls."""
        self.type_ = np.dtype("f8")
        return self

    def transform(self, samples: Any) -> Any:
        """The samples, of the type that the estimator has got from them."""
        before, self.type_ = self.type_, samples.dtype
        number = next(self.meeting.arrivals)
        if number == 0:
            assert self.meeting.second_is_here.wait(60)
        if number == 1:
            self.meeting.second_is_here.set()
            assert self.meeting.first_has_left.wait(60)
        found = samples.astype(self.type_)
        self.type_ = before
        if number == 0:
            self.meeting.first_has_left.set()
        return found


def test_estimators_that_change_themselves_during_a_call_are_shared_by_threads(monkeypatch: Any) -> None:
    monkeypatch.setattr(Changing, "meeting", Meeting())
    method = Method(Configured.now(Changing().fit(X)), "transform", (3,), np.dtype("f4"))
    blocks = [X[:5].astype("f4"), X[5:9].astype("f4")]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(method, blocks))
    for block, each in zip(blocks, found, strict=True):
        np.testing.assert_array_equal(each, block)
    assert next(Changing.meeting.arrivals) == 3  # the second block once more, with nobody else there


def test_an_estimator_that_cannot_be_copied_is_refused_as_others_are() -> None:
    estimator = FunctionTransformer(fees).fit(X)
    estimator.lock_ = threading.Lock()
    with pytest.raises(ValueError, match=r"transform: a block became float64, .* int64"):
        Method(Configured.now(estimator), "transform", (1,), np.dtype("i8"))(X)
