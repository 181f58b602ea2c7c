"""Plans: what a computation will take, said before it runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from sarray.lower import Lowered
from sarray.lowering.blocks import largest_block
from sarray.sizes import format_bytes, format_count
from wukong_sched.domain import Domain
from wukong_sched.errors import MemoryLimitError
from wukong_sched.language import parse_loops
from wukong_sched.program import SINK, Program, Task
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import Rule

EXACT = 20_000
"""Tasks up to which the depth is that of the longest chain; beyond, of the longest one that a few walks find."""
WALKS = 8


@dataclass(frozen=True, slots=True)
class Work:
    """What the tasks of one rule take."""

    operation: str
    """What the user wrote."""
    rule: str
    tasks: int
    flops: float
    """Floating-point operations of all tasks, if all blocks had the size of the largest."""
    bytes_in: float
    """Bytes that all tasks read, wherever from."""
    bytes_out: float
    """Bytes that all tasks write, wherever to."""
    peak_bytes: int
    """Bytes of the blocks that one task needs at once."""
    chunk: tuple[int, ...] = ()
    """Shape of the largest chunk that a task reads or writes."""
    chunk_of: str = ""
    """The operation whose chunk that is."""

    def smaller(self, ratio: float) -> str:
        """The call that gives chunks of at most this part of the size, by cutting the longest axis."""
        if not self.chunk:
            return "use smaller chunks, as in x.rechunk('16MiB')"
        if "." in self.chunk_of:
            factor = self.chunk_of.partition(".")[0]
            return f"no chunks of yours help, as {factor} needs whole blocks of {self.chunk}; use fewer columns"
        axis = max(range(len(self.chunk)), key=self.chunk.__getitem__)
        size = max(1, int(self.chunk[axis] * ratio))
        return f"write x.rechunk({{{axis}: {size}}}) of the {self.chunk_of} array, whose chunks are {self.chunk}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a computation will take."""

    tasks: int
    depth: int
    """Tasks that must follow each other."""
    flops: float
    """Floating-point operations, blocks counted as if all had the size of the largest."""
    bytes_read: int
    """Bytes of the sources."""
    bytes_written: int
    """Bytes of the results."""
    peak_bytes: int
    """Bytes of the blocks that the largest task needs at once."""
    work: tuple[Work, ...]
    """By rule, in the order of the program."""

    def __repr__(self) -> str:
        head = (
            f"Plan: {self.tasks} tasks, depth {self.depth}, {format_count(self.flops)} flops, "
            f"{format_bytes(self.bytes_read)} read, {format_bytes(self.bytes_written)} written, "
            f"peak {format_bytes(self.peak_bytes)} per task"
        )
        return "\n".join([head, *_table(self.work)])

    def check(
        self, memory: int, workers: int, instead: str = "memory_limit to what is needed, or fewer workers"
    ) -> None:
        """Raise MemoryLimitError if `workers` tasks at once cannot fit `memory`, with what to set."""
        needed = self.peak_bytes * workers
        if needed > memory:
            largest = max(self.work, key=attrgetter("peak_bytes"))
            raise MemoryLimitError(
                f"{largest.operation}: a task needs {format_bytes(self.peak_bytes)} for its blocks, {workers} at a "
                f"time need {format_bytes(needed)}, and the memory limit is {format_bytes(memory)}; "
                f"{largest.smaller(memory / needed)}, or set {instead}"
            )


def plan_of(lowered: Lowered) -> Plan:
    """The plan of a program."""
    program = lowered.program
    rules = [rule for rule in program.rules if not rule.cheap]
    work = tuple(_work(rule, lowered) for rule in rules)
    return Plan(
        tasks=len(program),
        depth=_depth(program),
        flops=sum(each.flops for each in work),
        bytes_read=sum(each.nbytes for each in lowered.order if each.op == "source"),
        bytes_written=sum(each.nbytes for each in lowered.wanted.values()),
        peak_bytes=max((each.peak_bytes for each in work), default=0),
        work=work,
    )


