"""Small programs of every kind of reference, verified by expansion and evaluated to known answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.grid import Grid
from wukong_sched.linked import Wanted, WantedTiles
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
    return Blocks({(place,): value for place, value in enumerate(values)})


def program(
    rules: Sequence[Rule], sources: Mapping[str, Blocks], wanted: Sequence[Wanted], *arrays: str
) -> Recurrences:
    named = dict.fromkeys([*sources, *arrays, *(w[0] for w in wanted if isinstance(w, tuple))], ArrayInfo(8))
    made = Recurrences(rules, named, sources, wanted)
    verify_program(made)
    return made


def copied(index: tuple[int, ...], block: Any) -> Any:
    return block


def added(index: tuple[int, ...], *parts: Any) -> Any:
    return sum(sum(part) if isinstance(part, list) else part for part in parts)


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


def test_windows_relate_ragged_grids(evaluate: Evaluate) -> None:
    values = np.arange(23)
    src, out = Grid.of((4, 0, 7, 1, 11)), Grid.of((3, 3, 2))
    parts = np.split(values, np.cumsum(src.sizes())[:-1])

    def sliced(index: tuple[int, ...], blocks: list[Any]) -> Any:
        low, high = out.bounds(index[0])
        held = np.concatenate(blocks).tolist()
        return [21 - 2 * x for x in range(low, high) if 21 - 2 * x in held]

    read = "[X[t] for t in window(i, out, src, start, step)]"
    sizes = {"n": 3, "out": out, "src": src, "start": 21, "step": -2}
    made = program(
        [Rule("slice", "for i in range(n)", ("Y[i]",), (read,), sliced, {}, sizes)], {"X": row(parts)}, [("Y", (3,))]
    )
    blocks = evaluate(made)
    assert [x for i in range(3) for x in blocks["Y", (i,)]] == values[21:5:-2].tolist()
    assert made.inputs(("slice", (2,))) == [("X", (2,))]
    assert made.consumers(("X", (1,))) == []


def test_windows_with_an_empty_side_make_leaves(evaluate: Evaluate) -> None:
    """A concatenation of a source and a produced array: blocks of the source alone are leaves."""
    one, two, out = Grid.of((3, 3)), Grid.of((2, 2, 2)), Grid.of((4, 4, 4))
    sizes = {"one": one, "two": two, "out": out, "shift": -6, "n": 3}
    rules = [
        Rule("make", "for i in range(n)", ("B[i]",), ("Q[i]",), copied, {}, sizes),
        Rule(
            "join",
            "for i in range(n)",
            ("Y[i]",),
            ("[A[t] for t in window(i, out, one, 0, 1)]", "[B[t] for t in window(i, out, two, shift, 1)]"),
            added,
            {},
            sizes,
        ),
    ]
    made = program(rules, {"A": row([1, 10]), "Q": row([100, 200, 400])}, [("Y", (3,))], "B")
    assert made.leaves() == (("make", 0, 0, 3), ("join", 0, 0, 1))
    assert [evaluate(made)["Y", (i,)] for i in range(3)] == [11, 110, 600]


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))
def test_reshape_is_mixed_radix_both_ways(evaluate: Evaluate, p: int, q: int, r: int) -> None:
    sizes = {"p": p, "q": q, "r": r}
    loops = "for i in range(p) for j in range(q) for k in range(r)"
    rules = [
        Rule("flat", loops, ("F[i * q * r + j * r + k]",), ("X[i, j, k]",), copied, {}, sizes),
        Rule("deep", loops, ("Y[i, j, k]",), ("F[i * q * r + j * r + k]",), copied, {}, sizes),
    ]
    values = np.arange(p * q * r).reshape(p, q, r)
    made = program(rules, {"X": Blocks(dict(np.ndenumerate(values)))}, [("Y", (p, q, r)), ("F", (p * q * r,))])
    blocks = evaluate(made)
    assert [blocks["F", (place,)] for place in range(values.size)] == values.ravel().tolist()
    assert all(blocks["Y", index] == value for index, value in np.ndenumerate(values))


def test_families_select_an_array_by_a_loop_variable(evaluate: Evaluate) -> None:
    names: dict[str, str | tuple[str, ...]] = {"X": ("a", "b", "a"), "Y": "Y"}
    rule = Rule(
        "stack", "for q in range(m) for i in range(n)", ("Y[n * q + i]",), ("X[q][i]",), copied, names, {"m": 3, "n": 2}
    )
    made = program([rule], {"a": row([1, 2]), "b": row([3, 4])}, [("Y", (6,))])
    assert [evaluate(made)["Y", (i,)] for i in range(6)] == [1, 2, 3, 4, 1, 2]
    assert made.consumers(("a", (1,))) == [("stack", (0, 1)), ("stack", (2, 1))]
    assert made.consumers(("b", (2,))) == []


def test_concatenation_of_arrays_of_any_kind_is_one_rule(evaluate: Evaluate) -> None:
    """The blocks of the q-th array begin at off[q]; empty ones and sources may be among them."""
    off = (0, 2, 2, 5, 6)
    names = {"X": ("s", "none", "made", "t")}
    sizes = {"off": off, "m": 4, "n": 3}
    rules = [
        Rule("make", "for i in range(n)", ("made[i]",), ("s[0]",), lambda index, s: s + 10 * index[0], {}, sizes),
        Rule(
            "join",
            "for q in range(m) for t in range(off[q + 1] - off[q])",
            ("Y[off[q] + t]",),
            ("X[q][t]",),
            copied,
            names,
            sizes,
        ),
    ]
    made = program(rules, {"s": row([1, 2]), "none": row([]), "t": row([7])}, [("Y", (6,))], "made")
    assert [evaluate(made)["Y", (i,)] for i in range(6)] == [1, 2, 1, 11, 21, 7]
    assert [made.producer(("Y", (i,))) for i in range(-1, 7)] == [
        None,
        *[("join", index) for index in [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2), (3, 0)]],
        None,
    ]
    assert made.leaves() == (("make", 0, 0, 3), ("join", 0, 0, 2), ("join", 1, 0, 1))


def test_windows_in_two_dimensions(evaluate: Evaluate) -> None:
    """Rechunking: every block of Y is made of the blocks of X that it overlaps."""
    rows, columns = (Grid.of((3, 1, 4)), Grid.of((2, 6))), (Grid.of((5, 5)), Grid.of((4, 4, 2)))
    values = np.arange(80).reshape(8, 10)
    blocks_of_x: dict[tuple[int, ...], Any] = {
        (i, j): values[slice(*rows[0].bounds(i)), slice(*columns[0].bounds(j))] for i in range(3) for j in range(2)
    }
    sizes = {"m": 2, "n": 3, "r": rows[1], "s": rows[0], "c": columns[1], "d": columns[0]}
    loops = "for i in range(m) for j in range(n)"
    read = "[X[p, q] for p in window(i, r, s, 0, 1) for q in window(j, c, d, 0, 1)]"
    rule = Rule("rechunk", loops, ("Y[i, j]",), (read,), lambda _, parts: {x for p in parts for x in p.flat}, {}, sizes)
    made = program([rule], {"X": Blocks(blocks_of_x)}, [("Y", (2, 3))])
    for (_, (i, j)), held in evaluate(made).items():
        assert held >= set(values[slice(*rows[1].bounds(i)), slice(*columns[1].bounds(j))].flat)
    assert made.consumers(("X", (1, 1))) == [("rechunk", (1, 1)), ("rechunk", (1, 2))]


def test_families_are_written_and_summed_too(evaluate: Evaluate) -> None:
    names = {"P": ("p0", "p1", "p2")}
    sizes = {"m": 3, "n": 2}
    rules = [
        Rule("part", "for q in range(m) for i in range(n)", ("P[q][i]",), ("X[n * q + i]",), copied, names, sizes),
        Rule("sum", "for i in range(n)", ("Y[i]",), ("[P[c][i] for c in range(m)]",), added, names, sizes),
    ]
    made = program(rules, {"X": row([1, 2, 4, 8, 16, 32])}, [("Y", (2,)), ("p1", (2,))], "p0", "p2")
    blocks = evaluate(made)
    assert (blocks["Y", (0,)], blocks["Y", (1,)], blocks["p1", (1,)]) == (21, 42, 8)


@pytest.mark.parametrize(("flags", "result"), [((True, True), 7), ((True, False), 6), ((False, False), 5)])
def test_a_guard_that_is_false_passes_a_read_through(flags: tuple[bool, bool], result: int, evaluate: Evaluate) -> None:
    rule = Rule(
        "sweep",
        "for k in range(n)",
        ("Y[k]",),
        ("X[0] if k == 0 else Y[k - 1]",),
        lambda _, value: value + 1,
        {},
        {"n": 2},
        guard="G[k]",
    )
    made = program([rule], {"X": row([5]), "G": row(flags)}, [("Y", ((1, 2),))])
    assert evaluate(made)["Y", (1,)] == result
    assert made.inputs(("sweep", (1,))) == [("Y", (0,)), ("G", (1,))]


def test_cheap_tiles_are_made_again_by_each_reader(evaluate: Evaluate) -> None:
    made_at: list[tuple[int, ...]] = []

    def counted(index: tuple[int, ...]) -> int:
        made_at.append(index)
        return 10 * index[0]

    sizes = {"n": 3}
    rules = [
        Rule("ramp", "for i in range(n)", ("Z[i]",), (), counted, {}, sizes, cheap=True),
        Rule("next", "for i in range(n)", ("W[i]",), ("Z[i]", "X[i]"), added, {}, sizes, cheap=True),
        Rule("use", "for i in range(n) for j in range(2)", ("Y[i, j]",), ("W[i]", "W[i]"), added, {}, sizes),
    ]
    made = program(rules, {"X": row([1, 2, 3])}, [("Y", (3, 2))], "Z", "W")
    blocks = evaluate(made)
    assert [blocks["Y", (i, 1)] for i in range(3)] == [2, 24, 46]
    assert sorted(made_at) == [(0,), (0,), (1,), (1,), (2,), (2,)]
    assert (len(made), made.leaves()) == (6, (("use", 0, 0, 6),))
    assert made.producer(("W", (0,))) is None
    assert made.is_cheap("W") and not made.is_task_array("W")


def test_cases_in_lists_and_folds(evaluate: Evaluate) -> None:
    sizes = {"n": 4}
    rules = [
        Rule("own", "for i in range(n)", ("B[i]",), ("X[i]",), added, {}, sizes),
        Rule(
            "mix",
            "for i in range(n)",
            ("Y[i]",),
            ("[X[c] if c < i else B[c] for c in range(n)]", "X[0] if i == 0 else X[i - 1] if i != 2 else B[3]"),
            added,
            {},
            sizes,
        ),
        Rule(
            "tail",
            "for i in range(n)",
            ("Z[i]",),
            ("[X[c] if c <= 3 - i else Y[c] for c in range(n)]",),
            added,
            {},
            sizes,
        ),
    ]
    made = program(rules, {"X": row([1, 2, 4, 8])}, [("Z", (4,))], "B", "Y")
    blocks = evaluate(made)
    assert [blocks["Y", (i,)] for i in range(4)] == [16, 16, 23, 19]
    assert [blocks["Z", (i,)] for i in range(4)] == [15, 26, 45, 59]
    assert ("tail", 0, 0, 1) in made.leaves()


def test_the_same_tile_named_twice_is_one_edge() -> None:
    sizes = {"n": 3}
    rules = [
        Rule("x", "for i in range(n)", ("B[i]",), ("X[i]", "Z[i]"), added, {"X": "x", "Z": "x"}, sizes),
        Rule("y", "for i in range(n) for j in range(n)", ("Y[i, j]",), ("B[i]", "B[j]"), added, {}, sizes),
    ]
    made = program(rules, {"x": row([1, 2, 3])}, [("Y", (3, 3))], "B")
    assert made.inputs(("x", (1,))) == [("x", (1,))]
    assert made.inputs(("y", (1, 1))) == [("B", (1,))]
    assert made.consumers(("B", (1,))) == [("y", (1, 0)), ("y", (1, 1)), ("y", (1, 2)), ("y", (0, 1)), ("y", (2, 1))]


def test_several_writes_and_a_list_come_back_flat(evaluate: Evaluate) -> None:
    rule = Rule(
        "split",
        "for i in range(n)",
        ("P[i]", "[Q[2 * i + c] for c in range(2)]", "R[i]"),
        ("X[i]",),
        lambda _, x: (x, [x + 1, x + 2], x + 3),
        {},
        {"n": 2},
    )
    made = program([rule], {"X": row([10, 20])}, [("P", (2,)), ("Q", (4,)), ("R", (2,))])
    assert made.outputs(("split", (1,))) == [("P", (1,)), ("Q", (2,)), ("Q", (3,)), ("R", (1,))]
    blocks = evaluate(made)
    assert [blocks["Q", (i,)] for i in range(4)] == [11, 12, 21, 22]
