from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import sarray as sa
from tests.arrays.drawn import NUMBERS, chunked


@given(chunked((0, 3), NUMBERS))
def test_values_come_back_as_they_were(pair: tuple[NDArray[Any], sa.Array]) -> None:
    values, x = pair
    found = x.compute(executor="serial")
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("dtype", [None, "f4", "i1", "c8", "?"])
@pytest.mark.parametrize("chunks", ["auto", 2, -1, 100])
def test_formulas_are_numpys(dtype: Any, chunks: Any) -> None:
    keywords = {"dtype": dtype, "chunks": chunks}
    pairs = [
        (sa.zeros((3, 5), **keywords), np.zeros((3, 5), dtype or "f8")),
        (sa.ones(4, **keywords), np.ones(4, dtype or "f8")),
        (sa.full((2, 3), 7, **keywords), np.full((2, 3), 7, dtype)),
        (sa.eye(4, 6, k=-1, **keywords), np.eye(4, 6, -1, dtype or "f8")),
        (sa.eye(3, **keywords), np.eye(3, dtype=dtype or "f8")),
        (sa.full((), -2.5, **keywords), np.full((), -2.5, dtype)),
        (sa.zeros((0, 3), **keywords), np.zeros((0, 3), dtype or "f8")),
    ]
    for found, expected in pairs:
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found.compute(), expected)


@given(
    st.integers(-20, 20) | st.floats(-20, 20).map(lambda x: round(x, 3)),
    st.integers(-20, 20) | st.floats(-20, 20).map(lambda x: round(x, 3)),
    st.integers(-3, 3).filter(bool) | st.floats(0.1, 3).map(lambda x: round(x, 3)),
    st.integers(1, 9),
)
def test_arange_has_numpys_bits(start: float, stop: float, step: float, chunks: int) -> None:
    expected = np.arange(start, stop, step)
    found = sa.arange(start, stop, step, chunks=chunks).compute(executor="serial")
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


def test_likes_take_shape_type_and_chunks() -> None:
    x = sa.ones((5, 3), dtype="f4", chunks=(2, 3))
    for like, value in ((sa.zeros_like(x), 0), (sa.ones_like(x), 1), (sa.full_like(x, 4), 4), (sa.empty_like(x), 0)):
        assert (like.shape, like.dtype, like.chunks) == (x.shape, x.dtype, x.chunks)
        assert (like == value).all()


def test_asarray_converts_and_leaves_arrays_alone() -> None:
    x = sa.asarray([[1, 2], [3, 4]], dtype="f4", chunks=1)
    assert (x.dtype, x.chunks) == (np.float32, ((1, 1), (1, 1)))
    assert sa.asarray(x) is x
    assert sa.asarray(x, dtype="i2", chunks=2).chunks == ((2,), (2,))
    assert sa.asarray(5).shape == ()
    values = np.zeros(3)
    kept, copied = sa.asarray(values), sa.asarray(values, copy=True)
    values[0] = 1
    assert (float(kept[0]), float(copied[0])) == (1, 0)


def test_byte_order_is_native() -> None:
    x = sa.from_array(np.arange(5, dtype=">i4"), 2)
    assert x.dtype == np.dtype("i4") and x.compute().dtype.isnative
    np.testing.assert_array_equal(x.compute(), np.arange(5))


