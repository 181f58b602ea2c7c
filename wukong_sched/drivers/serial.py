"""The meaning of a program: every task once, one after the other, here. Every other driver must agree with it."""

from __future__ import annotations

import time
from typing import Any

from wukong_sched.drivers.pump import marked, story_of
from wukong_sched.errors import raised
from wukong_sched.functions.usage import Usage, peak_memory, source_counter
from wukong_sched.program import SINK, Program, Task, Tile, range_tasks
from wukong_sched.report import Report
from wukong_sched.storage.protocol import Storage


def run(program: Program, storage: Storage) -> Report:
    """Put the wanted tiles of the program into the storage. Raises `TaskError` from whatever a task raised."""
    began, usage = time.perf_counter(), Usage(executors=1)
    seen = source_counter(program, usage)
    blocks: dict[Tile, Any] = {}
    unread: dict[Tile, int] = {}
    missing: dict[Task, int] = {}

    def block(tile: Tile) -> Any:
        if tile in blocks:
            return blocks[tile]
        found = program.read(tile)
        seen(tile, found)
        return found

    for leaf in range_tasks(program, program.leaves()):
        ready = [leaf]
        while ready:
            task = ready.pop()
            inputs, outputs = produced(program, task), program.outputs(task)
            usage.tasks += 1
            with marked():
                try:
                    results = dict(zip(outputs, program.run(task, block), strict=True))
                except Exception as error:  # whatever it is, it is the task's
                    raise raised(story_of(program, task, error), error) from error
            for tile in inputs:
                unread[tile] -= 1
                if not unread[tile]:
                    del blocks[tile], unread[tile]
            for tile, result in results.items():
                if program.is_wanted(tile):
                    storage.put({tile: result})
                consumers = [consumer for consumer in program.consumers(tile) if consumer != SINK]
                if consumers:
                    blocks[tile], unread[tile] = result, len(consumers)
                for consumer in consumers:
                    if consumer not in missing:
                        missing[consumer] = len(produced(program, consumer))
                    missing[consumer] -= 1
                    if not missing[consumer]:
                        del missing[consumer]
                        ready.append(consumer)
    seconds = time.perf_counter() - began
    usage.spent("compute", seconds)
    usage.peak_memory = peak_memory()
    return Report(usage.tasks, 1, seconds, (usage,))


def produced(program: Program, task: Task) -> list[Tile]:
    """The inputs of a task that tasks have made."""
    return [tile for tile in program.inputs(task) if program.is_task_array(tile[0])]
