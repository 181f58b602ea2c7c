"""Trees: blocks along some axes combined, a few at a time, until one is left.

    P[l, i, j] = combine([P[l-1, i, a*j + c]  for c in range(min(a, width[l-1] - a*j))])      0 < l < levels
    Y[i]       = finish([P[levels-1, i, c]    for c in range(width[levels-1])])

with ``width[l]`` blocks left at level l. One rule covers all levels, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sarray.lowering.blocks import reference, variables
from sarray.lowering.builder import Builder
from sarray.lowering.operand import Operand, adapted
from wukong_sched.rule import Costed, Rule


def widths(count: int, arity: int, levels: int = 0) -> tuple[int, ...]:
    """Blocks left at each level, from `count` down to 1; as many more ones as `levels` asks for.

    >>> widths(10, 4), widths(1, 4, 2)
    ((10, 3, 1), (1, 1, 1))
    """
    found = [count]
    while found[-1] > 1:
        found.append(-(-found[-1] // arity))
    return tuple(found + [1] * (levels + 1 - len(found)))


def depth(counts: Sequence[int], arity: int) -> int:
    """Levels until one block is left along every axis.

    >>> depth((10, 3), 4)
    2
    """
    return max((len(widths(count, arity)) - 1 for count in counts), default=0)


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree over the blocks of an array."""

    name: str
    """Of the array that it gives."""
    operation: str
    counts: tuple[int, ...]
    """Blocks along each axis at level 0."""
    axes: tuple[int, ...]
    """Those that are combined."""
    arity: int
    combine: Callable[..., Any]
    """``combine(index, *lists)``: a partial result."""
    finish: Callable[..., Any]
    """``finish(index, *lists)``: a block of the result."""
    result: str
    """Reference to the result's block, ``Y[...]``, over the variables of axes that stay."""
    cost: Costed | None
    """Of one combination; None if nobody knows."""
    base: Operand | None = None
    """Whose tiles are level 0; None: ``P[0, ...]``, which somebody else writes."""

    @property
    def partial(self) -> str:
        """Name of the array of partial results."""
        return self.name + "/partial"

    @property
    def levels(self) -> int:
        """Times that blocks are combined."""
        return depth([self.counts[axis] for axis in self.axes], self.arity)

    def add(self, builder: Builder) -> None:
        """Add the rules, for at least one level; the arrays are declared by whoever calls."""
        if self.levels > 1:
            builder.rule(self._combining())
        builder.rule(self._finishing())

    def _combining(self) -> Rule:
        """``P[l, i, j] = combine([P[l-1, i, a*j + c] for c in ...])``"""
        kept = [axis for axis in range(len(self.counts)) if axis not in self.axes]
        loops = ["for l in range(1, levels)", *(f"for i{axis} in range(n{axis})" for axis in kept)]
        loops += [f"for i{axis} in range(w{axis}[l])" for axis in self.axes]
        below = [f"a * i{n} + c{n}" if n in self.axes else f"i{n}" for n in range(len(self.counts))]
        inner = [f"for c{n} in range(min(a, w{n}[l - 1] - a * i{n}))" for n in self.axes]
        element = reference("P", "l - 1", *below)
        if self.base is not None:
            element = f"({self.base.ref('X', *below)} if l == 1 else {element})"
        writes = reference("P", "l", *variables(len(self.counts)))
        return Rule(
            self.name + "/combine", " ".join(loops), (writes,), (f"[{' '.join([element, *inner])}]",),
            adapted(self.combine, self.base), self._names(), self._sizes(), cost=self.cost, operation=self.operation,
        )  # fmt: skip

    def _finishing(self) -> Rule:
        """``Y[i] = finish([P[levels-1, i, c] for c in ...])``"""
        places = [f"c{n}" if n in self.axes else f"i{n}" for n in range(len(self.counts))]
        direct = self.base is not None and self.levels == 1
        element = reference("P", "levels - 1", *places)
        if self.base is not None and direct:
            element = self.base.ref("X", *places)
        inner = [f"for c{n} in range(r{n})" for n in self.axes]
        loops = [f"for i{n} in range(n{n})" for n in range(len(self.counts)) if n not in self.axes]
        return Rule(
            self.name, " ".join(loops), (self.result,), (f"[{' '.join([element, *inner])}]",),
            adapted(self.finish, self.base if direct else None), self._names() | {"Y": self.name}, self._sizes(),
            cost=self.cost, operation=self.operation,
        )  # fmt: skip

    def _names(self) -> dict[str, str]:
        return {"P": self.partial} | ({"X": self.base.name} if self.base else {})

    def _sizes(self) -> dict[str, Any]:
        sizes: dict[str, Any] = {f"n{axis}": count for axis, count in enumerate(self.counts)}
        sizes |= {f"w{axis}": widths(self.counts[axis], self.arity, self.levels) for axis in self.axes}
        sizes |= {f"r{axis}": sizes[f"w{axis}"][self.levels - 1] for axis in self.axes}
        return sizes | {"a": self.arity, "levels": self.levels}
