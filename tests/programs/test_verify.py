"""`verify_program` finds each way in which a program can be none; construction finds what needs no expansion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from wukong_sched.errors import ProgramError
from wukong_sched.grid import Grid
from wukong_sched.linked import Wanted, WantedTiles
from wukong_sched.program import SINK, Range, Task, Tile, range_tasks, verify_program
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule

SIZES = {"n": 4, "table": (1, 2), "grid": Grid.of((2, 2))}


class Nothing:
    """A source that is never read."""

    def read(self, index: tuple[int, ...]) -> Any:
        raise LookupError(index)


def kernel(index: tuple[int, ...], *blocks: Any) -> Any:
    return blocks[0]


def rule(name: str, loops: str, writes: str, *reads: str, **more: Any) -> Rule:
    return Rule(name, loops, (writes,), reads, more.pop("kernel", kernel), more.pop("names", {}), SIZES, **more)


def program(*rules: Rule, wanted: tuple[Wanted, ...] = (), kind: type[Recurrences] = Recurrences) -> Recurrences:
    arrays = dict.fromkeys(["X", "Y", "Z", "V"], ArrayInfo(8))
    return kind(rules, arrays, {"X": Nothing()}, wanted)


GOOD = (
    rule("first", "for i in range(n)", "Y[i]", "X[i]"),
    rule("second", "for i in range(n)", "Z[i]", "Y[i]", "Y[0]"),
)


@pytest.mark.parametrize(
    ("rules", "wanted", "message"),
    [
        ((rule("a", "for i in range(n)", "Y[i]", "X[i]"), rule("b", "", "Y[2]", "X[0]")), (), "is written by task"),
        ((rule("a", "for i in range(n) for j in range(n)", "Y[i + j]", "X[i]"),), (), "is written by task"),
        ((rule("a", "for i in range(n)", "Y[i]", "X[i] if i == 0 else Y[i + 1]"),), (), "which no task writes"),
        ((rule("a", "for i in range(n)", "Y[i]", "X[i] if i > 2 else Y[i - 1]"),), (), "which no task writes"),
        ((rule("a", "for i in range(2)", "Y[i]", "Y[1 - i]"),), (), "wait for each other: .* <- .* <- "),
        (GOOD, (("Z", (5,)),), r"wanted tile \('Z', \(4,\)\) is written by no task"),
        (GOOD, (("Z", (2,)), ("Z", ((1, 3),))), r"wanted\(\) gives tile \('Z', \(1,\)\) twice"),
        (
            (
                GOOD[0],
                rule("gap", "for i in range(n)", "Z[i]", "[Y[c + d] for c in range(2) for d in range(i * 2 - c - 2)]"),
            ),
            (),
            "is not among the leaves; give the rule a case",
        ),
    ],
)
def test_rules_that_are_no_program(rules: tuple[Rule, ...], wanted: tuple[Wanted, ...], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        verify_program(program(*rules, wanted=wanted))


def test_a_large_program_is_not_expanded() -> None:
    with pytest.raises(ProgramError, match="limit=7"):
        verify_program(program(*GOOD), limit=7)


class Lying(Recurrences):
    """A program whose every answer goes through `changes`, by the question's name."""

    changes: ClassVar[dict[str, Callable[[Any, Any], Any]]] = {}

    def _told(self, question: str, subject: Any, answer: Any) -> Any:
        return self.changes.get(question, lambda _, true: true)(subject, answer)

    def __len__(self) -> int:
        return int(self._told("len", None, super().__len__()))

    def inputs(self, task: Task) -> list[Tile]:
        return self._told("inputs", task, super().inputs(task))  # type: ignore[no-any-return]

    def outputs(self, task: Task) -> list[Tile]:
        return self._told("outputs", task, super().outputs(task))  # type: ignore[no-any-return]

    def producer(self, tile: Tile) -> Task | None:
        return self._told("producer", tile, super().producer(tile))  # type: ignore[no-any-return]

    def consumers(self, tile: Tile) -> list[Task]:
        return self._told("consumers", tile, super().consumers(tile))  # type: ignore[no-any-return]

    def is_wanted(self, tile: Tile) -> bool:
        return bool(self._told("is_wanted", tile, super().is_wanted(tile)))

    def leaves(self) -> tuple[Range, ...]:
        return self._told("leaves", None, super().leaves())  # type: ignore[no-any-return]

    def tasks(self) -> Iterator[Task]:
        return self._told("tasks", None, super().tasks())  # type: ignore[no-any-return]

    def expand(self, leaves: Range) -> Iterator[Task]:
        return self._told("expand", leaves, super().expand(leaves))  # type: ignore[no-any-return]

    @property
    def wanted_count(self) -> int:
        return int(self._told("wanted_count", None, super().wanted_count))


