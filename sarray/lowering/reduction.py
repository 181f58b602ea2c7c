"""Reductions: each block is reduced where it is computed, and the partial results are combined in a tree.

    P[0, i, j] = reduce(chain(A[i, j], ...))      for every block, along the reduced axes
    P[l, i, j] = combine(...)                     see `tree.py`
    Y[i]       = finish(combine(...))

The order is fixed by chunks and `split_every`, so a result has the same bits on every driver.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.elementwise import Chain
from kernels.reduction import combine, combine_cost, finish_mean, mean_dtypes, reduce_block, reduction_dtype
from sarray.expression import Expression, Inferred, express
from sarray.lowering.blocks import counts, largest_block, reference, variables
from sarray.lowering.blockwise import fused, group_cost, names, reads
from sarray.lowering.builder import Builder
from sarray.lowering.fusion import Group
from sarray.lowering.tree import Tree
from wukong_sched.grid import Grid
from wukong_sched.rule import ArrayInfo, Rule

Block = NDArray[Any]
DType = np.dtype[Any]

FUNCTIONS = {"sum": "sum", "prod": "prod", "min": "min", "max": "max", "all": "all", "any": "any", "mean": "sum"}
"""Reduction -> what combines its partial results."""

NEEDS_ELEMENTS = {"min", "max"}


def dtypes(name: str, dtype: DType, asked: str | None) -> tuple[DType, DType]:
    """The type in which a reduction accumulates, and that of its result; NumPy's."""
    if name == "mean":
        accumulate, result = mean_dtypes(dtype)
        return (np.dtype(asked), np.dtype(asked)) if asked else (accumulate, result)
    found = np.dtype(asked) if asked else reduction_dtype(name, dtype)
    return found, found


def infer(
    inputs: tuple[Expression, ...],
    name: str,
    axes: tuple[int, ...],
    keepdims: bool,
    dtype: str | None,
    arity: int | None,
) -> Inferred:
    """Shape, dtype and chunks of the reduction; ValueError for a minimum of nothing."""
    (source,) = inputs
    if name in NEEDS_ELEMENTS and any(source.shape[axis] == 0 for axis in axes):
        raise ValueError(
            f"{name}: an axis of no elements has no {name}imum, shape {source.shape}, axes {axes}; reduce other axes"
        )
    if name in NEEDS_ELEMENTS and source.dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order; reduce abs(x) or x.real")
    kept = [axis for axis in range(source.ndim) if keepdims or axis not in axes]
    grids = tuple(Grid.regular(1, 1) if axis in axes else source.chunks[axis] for axis in kept)
    return tuple(grid.total for grid in grids), dtypes(name, source.dtype, dtype)[1], grids


def reduced(
    name: str,
    expression: Expression,
    axes: tuple[int, ...],
    keepdims: bool = False,
    dtype: str | None = None,
    split_every: int | None = None,
) -> Expression:
    """One of `FUNCTIONS` along `axes` (each once, not negative)."""
    return express("reduce", infer, (expression,), name, tuple(sorted(axes)), keepdims, dtype, split_every)


def lower(expression: Expression, builder: Builder) -> None:
    """The first level, fused with what is reduced, and the tree over it."""
    name, axes, keepdims, asked, _ = expression.params
    group = builder.groups[expression.name]
    accumulate, result = dtypes(name, expression.inputs[0].dtype, asked)
    tree = _tree(
        expression,
        builder,
        group,
        Finish(FUNCTIONS[name], name == "mean", _count(expression), result.str, axes, keepdims),
    )
    builder.tiles(expression.name, expression.chunks, expression.dtype)
    first = ReduceBlock(group.chain, FUNCTIONS[name], axes, accumulate.str)
    if not tree.levels:
        builder.rule(_block_rule(expression, builder, group, Then(first, tree.finish), tree.result, axes))
        return
    _declare(tree.partial, expression.inputs[0].chunks, axes, accumulate, builder)
    writes = reference("P", "0", *variables(len(group.chunks)))
    builder.rule(_block_rule(expression, builder, group, first, writes, ()))
    tree.add(builder)


