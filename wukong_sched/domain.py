"""Loop domains as sets of lattice points: counting, numbering, iteration.

A domain is a nest of loops ``max(lowers) <= v < min(uppers)``, each bound affine in the outer variables. Its points
are numbered in lexicographic order. Nothing is expanded: a loop on which no inner one depends multiplies; the two
innermost loops have a closed form, since the number of inner points is, between the few places where two bounds
cross, a linear function of the outer variable; only what lies further out is summed. To find the point with a given
number, the same counts are bisected.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, pairwise
from typing import Any

from wukong_sched.affine import Affine
from wukong_sched.errors import ProgramError
from wukong_sched.language import Loop

Point = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """``floor((constant + sum(c * point[p]) + sum(c * table[index])) / divisor)``."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()
    """(position, coefficient), the coefficients not zero, positions ascending."""
    lookups: tuple[tuple[tuple[int, ...], Linear, int], ...] = ()
    """(table, index, coefficient)"""
    divisor: int = 1

    def at(self, point: Sequence[int]) -> int:
        """The value at a point, which must have the positions that occur."""
        total = self.constant
        for position, coefficient in self.terms:
            total += coefficient * point[position]
        for table, index, coefficient in self.lookups:
            total += coefficient * table[index.at(point)]
        return total // self.divisor

    def uses(self, position: int) -> bool:
        """Whether the value depends on this position."""
        return any(p == position for p, _ in self.terms) or self.looks_up(position)

    def looks_up(self, position: int) -> bool:
        """Whether a table look-up depends on this position."""
        return any(index.uses(position) for _, index, _ in self.lookups)

    def plus(self, number: int, sign: int = 1) -> Linear:
        """``sign * self + number``; for a divisor of 1."""
        terms = tuple((position, sign * coefficient) for position, coefficient in self.terms)
        lookups = tuple((table, index, sign * coefficient) for table, index, coefficient in self.lookups)
        return Linear(sign * self.constant + number, terms, lookups)


def linear(expression: Affine, sizes: Mapping[str, Any], positions: Mapping[str, int]) -> Linear:
    """The expression with numbers for sizes and positions for variables."""
    constant, terms, lookups = 0, dict[int, int](), []
    for product, number in expression.terms:
        place = looked = None
        for factor in product:
            if not isinstance(factor, str):
                looked = (sizes[factor.table], linear(factor.index, sizes, positions))
            elif factor in positions:
                place = positions[factor]
            else:
                number *= sizes[factor]
        if looked:
            lookups.append((*looked, number))
        elif place is None:
            constant += number
        else:
            terms[place] = terms.get(place, 0) + number
    return Linear(constant, tuple(sorted((p, c) for p, c in terms.items() if c)), tuple(lookups))


@dataclass(frozen=True, slots=True)
class Level:
    """One loop of a domain."""

    lowers: tuple[Linear, ...]
    uppers: tuple[Linear, ...]

    def span(self, outer: Sequence[int]) -> range:
        """The values of the variable, given the outer ones."""
        lows = [bound.at(outer) for bound in self.lowers]
        highs = [bound.at(outer) for bound in self.uppers]
        low = lows[0] if len(lows) == 1 else max(lows)
        return range(low, max(low, highs[0] if len(highs) == 1 else min(highs)))

    def uses(self, position: int) -> bool:
        """Whether a bound depends on this position."""
        return any(bound.uses(position) for bound in self.lowers + self.uppers)