def only(subject: Any, changed: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda asked, true: changed(true) if asked == subject else true


LIES: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("len", lambda _, true: true + 1, "but there are 8 tasks"),
    ("inputs", only(("second", (1,)), lambda true: true * 2), "twice"),
    ("inputs", only(("second", (1,)), lambda true: true[:1]), "consumers\\(\\) says"),
    ("outputs", only(("first", (1,)), lambda true: true * 2), "outputs of task .* twice"),
    ("producer", only(("Y", (1,)), lambda true: None), "but producer\\(\\) says None"),
    ("producer", only(("X", (1,)), lambda true: ("first", (0,))), "is written by None, but producer\\(\\) says"),
    ("consumers", only(("Y", (1,)), lambda true: []), "consumers\\(\\) says \\[\\]"),
    ("consumers", only(("Y", (1,)), lambda true: true * 2), "consumers of .* twice"),
    ("consumers", only(("Z", (1,)), lambda true: [*true, ("first", (9,))]), "leads to"),
    ("consumers", only(("Z", (1,)), lambda true: []), "last consumer"),
    ("consumers", lambda tile, true: [*true, ("second", (tile[1][0] + 1,))], "leads on and on"),
    ("is_wanted", only(("Y", (1,)), lambda true: True), "last consumer"),
    ("wanted_count", lambda _, true: true + 1, "wanted\\(\\) gives 4 tiles"),
    ("leaves", lambda _, true: true[:0], "is not among the leaves"),
    ("leaves", lambda _, true: (*true, ("second", 0, 0, 0)), ""),
    ("leaves", lambda _, true: true * 2, "leaf .* is given twice"),
    ("tasks", lambda _, true: iter([*true, ("first", (0,))]), "lists .* twice"),
    ("expand", lambda asked, true: true if asked[2] == 0 else iter(()), "has other tasks"),
    ("expand", lambda asked, true: list(true)[: 3 if asked[3] == 4 else 9], "has 3 tasks|not among the leaves"),
]


@pytest.mark.parametrize(("question", "change", "message"), LIES)
def test_each_wrong_answer_is_found(question: str, change: Callable[[Any, Any], Any], message: str) -> None:
    liar = program(
        *GOOD, wanted=(("Z", (4,)),), kind=type("Liar", (Lying,), {"__slots__": (), "changes": {question: change}})
    )
    if not message:
        verify_program_accepts_an_empty_piece(liar)
        return
    with pytest.raises(ProgramError, match=message):
        verify_program(liar)


def verify_program_accepts_an_empty_piece(liar: Recurrences) -> None:
    with pytest.raises(IndexError):
        list(range_tasks(liar, liar.leaves()))