def _block_rule(
    expression: Expression,
    builder: Builder,
    group: Group,
    kernel: Callable[..., Any],
    writes: str,
    single: tuple[int, ...],
) -> Rule:
    """``P[0, i, j] = reduce(chain(A[i, j], ...))``, or ``Y[i]`` at once where the reduced axes are of one block."""
    name = expression.name
    loops = " ".join(f"for i{axis} in range(n{axis})" for axis in range(len(group.chunks)) if axis not in single)
    written = builder.arrays.get(f"{name}/partial", builder.arrays[name]).nbytes
    return Rule(
        f"{name}/block", loops, (writes,), reads(group, single), fused(group, kernel, single),
        names(group) | {"P": f"{name}/partial", "Y": name}, counts(group.chunks),
        cost=group_cost(group, builder, written, steps=1), operation=expression.params[0],
    )  # fmt: skip


def _tree(expression: Expression, builder: Builder, group: Group, finish: Finish) -> Tree:
    name, axes, keepdims, asked, arity = expression.params
    accumulate, _ = dtypes(name, expression.inputs[0].dtype, asked)
    arity = arity or builder.limits.split_every
    cut = sum(len(group.chunks[axis]) > 1 for axis in axes)
    each = max(2, round(arity ** (1 / max(1, cut))))
    size = math.prod(extent for axis, extent in enumerate(largest_block(group.chunks)) if axis not in axes)
    kept = [("0" if axis in axes else f"i{axis}") for axis in range(len(group.chunks)) if keepdims or axis not in axes]
    return Tree(
        expression.name, name, tuple(len(grid) for grid in group.chunks), axes, each, Combine(finish.function),
        finish, reference("Y", *kept), combine_cost(each**cut, size, accumulate),
    )  # fmt: skip


def _count(expression: Expression) -> int:
    """Elements that make one element of the result."""
    source, axes = expression.inputs[0], expression.params[1]
    return math.prod(source.shape[axis] for axis in axes)


def _declare(name: str, chunks: tuple[Grid, ...], axes: tuple[int, ...], dtype: DType, builder: Builder) -> None:
    """The array of partial results: an index for the level, then those of the blocks, with extent 1 where reduced."""
    grids = tuple(1 if axis in axes else grid for axis, grid in enumerate(chunks))
    size = math.prod(1 if axis in axes else extent for axis, extent in enumerate(largest_block(chunks)))
    builder.array(name, ArrayInfo(size * dtype.itemsize, dtype.itemsize, grids))


@dataclass(frozen=True, slots=True)
class ReduceBlock:
    """Reduces the value of a chain (None: the block itself), keeping all axes."""

    chain: Chain | None
    function: str
    axes: tuple[int, ...]
    dtype: str

    def __call__(self, index: tuple[int, ...], *blocks: Block) -> Block:
        """The partial result."""
        if self.chain is None:
            return reduce_block(self.function, blocks[0], self.axes, keepdims=True, dtype=self.dtype)
        return self.chain.reduced(self.function, *blocks, axis=self.axes, keepdims=True, dtype=self.dtype)


@dataclass(frozen=True, slots=True)
class Combine:
    """Combines partial results."""

    function: str

    def __call__(self, index: tuple[int, ...], parts: list[Block]) -> Block:
        """One partial result."""
        return combine(self.function, parts)


@dataclass(frozen=True, slots=True)
class Finish:
    """Combines the last partial results into a block of the result."""

    function: str
    mean: bool
    count: int
    """Elements that make one of the result."""
    dtype: str
    axes: tuple[int, ...]
    keepdims: bool

    def __call__(self, index: tuple[int, ...], parts: list[Block]) -> Block:
        """A block of the result."""
        total = combine(self.function, parts)
        if self.mean:
            with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
                total = finish_mean(total, self.count, self.dtype)
        return total if self.keepdims else total.squeeze(self.axes)


@dataclass(frozen=True, slots=True)
class Then:
    """Reduces the only block there is, and finishes."""

    first: ReduceBlock
    finish: Callable[..., Any]

    def __call__(self, index: tuple[int, ...], *blocks: Block) -> Any:
        """A block of the result."""
        return self.finish(index, [self.first(index, *blocks)])


def flops(expression: Expression) -> float:
    """One per element."""
    return float(np.prod(expression.inputs[0].shape, dtype=float))
