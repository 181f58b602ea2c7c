"""Which tasks of a rule read no produced tile: pieces of its domain, found from the rule alone.

A branch of a read yields a produced tile where its conditions hold and its local loops are not empty. Each of these
facts is an **atom**: regions of the domain in which it holds and regions in which it does not, each region a
conjunction of constraints ``g >= 0``, all of them disjoint. A branch yields nothing where its first atom fails, or
the first holds and the second fails, and so on; a leaf is where all branches with a produced array yield nothing.

A local loop whose bounds depend on another local variable is taken for not empty, and a condition on a local variable
is only understood if it bounds it (coefficient 1 or -1, not ``!=``); `verify_program` finds the rules for which that is
wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wukong_sched.affine import Affine
from wukong_sched.domain import Domain, Linear, linear
from wukong_sched.errors import ProgramError
from wukong_sched.form import Form
from wukong_sched.grid import window_support
from wukong_sched.language import Branch, Condition, Loop, WindowLoop

Region = tuple[Linear, ...]
_MOST_REGIONS = 4096


@dataclass(frozen=True, slots=True)
class Atom:
    """A fact about a task's index."""

    holds: tuple[Region, ...]
    fails: tuple[Region, ...]


def leaf_domains(
    form: Form, sizes: Mapping[str, Any], domain: Domain, produced: Callable[[int], Sequence[bool]]
) -> tuple[Domain, ...]:
    """Disjoint parts of the domain whose tasks read no produced tile.

    `produced` says of the arrays in a slot which ones are written by tasks.
    """
    positions = {loop.variable: place for place, loop in enumerate(form.loops)}
    regions: list[Region] = [()]
    for reference in form.all_reads():
        for branch in form.read_branches(reference):
            flags = produced(form.slots[branch.point.symbol][0])
            if any(flags):
                silent = _silent([*_atoms(branch, sizes, positions), *_family(branch, flags, sizes, positions)])
                regions = list(dict.fromkeys(_joined(one, other) for one in regions for other in silent))
                regions = [region for region in regions if not _contradictory(region)]
                _limit(regions)
    parts = [domain.restricted(region) for region in regions]
    return tuple(part for part in parts if part is not None and part.count())


def _limit(regions: Sequence[Region]) -> None:
    if len(regions) > _MOST_REGIONS:
        raise ProgramError(
            "the cases and lists of this rule leave too many kinds of leaves; split it into several rules"
        )


def _joined(one: Region, other: Region) -> Region:
    return tuple(dict.fromkeys(one + other))


def _contradictory(region: Region) -> bool:
    return any(bound.plus(-1, -1) in region for bound in region)


def _silent(atoms: Iterable[Atom]) -> list[Region]:
    """Where not all of the atoms hold."""
    silent: list[Region] = []
    so_far: list[Region] = [()]
    for atom in atoms:
        silent += [_joined(one, other) for one in so_far for other in atom.fails]
        so_far = [_joined(one, other) for one in so_far for other in atom.holds]
        _limit(so_far)
    return silent


def _atoms(branch: Branch, sizes: Mapping[str, Any], positions: Mapping[str, int]) -> list[Atom]:
    """What must hold for the branch to yield a tile."""
    inner = {loop.variable for loop in branch.loops}
    atoms = [_case(c, sizes, positions) for c in branch.conditions if not c.difference().names() & inner]
    for loop in branch.loops:
        if isinstance(loop, WindowLoop):
            atoms += [_touching(loop, sizes, positions)] if not loop.tile.names() & inner else []
        else:
            atoms += [
                _bound(gap, sizes, positions) for gap in _gaps(loop, branch.conditions) if not gap.names() & inner
            ]
    return atoms


def _bound(expression: Affine, sizes: Mapping[str, Any], positions: Mapping[str, int]) -> Atom:
    bound = linear(expression, sizes, positions)
    return Atom(((bound,),), ((bound.plus(-1, -1),),))


def _case(condition: Condition, sizes: Mapping[str, Any], positions: Mapping[str, int]) -> Atom:
    if condition.operator == "!=":
        equal = _case(condition.opposite(), sizes, positions)
        return Atom(equal.fails, equal.holds)
    bounds = tuple(linear(bound, sizes, positions) for bound in condition.constraints())
    return Atom((bounds,), tuple((bound.plus(-1, -1),) for bound in bounds))


def _gaps(loop: Loop, conditions: Iterable[Condition]) -> Iterable[Affine]:
    """Expressions that are all >= 0 exactly if the loop has a value at which the conditions on it alone hold."""
    bounds = loop.constraints()
    for condition in conditions:
        if loop.variable in condition.difference().names() and condition.operator != "!=":
            bounds += condition.constraints()
    signs = [(bound.coefficient(loop.variable).constant(), bound.without(loop.variable)) for bound in bounds]
    for rising, low in signs:
        for falling, high in signs:
            if rising == 1 and falling == -1:
                yield low + high


def _touching(loop: WindowLoop, sizes: Mapping[str, Any], positions: Mapping[str, int]) -> Atom:
    """Where a window has a tile: for certain tiles of its grid `out`."""
    start, step = (linear(part, sizes, {}).at(()) for part in (loop.start, loop.step))
    tiles = window_support(sizes[loop.out], sizes[loop.src], start, step)
    return _among(tiles, linear(loop.tile, sizes, positions))


def _family(
    branch: Branch, flags: Sequence[bool], sizes: Mapping[str, Any], positions: Mapping[str, int]
) -> Iterator[Atom]:
    """Where a family of several kinds selects an array that tasks write."""
    family = branch.point.family
    inner = {loop.variable for loop in branch.loops}
    if family is not None and not all(flags) and not family.names() & inner:
        yield _among([place for place, flag in enumerate(flags) if flag], linear(family, sizes, positions))


def _among(tiles: Sequence[int], tile: Linear) -> Atom:
    """Where the expression is one of these ascending numbers."""
    holds: list[Region] = []
    fails: list[Region] = []
    after: Region = ()
    for begin, end in _runs(tiles):
        holds.append((tile.plus(-begin), tile.plus(end - 1, -1)))
        fails.append((*after, tile.plus(begin - 1, -1)))
        after = (tile.plus(-end),)
    return Atom(tuple(holds), (*fails, after))


def _runs(tiles: Sequence[int]) -> list[tuple[int, int]]:
    """The consecutive runs of ascending numbers, as (begin, end)."""
    if isinstance(tiles, range):
        return [(tiles.start, tiles.stop)] if tiles else []
    starts = [n for place, n in enumerate(tiles) if not place or tiles[place - 1] != n - 1]
    ends = [n + 1 for place, n in enumerate(tiles) if place == len(tiles) - 1 or tiles[place + 1] != n + 1]
    return list(zip(starts, ends, strict=True))