REFUSED: list[tuple[Rule, str]] = [
    (rule("r", "for i in range(m)", "Y[i]"), "'m' in 'm' is neither a loop variable here nor an int size; known: n"),
    (rule("r", "for i in range(n) for j in range(n)", "Y[i]"), "does not say j"),
    (rule("r", "for i in range(n)", "Y[i]", "X[i * i]"), "multiplies variables"),
    (rule("r", "for i in range(n)", "Y[i]", "X[i // 2]"), "no affine expression"),
    (rule("r", "for i in range(n)", "Y[i]", "X[i]["), "no Python"),
    (rule("r", "for i in", "Y[i]"), "no Python"),
    (rule("r", "for i in range(n) if i", "Y[i]"), "is no loop"),
    (rule("r", "for i in steps(n)", "Y[i]"), "is no loop"),
    (rule("r", "for i in range(1, 2, 3)", "Y[i]"), "3 arguments"),
    (rule("r", "for n in range(3)", "Y[n]"), "already a size"),
    (rule("r", "for i in range(n)", "Y[i]", "[X[i] for i in range(2)]"), "already a loop"),
    (rule("r", "for i in range(n)", "Y[i]", "X"), "is no reference"),
    (rule("r", "for i in range(n)", "Y[i]", "[[X[c] for c in range(2)] for d in range(2)]"), "list of lists"),
    (rule("r", "for i in range(n)", "Y[i]", "X[i] if i > 0 and i < 2 else X[0]"), "is not one comparison"),
    (rule("r", "for i in range(n)", "Y[i]", "X[i]", "X[i, i]"), "with 1 and with 2 index positions"),
    (rule("r", "for i in range(n)", "Y[i]", "X[0][i]"), "names one array"),
    (rule("r", "for i in range(n)", "Y[i]", "Q[i]", names={"Q": ("X",)}), "names a family of arrays; write Q\\[q\\]"),
    (rule("r", "for i in range(n)", "Y[i]", "Q[i]"), "reads 'Q', which is no source"),
    (rule("r", "for i in range(n)", "Q[i]"), "names 'Q', of which `arrays` knows nothing"),
    (rule("r", "for i in range(n)", "X[i]"), "is two of: source"),
    (rule("r", "for i in range(n)", "Y[i]", "X[n[i]]"), "is used as a table"),
    (rule("r", "for i in range(n)", "Y[i]", "[X[t] for t in window(i, n, grid, 0, 1)]"), "is used as a grid"),
    (rule("r", "for i in range(n)", "Y[i]", "[X[t] for t in window(i, grid, 0, 1)]"), "is not window\\(tile"),
    (rule("r", "for t in window(0, grid, grid, 0, 1)", "Y[t]"), "a window in the loops"),
    (rule("r", "for i in range(n)", "[Y[t] for t in window(i, grid, grid, 0, 1)]"), "a window in a write"),
    (rule("r", "for i in range(n)", "Y[i]", fold="for k in range(n)"), "has no start, step and finish"),
    (rule("r", "", "Y[()]", fold="for k in range(n) for l in range(n)"), "has 2 loops"),
    (rule("r", "for i in range(n)", "Y[i]", "X[i]", guard="X[0]", cheap=True), "cheap with a fold or guard"),
    (rule("r", "for i in range(n)", "Y[i]", guard="X[0]"), "passes=0 of 0 reads"),
    (rule("r", "for i in range(n)", "Y[i]", "X[0]", guard="[X[c] for c in range(2)]"), "is not a single tile"),
    (rule("r", "for i in range(n)", "Y[i]", "[X[c] for c in range(2)]", guard="X[0]"), "not of the kind of its write"),
]


@pytest.mark.parametrize(("refused", "message"), REFUSED)
def test_rules_refused_when_the_program_is_made(refused: Rule, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        program(refused)


def test_errors_name_the_rule_and_wrong_sizes_say_so() -> None:
    with pytest.raises(ProgramError, match=r"rule 'odd': size 'n' is 2\.5; it must be an int"):
        program(Rule("odd", "for i in range(n)", ("Y[i]",), (), kernel, {}, {"n": 2.5}))
    with pytest.raises(ProgramError, match="two rules are named 'first'"):
        program(GOOD[0], GOOD[0])
    with pytest.raises(ProgramError, match="cheap rule 'c' reads 'Y'"):
        program(GOOD[0], rule("c", "for i in range(n)", "V[i]", "Y[i]", cheap=True))
    with pytest.raises(ProgramError, match="'Y' with 2 index positions, another rule with 1"):
        program(GOOD[0], rule("b", "for i in range(n)", "V[i]", "Y[i, i]"))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("X", (4,)), "'X' is a source"),
        (("W", (4,)), "'W' is unknown"),
        (("Y", (4, 4)), "has 2 extents, but its tiles have 1"),
        (WantedTiles("Y[0]", "for i in range(n)", {}, SIZES), "does not say i"),
    ],
)
def test_wanted_tiles_that_cannot_be(wanted: Wanted, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        program(*GOOD, wanted=(wanted,))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda *_: 1, "writes 2 references, but its kernel returned int"),
        (lambda *_: (1, 2, 3), "returned 3 of them at index \\(1,\\)"),
        (lambda *_: (1, [2]), "list of 2 tiles at index \\(1,\\), but its kernel returned 1 blocks"),
        (lambda *_: (1, 2), "returned int; return a list"),
    ],
)
def test_kernels_that_return_something_else(returned: Callable[..., Any], message: str) -> None:
    split = Rule("split", "for i in range(n)", ("Y[i]", "[Z[2 * i + c] for c in range(2)]"), (), returned, {}, SIZES)
    with pytest.raises(ProgramError, match=message):
        program(split).run(("split", (1,)), lambda tile: None)


def test_reading_a_tile_of_a_task_is_refused() -> None:
    with pytest.raises(ProgramError, match="its task \\('first', \\(1,\\)\\) must run"):
        program(*GOOD).read(("Y", (1,)))
    assert program(*GOOD, wanted=(("Z", (4,)),)).consumers(("Z", (3,))) == [SINK]
