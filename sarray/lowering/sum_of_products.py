"""The kernel of a matrix product: blocks of C summed over k, one step at a time.

A step is a range of elements along k. Where the tiles of A or of B end within it, it is cut into parts, and each part
is one product of two views: nothing is copied to make the inner grids of A and B agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kernels.gemm import gemm
from sarray.lowering.contraction import Layout
from wukong_sched.grid import window

SMALL = 32
"""Matrices of a stack up to about this order are multiplied by one call for the whole stack."""
Sums = dict[tuple[int, int], Any]
"""Accumulators by their place (p, q) in the super-tile."""


@dataclass(frozen=True, slots=True)
class SumOfProducts:
    """C[p, q] := C[p, q] + A[p, k] B[k, q] for all blocks of a super-tile."""

    layout: Layout
    summed_in: np.dtype[Any]
    """Type of the accumulators."""
    dtype: np.dtype[Any]
    """Type of the blocks that are returned."""

    def start(self, index: tuple[int, ...]) -> Sums:
        """Nothing yet: the first product of a block makes its accumulator."""
        return {}

    def step(self, sums: Sums, k: int, a: list[Any], b: list[Any]) -> Sums:
        """One step for every block. Tiles come row after row of A, column after column of B."""
        for p, left in enumerate(self._parts(a, k, 0)):
            for q, right in enumerate(self._parts(b, k, 1)):
                for x, y in zip(left, right, strict=True):
                    sums[p, q] = product(x, y, sums.get((p, q)))
        return sums

    def finish(self, index: tuple[int, ...], sums: Sums) -> list[Any]:
        """Blocks of C, row after row; zeros where there was nothing to add."""
        (stack, row, column), (di, dj) = self.layout.corner(index), self.layout.tile
        down, across = self.layout.chunks[-2:]
        return [
            self._block((*stack, row + p, column + q), sums.get((p, q)))
            for p in range(min(di, len(down) - row))
            for q in range(min(dj, len(across) - column))
        ]

    def _parts(self, blocks: list[Any], k: int, side: int) -> list[list[Any]]:
        """The views that the step's parts are, for each row of A's blocks or column of B's."""
        steps, inner = self.layout.steps, self.layout.inner[side]
        tiles = window(k, steps, inner, 0, 1)
        if inner == steps and self.layout.inner[1 - side] == steps:
            return [[self._matrix(block, side)] for block in blocks] if tiles else []
        cuts = list(pairwise(self._cuts(k)))
        rows = [blocks[n : n + len(tiles)] for n in range(0, len(blocks), len(tiles))] if tiles else []
        return [[self._view(dict(zip(tiles, row, strict=True)), cut, side) for cut in cuts] for row in rows]

    def _cuts(self, k: int) -> list[int]:
        """Where the step begins, where any tile begins within it, and where it ends."""
        begin, end = self.layout.steps.bounds(k)
        starts = (grid.bounds(t)[0] for grid in self.layout.inner for t in window(k, self.layout.steps, grid, 0, 1))
        return sorted({begin, end, *(start for start in starts if start > begin)})

    def _view(self, tiles: dict[int, Any], cut: tuple[int, int], side: int) -> Any:
        """Columns of a block of A, or rows of a block of B."""
        inner = self.layout.inner[side]
        tile = inner.tile_of(cut[0])
        matrix, offset = self._matrix(tiles[tile], side), inner.bounds(tile)[0]
        wanted = slice(cut[0] - offset, cut[1] - offset)
        return matrix[..., :, wanted] if side == 0 else matrix[..., wanted, :]

    def _matrix(self, block: Any, side: int) -> Any:
        """The block as a matrix or a stack of them, in a type whose products may be added."""
        if block.dtype == np.float16 and self.summed_in != np.float16:
            block = block.astype(np.float32)
        if not self.layout.vectors[side]:
            return block
        return block[:, None] if side else block[None, :]

    def _block(self, places: tuple[int, ...], block: Any) -> Any:
        """A finished block of C: in the result's type, and without the axes that a vector does not have."""
        extents = [grid.chunk(place) for grid, place in zip(self.layout.chunks, places, strict=True)]
        if block is None:
            block = np.zeros(extents, self.dtype)
        ends = [extent for extent, vector in zip(extents[-2:], self.layout.vectors, strict=True) if not vector]
        return block.astype(self.dtype, copy=False).reshape(extents[:-2] + ends)


def product(a: Any, b: Any, c: Any = None) -> Any:
    """C + A B for matrices or stacks of them, into C if there is one.

    >>> product(np.ones((1, 2)), np.ones((2, 1)), np.ones((1, 1)))
    array([[3.]])
    """
    if a.ndim == b.ndim == 2:
        return gemm(a, b, c)
    if min(a.shape[-2], a.shape[-1], b.shape[-1]) <= SMALL:
        result = np.matmul(a, b)
        return result if c is None else np.add(c, result, out=c)
    return _stacked(a, b, c)


def _stacked(a: Any, b: Any, c: Any) -> Any:
    """One product after the other: each is large enough to be a call of its own."""
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if c is None:
        c = np.zeros((*stack, a.shape[-2], b.shape[-1]), np.result_type(a, b))
    a, b = np.broadcast_to(a, stack + a.shape[-2:]), np.broadcast_to(b, stack + b.shape[-2:])
    for place in np.ndindex(stack):
        gemm(a[place], b[place], c[place])
    return c
