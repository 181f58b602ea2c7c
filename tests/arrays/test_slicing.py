from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

import sarray as sa
from tests.arrays.drawn import chunked, cuts

Pair = tuple[NDArray[Any], sa.Array]


def hidden(x: sa.Array) -> sa.Array:
    """The same values behind an operation that slices do not go through."""
    return x.sum(axis=())


@given(chunked((0, 3)), st.data(), st.booleans())
def test_basic_indexing_is_numpys(pair: Pair, data: st.DataObject, direct: bool) -> None:
    values, x = pair
    index = data.draw(npst.basic_indices(values.shape, allow_newaxis=True, max_dims=5))
    y = (x if direct else hidden(x))[index]
    np.testing.assert_array_equal(y.compute(executor="serial"), values[index])
    assert y.shape == values[index].shape


@given(chunked((1, 3)), st.data())
def test_slices_go_through_functions_and_views(pair: Pair, data: st.DataObject) -> None:
    values, x = pair
    index = data.draw(npst.basic_indices(values.shape[::-1]))
    with np.errstate(all="ignore"):
        found = (x * 2 + x[:1]).T[index] if values.shape[0] else (x * 2).T[index]
        expected = (values * 2 + values[:1]).T[index] if values.shape[0] else (values * 2).T[index]
        np.testing.assert_array_equal(found.compute(executor="serial"), expected)


@given(chunked((1, 3)), st.data())
def test_rechunking_keeps_the_values(pair: Pair, data: st.DataObject) -> None:
    values, x = pair
    chunks = tuple(data.draw(cuts(extent, min(3, extent + 1))) for extent in values.shape)
    for source in (x, hidden(x)):
        y = source.rechunk(chunks)
        assert y.chunks == chunks
        np.testing.assert_array_equal(y.compute(executor="serial"), values)


def test_a_slice_of_unit_step_moves_nothing() -> None:
    x = hidden(sa.ones((100, 20), chunks=(10, 5)))
    for part, tiles in ((x[1:], 40), (x[7:93, 3:4], 10), (x[::-1], 40), (x[35], 4)):
        found = part.plan()
        moves = [work for work in found.work if work.operation == "slice"]
        assert sum(work.tasks for work in moves) == tiles
        assert all(work.bytes_in == work.bytes_out for work in moves)
    assert x[1:].chunks == ((9,) + (10,) * 9, (5,) * 4)
    assert x[::-1][5:].chunks[0] == (5,) + (10,) * 9


def test_a_slice_of_a_source_is_a_source() -> None:
    x = sa.from_array(np.arange(100), 10)
    assert (x[5:][:50] + 1).plan().tasks == 6
    assert (x[5:] + x[:-5]).plan().bytes_read == 2 * 95 * 8


def test_only_what_is_asked_for_is_computed() -> None:
    x = sa.exp(sa.from_array(np.zeros((1000, 1000)), 10)) + 1
    assert x[0, 0].plan().tasks == 1
    assert x.T[:10, 990:].plan().tasks == 1


def test_a_slice_of_many_shared_terms_is_cheap_to_build() -> None:
    x = sa.ones(10, chunks=3)
    for _ in range(60):
        x = x + x
    assert float(x[4]) == 2.0**60


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        ((0, 0, 0), IndexError, "too many indices"),
        (4, IndexError, "out of bounds for axis 0 of extent 4"),
        ((0, -5), IndexError, "out of bounds for axis 1"),
        ((..., ...), IndexError, "one ellipsis"),
        ([0, 1], TypeError, "compute first"),
        (np.array([0, 1]), TypeError, "where"),
        (np.zeros((4, 4), bool), TypeError, "mask"),
        (True, TypeError, "ints, slices"),
        (1.0, TypeError, "ints, slices"),
        (slice(None, None, 0), ValueError, "zero"),
    ],
)
def test_other_indices_are_refused(index: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sa.ones((4, 4), chunks=2)[index]


def test_an_index_may_be_any_integer() -> None:
    x = sa.arange(4, chunks=2)
    assert [int(x[k]) for k in (np.int64(1), np.uint8(2), np.array(3), -4)] == [1, 2, 3, 0]
    assert int(x[sa.asarray(2)]) == 2
