"""The meaning of a program: every task once, one after the other, here. Every other driver must agree with it."""

from __future__ import annotations

from typing import Any

from wukong_sched.drivers.pump import marked
from wukong_sched.program import SINK, Program, Task, Tile, range_tasks
from wukong_sched.storage.protocol import Storage


def run(program: Program, storage: Storage) -> None:
    """Put the wanted tiles of the program into the storage. Exceptions of tasks come through as they are."""
    blocks: dict[Tile, Any] = {}
    missing: dict[Task, int] = {}

    def block(tile: Tile) -> Any:
        return blocks[tile] if tile in blocks else program.read(tile)

    for leaf in range_tasks(program, program.leaves()):
        ready = [leaf]
        while ready:
            task = ready.pop()
            with marked():
                results = program.run(task, block)
            for tile, result in zip(program.outputs(task), results, strict=True):
                blocks[tile] = result
                for consumer in program.consumers(tile):
                    if consumer == SINK:
                        storage.put({tile: result})
                        continue
                    produced = [name for name, _ in program.inputs(consumer) if program.is_task_array(name)]
                    missing[consumer] = missing.get(consumer, len(produced)) - 1
                    if not missing[consumer]:
                        ready.append(consumer)
