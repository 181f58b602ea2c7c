"""A function of one's own on every block."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from sarray.array import Array, as_array, identity_token
from sarray.dtypes import numeric
from sarray.grid import Chunks, whole
from sarray.lowering.map_blocks import Call, Frame, mapped, paired
from sarray.lowering.source import Held
from wukong_sched.grid import Grid

Axes = int | Iterable[int] | None


def map_blocks(
    func: Callable[..., Any],
    *arrays: Any,
    dtype: DTypeLike | None = None,
    chunks: Chunks = None,
    drop_axis: Axes = None,
    new_axis: Axes = None,
    **kwargs: Any,
) -> Array:
    """``func(block, block, ..., **kwargs)`` on the blocks of arrays, paired by their place; as Dask's, but never eager.

    Parameters
    ----------
    func
        Gets whole blocks, which it must not change, and returns one. If it takes ``block_id``, that is the index of
        the block it makes.
    arrays
        At least one. Counted from the last axis they have equally many blocks, or a single one, which goes to every
        call. Nothing is rechunked.
    dtype
        Of the result. If not given, `func` is tried on blocks of ones, one element each.
    chunks
        Of the result, where they are not those of the first array with the most blocks: for each axis the size of
        every block, or a tuple of sizes. New axes have extent 1 unless this says more.
    drop_axis, new_axis
        Axes that blocks have and the result does not, each in one chunk; axes that only the result has, one chunk.

    Raises ValueError for blocks that do not pair and chunks that are not as many as blocks, TypeError for a function
    that cannot be tried; when computed, TaskError for a block of another shape or type than declared.

    >>> import numpy as np, sarray as sa
    >>> x = sa.asarray(np.arange(6.0).reshape(3, 2), chunks=(2, -1))
    >>> sa.map_blocks(np.linalg.norm, x, axis=1, drop_axis=1, dtype="f8").compute()
    array([1.        , 3.60555128, 6.40312424])
    """
    if not callable(func) or not arrays:
        raise TypeError("map_blocks: write map_blocks(function, array, ...), with at least one array")
    inputs = tuple(as_array(each).expression for each in arrays)
    blocks = paired(inputs)
    drop = _axes("drop_axis", drop_axis, len(blocks))
    added = len(tuple(new_axis)) if isinstance(new_axis, Iterable) else new_axis is not None
    new = _axes("new_axis", new_axis, len(blocks) - len(drop) + added)
    frame, located = Frame(blocks, drop, new), _takes_block_id(func, kwargs)
    bound = functools.partial(func, **kwargs) if kwargs else func
    kind = _tried(bound, inputs, located, frame) if dtype is None else numeric(dtype, "map_blocks")
    held = Held(identity_token("function"), bound)
    return Array(mapped(inputs, Call(held, frame, _grids(chunks, frame, inputs), kind.str, located)))


def _axes(name: str, given: Axes, ndim: int) -> tuple[int, ...]:
    if given is None:
        return ()
    axes = [operator.index(axis) for axis in (given if isinstance(given, Iterable) else (given,))]
    found = sorted({axis % ndim for axis in axes if -ndim <= axis < ndim})
    if len(found) != len(axes):
        raise ValueError(f"map_blocks: {name}={given!r} does not name each of its axes once, of {ndim} dimensions")
    return tuple(found)


def _takes_block_id(func: Callable[..., Any], kwargs: dict[str, Any]) -> bool:
    try:
        return "block_id" in inspect.signature(func).parameters and "block_id" not in kwargs
    except (TypeError, ValueError):  # functions written in C do not say what they take
        return False


def _tried(func: Callable[..., Any], inputs: Sequence[Any], located: bool, frame: Frame) -> np.dtype[Any]:
    """The type of what the function makes of blocks of one element."""
    extra = {"block_id": (0,) * frame.ndim} if located else {}
    try:
        found = np.asarray(func(*(np.ones((1,) * each.ndim, each.dtype) for each in inputs), **extra))
    except Exception as error:  # whatever the function raises on blocks that are not its own
        story = f"map_blocks: tried on blocks of one element, the function failed: {error!r}; give dtype="
        raise TypeError(story) from error
    return numeric(found.dtype, "map_blocks")


def _grids(chunks: Chunks, frame: Frame, inputs: Sequence[Any]) -> tuple[Grid, ...]:
    places = frame.places()
    if chunks is None:
        found = _own_grids(inputs, len(frame.blocks))
        return tuple(whole(1) if axis is None else found[axis] for axis in places)
    entries = list(chunks) if isinstance(chunks, Sequence) else [chunks] * len(places)
    if len(entries) != len(places):
        raise ValueError(f"map_blocks: chunks={chunks!r} has {len(entries)} entries for {len(places)} dimensions")
    counts = [1 if axis is None else frame.blocks[axis] for axis in places]
    return tuple(_grid(entry, count) for entry, count in zip(entries, counts, strict=True))


def _grid(entry: Any, count: int) -> Grid:
    sizes = (operator.index(entry),) * count if not isinstance(entry, Iterable) else tuple(map(operator.index, entry))
    if not sizes or min(sizes) < 0:
        raise ValueError(f"map_blocks: {entry!r} is no size of blocks; write a number, or a tuple, one for each block")
    return Grid.of(sizes)


def _own_grids(inputs: Sequence[Any], ndim: int) -> tuple[Grid, ...]:
    """On each axis the grid of the first array with the most blocks."""
    own = [[e.chunks[e.ndim + axis] for e in inputs if e.ndim >= -axis] for axis in range(-ndim, 0)]
    return tuple(max(grids, key=len) for grids in own)
