"""Delivery: where wanted blocks go, straight from the worker that made them.

A `Delivery` is the job's storage: wanted tiles go to their place (a result array, a target of `store`, kept blocks),
all others to the storage within. Blocks are copied into a result where they belong; a result of a single block is that
block, if nobody else has it: results are their owner's, never views of what he gave us.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarray.expression import Expression
from sarray.lowering.blocks import block_shape
from wukong_sched.errors import ProgramError
from wukong_sched.program import Tile
from wukong_sched.storage.protocol import Storage

Block = NDArray[Any]
Index = tuple[int, ...]


class Place(Protocol):
    """Takes the blocks of one array, from any thread, each once or again the same."""

    def put(self, index: Index, block: Block) -> None:
        """Take a block."""

    def get(self, index: Index) -> Block:
        """A block that was put, not to be written to."""


@dataclass(slots=True)
class Delivery:
    """The storage of a job whose wanted arrays have places."""

    inner: Storage
    places: Mapping[str, Place]
    _there: set[Tile] = field(default_factory=set)

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Keep blocks, or deliver them; one at a time is looked at."""
        for tile in blocks:
            if tile[0] not in self.places:
                self.inner.put({tile: blocks[tile]})
            elif tile not in self._there:
                self.places[tile[0]].put(tile[1], blocks[tile])
                self._there.add(tile)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        """Blocks that are there."""
        found = self.inner.get([tile for tile in tiles if tile[0] not in self.places])
        delivered = [tile for tile in tiles if tile in self._there]
        return found | {tile: self.places[tile[0]].get(tile[1]) for tile in delivered}

    def delete(self, tiles: Iterable[Tile]) -> None:
        """Forget blocks that were kept; what was delivered stays."""
        self.inner.delete([tile for tile in tiles if tile[0] not in self.places])

    def tiles(self) -> Iterable[Tile]:
        """Names of all that is there."""
        return [*self.inner.tiles(), *self._there]


@dataclass(slots=True)
class Result:
    """A new NumPy array of an expression's values."""

    expression: Expression
    taken: set[int]
    """Identities of blocks that are somebody's result already; shared by the results of one computation."""
    values: Block | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, index: Index, block: Block) -> None:
        """Copy the block to its place, or take it if it is all there is."""
        block = checked(self.expression, index, block)
        single = all(len(grid) == 1 for grid in self.expression.chunks)
        with self._lock:
            if single:
                self.values = self._own(block)
                return
            if self.values is None:
                self.values = np.empty(self.expression.shape, self.expression.dtype)
        self.values[bounds(self.expression, index)] = block

    def get(self, index: Index) -> Block:
        """A view of the values."""
        if self.values is None:
            raise ProgramError(f"block {index} of {self.expression.name} was not delivered")
        return self.values[bounds(self.expression, index)]

    def _own(self, block: Block) -> Block:
        if block.base is not None or not block.flags.writeable or id(block) in self.taken:
            return block.copy()
        self.taken.add(id(block))
        return block


@dataclass(slots=True)
class Target:
    """Somebody's array with slice assignment."""

    expression: Expression
    target: Any
    lock: Any = None
    """Held while writing; None if threads may write at once."""

    def put(self, index: Index, block: Block) -> None:
        """Write the block."""
        block = checked(self.expression, index, block)
        if not block.size:
            return
        if self.lock is None:
            self.target[bounds(self.expression, index)] = block
            return
        with self.lock:
            self.target[bounds(self.expression, index)] = block

    def get(self, index: Index) -> Block:
        """Read the block back."""
        if 0 in block_shape(self.expression.chunks, index):
            return np.empty(block_shape(self.expression.chunks, index), self.expression.dtype)
        # A copy: a view of a mapped file would keep its pages in memory, beside the blocks that are accounted for.
        return np.array(self.target[bounds(self.expression, index)])


@dataclass(slots=True)
class Kept:
    """Blocks as they are, by index."""

    expression: Expression
    blocks: dict[Index, Block] = field(default_factory=dict)

    def put(self, index: Index, block: Block) -> None:
        """Keep the block; a copy, if it is a view of something else."""
        block = checked(self.expression, index, block)
        self.blocks[index] = block.copy() if block.base is not None or not block.flags.writeable else block

    def get(self, index: Index) -> Block:
        """The block."""
        return self.blocks[index]


def bounds(expression: Expression, index: Index) -> tuple[slice, ...]:
    """Where a block is in its array."""
    return tuple(slice(*grid.bounds(tile)) for grid, tile in zip(expression.chunks, index, strict=True))


def checked(expression: Expression, index: Index, block: Any) -> Block:
    """The block in its array's type; ProgramError if its shape is not what was inferred."""
    expected = block_shape(expression.chunks, index)
    found = np.asarray(block)
    if found.shape != expected:
        raise ProgramError(
            f"{expression.op}: block {index} of {expression.name} has shape {found.shape}, not {expected}; "
            "please report this bug"
        )
    return found if found.dtype == expression.dtype else found.astype(expression.dtype)
