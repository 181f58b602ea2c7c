"""Plans: what a computation will take, said before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    advice: tuple[str, ...] = ()
    """For each entry of `work`: chunks with which its tasks would be smaller."""

    def __repr__(self) -> str:
        head = (
            f"Plan: {self.tasks} tasks, depth {self.depth}, {format_count(self.flops)} flops, "
            f"{format_bytes(self.bytes_read)} read, {format_bytes(self.bytes_written)} written, "
            f"peak {format_bytes(self.peak_bytes)} per task"
        )
        return "\n".join([head, *_table(self.work)])

    def check(self, memory: int, workers: int) -> None:
        """Raise MemoryLimitError if `workers` tasks at once cannot fit `memory`, naming operation and sizes."""
        for work, advice in zip(self.work, self.advice, strict=True):
            if work.peak_bytes * workers > memory:
                raise MemoryLimitError(
                    f"{work.operation}: a task needs {format_bytes(work.peak_bytes)} for its blocks, and {workers} "
                    f"workers share a memory limit of {format_bytes(memory)}; {advice}, set memory_limit to at least "
                    f"{format_bytes(work.peak_bytes * workers)}, or workers to fewer"
                )


def plan_of(lowered: Lowered) -> Plan:
    """The plan of a program."""
    program = lowered.program
    rules = [rule for rule in program.rules if not rule.cheap]
    work = tuple(_work(rule, program) for rule in rules)
    return Plan(
        tasks=len(program),
        depth=_depth(program),
        flops=sum(each.flops for each in work),
        bytes_read=sum(each.nbytes for each in lowered.order if each.op == "source"),
        bytes_written=sum(each.nbytes for each in lowered.wanted.values()),
        peak_bytes=max((each.peak_bytes for each in work), default=0),
        work=work,
        advice=tuple(_advice(rule, lowered) for rule in rules),
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


def _work(rule: Rule, program: Recurrences) -> Work:
    count = _domain(rule).count()
    cost = rule.cost
    totals = (
        (cost.flops * count, cost.bytes_in * count, cost.bytes_out * count) if cost is not None else (0.0, 0.0, 0.0)
    )
    return Work(rule.operation or rule.name, rule.name, count, *totals, peak_bytes=peak_bytes(rule, program))


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


def _advice(rule: Rule, lowered: Lowered) -> str:
    """The chunks to write instead: half of the largest of what the rule reads or writes, along its longest axis."""
    related = _related(rule, lowered)
    if related is None:
        return "use smaller chunks, as in x.rechunk('16MiB')"
    shape, name = related
    axis = max(range(len(shape)), key=shape.__getitem__)
    return f"use smaller chunks, as in x.rechunk({{{axis}: {max(1, shape[axis] // 2)}}}) where {name} has {shape[axis]}"


def _related(rule: Rule, lowered: Lowered) -> tuple[tuple[int, ...], str] | None:
    """The largest block that the rule touches, with the operation that it is of."""
    names: set[str] = set()
    for value in rule.names.values():
        names.update((value,) if isinstance(value, str) else value)
    found = [each for each in lowered.order if each.ndim and any(name.startswith(each.name) for name in names)]
    if not found:
        return None
    largest = max(found, key=lambda each: lowered.program.arrays[_array(each.name, lowered.program.arrays)].nbytes)
    return largest_block(largest.chunks), f"the {largest.op} array"


def _array(name: str, arrays: Mapping[str, object]) -> str:
    return name if name in arrays else next(each for each in arrays if each.startswith(name))
