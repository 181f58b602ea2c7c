"""What must still run, given what is stored: the plan of a new epoch (PROTOCOL rule 14).

Needed are, backwards from the wanted tiles and stopping at stored ones, the tasks that make what is missing; and
whatever follows from a needed task. A needed task announces all of its tiles once more, so each of their consumers must
expect that: a consumer left out of the plan would run as a stray, and one counted as ready would run twice. Where no
tile was lost this adds nothing, because what was never announced has no finished successors.

The root owes the needed tasks all of whose inputs are stored and will not be announced again; the others begin with
the bits of such inputs set. If nothing is needed the root owes the sink alone, and says that the job is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from wukong_sched.messages import Give, Owed, identity
from wukong_sched.program import SINK, Program, Range, Task, Tile


@dataclass(frozen=True, slots=True)
class Plan:
    """The beginning of an epoch."""

    root: Give
    arrived: Mapping[Task, frozenset[Tile]]


def first_plan(program: Program) -> Plan:
    """The beginning of a job of which nothing is stored; in closed form."""
    leaves = tuple(program.leaves())
    return Plan(Give(identity(leaves[0]), leaves), {})


def plan(program: Program, stored: Collection[Tile]) -> Plan:
    """The beginning of an epoch that goes on from what is stored.

    Takes time and memory proportional to the tasks that must still run, and to the leaves.
    """
    again = needed(program, stored)
    todo: list[Owed] = list(_needed_leaves(program, again))
    arrived: dict[Task, frozenset[Tile]] = {}
    for task in [*again, SINK]:
        inputs = _produced(program, task)
        here = frozenset(tile for tile in inputs if tile in stored and program.producer(tile) not in again)
        if inputs and len(here) == len(inputs):
            todo.append(task)
        elif here:
            arrived[task] = here
    return Plan(Give(identity(todo[0]), tuple(todo)), arrived)


def needed(program: Program, stored: Collection[Tile]) -> dict[Task, None]:
    """The tasks that must run, in the order in which they were found."""
    found: dict[Task, None] = {}
    stack = [SINK]
    while stack:
        task = stack.pop()
        missing = [program.producer(tile) for tile in _produced(program, task) if tile not in stored]
        follow = [consumer for tile in _outputs(program, task) for consumer in program.consumers(tile)]
        for other in [*missing, *follow]:
            if other is not None and other != SINK and other not in found:
                found[other] = None
                stack.append(other)
    return found


def _produced(program: Program, task: Task) -> list[Tile]:
    tiles = program.wanted() if task == SINK else program.inputs(task)
    return [tile for tile in tiles if program.is_task_array(tile[0])]


def _outputs(program: Program, task: Task) -> list[Tile]:
    return [] if task == SINK else program.outputs(task)


def _needed_leaves(program: Program, again: Collection[Task]) -> Iterator[Range]:
    """The needed leaves as ranges, as few as possible."""
    for leaves in program.leaves():
        rule, piece, first, stop = leaves
        start = None
        for number, task in enumerate(program.expand(leaves), first):
            if task in again:
                start = number if start is None else start
            elif start is not None:
                yield rule, piece, start, number
                start = None
        if start is not None:
            yield rule, piece, start, stop
