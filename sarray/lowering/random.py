"""Random arrays: ``Y[i, j]`` from counters, so that an element's value depends on its place and the seed alone.

Its tiles are made again wherever they are needed if each is needed once; else they are tasks (see
docs/decisions/0007-random-tiles.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.random import integers_block, normal_block, uniform_block
from sarray.expression import Expression, Inferred, express
from sarray.lowering.blocks import block_shape
from sarray.lowering.builder import Builder
from sarray.lowering.creation import made
from wukong_sched.grid import Grid

Block = NDArray[Any]
Key = tuple[int, ...]
"""Seed and number of the stream."""

DISTRIBUTIONS: dict[str, Callable[..., Block]] = {
    "integers": integers_block,
    "normal": normal_block,
    "uniform": uniform_block,
}
"""Name -> kernel, called with key, shape, offset, extent, dtype and the distribution's keywords."""

FLOPS = {"integers": 30.0, "normal": 80.0, "uniform": 20.0}
"""Operations per element, roughly."""


def infer(
    inputs: tuple[Expression, ...],
    distribution: str,
    chunks: tuple[Grid, ...],
    dtype: str,
    key: Key,
    arguments: tuple[tuple[str, Any], ...],
) -> Inferred:
    """Shape, dtype and chunks, as given."""
    return tuple(grid.total for grid in chunks), np.dtype(dtype), chunks


def drawn(distribution: str, chunks: tuple[Grid, ...], dtype: np.dtype[Any], key: Key, **arguments: Any) -> Expression:
    """An array of one of `DISTRIBUTIONS` with its keyword arguments."""
    return express("random", infer, (), distribution, chunks, dtype.str, key, tuple(sorted(arguments.items())))


@dataclass(frozen=True, slots=True)
class Draw:
    """Draws the block at an index."""

    distribution: str
    chunks: tuple[Grid, ...]
    dtype: np.dtype[Any]
    key: Key
    arguments: tuple[tuple[str, Any], ...]

    def __call__(self, index: tuple[int, ...]) -> Block:
        """The block."""
        shape = tuple(grid.total for grid in self.chunks)
        offset = tuple(grid.bounds(tile)[0] for grid, tile in zip(self.chunks, index, strict=True))
        kernel = DISTRIBUTIONS[self.distribution]
        extent = block_shape(self.chunks, index)
        return kernel(self.key, shape, offset, extent, self.dtype, **dict(self.arguments))


def lower(expression: Expression, builder: Builder) -> None:
    """``Y[i, j] = draw(i, j)``."""
    distribution, chunks, _, key, arguments = expression.params
    made(expression, builder, Draw(distribution, chunks, expression.dtype, key, arguments), FLOPS[distribution])


def flops(expression: Expression) -> float:
    """Those of the distribution, per element."""
    return FLOPS[expression.params[0]] * float(np.prod(expression.shape, dtype=float))
