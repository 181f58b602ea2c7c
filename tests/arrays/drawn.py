"""What hypothesis draws: shapes, chunks (in half of the cases at least three blocks on every axis), values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

import sarray as sa

FLOATS = ("f4", "f8")
NUMBERS = ("?", "i1", "u1", "i4", "u4", "i8", "f4", "f8", "c8", "c16")


def cuts(extent: int, least: int = 1) -> st.SearchStrategy[tuple[int, ...]]:
    """Chunk sizes along an axis: at least so many, some of them perhaps empty."""
    inner = st.lists(st.integers(0, extent), min_size=least - 1, max_size=max(least, 5))
    return inner.map(lambda points: tuple(np.diff([0, *sorted(points), extent]).tolist()))


def regular(extent: int, least: int = 1) -> st.SearchStrategy[tuple[int, ...]]:
    """Chunks of one size, the first and the last perhaps shorter."""

    def sizes(pair: tuple[int, int]) -> tuple[int, ...]:
        first, size = pair
        points = [0, *range(min(first, extent), extent, size), extent]
        return tuple(np.diff(sorted(set(points))).tolist()) or (0,)

    return st.tuples(st.integers(1, max(1, extent)), st.integers(1, max(1, extent // least))).map(sizes)


@st.composite
def chunked(
    draw: st.DrawFn,
    ndim: int | tuple[int, int] = (0, 3),
    dtypes: tuple[str, ...] = FLOATS,
    most: int = 9,
    least: int = 0,
    finite: bool = False,
) -> tuple[NDArray[Any], sa.Array]:
    """A NumPy array and an array of it, in some chunks; of small whole numbers, or of any."""
    count = ndim if isinstance(ndim, int) else draw(st.integers(*ndim))
    many = draw(st.booleans())
    shape = tuple(draw(st.integers(max(least, 3 if many else 0), most)) for _ in range(count))
    small, some = dense(dtypes, shape), npst.arrays(st.sampled_from(dtypes), shape)
    values = draw(small if finite else small | some)
    return values, chunk(draw, values, 3 if many else 1)


def dense(dtypes: tuple[str, ...], shape: tuple[int, ...]) -> st.SearchStrategy[NDArray[Any]]:
    """Small whole numbers in some order, in one of the types."""

    def values(pair: tuple[int, str]) -> NDArray[Any]:
        seed, dtype = pair
        return np.random.default_rng(seed).integers(-50, 50, shape).astype(dtype)

    return st.tuples(st.integers(0, 2**20), st.sampled_from(dtypes)).map(values)


def chunk(draw: st.DrawFn, values: NDArray[Any], least: int) -> sa.Array:
    """The values in chunks, at least so many on every axis that has as many elements."""
    chunks = tuple(draw(cuts(extent, min(least, extent + 1)) | regular(extent, least)) for extent in values.shape)
    return sa.from_array(values, chunks)
