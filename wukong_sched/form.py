"""The form of a rule: its parsed texts without its sizes and array names, checked once for all rules of the same form.

Two rules have the same form if their texts agree, their sizes have the same kinds and signs, and the same symbols
stand for the same array. Arrays appear as numbered **slots**: equal names share one, a family of arrays is one slot.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wukong_sched.affine import Affine
from wukong_sched.errors import ProgramError
from wukong_sched.grid import Grid
from wukong_sched.language import (
    AnyLoop,
    Branch,
    Condition,
    Loop,
    Point,
    Reference,
    WindowLoop,
    branches,
    is_many,
    parse_loops,
    parse_reference,
)
from wukong_sched.rule import Rule

TABLE, RISING, GRID = "table", "rising", "grid"


@dataclass(frozen=True, slots=True)
class Signature:
    """What the code of a rule depends on; the key of the cache."""

    loops: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    fold: str
    guard: str
    passes: int
    kinds: tuple[tuple[str, int | str], ...]
    """Of each size: its sign, or `TABLE`, `RISING` (a table that nowhere falls) or `GRID`."""
    slots: tuple[tuple[str, int, bool], ...]
    """Of each symbol: its slot, and whether that is a family."""
    tangled: bool
    """Whether a family has an array twice, or shares one with another slot."""


@dataclass(frozen=True, slots=True)
class Form:
    """A rule's parts, parsed."""

    loops: tuple[Loop, ...]
    fold: Loop | None
    writes: tuple[Reference, ...]
    reads: tuple[Reference, ...]
    guard: Point | None
    passes: int
    signs: Mapping[str, int]
    """Of the int sizes."""
    rising: frozenset[str]
    """Tables that nowhere fall."""
    slots: Mapping[str, tuple[int, bool]]
    tangled: bool

    def in_fold(self, reference: Reference) -> bool:
        """Whether the reference is read once for every step of the fold."""
        return self.fold is not None and any(self.fold.variable in branch.names() for branch in branches(reference))

    def fixed(self) -> list[Reference]:
        """Reads outside of the fold."""
        return [read for read in self.reads if not self.in_fold(read)]

    def stepped(self) -> list[Reference]:
        """Reads of one step of the fold."""
        return [read for read in self.reads if self.in_fold(read)]

    def read_branches(self, reference: Reference) -> list[Branch]:
        """The branches of a read, with the fold as the outermost local loop."""
        outer: tuple[AnyLoop, ...] = (self.fold,) if self.fold and self.in_fold(reference) else ()
        return [Branch(b.conditions, outer + b.loops, b.point) for b in branches(reference)]

    def all_reads(self) -> list[Reference]:
        """Reads, then the guard."""
        return [*self.reads, *([self.guard] if self.guard else [])]


