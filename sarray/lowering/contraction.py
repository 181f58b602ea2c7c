"""How a matrix product is cut into tasks and steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wukong_sched.grid import Grid


@dataclass(frozen=True, slots=True)
class Layout:
    """How a product is cut: fixed before any rule is written."""

    chunks: tuple[Grid, ...]
    """C's, stack first, then one for rows and one for columns (of a single element where the operand is a vector)."""
    vectors: tuple[bool, bool]
    """Whether A, and whether B, is one-dimensional."""
    steps: Grid
    """The inner grid that the sum over k follows."""
    inner: tuple[Grid, Grid]
    """The inner grids of A and B."""
    tile: tuple[int, int] = (1, 1)
    """Blocks of C down and across in one task."""
    splits: int = 1
    """Partial sums of each block; 1: none."""

    @property
    def stack(self) -> int:
        """Axes before the matrices'."""
        return len(self.chunks) - 2

    def corner(self, index: tuple[int, ...]) -> tuple[tuple[int, ...], int, int]:
        """Stack index, and the row and column of blocks where the super-tile of a task begins."""
        ends = [n for n, vector in enumerate(self.vectors) if not vector]
        stack = index[len(index) - self.stack - len(ends) : len(index) - len(ends)]
        begins = [0, 0]
        for n, place in zip(ends, index[len(index) - len(ends) :], strict=True):
            begins[n] = self.tile[n] * place
        return stack, begins[0], begins[1]


@dataclass(frozen=True, slots=True)
class Total:
    """C = sum_s P[s], in order."""

    dtype: np.dtype[Any]
    """Type of the result."""

    def start(self, index: tuple[int, ...]) -> None:
        """Nothing yet."""

    def step(self, total: Any, number: int, partial: Any) -> Any:
        """One more partial sum."""
        return partial.copy() if total is None else np.add(total, partial, out=total)

    def finish(self, index: tuple[int, ...], total: Any) -> Any:
        """The sum in the result's type."""
        return total.astype(self.dtype, copy=False)
