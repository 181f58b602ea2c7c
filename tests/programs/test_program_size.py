"""What a program costs to hold, to send and to build: the same however many tasks it has."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from wukong_sched.compiled import compile_rule
from wukong_sched.grid import Grid
from wukong_sched.linked import WantedTiles
from wukong_sched.program import Program, range_tasks, verify_program
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule


class Unread:
    """A source."""

    def read(self, index: tuple[int, ...]) -> Any:
        raise LookupError(index)


class Steps:
    """A fold kernel."""

    def start(self, index: tuple[int, ...]) -> int:
        return 0

    def step(self, total: int, number: int, *blocks: Any) -> int:
        return total

    def finish(self, index: tuple[int, ...], total: int) -> int:
        return total


def kernel(index: tuple[int, ...], *blocks: Any) -> None: ...


def made(rules: Sequence[Rule], wanted: Any, *arrays: str) -> Recurrences:
    return Recurrences(
        rules, dict.fromkeys(["A", "B", *arrays], ArrayInfo(8)), {"A": Unread(), "B": Unread()}, [wanted]
    )


def cholesky(n: int) -> Recurrences:
    sizes = {"n": n}
    first = "A[{0}] if k == 0 else S[k, {0}]"
    below = "for k in range(n) for j in range(k + 1, n) for i in range(j, n)"
    rules = [
        Rule("potrf", "for k in range(n)", ("L[k, k]",), (first.format("k, k"),), kernel, {}, sizes),
        Rule(
            "trsm",
            "for k in range(n) for i in range(k + 1, n)",
            ("L[i, k]",),
            (first.format("i, k"), "L[k, k]"),
            kernel,
            {},
            sizes,
        ),
        Rule("gemm", below, ("S[k + 1, i, j]",), (first.format("i, j"), "L[i, k]", "L[j, k]"), kernel, {}, sizes),
    ]
    return made(rules, WantedTiles("L[i, k]", "for i in range(n) for k in range(i + 1)", {}, sizes), "L", "S")


def matmul(n: int) -> Recurrences:
    rule = Rule(
        "gemm",
        "for i in range(n) for j in range(n)",
        ("C[i, j]",),
        ("A[i, k]", "B[k, j]"),
        Steps(),
        {},
        {"n": n},
        fold="for k in range(n)",
    )
    return made([rule], ("C", (n, n)), "C")


def chain(n: int) -> Recurrences:
    rule = Rule(
        "add",
        "for l in range(9) for i in range(n)",
        ("Y[l, i]",),
        ("A[i] if l == 0 else Y[l - 1, i]",),
        kernel,
        {},
        {"n": n},
    )
    return made([rule], ("Y", ((8, 9), n)), "Y")


def tree(n: int) -> Recurrences:
    width = [n]
    while width[-1] > 1:
        width.append(-(-width[-1] // 2))
    sizes = {"width": tuple(width), "depth": len(width), "n": n}
    rules = [
        Rule("leaf", "for j in range(n)", ("T[0, j]",), ("A[j]",), kernel, {}, sizes),
        Rule(
            "node",
            "for l in range(1, depth) for j in range(width[l])",
            ("T[l, j]",),
            ("[T[l - 1, 2 * j + c] for c in range(min(2, width[l - 1] - 2 * j))]",),
            kernel,
            {},
            sizes,
        ),
    ]
    return made(rules, ("T", ((len(width) - 1, len(width)), 1)), "T")


def sliced(n: int) -> Recurrences:
    sizes = {"n": n, "out": Grid.regular(10 * n, 10), "src": Grid.regular(10 * n + 3, 7)}
    rule = Rule(
        "slice", "for i in range(n)", ("Y[i]",), ("[A[t] for t in window(i, out, src, 3, 1)]",), kernel, {}, sizes
    )
    return made([rule], ("Y", (n,)), "Y")


MAKERS = [(cholesky, 1024, 179_481_600), (matmul, 1000, 10**6), (chain, 10**6, 9 * 10**6), (tree, 10**6, 2_000_007)]
MAKERS.append((sliced, 10**6, 10**6))


@pytest.mark.parametrize(("maker", "n", "tasks"), MAKERS)
def test_a_large_program_is_small(maker: Callable[[int], Recurrences], n: int, tasks: int) -> None:
    program = maker(n)
    assert len(program) == tasks
    text = pickle.dumps(program)
    assert len(text) < 4096
    copy = pickle.loads(text)
    assert len(copy) == tasks
    assert copy.leaves() == program.leaves()
    assert copy.wanted_count == program.wanted_count
    for rule, piece, start, stop in program.leaves():
        middle = (start + stop) // 2
        assert list(copy.expand((rule, piece, middle, middle + 3))) == list(
            program.expand((rule, piece, middle, middle + 3))
        )
    verify_program(maker(5))


def lines_run(question: Callable[[], object]) -> int:
    """Number of Python lines that a question takes: a time that does not depend on the machine."""
    count = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        question()
    finally:
        sys.settrace(None)
    return count


def analysed(program: Program, task: Any) -> Callable[[], object]:
    def analyse() -> None:
        for tile in program.inputs(task):
            program.producer(tile)
        for tile in program.outputs(task):
            program.consumers(tile)

    return analyse


@pytest.mark.parametrize("place", [0, 1, 3])
def test_analysis_takes_as_many_steps_in_a_large_program_as_in_a_small_one(place: int) -> None:
    counts = {n: lines_run(analysed(cholesky(n), ("gemm", (place, place + 1, place + 2)))) for n in (16, 1024)}
    assert counts[16] == counts[1024] <= 100


def test_counting_and_numbering_do_not_expand() -> None:
    program = cholesky(1024)
    assert lines_run(program.__len__) < 300_000
    wide = matmul(10**4)
    ((rule, piece, start, stop),) = wide.leaves()
    assert lines_run(lambda: list(range_tasks(wide, [(rule, piece, stop // 2, stop // 2 + 2)]))) < 200
    assert stop - start == 10**8


def test_code_is_made_once_for_a_structure() -> None:
    cholesky(7)
    before = compile_rule.cache_info()
    for n in (8, 9, 1000):
        cholesky(n)
    assert compile_rule.cache_info().misses == before.misses
    assert compile_rule.cache_info().hits == before.hits + 12


def test_the_array_of_a_block_is_bisected_in_a_long_concatenation() -> None:
    counts = []
    for m in (10, 10_000):
        off = tuple(3 * q for q in range(m + 1))
        loops = "for q in range(m) for t in range(off[q + 1] - off[q])"
        names = {"X": tuple(f"x{q}" for q in range(m))}
        rule = Rule("join", loops, ("Y[off[q] + t]",), ("X[q][t]",), kernel, names, {"off": off, "m": m})
        arrays = dict.fromkeys([*names["X"], "Y"], ArrayInfo(8))
        program = Recurrences([rule], arrays, dict.fromkeys(names["X"], Unread()), [])
        assert program.producer(("Y", (3 * m - 2,))) == ("join", (m - 1, 1))
        counts.append(lines_run(lambda: program.producer(("Y", (3 * m - 2,)))))  # noqa: B023
        assert program.consumers((f"x{m - 1}", (2,))) == [("join", (m - 1, 2))]
    assert counts[0] == counts[1]


def test_sizes_of_tiles_come_from_their_grids() -> None:
    grid = Grid.of((3, 5, 2))
    arrays = {"A": ArrayInfo(80), "Y": ArrayInfo(400, itemsize=8, grids=(grid, 4))}
    rule = Rule("r", "for k in range(2) for i in range(3) for j in range(3)", ("Y[k, i, j]",), ("A[i]",), kernel, {})
    program = Recurrences([rule], arrays, {"A": Unread()}, [])
    assert [program.nbytes(("Y", (1, i, 2))) for i in range(3)] == [96, 160, 64]
    assert program.nbytes(("A", (0,))) == 80
    assert program.cost(("r", (0, 0, 0))) is None
    assert (program.operation(("r", (0, 0, 0))), program.streams(("r", (0, 0, 0)))) == ("", False)
