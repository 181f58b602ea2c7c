"""Chunk arithmetic: what `chunks=` may be, and which grids operations give.

Chunks are said as in Dask: one size for every axis (``1000``), one entry per axis (``(1000, -1)``) where an entry is a
size, ``-1`` or None (the whole axis), explicit sizes ``(3, 4, 3)``, ``"auto"`` or a size in bytes (``"64MiB"``);
or a mapping from axes to such entries. Inside, each axis is a `wukong_sched.grid.Grid`, whose size does not grow with
the number of chunks.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sarray.config import settings
from sarray.lowering.blocks import largest_chunk
from sarray.sizes import parse_bytes
from wukong_sched.grid import Grid

Chunks = Any
"""int, str, a sequence with one entry per axis, or a mapping from axes to entries."""

Shape = tuple[int, ...]


def normalize_shape(operation: str, shape: Any) -> Shape:
    """The extents of a shape, given as an int or as a sequence of them.

    Raises TypeError for what is no int, ValueError for negative extents.

    >>> normalize_shape("zeros", 3), normalize_shape("zeros", [2, 3])
    ((3,), (2, 3))
    """
    entries = shape if isinstance(shape, (Sequence, np.ndarray)) and not isinstance(shape, str) else (shape,)
    try:
        extents = tuple(operator.index(extent) for extent in entries)
    except TypeError:
        raise TypeError(f"{operation}: a shape is an int or a tuple of ints, got {shape!r}") from None
    if any(extent < 0 for extent in extents):
        raise ValueError(f"{operation}: a shape has no negative extents, got {extents}; write 0 or more")
    return extents


def normalize_chunks(
    chunks: Chunks, shape: Shape, dtype: np.dtype[Any], previous: Sequence[Grid] | None = None
) -> tuple[Grid, ...]:
    """One grid per axis, from whatever `chunks=` was given; axes missing in a mapping keep `previous`, or stay whole.

    Raises ValueError for chunks that do not fit the shape.

    >>> [grid.sizes() for grid in normalize_chunks((4, -1), (10, 5), np.dtype("f8"))]
    [(4, 4, 2), (5,)]
    >>> [grid.sizes() for grid in normalize_chunks("1kB", (300,), np.dtype("f8"))]
    [(125, 125, 50)]
    """
    entries = [_entry(entry, extent) for entry, extent in zip(_entries(chunks, shape, previous), shape, strict=True)]
    return tuple(_grids(_sized(entries, shape, dtype), shape, chunks))


def _entries(chunks: Chunks, shape: Shape, previous: Sequence[Grid] | None) -> list[Any]:
    """One entry per axis, of any kind."""
    if chunks is None:
        raise ValueError("chunks=None says nothing; write chunks='auto', or chunks=-1 for a single chunk")
    if isinstance(chunks, Mapping):
        return _from_mapping(chunks, shape, previous)
    if isinstance(chunks, str):
        return [chunks] * len(shape)
    if not isinstance(chunks, (Sequence, np.ndarray)):
        return [chunks] * len(shape)
    entries = list(chunks)
    if not entries and shape and not any(shape):
        return [(0,)] * len(shape)
    if len(shape) == 1 and len(entries) > 1 and all(isinstance(entry, (int, np.integer)) for entry in entries):
        entries = [tuple(entries)]
    if len(entries) != len(shape):
        raise ValueError(
            f"chunks={chunks!r} has {len(entries)} entries for an array of {len(shape)} dimensions, shape {shape}; "
            "write one entry per dimension, or a single number for all"
        )
    return entries


def _from_mapping(chunks: Mapping[int, Any], shape: Shape, previous: Sequence[Grid] | None) -> list[Any]:
    entries: list[Any] = list(previous) if previous is not None else [None] * len(shape)
    for axis, entry in chunks.items():
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"chunks={dict(chunks)!r} names axis {axis} of an array of {len(shape)} dimensions")
        entries[axis] = entry
    return entries


def _entry(entry: Any, extent: int) -> Any:
    """An int, a Grid or a string, whatever the entry was."""
    if entry is None:
        return extent
    if isinstance(entry, (Grid, str)):
        return entry
    if isinstance(entry, (Sequence, np.ndarray)):
        return _explicit(entry)
    try:
        size = operator.index(entry)
    except TypeError:
        raise TypeError(
            f"chunks: {entry!r} is no size; write an int, a tuple of sizes, -1, None, 'auto' or '64MiB'"
        ) from None
    if size < -1 or (size == 0 and extent > 0):
        raise ValueError(
            f"chunks: {size} is no size of a chunk, on an axis of {extent}; write -1 for a whole axis, or 1 or more"
        )
    return extent if size == -1 else size


def _explicit(sizes: Any) -> Grid:
    numbers = [operator.index(size) for size in sizes]
    if not numbers:
        raise ValueError("chunks: an empty tuple is no list of sizes; write (0,) for an axis of no elements")
    if min(numbers) < 0:
        raise ValueError(f"chunks: sizes must not be negative, got {tuple(numbers)}")
    return Grid.of(numbers)


def _sized(entries: list[Any], shape: Shape, dtype: np.dtype[Any]) -> list[Any]:
    """Entries with ``"auto"`` and sizes in bytes replaced: equal extents, such that a chunk has that many bytes."""
    texts = {entry for entry in entries if isinstance(entry, str)}
    if not texts:
        return entries
    limits = {parse_bytes(text) for text in texts if text != "auto"}
    if len(limits) > 1:
        raise ValueError(f"chunks: one size in bytes holds for the whole chunk, got {sorted(texts)}; write it once")
    limit = limits.pop() if limits else settings().chunk_bytes
    return _automatic(entries, shape, max(1, limit) / max(1, dtype.itemsize))


def _automatic(entries: list[Any], shape: Shape, elements: float) -> list[Any]:
    """The rule of Dask: axes shorter than their share stay whole, and the others share what remains."""
    entries = list(entries)
    while autos := [axis for axis, entry in enumerate(entries) if isinstance(entry, str)]:
        fixed = math.prod(max(1, _extent(entry)) for entry in entries if not isinstance(entry, str))
        size = (elements / fixed) ** (1 / len(autos))
        small = [axis for axis in autos if shape[axis] <= size]
        for axis in small or autos:
            entries[axis] = shape[axis] if small else max(1, int(size))
    return entries


def _extent(entry: int | Grid) -> int:
    return largest_chunk(entry) if isinstance(entry, Grid) else entry


def _grids(entries: list[Any], shape: Shape, chunks: Chunks) -> list[Grid]:
    grids = [
        entry if isinstance(entry, Grid) else Grid.regular(extent, max(1, entry))
        for entry, extent in zip(entries, shape, strict=True)
    ]
    if any(grid.total != extent for grid, extent in zip(grids, shape, strict=True)):
        totals = tuple(grid.total for grid in grids)
        raise ValueError(f"chunks={_short(chunks)} add up to {totals}, but the shape is {shape}")
    return grids


def _short(chunks: Chunks) -> str:
    text = repr(chunks)
    return text if len(text) <= 80 else text[:77] + "..."


def whole(extent: int) -> Grid:
    """One tile."""
    return Grid.regular(extent, max(1, extent))


def cut(grid: Grid, start: int, stop: int) -> Grid:
    """The grid of elements ``start .. stop-1`` alone, cut where `grid` is; a tile of none if there are none.

    >>> cut(Grid.of((4, 4, 4)), 1, 10).sizes()
    (3, 4, 2)
    """
    if start >= stop:
        return whole(0)
    low, high = grid.tile_of(start), grid.tile_of(stop - 1)
    first = min(grid.bounds(low)[1], stop) - start
    if not grid.edges and high - low >= 2:
        return Grid(high - low + 1, stop - start, first, grid.size)
    inner = [grid.chunk(tile) for tile in range(low + 1, high)]
    last = [stop - grid.bounds(high)[0]] if high > low else []
    return Grid.of([first, *inner, *last])


def broadcast_shapes(operation: str, *shapes: Shape) -> Shape:
    """The shape that all broadcast to; ValueError naming the operation and the shapes if there is none.

    >>> broadcast_shapes("add", (3, 1), (4,))
    (3, 4)
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"{operation}: shapes {' and '.join(map(str, shapes))} do not broadcast: extents must be equal or 1, "
            "counted from the last axis; insert an axis with x[:, None], or transpose with x.T"
        ) from None


def unify(shape: Shape, operands: Sequence[tuple[Shape, tuple[Grid, ...]]]) -> tuple[Grid, ...]:
    """Grids for a result of `shape`, from the operands that broadcast to it.

    On each axis the operands' finest grid wins (that of the smallest largest chunk, then of the fewest chunks, then the
    first): nobody's chunks grow, and none becomes smaller than the finest already were.

    >>> [g.sizes() for g in unify((6,), [((6,), (Grid.of((3, 3)),)), ((6,), (Grid.of((2, 2, 2)),))])]
    [(2, 2, 2)]
    """
    grids = []
    for axis, extent in enumerate(shape):
        offset = axis - len(shape)
        found = [grids[offset] for own, grids in operands if len(own) >= -offset and own[offset] == extent]
        grids.append(min(found, key=lambda grid: (largest_chunk(grid), len(grid)), default=whole(extent)))
    return tuple(grids)


def chunk_sizes(chunks: Sequence[Grid]) -> tuple[tuple[int, ...], ...]:
    """Sizes along every axis, as Dask's ``.chunks``."""
    return tuple(grid.sizes() for grid in chunks)
