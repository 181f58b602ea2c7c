"""Arrays known by their formula: full, eye, arange. ``Y[i, j] = full(...)``, made again by whoever needs a block."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cost import Cost
from kernels.creation import arange_block, eye_block, full_block
from sarray.expression import Expression, Inferred, express
from sarray.lowering.blocks import block_loops, block_shape, counts, largest_block, reference, variables
from sarray.lowering.builder import Builder
from wukong_sched.grid import Grid
from wukong_sched.rule import Rule

Block = NDArray[Any]


def infer(inputs: tuple[Expression, ...], chunks: tuple[Grid, ...], dtype: str, *formula: object) -> Inferred:
    """Shape, dtype and chunks, as given."""
    return tuple(grid.total for grid in chunks), np.dtype(dtype), chunks


def created(op: str, chunks: tuple[Grid, ...], dtype: np.dtype[Any], *formula: object) -> Expression:
    """An array by formula: ``full`` (value), ``eye`` (diagonal) or ``arange`` (start, step)."""
    return express(op, infer, (), chunks, dtype.str, *formula)


def _full(chunks: tuple[Grid, ...], index: tuple[int, ...], dtype: np.dtype[Any], value: Any) -> Block:
    return full_block(block_shape(chunks, index), value, dtype)


def _eye(chunks: tuple[Grid, ...], index: tuple[int, ...], dtype: np.dtype[Any], k: int) -> Block:
    rows, columns = block_shape(chunks, index)
    offset = chunks[0].bounds(index[0])[0], chunks[1].bounds(index[1])[0]
    return eye_block((rows, columns), offset, k, dtype)


def _arange(chunks: tuple[Grid, ...], index: tuple[int, ...], dtype: np.dtype[Any], start: Any, step: Any) -> Block:
    low, high = chunks[0].bounds(index[0])
    return arange_block(start, step, low, high - low, dtype)


FORMULAS: dict[str, Callable[..., Block]] = {"full": _full, "eye": _eye, "arange": _arange}
"""Operation -> what makes a block."""


@dataclass(frozen=True, slots=True)
class Make:
    """Makes the block at an index."""

    op: str
    chunks: tuple[Grid, ...]
    dtype: np.dtype[Any]
    formula: tuple[Any, ...]

    def __call__(self, index: tuple[int, ...]) -> Block:
        return FORMULAS[self.op](self.chunks, index, self.dtype, *self.formula)


def lower(expression: Expression, builder: Builder) -> None:
    """``Y[i, j] = formula(i, j)``; a task only where the array itself is wanted."""
    chunks, _, *formula = expression.params
    made(expression, builder, Make(expression.op, chunks, expression.dtype, tuple(formula)), 0.0)


def made(expression: Expression, builder: Builder, kernel: Callable[..., Any], flops_each: float) -> None:
    """A rule without reads, cheap unless the builder says that its tiles are worth keeping."""
    name, elements = expression.name, math.prod(largest_block(expression.chunks))
    builder.tiles(name, expression.chunks, expression.dtype)
    builder.rule(
        Rule(
            name, block_loops(expression.ndim), (reference("Y", *variables(expression.ndim)),), (), kernel,
            {"Y": name}, counts(expression.chunks), cheap=name not in builder.kept,
            cost=Cost(flops_each * elements, 0, elements * expression.dtype.itemsize), operation=expression.op,
        )
    )  # fmt: skip


def flops(expression: Expression) -> float:
    """None worth counting."""
    return 0.0