@pytest.mark.parametrize("kind", ["h5py", "zarr", "memmap"])
def test_stores_are_read_and_written_block_by_block(kind: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((31, 17))
    openers: dict[str, Any] = {
        "h5py": lambda: h5py.File(tmp_path / "x.h5", "w").create_dataset("x", values.shape, values.dtype),
        "zarr": lambda: zarr.create_array(
            str(tmp_path / "x.zarr"), shape=values.shape, dtype=values.dtype, chunks=(7, 5)
        ),
        "memmap": lambda: np.memmap(tmp_path / "x.raw", values.dtype, "w+", shape=values.shape),
    }
    target = openers[kind]()
    sa.store(sa.from_array(values, (10, 10)) * 2, target, workers=3)
    np.testing.assert_array_equal(np.asarray(target[:]), values * 2)
    x = sa.from_array(target, (7, 5))
    np.testing.assert_array_equal(((x + 1)[3:] - x[:-3]).compute(workers=3), (values * 2 + 1)[3:] - (values * 2)[:-3])
    np.testing.assert_allclose(x.rechunk((4, 17)).sum(axis=0).compute(), values.sum(axis=0) * 2)


class Guarded:
    """A source that says so when two threads read it at once."""

    shape, dtype = (40,), np.dtype("f8")

    def __init__(self) -> None:
        self.busy = threading.Lock()

    def __getitem__(self, index: Any) -> Any:
        assert self.busy.acquire(blocking=False)
        try:
            return np.arange(40.0)[index]
        finally:
            self.busy.release()


def test_a_stranger_is_read_by_one_thread_at_a_time() -> None:
    x = sa.from_array(Guarded(), chunks=1)
    assert float(x.sum().compute(workers=4)) == 780


def test_sources_with_locks_can_be_pickled() -> None:
    from sarray.lower import lower
    from sarray.lowering.builder import Limits

    x = sa.from_array(np.arange(6), chunks=2, lock=True) + 1
    program = pickle.loads(pickle.dumps(lower([x.expression], Limits(2**20, 1)).program))
    assert program.read((next(iter(program.sources)), (1,))).tolist() == [2, 3]


def test_blocks_of_sources_cannot_be_written_to() -> None:
    values = np.zeros(4)

    def spoil(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        a += 1
        return a

    with pytest.raises(sa.TaskError, match="read-only"):
        sa.tree_reduce(sa.from_array(values, 2), spoil).compute()
    assert not values.any()


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: sa.from_array([1, 2, 3]), TypeError, r"sarray.asarray\(x\)"),
        (lambda: sa.zeros(-1), ValueError, "negative"),
        (lambda: sa.zeros(3, dtype="O"), TypeError, "object"),
        (lambda: sa.eye(-1), ValueError, "negative"),
        (lambda: sa.arange(3, step=0), ValueError, "step=0"),
        (lambda: sa.full(3, "a"), TypeError, "full"),
        (lambda: sa.full(2, 300, dtype="u1"), OverflowError, "300 out of bounds for uint8"),
        (lambda: sa.full(2, np.int64(300), dtype="u1"), OverflowError, "300 out of bounds for uint8"),
        (lambda: sa.full(2, 300.0, dtype="u1"), OverflowError, "300 out of bounds for uint8"),
        (lambda: sa.full(2, -1, dtype="u8"), OverflowError, "-1 out of bounds for uint64"),
        (lambda: sa.full(2, np.nan, dtype="i4"), ValueError, "NaN"),
        (lambda: sa.full(2, 1j, dtype="f8"), TypeError, "1j is complex and float64 is not"),
        (lambda: sa.full(2, [1, 2]), ValueError, "broadcast_to"),
        (lambda: sa.full_like(np.zeros(2, "i1"), 128), OverflowError, "128 out of bounds for int8"),
        (lambda: sa.full_like(np.zeros(2), 1j), TypeError, "1j is complex"),
        (lambda: sa.ones((2, 2.5)), TypeError, r"tuple of ints, got \(2, 2.5\)"),
        (lambda: sa.zeros("ab"), TypeError, "tuple of ints, got 'ab'"),
        (lambda: sa.eye(2.5), TypeError, r"eye: .*got \(2.5, 2.5\)"),
        (lambda: sa.arange(3, dtype=bool), TypeError, "length 2"),
        (lambda: sa.from_array(np.zeros(3, [("a", "i4")])), TypeError, "field"),
    ],
)
def test_what_is_no_array_is_refused(build: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build()


def test_a_range_of_bool_is_numpys() -> None:
    for limits in ((2,), (1,), (0,), (1, 3), (0, 4, 3)):
        found, expected = sa.arange(*limits, dtype=bool).compute(), np.arange(*limits, dtype=bool)
        assert (found.dtype, found.tolist()) == (expected.dtype, expected.tolist())


def test_fractions_fill_integers_as_in_numpy() -> None:
    assert sa.full(2, -2.5, dtype="i4").compute().tolist() == np.full(2, -2.5, dtype="i4").tolist()
    assert sa.full(np.int64(2), np.float32(0.5)).compute().tolist() == [0.5, 0.5]
