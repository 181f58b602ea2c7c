"""Sources: arrays that exist before the job, in memory or in files, read block by block where they are needed.

A source's tiles are no tasks: whoever needs one reads it. Only a source that is wanted itself becomes a rule, which
copies.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.expression import Expression, Inferred, express
from sarray.grid import cut
from sarray.lowering.builder import Builder
from wukong_sched.grid import Grid

Block = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Held:
    """An object that an expression refers to: named by its token, never by its content."""

    token: str
    value: Any = field(compare=False)
    lock: Any = field(default=None, compare=False)
    """Held while the object is read; None if threads may read it at once."""

    def __repr__(self) -> str:
        return f"<{self.token}>"

    def __getstate__(self) -> tuple[str, Any, bool]:
        return self.token, self.value, self.lock is not None

    def __setstate__(self, state: tuple[str, Any, bool]) -> None:
        for name, value in zip(("token", "value", "lock"), state, strict=True):
            object.__setattr__(self, name, (threading.Lock() if value else None) if name == "lock" else value)


def infer(
    inputs: tuple[Expression, ...], held: Held, starts: tuple[int, ...], chunks: tuple[Grid, ...], dtype: str
) -> Inferred:
    """Shape, dtype and chunks of the part of the object that begins at `starts`."""
    return tuple(grid.total for grid in chunks), np.dtype(dtype), chunks


def source(held: Held, chunks: tuple[Grid, ...], dtype: np.dtype[Any]) -> Expression:
    """The object as an array in these chunks."""
    return express("source", infer, (), held, (0,) * len(chunks), chunks, dtype.str)


def is_random_access(expression: Expression) -> bool:
    """Whether any part of the source is read as cheaply as its chunks: memory and memory-mapped files."""
    value = expression.params[0].value
    return isinstance(value, np.ndarray) or getattr(value, "random_access", False)


def rechunked(expression: Expression, chunks: tuple[Grid, ...]) -> Expression:
    """The same part of the object in other chunks."""
    held, starts, _, dtype = expression.params
    return express("source", infer, (), held, starts, chunks, dtype)


def is_cuttable(expression: Expression) -> bool:
    """Whether a part of the source is a source: all but those that are kept as tiles."""
    return not isinstance(expression.params[0].value, Mapping)


def part(expression: Expression, bounds: tuple[tuple[int, int], ...]) -> Expression:
    """The elements within these bounds of each axis, cut where the chunks are."""
    held, starts, chunks, dtype = expression.params
    begin = tuple(start + low for start, (low, _) in zip(starts, bounds, strict=True))
    grids = tuple(cut(grid, low, high) for grid, (low, high) in zip(chunks, bounds, strict=True))
    return express("source", infer, (), held, begin, grids, dtype)


def lower(expression: Expression, builder: Builder) -> None:
    """Declares the tiles; nothing to compute."""
    held, starts, chunks, _ = expression.params
    name = builder.operand(expression).name
    builder.tiles(name, chunks, expression.dtype)
    builder.source(name, Reader(held, starts, chunks, expression.dtype))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the blocks of a source."""

    held: Held
    starts: tuple[int, ...]
    chunks: tuple[Grid, ...]
    dtype: np.dtype[Any]

    def read(self, index: tuple[int, ...]) -> Block:
        """The block at this tile index; a read-only view if the object is an array."""
        if isinstance(self.held.value, Mapping):
            return _guarded(self.held.value[index])
        bounds = (grid.bounds(tile) for grid, tile in zip(self.chunks, index, strict=True))
        where = tuple(slice(at + low, at + high) for at, (low, high) in zip(self.starts, bounds, strict=True))
        if self.held.lock is None:
            found = self.held.value[where]
        else:
            with self.held.lock:
                found = self.held.value[where]
        return _guarded(np.asarray(found, dtype=self.dtype))


def _guarded(block: Block) -> Block:
    """A view that nobody can write through."""
    view = block.view(np.ndarray)
    view.flags.writeable = False
    return view


def flops(expression: Expression) -> float:
    """None: blocks are only read."""
    return 0.0
