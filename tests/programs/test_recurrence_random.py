"""Random rules: what the compiled code says of tasks and tiles, against Python evaluating the rule's own text."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from wukong_sched.errors import ProgramError
from wukong_sched.grid import Grid, window
from wukong_sched.program import range_tasks, verify_program
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule

OUT, SRC = Grid.of((2, 0, 3, 1)), Grid.of((1, 1, 4, 2))
SIZES = {"n": 4, "a": 2, "b": 3, "w": (3, 1, 4, 2, 0), "out": OUT, "src": SRC, "z": 0, "back": -2}
LOOPS = ("i", "j", "k")
KINDS = ("point", "list", "pairs", "window")
SCOPE: dict[str, Any] = {**SIZES, "window": window, "min": min, "max": max, "range": range}


class Recorder:
    """Stands for an array: indexing it gives the tile's name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, index: Any) -> tuple[str, tuple[int, ...]]:
        return self.name, index if isinstance(index, tuple) else (index,)


def affine(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    constant = st.sampled_from(["0", "1", "n - 1", "-1"])
    if not names:
        return constant
    coefficient = st.sampled_from(["1", "1", "1", "-1", "2", "a", "b", "a * b", "z", "back"])
    term = st.builds(lambda c, v: v if c == "1" else f"{c} * {v}", coefficient, st.sampled_from(names))
    table = st.builds(lambda c: f"w[{c}]", st.just(names[0]))
    return st.builds(" + ".join, st.lists(term, min_size=1, max_size=2, unique=True)) | st.builds(
        "{} + {}".format, term, constant | table
    )


@st.composite
def loops_over(draw: st.DrawFn, names: tuple[str, ...], outer: tuple[str, ...]) -> str:
    text = []
    for name in names:
        low = draw(st.sampled_from(["0", "0", "1", *outer]))
        high = draw(
            st.sampled_from(["n", "a", "b", "min(a, n)", *(f"{v} + a" for v in outer), *(f"n - {v}" for v in outer)])
        )
        text.append(f"for {name} in range({low}, {high})" if low != "0" else f"for {name} in range({high})")
        outer = (*outer, name)
    return " ".join(text)


@st.composite
def conditions(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
    return f"{draw(affine(names))} {operator} {draw(affine(names))}"


@st.composite
def points(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    """A tile of X, whose tiles have two index positions, or one of two cases of it."""
    tile = f"X[{draw(affine(names))}, {draw(affine(names))}]"
    if names and draw(st.integers(0, 3)) == 0:
        return f"{tile} if {draw(conditions(names))} else {draw(points(names))}"
    return tile


@st.composite
def references(draw: st.DrawFn, names: tuple[str, ...], kinds: tuple[str, ...] = KINDS) -> str:
    kind = draw(st.sampled_from(kinds))
    if kind == "point":
        return draw(points(names))
    if kind == "window" and names:
        step = draw(st.sampled_from(["1", "-1", "2", "back"]))
        tile, other, start = draw(affine(names)), draw(affine(names)), draw(affine(()))
        return f"[X[t, {other}] for t in window({tile}, out, src, {start}, {step})]"
    if kind not in KINDS or kind == "window":
        return f"[X[{draw(affine((*names, 'c')))}, c] {draw(loops_over(('c',), names))}]"
    local = ("c",) if kind == "list" else ("c", "d")
    return f"[{draw(points((*names, *local)))} {draw(loops_over(local, names))}]"


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    names = LOOPS[: draw(st.integers(0, 3))]
    loops = draw(loops_over(names, ()))
    reads = draw(st.lists(references(names), min_size=1, max_size=3))
    fold = draw(st.sampled_from(["", "", "for f in range(a)", "for f in range(n - i)" if names else ""]))
    if fold:
        reads.append(draw(references((*names, "f"))))
    return Rule("rule", loops, (f"Y[{', '.join(names) or '()'}]",), tuple(reads), Folding(), {}, SIZES, fold=fold)


class Folding:
    """A kernel with all parts, never called."""

    def start(self, index: tuple[int, ...], *fixed: Any) -> None: ...
    def step(self, total: Any, number: int, *blocks: Any) -> None: ...
    def finish(self, index: tuple[int, ...], total: Any) -> None: ...


def linked(rule: Rule) -> Recurrences:
    return Recurrences([rule], {"X": ArrayInfo(8), "Y": ArrayInfo(8)}, {"X": Folding()}, [])  # type: ignore[dict-item]


def evaluated(rule: Rule, texts: tuple[str, ...], variables: dict[str, int]) -> list[Any]:
    values = [eval(text, {**SCOPE, "X": Recorder("X"), "Y": Recorder("Y"), **variables}) for text in texts]
    return [tile for value in values for tile in (value if isinstance(value, list) else [value])]


def expected_inputs(rule: Rule, names: tuple[str, ...], index: tuple[int, ...]) -> list[Any]:
    variables = dict(zip(names, index, strict=True))
    steps = [text for text in rule.reads if rule.fold and "f" in text.replace("for", "").replace("if", "")]
    tiles = evaluated(rule, tuple(text for text in rule.reads if text not in steps), variables)
    if rule.fold:
        for value in eval(f"[f {rule.fold}]", {**SCOPE, **variables}):
            tiles += evaluated(rule, tuple(steps), {**variables, "f": value})
    return list(dict.fromkeys(tiles))


@settings(max_examples=30)
@given(rules())
def test_inputs_and_consumers_are_what_the_text_says(rule: Rule) -> None:
    program = linked(rule)
    names = tuple(name for name in LOOPS if f"for {name} " in rule.loops)
    tasks = list(program.tasks())
    assume(len(tasks) <= 100)
    readers: dict[Any, list[Any]] = {}
    for task in tasks:
        inputs = expected_inputs(rule, names, task[1])
        assert program.inputs(task) == inputs
        for tile in inputs:
            readers.setdefault(tile, []).append(task)
    event(f"{len(readers)} tiles" if len(readers) < 5 else "5 or more tiles")
    for tile in [*readers, *(("X", index) for index in product(range(-2, 5), repeat=2))]:
        consumers = program.consumers(tile)
        assert sorted(consumers) == sorted(readers.get(tile, []))
    verify_program(program)


@st.composite
def writers(draw: st.DrawFn) -> Rule:
    names = LOOPS[: draw(st.integers(1, 3))]
    loops = draw(loops_over(names, ()))
    if draw(st.booleans()):
        write = f"Y[{draw(affine(names))}, {draw(affine(names))}]"
    else:
        write = f"[Y[{draw(affine((*names, 'c')))}, {draw(affine(names))}] {draw(loops_over(('c',), names))}]"
    return Rule("rule", loops, (write,), ("X[0, 0]",), Folding(), {}, SIZES)


@settings(max_examples=30)
@given(writers())
def test_producers_are_what_the_text_says(rule: Rule) -> None:
    try:
        program = linked(rule)
    except ProgramError as error:
        assert "does not say" in str(error)
        assume(False)
    names = tuple(name for name in LOOPS if f"for {name} " in rule.loops)
    writer: dict[Any, Any] = {}
    for task in program.tasks():
        for tile in evaluated(rule, rule.writes, dict(zip(names, task[1], strict=True))):
            assume(tile not in writer)
            writer[tile] = task
    for tile in [*writer, *(("Y", index) for index in product(range(-2, 5), repeat=2))]:
        assert program.producer(tile) == writer.get(tile)
    verify_program(program)


@st.composite
def partly_produced(draw: st.DrawFn) -> Rule:
    """A rule of which some branches read the one tile of a produced array."""
    names = LOOPS[: draw(st.integers(0, 3))]
    reads = draw(st.lists(references(names, ("point", "plain list", "window")), min_size=1, max_size=3))
    fold = draw(st.sampled_from(["", "for f in range(a)", "for f in range(n - 2 * i)" if names else ""]))
    if fold:
        reads.append(f"X[{draw(affine((*names, 'f')))}, f]")
    mixed = [re.sub(r"X\[[^\[\]]*\]", lambda found: draw(st.sampled_from(["P[()]", found[0]])), read) for read in reads]
    loops = draw(loops_over(names, ()))
    return Rule("rule", loops, (f"Y[{', '.join(names) or '()'}]",), tuple(mixed), Folding(), {}, SIZES, fold=fold)


@settings(max_examples=30)
@given(partly_produced())
def test_leaves_are_the_tasks_without_a_produced_input(rule: Rule) -> None:
    one = Rule("one", "", ("P[()]",), (), Folding(), {})
    arrays = dict.fromkeys(["X", "Y", "P"], ArrayInfo(8))
    program = Recurrences([one, rule], arrays, {"X": Folding()}, [])  # type: ignore[dict-item]
    assume(len(program) <= 200)
    try:
        leaves = set(range_tasks(program, program.leaves()))
    except ProgramError as error:
        assert "cannot be counted" in str(error)
        assume(False)
    expected = {task for task in program.tasks() if ("P", ()) not in program.inputs(task)}
    event(
        f"{'some' if leaves - {('one', ())} else 'no'} leaves, {'some' if len(leaves) < len(program) else 'no'} others"
    )
    assert leaves == expected
    verify_program(program)