@lru_cache(maxsize=4096)
def symbols(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The distinct array symbols of these references, in order."""
    found = (branch.point.symbol for text in texts for branch in branches(parse_reference(text)))
    return tuple(dict.fromkeys(found))


def plain_size(name: str, value: Any) -> Any:
    """The size as int, tuple of ints or `Grid`; ProgramError if it is none of them."""
    if isinstance(value, (Grid, tuple)):
        return value
    try:
        return operator.index(value)
    except TypeError:
        raise ProgramError(f"size {name!r} is {value!r}; it must be an int, a tuple of ints or a Grid") from None


def kind_of(value: Any) -> int | str:
    """The sign of an int, else `TABLE`, `RISING` or `GRID`.

    >>> kind_of(-3), kind_of((0, 2, 2)), kind_of((2, 1))
    (-1, 'rising', 'table')
    """
    if isinstance(value, int):
        return (value > 0) - (value < 0)
    if isinstance(value, tuple):
        return RISING if all(map(operator.le, value, value[1:])) else TABLE
    return GRID


def signature(rule: Rule, sizes: Mapping[str, Any]) -> tuple[Signature, list[str | tuple[str, ...]]]:
    """The signature of a rule and the array name, or names of the family, in each slot."""
    texts = rule.writes + rule.reads + ((rule.guard,) if rule.guard else ())
    taken: dict[str | tuple[str, ...], int] = {}
    slots = []
    for symbol in symbols(texts):
        name = rule.names.get(symbol, symbol)
        slots.append((symbol, taken.setdefault(name, len(taken)), not isinstance(name, str)))
    kinds = tuple((name, kind_of(value)) for name, value in sizes.items())
    key = Signature(
        rule.loops, rule.writes, rule.reads, rule.fold, rule.guard, rule.passes, kinds, tuple(slots), _tangled(taken)
    )
    return key, list(taken)


def _tangled(names: Mapping[str | tuple[str, ...], int]) -> bool:
    if all(isinstance(name, str) for name in names):
        return False
    single = [array for name in names for array in ((name,) if isinstance(name, str) else name)]
    return len(set(single)) < len(single)


@lru_cache(maxsize=4096)
def form_of(key: Signature) -> Form:
    """The form with this signature, checked."""
    fold = parse_loops(key.fold)
    if len(fold) > 1:
        raise ProgramError(f"fold {key.fold!r} has {len(fold)} loops; write one, 'for k in range(n)'")
    form = Form(
        parse_loops(key.loops),
        fold[0] if fold else None,
        tuple(map(parse_reference, key.writes)),
        tuple(map(parse_reference, key.reads)),
        _guard(key.guard),
        key.passes,
        {name: kind for name, kind in key.kinds if isinstance(kind, int)},
        frozenset(name for name, kind in key.kinds if kind == RISING),
        {symbol: (slot, family) for symbol, slot, family in key.slots},
        key.tangled,
    )
    _Check(form, dict(key.kinds)).run()
    return form


def _guard(text: str) -> Point | None:
    if not text:
        return None
    guard = parse_reference(text)
    if not isinstance(guard, Point):
        raise ProgramError(f"guard {text!r} is not a single tile; write 'X[i]'")
    return guard


class _Check:
    """Finds names that mean nothing, products of variables, and references of the wrong kind."""

    def __init__(self, form: Form, kinds: Mapping[str, int | str]) -> None:
        self.form = form
        self.kinds = kinds

    def run(self) -> None:
        form = self.form
        scope = self._loops((), form.loops)
        if not form.writes:
            raise ProgramError("writes nothing; give it at least one reference in 'writes'")
        for write in form.writes:
            self._reference(write, scope, "write")
        inner = self._loops(scope, (form.fold,)) if form.fold else scope
        for read in form.reads:
            self._reference(read, inner, "read")
        if form.guard:
            self._reference(form.guard, scope, "guard")
            self._passes()

    def _passes(self) -> None:
        form = self.form
        if len(form.writes) != 1 or not 0 <= form.passes < len(form.reads):
            raise ProgramError(
                f"is guarded with {len(form.writes)} writes and passes={form.passes} of {len(form.reads)} reads; "
                "a guarded rule needs one write and the number of one read to pass through"
            )
        read = form.reads[form.passes]
        if form.in_fold(read) or is_many(read) != is_many(form.writes[0]):
            raise ProgramError(f"passes read {form.passes} through, which is not of the kind of its write")

    def _loops(self, scope: tuple[str, ...], loops: tuple[AnyLoop, ...]) -> tuple[str, ...]:
        for loop in loops:
            name = loop.variable
            if name in scope or name in self.kinds:
                raise ProgramError(
                    f"loop variable {name!r} is already a {'loop' if name in scope else 'size'}; rename it"
                )
            if isinstance(loop, WindowLoop):
                self._affine(loop.tile, scope)
                self._affine(loop.start, ())
                self._affine(loop.step, ())
                self._kind(loop.out, GRID)
                self._kind(loop.src, GRID)
            else:
                for bound in loop.lowers + loop.uppers:
                    self._affine(bound, scope)
            scope = (*scope, name)
        return scope

    def _reference(self, reference: Reference, scope: tuple[str, ...], role: str) -> None:
        for branch in branches(reference):
            if role == "write" and any(isinstance(loop, WindowLoop) for loop in branch.loops):
                raise ProgramError(f"a window in a write of {branch.point.symbol!r}; windows are for reads")
            inner = self._loops(scope, branch.loops)
            for condition in branch.conditions:
                self._condition(condition, inner)
            self._point(branch.point, inner)

    def _point(self, point: Point, scope: tuple[str, ...]) -> None:
        family = self.form.slots[point.symbol][1]
        if family != (point.family is not None):
            wanted = f"{point.symbol}[q][...]" if family else f"{point.symbol}[...]"
            raise ProgramError(
                f"{point.symbol!r} names {'a family of arrays' if family else 'one array'}; write {wanted}"
            )
        for index in (*point.index, *((point.family,) if point.family is not None else ())):
            self._affine(index, scope)

    def _condition(self, condition: Condition, scope: tuple[str, ...]) -> None:
        self._affine(condition.left, scope)
        self._affine(condition.right, scope)

    def _affine(self, expression: Affine, scope: tuple[str, ...]) -> None:
        for name in sorted(expression.names()):
            if name not in scope and not isinstance(self.kinds.get(name), int):
                known = ", ".join((*scope, *(n for n, kind in self.kinds.items() if isinstance(kind, int)))) or "none"
                raise ProgramError(
                    f"{name!r} in '{expression}' is neither a loop variable here nor an int size; known: {known}"
                )
        for table in sorted(expression.tables()):
            self._kind(table, TABLE)
        for product, _ in expression.terms:
            variables = [factor for factor in product if not isinstance(factor, str) or factor in scope]
            if sum(isinstance(factor, str) for factor in variables) > 1 or len(variables) > 1:
                raise ProgramError(f"'{expression}' multiplies variables; references must be affine in them")

    def _kind(self, name: str, kind: str) -> None:
        if self.kinds.get(name) not in ((TABLE, RISING) if kind == TABLE else (GRID,)):
            what = {TABLE: "a table: give sizes a tuple of ints", GRID: "a grid: give sizes a Grid"}[kind]
            raise ProgramError(f"{name!r} is used as {what} of this name, got {self.kinds.get(name, 'nothing')!r}")
