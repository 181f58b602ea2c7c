"""References to the blocks that a block overlaps, and by mixed radix: other chunks of the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.programs.small_recurrences import Blocks, Evaluate, added, copied, program, row
from wukong_sched.grid import Grid
from wukong_sched.rule import Rule


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
