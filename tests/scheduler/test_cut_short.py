"""Executors whose tasks take longer than they thought, in virtual time: each attempt must get further than the last."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.coordination.protocol import State
from wukong_sched.drivers import graphs
from wukong_sched.drivers.graphs import Graph
from wukong_sched.executor_state import ExecutorState
from wukong_sched.links import AWS
from wukong_sched.messages import (
    Commit,
    Committed,
    Event,
    Fetch,
    Fetched,
    Finish,
    Gone,
    Instruction,
    Peek,
    Peeked,
    Ran,
    Run,
    Started,
    Store,
    Stored,
    Wait,
    Woke,
)
from wukong_sched.program import Task, Tile
from wukong_sched.resume import first_plan

SECONDS = 10.0
"""That an executor has."""
MOST = 8
"""Attempts without a step forward after which the coordination ends the job."""


class Alone:
    """One executor, started again and again; it checks that whatever it reads is stored or in memory."""

    def __init__(self, program: Graph, seconds: Sequence[float]) -> None:
        self.program, self.seconds, self.now = program, seconds, 0.0
        self.coordination = MemoryCoordination(max_attempts=MOST)
        self.root = first_plan(program).root
        self.coordination.create(1, [self.root], {})
        self.stored: set[Tile] = set()
        self.memory: set[Tile] = set()
        self.ran: list[int] = []
        """Tasks that each attempt ran."""

    def run(self) -> State:
        while self.coordination.read().state is State.RUNNING:
            self._attempt(f"attempt {len(self.ran)}")
        return self.coordination.read().state

    def _attempt(self, token: str) -> None:
        lease = self.coordination.start(self.root.id, token)
        if lease is None:
            return
        self.memory.clear()
        self.ran.append(0)
        policy = AWS.policy(SECONDS)
        core = ExecutorState(self.program, policy, self.root.id, self.now + SECONDS)
        event: Event | None = Started(lease.seq, lease.todo, lease.announced, 0)
        while event is not None:
            for instruction in core.handle(event, self.now):
                event = self._perform(instruction, token)

    def _perform(self, instruction: Instruction, token: str) -> Event | None:
        match instruction:
            case Fetch(tiles):
                self._present(tiles)
                self.memory.update(tiles)
                return Fetched(())
            case Run():
                return self._run(instruction)
            case Store(tiles):
                assert self.memory.issuperset(tiles)
                self.stored.update(tiles)
                return Stored()
            case Commit():
                reply = self.coordination.commit(self.root.id, token, instruction)
                return Gone() if reply is None else Committed(reply.joined, reply.freed)
            case Peek(tasks):
                return Peeked(self.coordination.read(tasks).arrived)
            case Wait(seconds):
                self.now += seconds
                return Woke()
            case Finish():
                return None
        return None

    def _run(self, run: Run) -> Ran:
        began = self.now
        for done, (task, outputs, drops) in enumerate(run.steps):
            if done and self.now - began > run.limit:
                return Ran(self.now - began, 0, len(run.steps) - done)
            self._present([tile for tile in self.program.inputs(task) if self.program.is_task_array(tile[0])])
            self.now += self._takes(task)
            self.ran[-1] += 1
            self.memory.update(outputs)
            self.memory.difference_update(drops)
        return Ran(self.now - began, 0)

    def _takes(self, task: Task) -> float:
        return self.seconds[task[1][0] % len(self.seconds)] if task[1] else 0.0

    def _present(self, tiles: Sequence[Tile]) -> None:
        missing = [t for t in tiles if self.program.is_task_array(t[0]) and t not in self.memory | self.stored]
        assert not missing, f"read, but neither stored nor in memory: {missing}"


def apart(count: int) -> Graph:
    """Tasks that have nothing to do with each other."""
    return Graph([[] for _ in range(count)], [(n, 0) for n in range(count)])


def chain(count: int) -> Graph:
    return Graph([[(n - 1, 0)] if n else [] for n in range(count)], [(count - 1, 0)])


@pytest.mark.parametrize("shape", [apart, chain])
def test_quick_tasks_before_slow_ones_of_the_same_rule_are_not_run_again(shape: type) -> None:
    job = Alone(shape(36), [0.0] * 30 + [4.0] * 6)
    assert job.run() is State.DONE
    assert len(job.ran) <= 6
    assert sum(job.ran) <= 36 + 1


@given(st.integers(0, 2**32 - 1))
def test_jobs_of_tasks_that_nobody_can_foresee_end(seed: int) -> None:
    rng = random.Random(seed)
    program = graphs.draw(rng, 20)
    job = Alone(program, [rng.choice([0.0, 0.0, 0.5, 2.0, 4.5]) for _ in range(20)])
    assert job.run() is State.DONE
