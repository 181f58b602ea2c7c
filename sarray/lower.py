"""From expressions to a program: fusion is decided, every operation adds its rules, and what is wanted is said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sarray.expression import Expression, walk
from sarray.lowering import blockwise
from sarray.lowering.blocks import largest_block
from sarray.lowering.builder import Builder, Limits
from sarray.lowering.fusion import fuse
from sarray.lowering.table import OPERATIONS
from wukong_sched.recurrence import Recurrences


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program, and what it was made from."""

    program: Recurrences
    wanted: Mapping[str, Expression]
    """Name of each wanted array -> its expression, in the order asked for."""
    order: tuple[Expression, ...]
    """Every expression, inputs first."""

    @property
    def uses_blas(self) -> bool:
        """Whether tasks may call BLAS, whose own threads must then be held back."""
        return any(OPERATIONS[expression.op].blas for expression in self.order)


SURE = 4
"""How many times faster it must be to make a block once more than to fetch it, since its flops are an estimate."""


def _made_again(limits: Limits, expression: Expression) -> bool:
    """Whether whoever needs a block of an array by formula makes it, instead of one who stores it for all."""
    elements = math.prod(largest_block(expression.chunks))
    flops = OPERATIONS[expression.op].flops(expression) * elements / max(1, math.prod(expression.shape))
    # Limits.recomputes weighs against four transfers (there and back, twice); here one, to fetch, is what counts.
    return limits.recomputes(4 * SURE * flops, elements * expression.dtype.itemsize)


def lower(expressions: Sequence[Expression], limits: Limits) -> Lowered:
    """The program that computes all blocks of these expressions; work that they share is there once.

    >>> import sarray as sa
    >>> x = sa.ones((6, 4), chunks=2)
    >>> len(lower([((x * 2 + 1) ** 2).expression], Limits(2**30, 2)).program)
    6
    """
    wanted = {expression.name: expression for expression in expressions}
    order = tuple(walk(*wanted.values()))
    fusion = fuse(order, wanted, lambda op: OPERATIONS[op].once, limits.task_bytes, partial(_made_again, limits))
    builder = Builder(limits, operands=fusion.operands, groups=fusion.groups, kept=fusion.kept)
    for expression in order:
        OPERATIONS[expression.op].lower(expression, builder)
        if expression.op == "source" and expression.name in wanted:
            blockwise.lower(expression, builder)
    boxes = [(name, expression.numblocks) for name, expression in wanted.items()]
    return Lowered(Recurrences(list(builder.rules.values()), builder.arrays, builder.sources, boxes), wanted, order)
