"""The contract between a program and whoever executes it.

A **tile** is one block value, named ``(array, index)``. A **task** is a rule at one index, ``(rule, index)``. A
program answers, for any one task or tile and without expanding the DAG: which tiles a task reads and writes, which
task produces a tile (None: a source, or made again wherever it is needed), which tasks consume it, where to begin.
Tasks without a produced input are **leaves**; they are handed out as ranges ``(rule, piece, start, stop)``: the tasks
numbered from start to stop (exclusive) of one piece of a rule's domain.

Wanted tiles are those that the job must leave behind. They have one more consumer, the **sink**.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from wukong_sched.errors import ProgramError
from wukong_sched.rule import Costed

Index = tuple[int, ...]
Tile = tuple[str, Index]
Task = tuple[str, Index]
Range = tuple[str, int, int, int]
"""(rule, piece, start, stop)"""

SINK: Task = ("(sink)", ())
"""The task that consumes every wanted tile; its end is the job's end."""


@runtime_checkable
class Program(Protocol):
    """A DAG of tasks over tiles, answered point by point."""

    def __len__(self) -> int:
        """Number of tasks, the sink not counted; closed form, never by expansion."""

    def inputs(self, task: Task) -> list[Tile]:
        """Distinct tiles that the task reads (sources and cheap tiles included), in the order of its reads."""

    def outputs(self, task: Task) -> list[Tile]:
        """Tiles that the task writes, in the order in which `run` returns them."""

    def producer(self, tile: Tile) -> Task | None:
        """The task that writes the tile; None for a source or a cheap tile."""

    def consumers(self, tile: Tile) -> list[Task]:
        """Distinct tasks that read the tile; the sink, last, if the tile is wanted."""

    def is_task_array(self, array: str) -> bool:
        """Whether the tiles of this array are written by tasks (not sources, not cheap)."""

    def is_cheap(self, array: str) -> bool:
        """Whether the tiles of this array are made again by whoever needs them."""

    def wanted(self) -> Iterator[Tile]:
        """The tiles that the job must leave behind, one after the other."""

    def is_wanted(self, tile: Tile) -> bool:
        """Whether the job must leave this tile behind."""

    @property
    def wanted_count(self) -> int:
        """How many tiles are wanted."""

    @property
    def in_order(self) -> bool:
        """Whether tasks shall run in their own order, as far as they can, rather than the one enabled last first."""

    def leaves(self) -> Sequence[Range]:
        """All tasks without a produced input, as ranges."""

    def expand(self, leaves: Range) -> Iterator[Task]:
        """The tasks of a range, in order; lazily."""

    def nbytes(self, tile: Tile) -> int:
        """Size of the tile in bytes, as planned."""

    def cost(self, task: Task) -> Costed | None:
        """What the task costs; None if nobody knows."""

    def operation(self, task: Task) -> str:
        """The user's word for what the task does."""

    def streams(self, task: Task) -> bool:
        """Whether the task is a fold, whose inputs are read step by step while it runs."""

    def read(self, tile: Tile) -> Any:
        """The block of a source tile or a cheap tile."""

    def run(self, task: Task, block: BlockReader) -> Sequence[Any]:
        """Run the task: its output blocks, in the order of `outputs`.

        Calls `block(tile)` for each input tile, for a fold only when its step comes.
        """


class BlockReader(Protocol):
    """Gives the block of a tile that the running task needs."""

    def __call__(self, tile: Tile, /) -> Any: ...


def range_tasks(program: Program, ranges: Iterable[Range]) -> Iterator[Task]:
    """All tasks of several ranges, one after the other."""
    for leaves in ranges:
        yield from program.expand(leaves)


@runtime_checkable
class Enumerable(Protocol):
    """A program that can also list its tasks, whether or not anything leads to them."""

    def tasks(self) -> Iterator[Task]:
        """Every task once."""


def verify_program(program: Program, limit: int = 100_000) -> None:
    """Check by expansion that a small program keeps the contract; for tests.

    Every tile has one writer and `producer` names it; `consumers` names exactly the readers, once each, the sink
    last; whatever is read and belongs to tasks is written; there is no cycle; `leaves` are exactly the tasks without
    a produced input, and `expand` gives parts of a range as it gives the whole; wanted tiles are written; the numbers
    are right. Raises ProgramError with the first violation; also if there are more than `limit` tasks.

    Time and memory are linear in the number of edges.
    """
    if len(program) > limit:
        raise ProgramError(
            f"a program of {len(program)} tasks is not expanded (limit={limit}); verify a smaller instance"
        )
    verification = _Verification(program)
    verification.tasks()
    verification.edges()
    verification.leaves()
    verification.wanted()
    verification.order()