@dataclass(frozen=True, slots=True)
class Domain:
    """The points of a loop nest, in lexicographic order.

    >>> from wukong_sched.language import parse_loops
    >>> domain = Domain.of(parse_loops("for k in range(n) for i in range(k, n)"), {"n": 10**6})
    >>> domain.count(), domain.point(999_999), domain.point(1_000_000)
    (500000500000, (0, 999999), (1, 1))
    """

    levels: tuple[Level, ...]
    needed: tuple[bool, ...] = field(init=False)
    """Of each loop: whether an inner one depends on it."""

    def __post_init__(self) -> None:
        depth = len(self.levels)
        needed = tuple(any(level.uses(d) for level in self.levels[d + 1 :]) for d in range(depth))
        object.__setattr__(self, "needed", needed)

    @staticmethod
    def of(loops: Iterable[Loop], sizes: Mapping[str, Any]) -> Domain:
        """The domain of a rule's loops."""
        positions: dict[str, int] = {}
        levels = []
        for loop in loops:
            bounds = [tuple(linear(b, sizes, positions) for b in side) for side in (loop.lowers, loop.uppers)]
            levels.append(Level(*bounds))
            positions[loop.variable] = len(positions)
        return Domain(tuple(levels))

    def restricted(self, constraints: Iterable[Linear]) -> Domain | None:
        """The points at which all of these are >= 0; None if one can never be."""
        levels = list(self.levels)
        for bound in constraints:
            if not any(bound.uses(position) for position in range(len(levels))):
                if bound.at(()) < 0:
                    return None
                continue
            place, level = _bounding(bound, levels)
            levels[place] = level
        return replace(self, levels=tuple(levels))

    def count(self) -> int:
        """Number of points."""
        return self._count(0, ())

    def point(self, number: int) -> Point:
        """The point with this number."""
        point: Point = ()
        for depth, level in enumerate(self.levels):
            span = level.span(point)
            value, number = self._seek(depth, point, span, number)
            point = (*point, value)
        return point

    def walk(self, start: int, stop: int) -> Iterator[Point]:
        """The points numbered from start to stop (exclusive); lazily."""
        if start >= stop:
            return iter(())
        return islice(self._from(0, (), self.point(start)), stop - start)

    def __iter__(self) -> Iterator[Point]:
        return self._from(0, (), ())

    def _from(self, depth: int, outer: Point, first: Point) -> Iterator[Point]:
        if depth == len(self.levels):
            yield outer
            return
        span = self.levels[depth].span(outer)
        if first:
            span = range(first[depth], span.stop)
        if depth == len(self.levels) - 1:
            for value in span:
                yield (*outer, value)
            return
        for value in span:
            yield from self._from(depth + 1, (*outer, value), first if first and value == first[depth] else ())

    def _count(self, depth: int, outer: Point) -> int:
        if depth == len(self.levels):
            return 1
        span = self.levels[depth].span(outer)
        if not span or depth == len(self.levels) - 1:
            return len(span)
        if not self.needed[depth]:
            return len(span) * self._count(depth + 1, (*outer, span[0]))
        if self._closed(depth):
            return _series(self.levels[depth + 1], outer, span)
        return sum(self._count(depth + 1, (*outer, value)) for value in span)

    def _closed(self, depth: int) -> bool:
        """Whether this loop and the next are the last two, with inner bounds linear in the outer variable."""
        if depth != len(self.levels) - 2:
            return False
        inner = self.levels[-1]
        used = [bound for bound in inner.lowers + inner.uppers if bound.uses(depth)]
        return all(bound.divisor == 1 and not bound.looks_up(depth) for bound in used)

    def _seek(self, depth: int, outer: Point, span: range, number: int) -> tuple[int, int]:
        """The variable's value at the point with this number below the outer ones, and the rest of the number."""
        if depth == len(self.levels) - 1:
            return span[number], 0
        if not self.needed[depth]:
            place, number = divmod(number, self._count(depth + 1, (*outer, span[0])))
            return span[place], number
        if self._closed(depth):
            inner = self.levels[depth + 1]
            place = bisect_right(range(1, len(span)), number, key=lambda length: _series(inner, outer, span[:length]))
            return span[place], number - _series(inner, outer, span[:place])
        for value in span:
            size = self._count(depth + 1, (*outer, value))
            if number < size:
                return value, number
            number -= size
        raise ProgramError(f"a domain has fewer points than {number} more")


def _bounding(bound: Linear, levels: Sequence[Level]) -> tuple[int, Level]:
    """The innermost loop in the constraint, with one bound more."""
    place = max(position for position in range(len(levels)) if bound.uses(position))
    coefficient = dict(bound.terms).get(place, 0)
    if not coefficient or bound.looks_up(place):
        raise ProgramError(
            "a condition on a table at the innermost loop variable cannot be counted; use a rule for each case"
        )
    rest = replace(bound, terms=tuple(term for term in bound.terms if term[0] != place))
    level = levels[place]
    if coefficient > 0:
        low = replace(rest.plus(coefficient - 1, -1), divisor=coefficient)
        return place, level if low in level.lowers else replace(level, lowers=(*level.lowers, low))
    high = replace(rest.plus(-coefficient), divisor=-coefficient)
    return place, level if high in level.uppers else replace(level, uppers=(*level.uppers, high))


def _series(inner: Level, outer: Point, span: range) -> int:
    """Sum over the outer variable's span of the number of inner points, in closed form."""
    if not span:
        return 0
    place = len(outer)
    lows = _lines(inner.lowers, outer, place)
    highs = _lines(inner.uppers, outer, place)
    cuts = {span.start, span.stop}
    for (a, b), (c, d) in combinations(lows + highs, 2):
        if b != d:
            cut = (a - c) // (d - b) + 1
            if span.start < cut < span.stop:
                cuts.add(cut)
    total = 0
    edges = sorted(cuts)
    for begin, end in pairwise(edges):
        total += (_width(lows, highs, begin) + _width(lows, highs, end - 1)) * (end - begin)
    return total // 2


def _lines(bounds: Iterable[Linear], outer: Point, place: int) -> list[tuple[int, int]]:
    """Bounds as (value at 0, slope) of the variable at this position."""
    return [(bound.at((*outer, 0)), dict(bound.terms).get(place, 0)) for bound in bounds]


def _width(lows: Iterable[tuple[int, int]], highs: Iterable[tuple[int, int]], value: int) -> int:
    low = max(constant + slope * value for constant, slope in lows)
    return max(0, min(constant + slope * value for constant, slope in highs) - low)
