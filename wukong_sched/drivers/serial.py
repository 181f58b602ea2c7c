"""The meaning of a program: every task once, one after the other, here. Every other driver must agree with it."""

from __future__ import annotations

import time
from typing import Any

from wukong_sched.drivers.pump import interrupts, marked, story_of
from wukong_sched.errors import raised
from wukong_sched.functions.usage import Usage, peak_memory, source_counter
from wukong_sched.program import SINK, BlockReader, Program, Task, Tile, range_tasks
from wukong_sched.report import Report
from wukong_sched.storage.protocol import Storage


def run(program: Program, storage: Storage) -> Report:
    """Put the wanted tiles of the program into the storage. Raises `TaskError` from whatever a task raised."""
    began, usage = time.perf_counter(), Usage(executors=1)
    blocks = Blocks(program, usage)
    for leaf in range_tasks(program, program.leaves()):
        ready = [leaf]
        while ready:
            task = ready.pop()
            results = computed(program, task, blocks.read)
            usage.tasks += 1
            blocks.release(task)
            for tile, result in results.items():
                if program.is_wanted(tile):
                    storage.put({tile: result})
                ready += blocks.keep(tile, result)
    seconds = time.perf_counter() - began
    usage.spent("compute", seconds)
    usage.peak_memory = peak_memory()
    return Report(usage.tasks, 1, seconds, (usage,))


def computed(program: Program, task: Task, block: BlockReader) -> dict[Tile, Any]:
    """The results of one task, by tile. Raises `TaskError` from whatever it raised."""
    outputs = program.outputs(task)
    with marked():
        try:
            return dict(zip(outputs, program.run(task, block), strict=True))
        except interrupts():
            raise
        except BaseException as error:  # whatever it is, it is the task's
            raise raised(story_of(program, task, error), error) from error


class Blocks:
    """The results that tasks will still read, and for each task that has some of its inputs how many are missing."""

    def __init__(self, program: Program, usage: Usage) -> None:
        self._program, self._seen = program, source_counter(program, usage)
        self._blocks: dict[Tile, Any] = {}
        self._unread: dict[Tile, int] = {}
        self._missing: dict[Task, int] = {}

    def read(self, tile: Tile) -> Any:
        """The block of an input: a result, or else what the program has at its sources."""
        if tile in self._blocks:
            return self._blocks[tile]
        found = self._program.read(tile)
        self._seen(tile, found)
        return found

    def release(self, task: Task) -> None:
        """Forget the inputs of a task that has run, unless others will read them."""
        for tile in produced(self._program, task):
            self._unread[tile] -= 1
            if not self._unread[tile]:
                del self._blocks[tile], self._unread[tile]

    def keep(self, tile: Tile, block: Any) -> list[Task]:
        """Keep a result as long as tasks will read it; the tasks that it was the last missing input of."""
        consumers = [consumer for consumer in self._program.consumers(tile) if consumer != SINK]
        if consumers:
            self._blocks[tile], self._unread[tile] = block, len(consumers)
        return [consumer for consumer in consumers if self._is_complete(consumer)]

    def _is_complete(self, task: Task) -> bool:
        """Whether one more input of the task is all that it lacked."""
        missing = self._missing.pop(task, None) or len(produced(self._program, task))
        if missing > 1:
            self._missing[task] = missing - 1
        return missing == 1


def produced(program: Program, task: Task) -> list[Tile]:
    """The inputs of a task that tasks have made."""
    return [tile for tile in program.inputs(task) if program.is_task_array(tile[0])]