class _Verification:
    """All tasks of a program, and what was found of their tiles."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.leaf_tasks = list(range_tasks(program, program.leaves()))
        self.all: dict[Task, list[Tile]] = {}
        self.writer: dict[Tile, Task] = {}
        self.readers: dict[Tile, list[Task]] = {}

    def tasks(self) -> None:
        """Find all tasks, from the leaves on and by listing; read their inputs and outputs."""
        program = self.program
        pending = list(program.tasks()) if isinstance(program, Enumerable) else []
        _distinct(pending, "tasks() lists {} twice")
        listed = len(pending)
        pending += self.leaf_tasks
        while pending:
            task = pending.pop()
            if task in self.all:
                continue
            _demand(len(self.all) < 2 * len(program) + 10, "consumers() leads on and on, now to task {}", task)
            self._note(task)
            pending += [t for tile in program.outputs(task) for t in program.consumers(tile) if t != SINK]
        found = len(self.all)
        _demand(found == listed or not listed, "tasks() lists {} tasks, but consumers() leads to {}", listed, found)
        _demand(found == len(program), "len() is {}, but there are {} tasks", len(program), found)

    def _note(self, task: Task) -> None:
        inputs = self.all[task] = self.program.inputs(task)
        _distinct(inputs, f"inputs of task {task} name {{}} twice")
        for tile in inputs:
            self.readers.setdefault(tile, []).append(task)
        outputs = self.program.outputs(task)
        _distinct(outputs, f"outputs of task {task} name {{}} twice")
        for tile in outputs:
            other = self.writer.setdefault(tile, task)
            _demand(other == task, "tile {} is written by task {} and by task {}", tile, other, task)
            self.readers.setdefault(tile, [])

    def edges(self) -> None:
        """Producers and consumers are what inputs and outputs say."""
        program = self.program
        for tile, readers in self.readers.items():
            made, written = program.producer(tile), self.writer.get(tile)
            owned = program.is_task_array(tile[0])
            _demand(made == written, "tile {} is written by {}, but producer() says {}", tile, written, made)
            what = "task {} reads tile {}, which no task writes; bound the reference or write the tile"
            _demand(owned == (written is not None), what, readers[:1], tile)
            _demand(not (owned and program.is_cheap(tile[0])), "array {} is cheap and written by tasks", tile[0])
            named = program.consumers(tile)
            _distinct(named, f"consumers of {tile} name {{}} twice")
            sink = [SINK] if program.is_wanted(tile) else []
            _demand(
                named[len(named) - len(sink) :] == sink, "wanted tile {} has {} as its last consumer", tile, named[-1:]
            )
            right = {*named} == {*readers, *sink}
            _demand(right, "tile {} is read by {}, but consumers() says {}", tile, readers, named)

    def leaves(self) -> None:
        """Leaves are right, and so are parts of their ranges."""
        program = self.program
        _distinct(self.leaf_tasks, "leaf {} is given twice")
        true = {task for task, inputs in self.all.items() if not any(tile in self.writer for tile in inputs)}
        missed, wrong = true.difference(self.leaf_tasks), set(self.leaf_tasks) - true
        way_out = "give the rule a case for such tasks, or make them a rule of their own"
        _demand(
            not missed,
            "task {} reads no produced tile but is not among the leaves; {}",
            min(missed, default=0),
            way_out,
        )
        _demand(not wrong, "task {} is a leaf but reads a produced tile; {}", min(wrong, default=0), way_out)
        for rule, piece, start, stop in program.leaves():
            whole = list(program.expand((rule, piece, start, stop)))
            _demand(len(whole) == stop - start, "range {} has {} tasks", (rule, piece, start, stop), len(whole))
            for cut in {start + (stop - start) * part // 7 for part in range(1, 7)}:
                parts = [*program.expand((rule, piece, start, cut)), *program.expand((rule, piece, cut, stop))]
                _demand(parts == whole, "range {}, cut at {}, has other tasks", (rule, piece, start, stop), cut)

    def wanted(self) -> None:
        """Wanted tiles are written, and known as wanted."""
        program = self.program
        wanted = list(program.wanted())
        _distinct(wanted, "wanted() gives tile {} twice")
        count = program.wanted_count
        _demand(len(wanted) == count, "wanted_count is {}, but wanted() gives {} tiles", count, len(wanted))
        for tile in wanted:
            _demand(tile in self.writer, "wanted tile {} is written by no task", tile)
        wrong = {tile for tile in self.readers if program.is_wanted(tile)} ^ set(wanted)
        _demand(not wrong, "is_wanted() and wanted() disagree on {}", min(wrong, default=0))

    def order(self) -> None:
        """There is an order in which every task comes after those that it reads from."""
        missing = {task: sum(tile in self.writer for tile in inputs) for task, inputs in self.all.items()}
        ready = [task for task, count in missing.items() if not count]
        while ready:
            for tile in self.program.outputs(ready.pop()):
                for task in self.readers[tile]:
                    missing[task] -= 1
                    if not missing[task]:
                        ready.append(task)
        stuck = {task for task, count in missing.items() if count}
        _demand(not stuck, "tasks wait for each other: {}", " <- ".join(map(str, self._cycle(stuck))))

    def _cycle(self, stuck: set[Task]) -> list[Task]:
        path: list[Task] = []
        task = min(stuck, default=SINK)
        while task in stuck and task not in path:
            path.append(task)
            task = next(self.writer[tile] for tile in self.all[task] if self.writer.get(tile) in stuck)
        return [*path[path.index(task) :], task] if path else []


def _demand(true: bool, otherwise: str, *facts: object) -> None:
    if not true:
        raise ProgramError(otherwise.format(*facts))


def _distinct(items: Sequence[object], otherwise: str) -> None:
    if len(set(items)) < len(items):
        raise ProgramError(otherwise.format(next(item for place, item in enumerate(items) if item in items[:place])))
