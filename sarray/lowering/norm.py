"""The 2-norm along some axes, safe where squares overflow or vanish.

    P[0, i, j] = (scale, s) with sum |A[i, j]|^2 = scale^2 s      for every block, along the reduced axes
    P[l, i, j] = combine(...)                                     see `tree.py`
    Y[i]       = scale sqrt(s)

The pairs are LAPACK's (lassq; Anderson 2017, "Algorithm 978: Safe scaling in the level 1 BLAS"). The order is fixed by
the chunks and `split_every`, so a norm has the same bits on every driver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.norm import combine_squares, finish_norm, sum_of_squares, sum_of_squares_cost
from sarray.expression import Expression, Inferred
from sarray.lowering.blocks import counts, largest_block, reference, variables
from sarray.lowering.builder import Builder
from sarray.lowering.operand import adapted
from sarray.lowering.tree import Tree
from wukong_sched.grid import Grid
from wukong_sched.rule import ArrayInfo, Rule


def norm_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The real type that a norm has: float64 for integers and bool, else the type of the absolute value.

    >>> norm_dtype(np.dtype("i4")), norm_dtype(np.dtype("c8"))
    (dtype('float64'), dtype('float32'))
    """
    return np.dtype(np.float64) if dtype.kind in "biu" else np.empty(0, dtype).real.dtype


def infer(inputs: tuple[Expression, ...], axes: tuple[int, ...], keepdims: bool) -> Inferred:
    """The axes that stay; reduced ones as one element if they are kept."""
    (a,) = inputs
    kept = [axis for axis in range(a.ndim) if keepdims or axis not in axes]
    grids = tuple(Grid.regular(1, 1) if axis in axes else a.chunks[axis] for axis in kept)
    return tuple(grid.total for grid in grids), norm_dtype(a.dtype), grids


def flops(expression: Expression) -> float:
    """A square and an addition per element."""
    return 2.0 * math.prod(expression.inputs[0].shape) * (2 if expression.inputs[0].dtype.kind == "c" else 1)


def lower(expression: Expression, builder: Builder) -> None:
    """One pair per block, and the tree over them."""
    (matrix,), (axes, keepdims) = expression.inputs, expression.params
    builder.tiles(expression.name, expression.chunks, expression.dtype)
    tree = _tree(expression, builder, Finish(expression.dtype, axes, keepdims))
    if not tree.levels:
        # Y[i] = scale sqrt(s) of A[i, 0]
        builder.rule(_block_rule(expression, builder, Whole(axes, tree.finish), tree.result, axes))
        return
    # P[0, i, j] = (scale, s) of A[i, j]
    builder.array(tree.partial, ArrayInfo(16 * _kept_elements(matrix, axes)))
    writes = reference("P", "0", *variables(matrix.ndim))
    builder.rule(_block_rule(expression, builder, BlockSquares(axes), writes, ()))
    tree.add(builder)


def _block_rule(
    expression: Expression, builder: Builder, kernel: Any, writes: str, single: tuple[int, ...]
) -> Rule:
    """One task per block; the axes in `single` have one block each."""
    (matrix,), name = expression.inputs, expression.name
    a, index = builder.operand(matrix), variables(matrix.ndim)
    place = ["0" if axis in single else variable for axis, variable in enumerate(index)]
    loops = [f"for i{axis} in range(n{axis})" for axis in range(matrix.ndim) if axis not in single]
    size, kept = math.prod(largest_block(matrix.chunks)), _kept_elements(matrix, expression.params[0])
    return Rule(
        f"{name}/block", " ".join(loops), (writes,), (a.ref("A", *place),), adapted(kernel, a),
        {"A": a.name, "P": f"{name}/partial", "Y": name}, counts(matrix.chunks),
        cost=sum_of_squares_cost(size, kept, matrix.dtype), operation="norm",
    )  # fmt: skip


def _tree(expression: Expression, builder: Builder, finish: Finish) -> Tree:
    (matrix,), (axes, keepdims) = expression.inputs, expression.params
    each = max(2, round(builder.limits.split_every ** (1 / max(1, len(axes)))))
    kept = [("0" if axis in axes else f"i{axis}") for axis in range(matrix.ndim) if keepdims or axis not in axes]
    cost = sum_of_squares_cost(each ** len(axes), 1, np.float64).scaled(_kept_elements(matrix, axes))
    blocks, result = tuple(len(grid) for grid in matrix.chunks), reference("Y", *kept)
    return Tree(expression.name, "norm", blocks, axes, each, combine, finish, result, cost)


def _kept_elements(matrix: Expression, axes: tuple[int, ...]) -> int:
    return math.prod(extent for axis, extent in enumerate(largest_block(matrix.chunks)) if axis not in axes)


def combine(index: tuple[int, ...], pairs: list[Any]) -> Any:
    """Several pairs as one."""
    return combine_squares(pairs)


@dataclass(frozen=True, slots=True)
class BlockSquares:
    """The pair of a block, with all axes kept."""

    axes: tuple[int, ...]

    def __call__(self, index: tuple[int, ...], block: Any) -> Any:
        return sum_of_squares(block, self.axes, keepdims=True)


@dataclass(frozen=True, slots=True)
class Finish:
    """The norm from the last pairs."""

    dtype: np.dtype[Any]
    axes: tuple[int, ...]
    keepdims: bool

    def __call__(self, index: tuple[int, ...], pairs: list[Any]) -> Any:
        norm = finish_norm(combine_squares(pairs), self.dtype)
        return norm if self.keepdims else norm.squeeze(self.axes)


@dataclass(frozen=True, slots=True)
class Whole:
    """The norm where there is one block along the reduced axes."""

    axes: tuple[int, ...]
    finish: Any

    def __call__(self, index: tuple[int, ...], block: Any) -> Any:
        return self.finish(index, [sum_of_squares(block, self.axes, keepdims=True)])
