"""The loops of rules that do the same for every block of an array: ``for i0 in range(n0) for i1 in range(n1)``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from wukong_sched.grid import Grid


@cache
def variables(ndim: int) -> tuple[str, ...]:
    """One loop variable per axis: ``i0, i1``."""
    return tuple(f"i{axis}" for axis in range(ndim))


@cache
def block_loops(ndim: int) -> str:
    """Loops over all blocks, with the counts named ``n0, n1``."""
    return " ".join(f"for i{axis} in range(n{axis})" for axis in range(ndim))


@cache
def reference(symbol: str, *indices: str) -> str:
    """``X[i0, i1]``, and ``X[()]`` for a tile without index."""
    return f"{symbol}[{', '.join(indices) or '()'}]"


def counts(chunks: Sequence[Grid]) -> dict[str, int]:
    """The sizes that `block_loops` names."""
    return {f"n{axis}": len(grid) for axis, grid in enumerate(chunks)}


def block_shape(chunks: Sequence[Grid], index: Sequence[int]) -> tuple[int, ...]:
    """Shape of the block at this index."""
    return tuple(grid.chunk(tile) for grid, tile in zip(chunks, index, strict=True))


def largest_block(chunks: Sequence[Grid]) -> tuple[int, ...]:
    """Largest extents that blocks have."""
    return tuple(largest_chunk(grid) for grid in chunks)


def largest_chunk(grid: Grid) -> int:
    """Elements of the grid's largest tile.

    >>> largest_chunk(Grid.of((3, 5, 5, 1)))
    5
    """
    if grid.edges:
        return max(grid.sizes())
    return max(grid.first, grid.chunk(grid.count - 1), grid.size if grid.count > 2 else 0)
