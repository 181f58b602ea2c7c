"""Counting and numbering of loop domains against plain loops."""

from __future__ import annotations

from itertools import islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.affine import Affine
from wukong_sched.domain import Domain, linear
from wukong_sched.language import parse_loops

SIZES = {"n": 5, "m": 3, "w": (0, 4, 2, 3, 1, 5, 0, 2)}
NAMES = ("i", "j", "k")


def expressions(outer: tuple[str, ...]) -> st.SearchStrategy[str]:
    plain = st.sampled_from(["n", "m", "0", "1", "4"])
    if not outer:
        return plain
    variable = st.sampled_from(outer)
    scaled = st.builds(lambda c, v, p: f"{c} * {v} + {p}", st.sampled_from([-2, -1, 1, 2]), variable, plain)
    return plain | scaled | st.builds(lambda v: f"w[{v}]", st.just(outer[0]))


@st.composite
def nests(draw: st.DrawFn) -> str:
    loops = []
    for depth in range(draw(st.integers(0, 3))):
        sides = [draw(st.lists(expressions(NAMES[:depth]), min_size=1, max_size=2)) for _ in range(2)]
        low, high = (f"{word}({', '.join(side)})" for word, side in zip(("max", "min"), sides, strict=True))
        loops.append(f"for {NAMES[depth]} in range({low}, {high})")
    return " ".join(loops)


def points_of(loops: str) -> list[tuple[int, ...]]:
    names = [loop.variable for loop in parse_loops(loops)]
    index = f"({', '.join(names)}{',' if len(names) == 1 else ''})"
    scope = SIZES | {"max": lambda *a: max(a), "min": lambda *a: min(a)}
    return list(eval(f"[{index} {loops}]", scope)) if names else [()]


@given(nests())
def test_points_are_counted_numbered_and_walked_in_order(loops: str) -> None:
    points = points_of(loops)
    domain = Domain.of(parse_loops(loops), SIZES)
    assert domain.count() == len(points)
    assert list(domain) == points
    assert [domain.point(number) for number in range(len(points))] == points
    for start, stop in islice(product(range(len(points) + 1), repeat=2), 0, None, 1 + len(points) // 3):
        assert list(domain.walk(start, stop)) == points[start:stop]


@given(nests(), st.lists(st.tuples(st.sampled_from(NAMES), st.integers(-3, 3), st.integers(-3, 3)), max_size=3))
def test_constraints_cut_a_domain(loops: str, terms: list[tuple[str, int, int]]) -> None:
    names = [loop.variable for loop in parse_loops(loops)]
    positions = {name: place for place, name in enumerate(names)}
    used = [(name, a, c) for name, a, c in terms if name in names]
    bounds = [linear(Affine.parse(f"{a} * {name} + {c}"), SIZES, positions) for name, a, c in used]
    kept = [p for p in points_of(loops) if all(a * p[positions[name]] + c >= 0 for name, a, c in used)]
    domain = Domain.of(parse_loops(loops), SIZES).restricted(bounds)
    assert ([] if domain is None else list(domain)) == kept
    assert (0 if domain is None else domain.count()) == len(kept)


@pytest.mark.parametrize(
    ("loops", "count"),
    [
        ("for k in range(n) for j in range(k + 1, n) for i in range(j, n)", lambda n: (n - 1) * n * (n + 1) // 6),
        ("for i in range(n) for j in range(n) for k in range(n)", lambda n: n**3),
        ("for i in range(n) for j in range(max(0, i - 2), min(n, i + 3))", lambda n: 5 * n - 6),
        ("for i in range(n) for j in range(n - 2 * i)", lambda n: (n // 2) * (n // 2 + 1) + (n % 2) * (n // 2 + 1)),
    ],
)
def test_known_counts_need_no_expansion(loops: str, count: object) -> None:
    for n in (5, 6, 1024):
        assert Domain.of(parse_loops(loops), {"n": n}).count() == count(n)  # type: ignore[operator]
