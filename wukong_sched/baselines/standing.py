"""How far a job is, by what of it is stored: enough to make its queue again when the server that had it is emptied.

A task all of whose outputs are stored is done. Nothing was run before what it reads was stored, and nothing is ever
deleted, so that whoever follows consumers from the leaves, through what is done, meets every task that is done and
every task that can be run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from wukong_sched.drivers.serial import produced
from wukong_sched.program import SINK, Program, Task, Tile, range_tasks


@dataclass(slots=True)
class Standing:
    """What a queue must hold."""

    done: list[Task] = field(default_factory=list)
    ready: list[Task] = field(default_factory=list)
    """Not done, and all their inputs are stored."""
    arrived: list[tuple[Task, Tile]] = field(default_factory=list)
    """Inputs that are stored, of tasks some of whose inputs are not."""


def standing(program: Program, stored: Collection[Tile]) -> Standing:
    """What is done, and what can be done next, when these tiles of the program's tasks are stored.

    >>> from wukong_sched.drivers.graphs import Graph
    >>> program = Graph([[], [(0, 0)], [(0, 0), (1, 0)]], wanted=[(2, 0)])
    >>> found = standing(program, set(program.outputs(("leaf", (0,)))))
    >>> found.done, found.ready, [task for task, _ in found.arrived]
    ([('leaf', (0,))], [('node', (1,))], [('node', (2,))])
    """
    found, seen = Standing(), set[Task]()
    following = deque(range_tasks(program, program.leaves()))
    while following:
        task = following.popleft()
        if task in seen:
            continue
        seen.add(task)
        inputs = produced(program, task)
        there = [tile for tile in inputs if tile in stored]
        if all(tile in stored for tile in program.outputs(task)):
            found.done.append(task)
            following.extend(followers(program, task))
        elif len(there) == len(inputs):
            found.ready.append(task)
        else:
            found.arrived.extend((task, tile) for tile in there)
    return found


def followers(program: Program, task: Task) -> Iterator[Task]:
    """A consumer for each edge that begins at the task."""
    return (each for tile in program.outputs(task) for each in program.consumers(tile) if each != SINK)
