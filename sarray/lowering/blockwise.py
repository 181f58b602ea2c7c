"""One task per block: ``Y[i, j] = chain(A[i, j], B[j], ...)``, for whatever is the root of a fused group."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.cost import Cost
from kernels.elementwise import Chain
from sarray.expression import Expression
from sarray.lowering.blocks import block_loops, block_shape, counts, largest_block, reference, variables
from sarray.lowering.builder import Builder
from sarray.lowering.fusion import Group
from sarray.lowering.operand import adapted
from wukong_sched.grid import Grid
from wukong_sched.rule import Rule

Block = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Evaluate:
    """The value of a chain."""

    chain: Chain

    def __call__(self, index: tuple[int, ...], *blocks: Block) -> Block:
        return self.chain(*blocks)


def copied(index: tuple[int, ...], block: Block) -> Block:
    """The block as one's own."""
    return np.array(block)


@dataclass(frozen=True, slots=True)
class Spread:
    """A kernel whose blocks must be broadcast to the extents of a block first."""

    kernel: Callable[..., Any]
    chunks: tuple[Grid, ...]
    single: tuple[int, ...]
    """Axes of one block, which the task's index leaves out."""

    def __call__(self, index: tuple[int, ...], *blocks: Block) -> Any:
        places = iter(index)
        full = [0 if axis in self.single else next(places) for axis in range(len(self.chunks))]
        first = np.broadcast_to(blocks[0], block_shape(self.chunks, full))
        return self.kernel(index, first, *blocks[1:])


def fused(group: Group, kernel: Callable[..., Any], single: tuple[int, ...] = ()) -> Any:
    """The kernel on the group's leaves, as they are in storage; axes of one block may have no loop variable."""
    return adapted(kernel if group.covered else Spread(kernel, group.chunks, single), *group.leaves)


def reads(group: Group, single: tuple[int, ...] = ()) -> tuple[str, ...]:
    """References to the leaves of the block at the frame's loop variables."""
    indices = [("0" if axis in single else f"i{axis}") for axis in range(len(group.chunks))]
    return tuple(leaf.ref(f"X{number}", *indices) for number, leaf in enumerate(group.leaves))


def names(group: Group) -> dict[str, str]:
    """The arrays that `reads` names."""
    return {f"X{number}": leaf.name for number, leaf in enumerate(group.leaves)}


def group_cost(group: Group, builder: Builder, bytes_out: int, steps: int = 0) -> Cost:
    """Cost of a block, with so many steps beyond the chain's."""
    elements = math.prod(largest_block(group.chunks))
    read = sum(builder.arrays[leaf.name].nbytes for leaf in group.leaves)
    return Cost(float(elements) * (steps + (len(group.chain.steps) if group.chain else 0)), read, bytes_out)


def lower(expression: Expression, builder: Builder) -> None:
    """``Y[i, j] = chain(A[i, j], ...)`` if the expression is the root of a group; nothing if others compute it."""
    group = builder.groups.get(expression.name)
    if group is None:
        return
    name, ndim = expression.name, expression.ndim
    builder.tiles(name, expression.chunks, expression.dtype)
    kernel = Evaluate(group.chain) if group.chain else copied
    builder.rule(
        Rule(
            name, block_loops(ndim), (reference("Y", *variables(ndim)),), reads(group), fused(group, kernel),
            names(group) | {"Y": name}, counts(expression.chunks), operation=words(expression, group),
            cost=group_cost(group, builder, builder.arrays[name].nbytes),
        )
    )  # fmt: skip


def words(expression: Expression, group: Group) -> str:
    """What the user wrote: the function, or those of the chain."""
    if group.chain is None:
        return expression.op
    functions = list(dict.fromkeys(step.function for step in group.chain.steps))
    return ", ".join(functions if len(functions) <= 4 else [*functions[:2], "...", functions[-1]])
