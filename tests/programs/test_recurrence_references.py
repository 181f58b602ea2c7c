"""Guards, cases, cheap tiles, tiles that are named twice and several writes of one rule."""

from __future__ import annotations

import pytest

from tests.programs.small_recurrences import Evaluate, added, program, row
from wukong_sched.rule import Rule


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
