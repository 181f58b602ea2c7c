"""What small programs of recurrences are made of in tests: sources of a few values, and kernels on single numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wukong_sched.linked import Wanted
from wukong_sched.program import Program, Tile, verify_program
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule

Evaluate = Callable[[Program], dict[Tile, Any]]


@dataclass(frozen=True)
class Blocks:
    """A source."""

    values: Mapping[tuple[int, ...], Any]

    def read(self, index: tuple[int, ...]) -> Any:
        return self.values[index]


def row(values: Sequence[Any]) -> Blocks:
    """A source of one dimension."""
    return Blocks({(place,): value for place, value in enumerate(values)})


def program(
    rules: Sequence[Rule], sources: Mapping[str, Blocks], wanted: Sequence[Wanted], *arrays: str
) -> Recurrences:
    """A program that keeps the contract."""
    named = dict.fromkeys([*sources, *arrays, *(w[0] for w in wanted if isinstance(w, tuple))], ArrayInfo(8))
    made = Recurrences(rules, named, sources, wanted)
    verify_program(made)
    return made


def copied(index: tuple[int, ...], block: Any) -> Any:
    """Kernel: the block."""
    return block


def added(index: tuple[int, ...], *parts: Any) -> Any:
    """Kernel: the sum of all blocks."""
    return sum(sum(part) if isinstance(part, list) else part for part in parts)
