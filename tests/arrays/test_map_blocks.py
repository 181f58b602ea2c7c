"""A function of one's own on every block: pairing, chunks, types, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from sarray.lower import lower
from sarray.lowering.builder import Limits
from tests.arrays.drawn import chunked, cuts
from wukong_sched.errors import TaskError
from wukong_sched.program import verify_program

LIMITS = Limits(2**30, 2, split_every=3)


def sound(array: sa.Array) -> sa.Array:
    """The array, its program checked by brute force."""
    verify_program(lower([array.expression], LIMITS).program)
    return array


@settings(max_examples=50)
@given(data=st.data())
def test_each_block_is_what_the_function_makes_of_it(data: st.DataObject) -> None:
    values, x = data.draw(chunked(2, ("f8",), finite=True))
    seen = data.draw(st.booleans())
    view, expected = (x.T, values.T) if seen else (x, values)
    np.testing.assert_array_equal(sound(sa.map_blocks(lambda block: 2 * block + 1, view, dtype="f8")), 2 * expected + 1)


@settings(max_examples=50)
@given(data=st.data())
def test_axes_are_dropped_and_added(data: st.DataObject) -> None:
    values, x = data.draw(chunked(2, ("f8",), finite=True))
    rows = x.rechunk({1: -1})
    sums = sa.map_blocks(np.sum, rows, axis=1, drop_axis=-1, dtype="f8")
    np.testing.assert_allclose(sound(sums), values.sum(axis=1))
    assert sums.chunks == rows.chunks[:1]
    pairs = sa.map_blocks(lambda block: np.stack([block, -block], 1), sums, new_axis=1, chunks=(sums.chunks[0], 2))
    np.testing.assert_allclose(sound(pairs), np.stack([values.sum(axis=1), -values.sum(axis=1)], 1))


@settings(max_examples=50)
@given(data=st.data())
def test_blocks_are_paired_by_place_and_single_ones_go_to_every_call(data: st.DataObject) -> None:
    values, x = data.draw(chunked(2, ("f8",), finite=True))
    sizes = data.draw(cuts(7, len(x.chunks[0])).filter(lambda sizes: len(sizes) == len(x.chunks[0])))
    other = sa.from_array(np.arange(7.0)[:, None], (sizes, -1))
    scale = sa.asarray(np.array([3.0]))

    def combined(a: Any, b: Any, c: Any) -> Any:
        return a + b.sum() * c

    found = sound(sa.map_blocks(combined, x, other, scale, dtype="f8"))
    bounds = np.cumsum([0, *sizes])
    sums = [np.arange(7.0)[low:high].sum() for low, high in pairwise(bounds)]
    np.testing.assert_array_equal(found, values + 3 * np.repeat(sums, x.chunks[0])[:, None])


def test_the_function_is_told_its_block_if_it_asks() -> None:
    x = sa.zeros((4, 6), chunks=(2, 3))
    found = sa.map_blocks(lambda block, block_id: block + 10 * block_id[0] + block_id[1], x)
    np.testing.assert_array_equal(found[::2, ::3], [[0, 1], [10, 11]])
    given = sa.map_blocks(lambda block, block_id: block + block_id, x, block_id=5)
    np.testing.assert_array_equal(given, np.full((4, 6), 5.0))


def test_the_type_is_that_of_a_trial() -> None:
    x = sa.ones((4, 2), chunks=2)
    assert sa.map_blocks(np.isfinite, x).dtype == bool
    with pytest.raises(TypeError, match=r"failed: .*; give dtype="):
        sa.map_blocks(lambda block: block[3], x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_axis": 0}, r"type x.rechunk\(\{0: -1\}\)"),
        ({"drop_axis": 7}, "drop_axis=7 does not name"),
        ({"chunks": (2,)}, "1 entries for 2 dimensions"),
        ({"chunks": ((4,), 2)}, "called for .2, 1. blocks"),
        ({"chunks": ((2, -1), 2)}, "is no size of blocks"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sa.map_blocks(lambda block: block, sa.ones((4, 2), chunks=(2, -1)), **options)


def test_blocks_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="array 1 has 2 blocks along axis -1, another has 3"):
        sa.map_blocks(np.add, sa.ones(6, chunks=2), sa.ones(6, chunks=3))
    with pytest.raises(TypeError, match="at least one array"):
        sa.map_blocks(np.add)


@pytest.mark.parametrize(
    ("function", "message"),
    [(lambda block: block[:1], r"should have shape \(2, 2\)"), (lambda block: block * 1j, "should be of float64")],
)
def test_a_block_other_than_declared_is_an_error_of_its_task(function: Any, message: str) -> None:
    array = sa.map_blocks(function, sa.ones((4, 2), chunks=2), dtype="f8")
    with pytest.raises(TaskError, match=message):
        array.compute()


def test_blocks_of_others_are_not_written_to() -> None:
    def greedy(block: Any) -> Any:
        block += 1
        return block

    values = np.zeros(4)
    with pytest.raises(TaskError, match="read-only"):
        sa.map_blocks(greedy, sa.from_array(values, 2), dtype="f8").compute()
    np.testing.assert_array_equal(values, np.zeros(4))
