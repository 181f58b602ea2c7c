"""What the lowerings of all operations of a program write into."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sarray.expression import Expression, Inferred
from sarray.lowering.blocks import largest_chunk
from sarray.lowering.fusion import Group
from sarray.lowering.operand import Operand
from wukong_sched.grid import Grid
from wukong_sched.rule import ArrayInfo, Rule, Source


class Lower(Protocol):
    """Adds the rules that compute an expression to a builder."""

    def __call__(self, expression: Expression, builder: Builder, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table of operations."""

    infer: Callable[..., Inferred]
    """``infer(inputs, *params)``: shape, dtype, chunks; raises what the user should see. Never computes."""
    lower: Lower
    flops: Callable[[Expression], float]
    """Floating-point operations of the whole expression, its inputs' not counted."""
    once: bool = False
    """Whether each input tile is read by a single task, so that making a cheap input again costs nothing more."""
    blas: bool = False
    """Whether its kernels call BLAS or LAPACK, whose own threads must then be held back."""


def never(flops: float, nbytes: float) -> bool:
    """Where moving costs nothing, nothing is computed twice."""
    return False


def none_stay(nbytes: int) -> bool:
    """Where everything that a task made leaves together."""
    return False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may use; part of the plan, so alike on every driver."""

    task_bytes: int
    """Bytes that the blocks of one running task may take."""
    workers: int
    """Tasks that are expected to run at once; wide operations are cut into a few times as many tasks."""
    rounds: int = 4
    """Tasks that every worker should find: where reading is free, many small ones keep all workers busy to the end."""
    split_every: int = 8
    """Blocks that one task of a tree reduction combines, unless the call says otherwise."""
    recomputes: Callable[[float, float], bool] = never
    """Whether so many flops more take less than to store so many bytes and to fetch them again."""
    stays: Callable[[int], bool] = none_stay
    """Whether so many bytes stay with the worker that made them, when others wait for what it made beside them."""


@dataclass(slots=True)
class Builder:
    """Rules, arrays and sources of a program in the making. A rule or an array named before is the same one."""

    limits: Limits
    rules: dict[str, Rule] = field(default_factory=dict)
    arrays: dict[str, ArrayInfo] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    operands: Mapping[str, Operand] = field(default_factory=dict)
    """Expression name -> how to read it, where that is not simply its own tiles; decided before anything is lowered."""
    groups: Mapping[str, Group] = field(default_factory=dict)
    """Name of a group's root -> what one task computes."""
    kept: Collection[str] = ()
    """Arrays by formula whose tiles are made once, by tasks, and not again by whoever needs them."""

    def rule(self, rule: Rule) -> None:
        """Add a rule, once."""
        self.rules.setdefault(rule.name, rule)

    def array(self, name: str, info: ArrayInfo) -> None:
        """Declare an array that rules write, or a source's."""
        self.arrays.setdefault(name, info)

    def tiles(self, name: str, chunks: Sequence[Grid], dtype: np.dtype[Any]) -> None:
        """Declare an array whose tiles are the blocks of these grids."""
        largest = dtype.itemsize
        for grid in chunks:
            largest *= largest_chunk(grid)
        self.array(name, ArrayInfo(largest, dtype.itemsize, tuple(chunks)))

    def source(self, name: str, source: Source) -> None:
        """Declare where the tiles of a source array come from."""
        self.sources.setdefault(name, source)

    def is_at_hand(self, name: str) -> bool:
        """Whether the tiles of an array are read as they are, or made again, by everybody: no task writes them."""
        cheap = (rule for rule in self.rules.values() if rule.cheap)
        return name in self.sources or any(name in rule.names.values() for rule in cheap)

    def operand(self, expression: Expression) -> Operand:
        """How to read an input's tiles; every lowering asks this for every input."""
        found = self.operands.get(expression.name)
        return found or Operand(expression.name, tuple(range(expression.ndim)), expression.ndim)
