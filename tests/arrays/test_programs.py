"""The programs that operations lower to: correct by brute force, whatever the chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from sarray.expression import Expression, walk
from sarray.lower import lower
from sarray.lowering.builder import Limits
from sarray.lowering.table import OPERATIONS
from tests.arrays.drawn import chunked, cuts
from wukong_sched.program import verify_program

LINEAR = {"norm"}
"""Operations of linear algebra that call no BLAS; tests of linear algebra verify those."""
LIMITS = Limits(2**30, 2, split_every=3)


class Pick(Protocol):
    """Where a program's parameters come from."""

    def number(self, choices: list[int]) -> int: ...
    def sizes(self, extent: int) -> tuple[int, ...]: ...


@dataclass
class Drawn:
    """From hypothesis."""

    data: st.DataObject

    def number(self, choices: list[int]) -> int:
        return self.data.draw(st.sampled_from(choices))

    def sizes(self, extent: int) -> tuple[int, ...]:
        return self.data.draw(cuts(extent, min(3, extent)))


class Last:
    """The last choice, and two chunks."""

    def number(self, choices: list[int]) -> int:
        return choices[-1]

    def sizes(self, extent: int) -> tuple[int, ...]:
        return 1, extent - 1


def expressions_of(found: sa.Array | tuple[sa.Array, ...]) -> list[Expression]:
    return [array.expression for array in (found if isinstance(found, tuple) else (found,))]


PROGRAMS: dict[str, Callable[[sa.Array, Pick], Any]] = {
    "source": lambda x, pick: x,
    "full": lambda x, pick: sa.ones_like(x),
    "eye": lambda x, pick: sa.eye(*x.shape, k=1, chunks=x.chunks),
    "arange": lambda x, pick: x + sa.arange(x.shape[1], chunks=x.chunks[1:]),
    "random": lambda x, pick: (sa.random.default_rng(0).random(x.shape, chunks=x.chunks) + x).T,
    "elementwise": lambda x, pick: (x * 2 + x[:1], x.T - 1),
    "diamond": lambda x, pick: sa.where(x > 0, x + x, -x) * (x + x),
    "spread": lambda x, pick: sa.broadcast_to(x, (2, *x.shape), chunks=1),
    "view": lambda x, pick: (x.T, x[:, None], (x + 1).T.sum(axis=0)),
    "reduce": lambda x, pick: ((x * 2).sum(), x.max(axis=0, keepdims=True), x.mean(axis=1)),
    "spread and reduced": lambda x, pick: sa.broadcast_to(x[:1], (5, x.shape[1]), chunks=2).sum(axis=0),
    "tree_reduce": lambda x, pick: sa.tree_reduce(x.rechunk({0: 1}), max, pick.number([2, 3, 4])),
    "slice": lambda x, pick: x.sum(axis=())[1:, :: pick.number([-1, 1, 2, -3])],
    "rechunk": lambda x, pick: x.sum(axis=()).rechunk(tuple(map(pick.sizes, x.shape))),
    "unified": lambda x, pick: x + x.sum(axis=()).rechunk(2),
    "symmetric": lambda x, pick: (
        x[: min(x.shape), : min(x.shape)].rechunk(2).sum(axis=()) * 1
        + x[: min(x.shape), : min(x.shape)].rechunk(2).sum(axis=()).T
    ),
    "wanted and used": lambda x, pick: (x + 1, (x + 1).sum(), x, x * 2),
}
"""At least one program for every operation of this package but linear algebra's."""


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=30)
@given(data=st.data())
def test_programs_are_sound(name: str, data: st.DataObject) -> None:
    _, x = data.draw(chunked(2, ("f8",), most=7, least=2, finite=True))
    expressions = expressions_of(PROGRAMS[name](x, Drawn(data)))
    verify_program(lower(expressions, LIMITS).program)
    for expression in walk(*expressions):
        inferred = OPERATIONS[expression.op].infer(expression.inputs, *expression.params)
        assert inferred == (expression.shape, expression.dtype, expression.chunks)
        assert OPERATIONS[expression.op].flops(expression) >= 0


def test_every_operation_has_a_program() -> None:
    x = sa.from_array(np.ones((4, 4)), 2)
    expressions = [each for build in PROGRAMS.values() for each in expressions_of(build(x, Last()))]
    elsewhere = {name for name, operation in OPERATIONS.items() if operation.blas or name in LINEAR}
    assert {each.op for each in walk(*expressions)} == set(OPERATIONS) - elsewhere
