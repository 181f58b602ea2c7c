"""Tree reductions with a user's function: ``Y[0, k] = f(f(X[0, k], X[1, k]), f(X[2, k], X[3, k]))``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.expression import Expression, Inferred, express
from sarray.lowering.blocks import block_loops, counts, reference, variables
from sarray.lowering.blockwise import copied
from sarray.lowering.builder import Builder
from sarray.lowering.operand import adapted
from sarray.lowering.source import Held
from sarray.lowering.tree import Tree
from wukong_sched.grid import Grid
from wukong_sched.rule import ArrayInfo, Rule

Block = NDArray[Any]


def infer(inputs: tuple[Expression, ...], combine: Held, arity: int, axis: int) -> Inferred:
    """The input's shape, dtype and chunks with one chunk left along the axis."""
    (source,) = inputs
    grid = source.chunks[axis]
    if len(set(grid.sizes())) > 1:
        raise ValueError(
            f"tree_reduce: chunks along axis {axis} must have one size, as combine's arguments have one shape, got "
            f"{grid.sizes()[:8]}...; write x.rechunk({{{axis}: size}}) with a size that divides {grid.total}"
        )
    one = Grid.of((grid.chunk(0),))
    chunks = (*source.chunks[:axis], one, *source.chunks[axis + 1 :])
    return tuple(each.total for each in chunks), source.dtype, chunks


def combined(expression: Expression, combine: Held, arity: int, axis: int) -> Expression:
    """Blocks along the axis combined by a function."""
    return express("tree_reduce", infer, (expression,), combine, arity, axis)


def lower(expression: Expression, builder: Builder) -> None:
    """The tree over the input's tiles, or a copy of the only one."""
    (source,), (combine, arity, axis) = expression.inputs, expression.params
    name, operand = expression.name, builder.operand(source)
    builder.tiles(name, expression.chunks, expression.dtype)
    if len(source.chunks[axis]) == 1:
        builder.rule(
            Rule(
                name, block_loops(source.ndim), (reference("Y", *variables(source.ndim)),),
                (operand.ref("X", *variables(source.ndim)),), adapted(copied, operand), {"X": operand.name, "Y": name},
                counts(source.chunks), operation="tree_reduce",
            )
        )  # fmt: skip
        return
    kernel = Call(combine, expression.dtype.str)
    size = builder.arrays[name].nbytes
    result = reference("Y", *("0" if n == axis else f"i{n}" for n in range(source.ndim)))
    tree = Tree(
        name, "tree_reduce", tuple(len(grid) for grid in source.chunks), (axis,), arity, kernel, kernel, result,
        None, operand,
    )  # fmt: skip
    grids = tuple(grid.chunk(0) if n == axis else grid for n, grid in enumerate(source.chunks))
    if tree.levels > 1:
        builder.array(tree.partial, ArrayInfo(size, expression.dtype.itemsize, grids))
    tree.add(builder)


@dataclass(frozen=True, slots=True)
class Call:
    """Calls the user's function on blocks, and checks what it returns."""

    combine: Held
    dtype: str

    def __call__(self, index: tuple[int, ...], blocks: list[Block]) -> Block:
        """The blocks as one; one alone stays as it is."""
        if len(blocks) == 1:
            return blocks[0]
        found = np.asarray(self.combine.value(*map(guarded, blocks)))
        if found.shape != blocks[0].shape or found.dtype != self.dtype:
            raise ValueError(
                "tree_reduce: combine must return a block like its arguments, "
                f"{blocks[0].shape} of {np.dtype(self.dtype)}, got {found.shape} of {found.dtype}"
            )
        return found


def guarded(block: Block) -> Block:
    """The block, not to be written to: others may read it too."""
    view = block.view()
    view.flags.writeable = False
    return view


def flops(expression: Expression) -> float:
    """Unknown: the function is the user's."""
    return 0.0
