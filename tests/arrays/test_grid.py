from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sarray as sa
from sarray.grid import broadcast_shapes, chunk_sizes, cut, normalize_chunks, unify
from sarray.lowering.blocks import largest_chunk
from tests.arrays.drawn import cuts, regular
from wukong_sched.grid import Grid

F8 = np.dtype("f8")


def sizes(chunks: Any, shape: tuple[int, ...], dtype: Any = F8) -> tuple[tuple[int, ...], ...]:
    return chunk_sizes(normalize_chunks(chunks, shape, np.dtype(dtype)))


# What Dask's normalize_chunks gives (the first eight are the examples of its documentation).
DASK = [
    (((2, 2, 1), (2, 2, 2)), (5, 6), ((2, 2, 1), (2, 2, 2))),
    ((2, 2), (5, 6), ((2, 2, 1), (2, 2, 2))),
    ((2, 2), (4,), ((2, 2),)),
    ([2, 2], (4, 6), ((2, 2), (2, 2, 2))),
    (10, (30, 5), ((10, 10, 10), (5,))),
    ({0: 2, 1: 3}, (6, 6), ((2, 2, 2), (3, 3))),
    ({0: 2}, (6, 6), ((2, 2, 2), (6,))),
    ((5, -1), (10, 10), ((5, 5), (10,))),
    ((5, None), (10, 10), ((5, 5), (10,))),
    ((), (), ()),
    (-1, (), ()),
    ((), (0, 0), ((0,), (0,))),
    (-1, (0,), ((0,),)),
    (3, (0,), ((0,),)),
    (100, (7,), ((7,),)),
    ((0, 3, 2), (5,), ((0, 3, 2),)),
    (((3, 0, 3),), (6,), ((3, 0, 3),)),
    (np.array([2, 3]), (4, 6), ((2, 2), (3, 3))),
]


@pytest.mark.parametrize(("chunks", "shape", "expected"), DASK)
def test_chunks_are_said_as_in_dask(chunks: Any, shape: tuple[int, ...], expected: Any) -> None:
    assert sizes(chunks, shape) == expected


@pytest.mark.parametrize(
    ("chunks", "shape", "dtype", "expected"),
    [
        ("auto", (20,), "f8", ((5, 5, 5, 5),)),
        ("auto", (20,), "u1", ((20,),)),
        (("auto", 2), (20, 4), "f8", ((2,) * 10, (2, 2))),
        (("auto", "auto"), (3, 100), "u1", ((3,), (13,) * 7 + (9,))),
        ("1kiB", (2000,), "f8", ((128,) * 15 + (80,),)),
        (("100B", -1), (10, 5), "f8", ((2,) * 5, (5,))),
        ("1B", (3,), "f8", ((1, 1, 1),)),
        ("auto", (0, 5), "f8", ((0,), (5,))),
    ],
)
def test_sizes_in_bytes_are_targets(chunks: Any, shape: tuple[int, ...], dtype: str, expected: Any) -> None:
    with sa.config(chunk_bytes=40):
        assert sizes(chunks, shape, dtype) == expected


@pytest.mark.parametrize(
    ("chunks", "shape", "error", "words"),
    [
        (None, (3,), ValueError, "chunks='auto'"),
        ((2, 2), (3,), ValueError, r"add up to \(4,\), but the shape is \(3,\)"),
        ((2, 2, 2), (3, 3), ValueError, "3 entries for an array of 2 dimensions"),
        (0, (3,), ValueError, "0 is no size of a chunk, on an axis of 3; write -1 for a whole axis"),
        (-2, (3,), ValueError, "write -1 for a whole axis"),
        (((),), (3,), ValueError, r"write \(0,\)"),
        (((4, -1),), (3,), ValueError, "must not be negative"),
        (2.5, (3,), TypeError, "2.5 is no size"),
        ((2.5,), (3,), TypeError, "2.5 is no size"),
        ("many", (3,), ValueError, "'64MiB'"),
        (("1kB", "2kB"), (3, 3), ValueError, "write it once"),
        ({2: 1}, (3, 3), ValueError, "axis 2"),
    ],
)
def test_wrong_chunks_say_what_to_write(
    chunks: Any, shape: tuple[int, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        sizes(chunks, shape)


@given(st.data())
def test_cut_is_a_part_with_the_same_cuts(data: st.DataObject) -> None:
    total = data.draw(st.integers(0, 20))
    grid = Grid.of(data.draw(cuts(total) | regular(total)))
    start = data.draw(st.integers(0, total))
    stop = data.draw(st.integers(start, total))
    part = cut(grid, start, stop)
    edges = np.cumsum((0, *grid.sizes())).tolist()
    expected = sorted({start, stop, *(edge for edge in edges if start < edge < stop)})
    assert sorted(set(np.cumsum((0, *part.sizes())).tolist())) == [edge - start for edge in expected]
    assert largest_chunk(part) == max(part.sizes())


@given(st.data())
def test_unified_chunks_are_no_larger_than_any(data: st.DataObject) -> None:
    total = data.draw(st.integers(2, 20))
    grids = [Grid.of(data.draw(cuts(total))) for _ in range(3)]
    (found,) = unify((total,), [((total,), (grid,)) for grid in grids] + [((1,), (Grid.of((1,)),))])
    assert found in grids
    assert largest_chunk(found) == min(map(largest_chunk, grids))


def test_shapes_that_do_not_broadcast_are_named() -> None:
    with pytest.raises(ValueError, match=r"add: shapes \(3,\) and \(4,\) do not broadcast"):
        broadcast_shapes("add", (3,), (4,))
