"""The meaning of a program for these tests: every task once, when all its produced inputs are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from wukong_sched.program import SINK, Program, Tile, range_tasks

Blocks = dict[Tile, Any]
Evaluate = Callable[[Program], Blocks]


def evaluated(program: Program) -> Blocks:
    """Blocks of all tiles that tasks write; found through leaves and consumers alone."""
    blocks: Blocks = {}
    done = set()
    ready = deque(range_tasks(program, program.leaves()))
    while ready:
        task = ready.popleft()
        assert task not in done
        done.add(task)
        asked: list[Tile] = []

        def block(tile: Tile, asked: list[Tile] = asked) -> Any:
            asked.append(tile)
            return blocks[tile] if program.is_task_array(tile[0]) else program.read(tile)

        outputs = program.outputs(task)
        blocks.update(zip(outputs, program.run(task, block), strict=True))
        assert set(asked) <= set(program.inputs(task))
        for consumer in {c for tile in outputs for c in program.consumers(tile) if c != SINK}:
            inputs = [tile for tile in program.inputs(consumer) if program.is_task_array(tile[0])]
            if consumer not in done and consumer not in ready and all(tile in blocks for tile in inputs):
                ready.append(consumer)
    assert len(done) == len(program)
    return blocks


@pytest.fixture(scope="session")
def evaluate() -> Evaluate:
    """The evaluator."""
    return evaluated
