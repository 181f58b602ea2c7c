"""Grids and windows against brute force over elements."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.errors import ProgramError
from wukong_sched.grid import Grid, window, window_inverse, window_support

RAGGED = st.lists(st.integers(0, 6), min_size=1, max_size=8)
REGULAR = st.builds(
    lambda first, size, count, last: [first, *[size] * count, last],
    st.integers(0, 5),
    st.integers(1, 5),
    st.integers(0, 5),
    st.integers(0, 9),
)
CHUNKS = RAGGED | REGULAR
STEPS = st.sampled_from([-7, -3, -2, -1, 1, 2, 3, 7])


def elements_of(chunks: list[int], tile: int) -> range:
    return range(sum(chunks[:tile]), sum(chunks[: tile + 1]))


@given(CHUNKS)
def test_a_grid_is_what_its_chunks_say(chunks: list[int]) -> None:
    grid = Grid.of(chunks)
    assert grid.sizes() == tuple(chunks)
    assert len(grid) == len(chunks)
    assert grid.total == sum(chunks)
    for tile in range(len(chunks)):
        assert range(*grid.bounds(tile)) == elements_of(chunks, tile)
        assert all(grid.tile_of(element) == tile for element in elements_of(chunks, tile))


@given(CHUNKS, CHUNKS)
def test_equal_chunks_and_only_they_make_equal_grids(one: list[int], other: list[int]) -> None:
    assert (Grid.of(one) == Grid.of(other)) == (one == other)
    assert hash(Grid.of(one)) == hash(Grid.of(tuple(one)))
    assert pickle.loads(pickle.dumps(Grid.of(one))) == Grid.of(one)


@given(st.integers(0, 50), st.integers(1, 20))
def test_a_regular_grid_equals_the_one_of_its_chunks(total: int, size: int) -> None:
    grid = Grid.regular(total, size)
    assert grid == Grid.of(grid.sizes())
    assert grid.sizes() == (
        *[size] * (total // size),
        *([total % size] if total % size else []),
        *([] if total else [0]),
    )


@given(CHUNKS, st.integers(-3, 30), st.integers(-3, 30))
def test_overlapped_tiles_end_at_the_outermost_elements(chunks: list[int], begin: int, end: int) -> None:
    grid = Grid.of(chunks)
    held = [t for t in range(len(chunks)) if any(begin <= x < end for x in elements_of(chunks, t))]
    assert grid.overlapped(begin, end) == (range(held[0], held[-1] + 1) if held else range(0))


@given(CHUNKS, CHUNKS, st.integers(-12, 40), STEPS)
def test_windows_are_exact_both_ways(out: list[int], src: list[int], start: int, step: int) -> None:
    grids = Grid.of(out), Grid.of(src)
    touching = {
        (i, t)
        for i in range(len(out))
        for t in range(len(src))
        if {start + step * x for x in elements_of(out, i)} & set(elements_of(src, t))
    }
    for i in range(-1, len(out) + 1):
        assert list(window(i, *grids, start, step)) == [t for t in range(len(src)) if (i, t) in touching]
    for t in range(-1, len(src) + 1):
        assert list(window_inverse(t, *grids, start, step)) == [i for i in range(len(out)) if (i, t) in touching]
    assert list(window_support(*grids, start, step)) == sorted({i for i, _ in touching})


def test_a_regular_grid_is_small_however_many_tiles() -> None:
    grid = Grid.regular(10**15 + 3, 10**3)
    assert (len(grid), grid.chunk(len(grid) - 1), grid.tile_of(10**15)) == (10**12 + 1, 3, 10**12)
    assert len(pickle.dumps(grid)) < 120
    assert window(5, grid, grid, 1, 1) == range(5, 7)


@pytest.mark.parametrize("chunks", [(), (3, -1)])
def test_impossible_chunks_are_refused(chunks: tuple[int, ...]) -> None:
    with pytest.raises(ProgramError, match="at least one tile"):
        Grid.of(chunks)


def test_impossible_questions_are_refused() -> None:
    grid = Grid.of((2, 2))
    with pytest.raises(ProgramError, match="outside of a grid of 2 tiles"):
        grid.bounds(2)
    with pytest.raises(ProgramError, match="step other than 0"):
        window(0, grid, grid, 0, 0)
    with pytest.raises(ProgramError, match="size >= 1"):
        Grid.regular(4, 0)
