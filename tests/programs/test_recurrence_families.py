"""References to an array that a loop variable selects."""

from __future__ import annotations

from tests.programs.small_recurrences import Evaluate, added, copied, program, row
from wukong_sched.rule import Rule


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
