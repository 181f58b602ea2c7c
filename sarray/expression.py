"""Expressions: what an array is, before anything is computed.

An expression is one operation applied to other expressions. It knows its shape, dtype and chunks, and its name is a
hash of the operation, its parameters and its inputs' names: the same work has the same name. Nothing here computes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wukong_sched.grid import Grid

Inferred = tuple[tuple[int, ...], "np.dtype[Any]", tuple[Grid, ...]]
"""shape, dtype, chunks"""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """One operation on arrays; compare by `name`."""

    op: str
    """Key into `sarray.lowering.table.OPERATIONS`."""
    inputs: tuple[Expression, ...]
    params: tuple[Any, ...]
    """Whatever else the operation needs: picklable, with a `repr` that says it all or is an explicit token."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[Grid, ...]
    """One grid per dimension."""
    name: str
    """Name of the array whose tiles this expression is."""

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def numblocks(self) -> tuple[int, ...]:
        """Number of blocks along each dimension."""
        return tuple(len(grid) for grid in self.chunks)

    @property
    def nbytes(self) -> int:
        """Bytes of all values together."""
        size = self.dtype.itemsize
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands for an input among the arguments of a function."""

    number: int

    def __repr__(self) -> str:
        return f"<{self.number}>"


def express(op: str, infer: Callable[..., Inferred], inputs: tuple[Expression, ...], *params: object) -> Expression:
    """An operation on inputs: its shape, dtype and chunks by `infer`, its name by all that goes into it."""
    shape, dtype, chunks = infer(inputs, *params)
    return Expression(op, inputs, params, shape, dtype, chunks, name_of(op, params, *[each.name for each in inputs]))


def name_of(op: str, *parts: object) -> str:
    """``op-0123456789abcdef``: a name that is the same for the same parts, by their `repr`."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
    return f"{op}-{digest}"


def walk(*roots: Expression) -> Iterator[Expression]:
    """Every expression below the roots once, inputs before their users; without recursion."""
    seen: set[str] = set()
    stack: list[tuple[Expression, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        expression, expanded = stack.pop()
        if expression.name in seen:
            continue
        if expanded:
            seen.add(expression.name)
            yield expression
        else:
            stack.append((expression, True))
            stack.extend((child, False) for child in reversed(expression.inputs))
