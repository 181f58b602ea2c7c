"""A rule with everything bound: compiled code, sizes, array names.

Wanted tiles are said by a rule too, which writes them and computes nothing: its `producers` tell whether a tile is
wanted, its domain how many are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from wukong_sched.compiled import Compiled, compile_rule
from wukong_sched.domain import Domain
from wukong_sched.errors import ProgramError
from wukong_sched.form import plain_size, signature
from wukong_sched.program import SINK, Index, Tile
from wukong_sched.rule import Rule

Extents = Sequence["int | tuple[int, int]"]
"""Per index position: n for 0 .. n-1, or (low, high) for low .. high-1."""


@dataclass(frozen=True, slots=True)
class WantedTiles:
    """Tiles to leave behind that are no box: ``WantedTiles("L[i, k]", "for i in range(n) for k in range(i + 1)")``."""

    tile: str
    """A point reference in which every loop variable occurs."""
    loops: str
    names: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Any] = field(default_factory=dict)


Wanted = tuple[str, Extents] | WantedTiles
"""What the job must leave behind: a box of an array's tiles, or any domain of them."""


class Linked:
    """A rule with its compiled code, sizes and array names bound."""

    __slots__ = (
        "code",
        "consumers",
        "domain",
        "inputs",
        "leaves",
        "outputs",
        "places",
        "producers",
        "rule",
        "run",
        "sizes",
        "slots",
    )

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.sizes = {name: plain_size(name, value) for name, value in rule.sizes.items()}
        key, self.slots = signature(rule, self.sizes)
        self.code: Compiled = compile_rule(key)
        if rule.fold and not all(hasattr(rule.kernel, part) for part in ("start", "step", "finish")):
            raise ProgramError(f"folds, but its kernel {rule.kernel!r} has no start, step and finish")
        if rule.cheap and (rule.fold or rule.guard):
            raise ProgramError("is cheap with a fold or guard; a cheap rule is an ordinary one over sources")
        made = self.code.make(rule.name, rule.kernel, self.slots, tuple(self.sizes.values()))
        self.inputs, self.outputs, self.run, self.producers, self.consumers = made
        self.places = {slot: _places(self.slots[slot]) for slot in self.code.families}
        self.domain: Domain | None = None
        self.leaves: tuple[Domain, ...] | None = None

    def arrays(self, slots: Iterable[int]) -> Iterator[tuple[str, int]]:
        """Names in these slots, with the slot."""
        for slot in slots:
            names = self.slots[slot]
            for name in (names,) if isinstance(names, str) else dict.fromkeys(names):
                yield name, slot

    def bound(self, functions: Mapping[int, Callable[..., Any]], array: str, slot: int) -> Callable[[Index], Any]:
        """The function of this slot; for a family, with the positions of the array in it."""
        if slot not in self.code.families:
            return functions[slot]
        return partial(functions[slot], positions=self.places[slot][array])

    def readers(self) -> dict[str, list[int]]:
        """The arrays that the rule reads, with their slots."""
        found: dict[str, list[int]] = {}
        for array, slot in self.arrays(self.code.read):
            found.setdefault(array, []).append(slot)
        return found

    def points(self) -> Domain:
        """The rule's domain."""
        if self.domain is None:
            self.domain = Domain.of(self.code.form.loops, self.sizes)
        return self.domain


def _places(names: Iterable[str]) -> dict[str, list[int]]:
    """Positions of each name."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


def link_all(rules: Iterable[Rule]) -> dict[str, Linked]:
    """The rules by name; errors say which rule it is."""
    found: dict[str, Linked] = {}
    for rule in rules:
        if rule.name in found:
            raise ProgramError(f"two rules are named {rule.name!r}; rename one")
        try:
            found[rule.name] = Linked(rule)
        except ProgramError as error:
            raise ProgramError(f"rule {rule.name!r}: {error}") from None
    return found


def link_wanted(wanted: Wanted) -> Linked:
    """The rule that writes the wanted tiles."""
    try:
        return Linked(_wanted_rule(wanted if isinstance(wanted, WantedTiles) else _box(*wanted)))
    except ProgramError as error:
        raise ProgramError(f"wanted {wanted}: {error}") from None


def _wanted_rule(wanted: WantedTiles) -> Rule:
    return Rule(SINK[0], wanted.loops, (wanted.tile,), (), _nothing, wanted.names, wanted.sizes)


def _box(array: str, extents: Extents) -> WantedTiles:
    sides = [(0, side) if isinstance(side, int) else side for side in extents]
    sizes = {f"{end}{place}": value for place, side in enumerate(sides) for end, value in zip("lh", side, strict=True)}
    tile, loops = _box_texts(len(sides))
    return WantedTiles(tile, loops, {"X": array}, sizes)


@lru_cache(maxsize=64)
def _box_texts(rank: int) -> tuple[str, str]:
    index = ", ".join(f"i{place}" for place in range(rank))
    return f"X[{index or '()'}]", " ".join(f"for i{place} in range(l{place}, h{place})" for place in range(rank))


def _nothing(index: Index) -> None:
    raise ProgramError("wanted tiles are no task")


def tiles_of(wanted: Linked) -> Iterator[Tile]:
    """The wanted tiles, in lexicographic order."""
    return (tile for point in wanted.points() for tile in wanted.outputs(point))
