"""Windows: elements ``start + step * x`` of an array, in any chunks; slicing and rechunking are windows.

``Y[i, j] = [X[s, t] for s in window(i, ...) for t in window(j, ...)]`` put together, where `window` gives the tiles of
X that hold elements of block i. On an axis whose new chunks are cut where the old ones are, ``Y[i] = X[i + first]``:
each block is a view of one block, and no data moves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cost import Cost
from sarray.expression import Expression, Inferred
from sarray.grid import cut
from sarray.lowering.blocks import block_loops, block_shape, counts, largest_block, reference, variables
from sarray.lowering.builder import Builder
from sarray.lowering.operand import adapted
from wukong_sched.grid import Grid, window
from wukong_sched.rule import Rule

Block = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where the elements of one axis come from."""

    out: Grid
    src: Grid
    start: int
    """Element of `src` that is element 0 of `out`."""
    step: int
    """Elements of `src` from one to the next; not 0."""

    @property
    def aligned(self) -> int | None:
        """The tile of `src` that holds all of tile 0 if tile i lies within the i-th from it, else None."""
        if self.step != 1 or self.out.total == 0 or self.out != cut(self.src, self.start, self.start + self.out.total):
            return None
        return self.src.tile_of(self.start)

    def pieces(self, tile: int) -> Iterator[tuple[slice, slice]]:
        """For each tile of `src` that block `tile` needs: its elements, and where in the block they go."""
        begin, end = self.out.bounds(tile)
        for source in window(tile, self.out, self.src, self.start, self.step):
            low, high = self.src.bounds(source)
            first, last = self._between(low, high)
            first, last = max(first, begin), min(last, end)
            yield self._elements(first, last, low), slice(first - begin, last - begin)

    def _between(self, low: int, high: int) -> tuple[int, int]:
        """The elements of `out` whose origins lie in ``low .. high-1``, as begin and end."""
        if self.step > 0:
            return -((self.start - low) // self.step), (high - 1 - self.start) // self.step + 1
        return -((high - 1 - self.start) // -self.step), (self.start - low) // -self.step + 1

    def _elements(self, first: int, last: int, low: int) -> slice:
        """The origins of elements ``first .. last-1``, counted from `low`."""
        begin, stop = self.start + self.step * first - low, self.start + self.step * last - low
        return slice(begin, stop if stop >= 0 else None, self.step)


def infer(
    inputs: tuple[Expression, ...], starts: tuple[int, ...], steps: tuple[int, ...], chunks: tuple[Grid, ...]
) -> Inferred:
    """Shape, dtype and chunks of the window."""
    return tuple(grid.total for grid in chunks), inputs[0].dtype, chunks


def lower(expression: Expression, builder: Builder) -> None:
    """``Y[i, j] = X[i + first, j]`` where chunks are aligned, ``[X[s, t] for s in window(i, ...) ...]`` where not."""
    (source,), (starts, steps, chunks) = expression.inputs, expression.params
    axes = tuple(map(Axis, chunks, source.chunks, starts, steps))
    operand = builder.operand(source)
    name, ndim = expression.name, expression.ndim
    sizes: dict[str, Any] = counts(chunks)
    for number, axis in enumerate(axes):
        sizes |= _sizes(number, axis)
    builder.tiles(name, chunks, expression.dtype)
    kernel = Gather(axes, expression.dtype)
    moved = math.prod(largest_block(chunks)) * expression.dtype.itemsize
    builder.rule(
        Rule(
            name, block_loops(ndim), (reference("Y", *variables(ndim)),),
            (_wrapped(operand.ref("X", *_indices(axes)), axes),), adapted(kernel, operand),
            {"X": operand.name, "Y": name}, sizes, cost=Cost(0.0, moved, moved), operation=expression.op,
        )
    )  # fmt: skip


def _sizes(number: int, axis: Axis) -> dict[str, Any]:
    if axis.aligned is not None:
        return {f"f{number}": axis.aligned}
    return {f"o{number}": axis.out, f"s{number}": axis.src, f"b{number}": axis.start, f"d{number}": axis.step}


def _indices(axes: Sequence[Axis]) -> list[str]:
    return [f"t{n}" if axis.aligned is None else f"i{n} + f{n}" for n, axis in enumerate(axes)]


def _wrapped(text: str, axes: Sequence[Axis]) -> str:
    loops = [f"for t{n} in window(i{n}, o{n}, s{n}, b{n}, d{n})" for n, axis in enumerate(axes) if axis.aligned is None]
    return f"[{' '.join([text, *loops])}]" if loops else text


@dataclass(frozen=True, slots=True)
class Gather:
    """Puts a block together from the source blocks that hold its elements, in C order of their indices."""

    axes: tuple[Axis, ...]
    dtype: np.dtype[Any]

    def __call__(self, index: tuple[int, ...], blocks: Block | list[Block]) -> Block:
        """The block at `index`; a view of the source's where that keeps little else alive."""
        blocks = blocks if isinstance(blocks, list) else [blocks]
        pieces = list(product(*(list(axis.pieces(tile)) for axis, tile in zip(self.axes, index, strict=True))))
        shape = block_shape([axis.out for axis in self.axes], index)
        if len(blocks) == 1 and len(pieces) == 1:
            return _part(blocks[0], tuple(elements for elements, _ in pieces[0]))
        out = np.empty(shape, self.dtype)
        if out.size:
            for block, piece in zip(blocks, pieces, strict=True):
                out[tuple(target for _, target in piece)] = block[tuple(elements for elements, _ in piece)]
        return out


def _part(block: Block, elements: tuple[slice, ...]) -> Block:
    part = block[elements]
    return part if 2 * part.size > block.size else part.copy()


def flops(expression: Expression) -> float:
    """None: elements only move."""
    return 0.0