def _table(work: Iterable[Work]) -> list[str]:
    """One line per operation, numbers to the right."""
    totals: dict[str, list[float]] = {}
    for each in work:
        row = totals.setdefault(each.operation, [0, 0.0, 0.0, 0.0, 0])
        for place, value in enumerate((each.tasks, each.flops, each.bytes_in, each.bytes_out)):
            row[place] += value
        row[4] = max(row[4], each.peak_bytes)
    rows = [("operation", "tasks", "flops", "in", "out", "peak/task")]
    rows += [
        (name, f"{row[0]:.0f}", format_count(row[1]), format_bytes(row[2]), format_bytes(row[3]), format_bytes(row[4]))
        for name, row in totals.items()
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(6)]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _work(rule: Rule, lowered: Lowered) -> Work:
    count, cost = _domain(rule).count(), rule.cost
    totals = (cost.flops * count, cost.bytes_in * count, cost.bytes_out * count) if cost else (0.0, 0.0, 0.0)
    chunk, of = _largest_chunk(rule, lowered)
    return Work(rule.operation or rule.name, rule.name, count, *totals, peak_bytes(rule, lowered.program), chunk, of)


def _domain(rule: Rule, fold: str = "") -> Domain:
    return Domain.of((*parse_loops(rule.loops), *parse_loops(fold)), rule.sizes)


def peak_bytes(rule: Rule, program: Recurrences) -> int:
    """Bytes of the blocks that a task of the rule needs at once: the most that its first, middle and last tasks need.

    Blocks count as their arrays' largest. A fold needs two steps' blocks beside its results.
    """
    domain = _domain(rule)
    count = domain.count()
    numbers = {0, count // 2, count - 1} if count else set()
    return max((_needed(rule, (rule.name, domain.point(number)), program) for number in numbers), default=0)


def _needed(rule: Rule, task: Task, program: Recurrences) -> int:
    def size(tiles: Iterable[tuple[str, tuple[int, ...]]]) -> int:
        return sum(program.arrays[name].nbytes for name, _ in tiles)

    inputs, outputs = program.inputs(task), size(program.outputs(task))
    if not rule.fold:
        return size(inputs) + outputs
    loops = parse_loops(rule.fold)
    fixed = sum(loops[0].variable not in _words(read) for read in rule.reads)
    steps = max(1, round(_domain(rule, rule.fold).count() / max(1, _domain(rule).count())))
    return size(inputs[:fixed]) + min(2, steps) * size(inputs[fixed:]) // steps + outputs


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


def _depth(program: Program) -> int:
    """Tasks on the longest chain (up to `EXACT` tasks), or on a long one."""
    if len(program) <= EXACT:
        depths: dict[Task, int] = {}
        return max((_longest(program, task, depths) for task in _last_tasks(program)), default=0)
    tiles = program.wanted()
    ends = [task for _, tile in zip(range(WALKS), tiles, strict=False) if (task := program.producer(tile)) is not None]
    return max((_walked(program, task) for task in ends), default=0)


def _last_tasks(program: Program) -> set[Task]:
    found = (program.producer(tile) for tile in program.wanted())
    return {task for task in found if task is not None and task != SINK}


def _before(program: Program, task: Task) -> list[Task]:
    """The tasks that make a task's inputs."""
    makers = (program.producer(tile) for tile in program.inputs(task))
    return [maker for maker in makers if maker is not None]


def _longest(program: Program, task: Task, depths: dict[Task, int]) -> int:
    stack = [task]
    while stack:
        current = stack[-1]
        pending = [maker for maker in _before(program, current) if maker not in depths]
        if pending:
            stack.extend(pending)
        else:
            depths[current] = 1 + max((depths[maker] for maker in _before(program, current)), default=0)
            stack.pop()
    return depths[task]


def _walked(program: Program, task: Task) -> int:
    steps = 1
    while makers := _before(program, task):
        task = makers[-1]
        steps += 1
    return steps


def _largest_chunk(rule: Rule, lowered: Lowered) -> tuple[tuple[int, ...], str]:
    """The largest chunk of the expressions whose tiles the rule touches, with the operation that it is of."""
    names: set[str] = set()
    for value in rule.names.values():
        names.update(name.partition("/")[0] for name in ((value,) if isinstance(value, str) else value))
    found = [(largest_block(each.chunks), each) for each in lowered.order if each.ndim and each.name in names]
    if not found:
        return (), ""
    shape, largest = max(found, key=lambda pair: math.prod(pair[0]) * pair[1].dtype.itemsize)
    return shape, largest.op
