"""Factorizations, trees and folds as small programs, verified by expansion and evaluated to known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.programs.small_recurrences import Blocks, Evaluate, added, copied, program, row
from wukong_sched.linked import WantedTiles
from wukong_sched.program import Tile
from wukong_sched.rule import Rule


def cholesky_rules(n: int) -> list[Rule]:
    first = "A[{0}] if k == 0 else S[k, {0}]"
    trailing = "for k in range(n) for j in range(k + 1, n) for i in range(j, n)"
    return [
        Rule("potrf", "for k in range(n)", ("L[k, k]",), (first.format("k, k"),), lambda _, s: s**0.5, {}, {"n": n}),
        Rule(
            "trsm",
            "for k in range(n) for i in range(k + 1, n)",
            ("L[i, k]",),
            (first.format("i, k"), "L[k, k]"),
            lambda _, s, d: s / d,
            {},
            {"n": n},
        ),
        Rule(
            "gemm",
            trailing,
            ("S[k + 1, i, j]",),
            (first.format("i, j"), "L[i, k]", "L[j, k]"),
            lambda _, s, x, y: s - x * y,
            {},
            {"n": n},
        ),
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_cholesky_with_tiles_of_one_number(n: int, evaluate: Evaluate, rng: np.random.Generator) -> None:
    half = rng.standard_normal((n, n))
    matrix = half @ half.T + n * np.eye(n)
    wanted = [WantedTiles("L[i, k]", "for i in range(n) for k in range(i + 1)", {}, {"n": n})]
    made = program(cholesky_rules(n), {"A": Blocks(dict(np.ndenumerate(matrix)))}, wanted, "L", "S")
    blocks = evaluate(made)
    factor = np.zeros((n, n))
    for _, index in made.wanted():
        factor[index] = blocks["L", index]
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), rtol=1e-12)
    assert made.leaves() == (("potrf", 0, 0, 1),)
    assert made.wanted_count == n * (n + 1) // 2


def test_cholesky_edges_are_the_known_ones() -> None:
    wanted = [WantedTiles("L[i, k]", "for i in range(n) for k in range(i + 1)", {}, {"n": 4})]
    made = program(cholesky_rules(4), {"A": Blocks({})}, wanted, "L", "S")
    assert made.inputs(("gemm", (0, 2, 2))) == [("A", (2, 2)), ("L", (2, 0))]
    assert made.inputs(("gemm", (1, 2, 3))) == [("S", (1, 3, 2)), ("L", (3, 1)), ("L", (2, 1))]
    assert made.consumers(("L", (2, 0))) == [
        ("gemm", (0, 1, 2)),
        ("gemm", (0, 2, 2)),
        ("gemm", (0, 2, 3)),
        ("(sink)", ()),
    ]
    assert made.producer(("S", (2, 3, 2))) == ("gemm", (1, 2, 3))
    assert made.producer(("S", (2, 2, 3))) is None
    assert made.producer(("A", (0, 0))) is None


def widths(leaves: int, arity: int) -> tuple[int, ...]:
    found = [leaves]
    while found[-1] > 1:
        found.append(-(-found[-1] // arity))
    return tuple(found)


CHILDREN = "[{0} for c in range(min(a, width[l - 1] - a * j))]"


@given(st.integers(1, 40), st.integers(2, 5))
def test_a_ragged_tree_sums_all_leaves(evaluate: Evaluate, leaves: int, arity: int) -> None:
    width = widths(leaves, arity)
    sizes = {"a": arity, "width": width, "depth": len(width), "n": leaves}
    rules = [
        Rule("leaf", "for j in range(n)", ("T[0, j]",), ("X[j]",), copied, {}, sizes),
        Rule(
            "node",
            "for l in range(1, depth) for j in range(width[l])",
            ("T[l, j]",),
            (CHILDREN.format("T[l - 1, a * j + c]"),),
            added,
            {},
            sizes,
        ),
    ]
    root = (len(width) - 1, len(width))
    made = program(rules, {"X": row(range(leaves))}, [("T", (root, 1))])
    assert evaluate(made)["T", (len(width) - 1, 0)] == sum(range(leaves))
    assert made.leaves() == (("leaf", 0, 0, leaves),)


@given(st.integers(1, 30), st.integers(2, 4))
def test_a_down_sweep_hands_each_child_its_part(evaluate: Evaluate, leaves: int, arity: int) -> None:
    """As in TSQR: up the tree, then down again; a task writes one tile for each of its children."""
    width = widths(leaves, arity)
    top = len(width) - 1
    sizes = {"a": arity, "width": width, "depth": len(width), "n": leaves, "top": top}
    levels = "for l in range(1, depth) for j in range(width[l])"
    rules = [
        Rule("leaf", "for j in range(n)", ("R[0, j]",), ("X[j]",), copied, {}, sizes),
        Rule("up", levels, ("R[l, j]",), (CHILDREN.format("R[l - 1, a * j + c]"),), added, {}, sizes),
        Rule("turn", "", ("C[top, 0]",), ("R[top, 0]",), copied, {}, sizes),
        Rule(
            "down",
            levels,
            (CHILDREN.format("C[l - 1, a * j + c]"),),
            ("C[l, j]", CHILDREN.format("R[l - 1, a * j + c]")),
            lambda _, total, parts: [total + part for part in parts],
            {},
            sizes,
        ),
    ]
    made = program(rules, {"X": row(range(leaves))}, [("C", (1, leaves))], "R")
    blocks = evaluate(made)
    ancestors = np.zeros(leaves)
    for level in range(top):
        for j in range(leaves):
            first = j // arity**level * arity**level
            ancestors[j] += sum(range(first, min(leaves, first + arity**level)))
    total = sum(range(leaves))
    assert [blocks["C", (0, j)] for j in range(leaves)] == (ancestors + total).tolist()
    assert all(len(made.consumers(("R", (level, 0)))) == (2 if level < top else 1) for level in range(top + 1))


class SuperTile:
    """Fold kernel of a block product: a list of rows of A times a list of columns of B."""

    def start(self, index: tuple[int, ...]) -> dict[tuple[int, int], int]:
        return {}

    def step(self, total: Any, number: int, left: list[int], right: list[int]) -> Any:
        for place in np.ndindex(len(left), len(right)):
            total[place] = total.get(place, 0) + left[place[0]] * right[place[1]]
        return total

    def finish(self, index: tuple[int, ...], total: Any) -> list[int]:
        return [total[place] for place in sorted(total)]


@pytest.mark.parametrize(("m", "n", "k", "tall", "wide"), [(5, 4, 3, 2, 3), (1, 1, 1, 2, 2), (4, 6, 2, 4, 1)])
def test_gemm_in_ragged_super_tiles(m: int, n: int, k: int, tall: int, wide: int, evaluate: Evaluate) -> None:
    a, b = np.arange(m * k).reshape(m, k), np.arange(k * n).reshape(k, n) + 1
    sizes = {"m": m, "n": n, "kk": k, "p": tall, "q": wide, "mm": -(-m // tall), "nn": -(-n // wide)}
    rows, columns = "for r in range(min(p, m - p * i))", "for c in range(min(q, n - q * j))"
    rule = Rule(
        "gemm",
        "for i in range(mm) for j in range(nn)",
        (f"[C[p * i + r, q * j + c] {rows} {columns}]",),
        (f"[A[p * i + r, k] {rows}]", f"[B[k, q * j + c] {columns}]"),
        SuperTile(),
        {},
        sizes,
        fold="for k in range(kk)",
    )
    sources = {"A": Blocks(dict(np.ndenumerate(a))), "B": Blocks(dict(np.ndenumerate(b)))}
    made = program([rule], sources, [("C", (m, n))])
    blocks = evaluate(made)
    assert [[blocks["C", (i, j)] for j in range(n)] for i in range(m)] == (a @ b).tolist()
    assert made.streams(("gemm", (0, 0)))
    per_step = min(tall, m) + min(wide, n)
    first = [tile[1][0 if tile[0] == "B" else 1] for tile in made.inputs(("gemm", (0, 0)))]
    assert first == [step for step in range(k) for _ in range(per_step)]


def test_a_fold_asks_for_a_step_only_when_it_comes() -> None:
    events: list[object] = []

    class Recorded:
        def start(self, index: tuple[int, ...], fixed: int) -> int:
            return fixed

        def step(self, total: int, number: int, block: int) -> int:
            events.append(("step", number))
            return total + block

        def finish(self, index: tuple[int, ...], total: int) -> int:
            return total

    rule = Rule("sum", "", ("Y[()]",), ("X[k]", "F[0]"), Recorded(), {}, {"n": 3}, fold="for k in range(n)")
    made = program([rule], {"X": row([1, 2, 3]), "F": row([10])}, [("Y", ())])

    def block(tile: Tile) -> Any:
        events.append(tile)
        return made.read(tile)

    assert made.run(("sum", ()), block) == [16]
    steps = [event for k in range(3) for event in (("X", (k,)), ("step", k))]
    assert events == [("F", (0,)), *steps]
    assert made.inputs(("sum", ())) == [("F", (0,)), ("X", (0,)), ("X", (1,)), ("X", (2,))]
