"""Functions in the simulator that hold too much: ended without a word, or just in time handed over."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from wukong_sched.coordination.protocol import GIVEN_UP
from wukong_sched.drivers import exploration, simulate
from wukong_sched.drivers.adversary import Adversary, Fault
from wukong_sched.drivers.cloud import Cloud
from wukong_sched.drivers.environment import Environment, OutOfMemory
from wukong_sched.drivers.exploration import Case, OneValue, Watched, most_at_hand
from wukong_sched.drivers.graphs import Graph, Inputs
from wukong_sched.errors import InfrastructureError, Story
from wukong_sched.executor_state import ExecutorState
from wukong_sched.functions.execution import FULL
from wukong_sched.policy import CostModel, Policy
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.storage.protocol import Storage

CLOUD = Cloud(concurrency=1, max_attempts=5)
ONE_BY_ONE = CostModel(quantum=1e-9, batch_bytes=1, hold_bytes=1 << 40, hold_seconds=1e9, margin=1.0)
"""One task in a Run, and nothing is stored before it must be."""


def sized(
    inputs: Inputs, sizes: Sequence[int], wanted: Sequence[int] = (), folds: frozenset[int] = frozenset()
) -> Graph:
    """A program whose tasks write a tile of so many bytes each, and take a second; the last tile is wanted."""
    return Graph(
        inputs,
        [(i, 0) for i in wanted or [len(inputs) - 1]],
        costs=[2e10] * len(inputs),
        sizes=lambda tile: sizes[tile[1][0]],
        folds=folds,
        bare=True,
    )


def run(
    program: Graph, memory: float, policy: Policy = ONE_BY_ONE, log: list[str] | None = None, **cloud: Any
) -> Watched:
    """The job without any fault, in functions that may hold so many bytes."""
    this = Case(0, program, replace(CLOUD, memory=memory, **cloud), policy, Adversary(0), raising=False)
    return checked(this, log)


def checked(this: Case, log: list[str] | None = None) -> Watched:
    """All that must hold of every run holds of this one."""
    store = OneValue()
    job = Watched(this.program, store, this.policy, this.cloud, this.adversary, log=None if log is None else log.append)
    job.run(exploration.MOST_SECONDS, exploration.MOST_EVENTS)
    exploration._check_end(this, job, store)
    return job


# ---- ended


def test_a_task_that_never_fits_ends_the_job_and_says_so() -> None:
    program = sized([[], [(0, 0)]], [300, 300])
    job = run(program, memory=599)
    assert job.story == Story(GIVEN_UP, "leaf/0@0", (), "5 attempts ended without a commit")
    assert job.counts.overflows == {"leaf/0@0": 2 + 1 + 5}
    assert (job.counts.cold, job.counts.relieved, job.counts.commits) == (9, 0, 1)
    """Two attempts as usual; the third goes step by step, and is ended after it has committed the first task; then the
    first task has moved on, and the second has five attempts of its own. No process is used again."""
    with pytest.raises(InfrastructureError) as caught:
        simulate.run(program, MemoryStorage(), cloud=replace(CLOUD, memory=599), policy=ONE_BY_ONE)
    said = "5 attempts ended without a commit; 8 of them needed more than the 599 bytes of a function"
    assert str(caught.value) == f"the job was given up: {said}"


def test_a_task_that_fits_to_the_byte_is_not_ended() -> None:
    job = run(sized([[], [(0, 0)]], [300, 300]), memory=600)
    assert job.story is None and not job.counts.overflows
    assert (job.counts.executors, job.counts.relieved) == (1, 0), "once it has run, the second needs the first no more"


def test_what_a_process_remembers_counts_until_it_is_ended_for_it() -> None:
    """The first function leaves a stored tile behind; beside that the next has no room, and the one after that has."""
    lines: list[str] = []
    policy = replace(ONE_BY_ONE, hold_bytes=1, bandwidth=1e9, latency=1e-3)
    program = sized([[], []], [90, 550], wanted=[0, 1])
    job = run(program, 600, policy, lines)
    told = [line[14:] for line in lines if "killed" in line or "Started" in line or "nearly full" in line]
    assert [line.partition("(")[0] for line in told] == [
        "leaf/0@0#1 <- Started",
        "leaf/0@0#1 is killed: it holds 640 bytes, of 600",
        "leaf/0@0#2 <- Started",
        "leaf/0@0#2 is to hand over: its memory is nearly full",
        "leaf/0@0#3 <- Started",
    ]
    assert job.story is None and job.counts.overflows == {"leaf/0@0": 1}


def test_an_attempt_that_is_ended_leaves_what_it_has_committed_and_nothing_else() -> None:
    """In the middle of its second task: what it made before that and told nobody is made again, not stored twice."""
    lines: list[str] = []
    job = run(sized([[], [(0, 0)], [(0, 0), (1, 0)]], [100, 200, 200]), 499, log=lines)
    ended = [number for number, line in enumerate(lines) if "is killed" in line]
    assert job.story is not None and len(ended) == job.counts.overflows["leaf/0@0"]
    assert not any("Store" in line or "Commit(" in line or "FAULT" in line for line in lines[: ended[1]])
    assert sum("-> Store(" in line for line in lines) == 2, "each of the two tasks that fit, once, step by step"


def test_what_fits_task_by_task_is_done_so_after_two_attempts() -> None:
    """Ten results of 100 bytes are wanted, and an attempt as usual holds them all; of 350 bytes it is ended twice."""
    program = sized([[] for _ in range(10)], [100] * 10, wanted=range(10))
    job = run(program, 350, replace(ONE_BY_ONE, quantum=1e3))
    assert job.story is None and job.counts.overflows == {"leaf/0@0": 2}


def test_a_function_is_ended_while_it_fetches() -> None:
    """Each leaf fits, and is stored; both together, with what reads them, do not: not even fetched."""
    program = sized([[], [], [(0, 0), (1, 0)]], [300, 300, 10])
    policy = replace(ONE_BY_ONE, hold_bytes=1, hold_seconds=0.0)
    job = run(program, 500, policy)
    assert job.story is not None and job.story.operation == GIVEN_UP
    assert job.counts.tasks == 2 and job.counts.overflows == {"leaf/0@0": 6}
    """The attempt that made the leaves is not counted: it moved on."""


@pytest.mark.parametrize(("folds", "fits"), [(frozenset({10}), True), (frozenset[int](), False)])
def test_a_fold_holds_a_few_of_its_tiles_at_a_time(folds: frozenset[int], fits: bool) -> None:
    program = sized([*([] for _ in range(10)), [(i, 0) for i in range(10)]], [*[100] * 10, 50], folds=folds)
    job = run(program, 1000)
    assert (job.story is None) is fits
    assert bool(job.counts.overflows) is not fits


# ---- handed over


def test_a_function_that_is_nearly_full_hands_over() -> None:
    """Nine tiles are more than 0.85 of what ten take, and of those that it stores its process remembers one."""
    lines: list[str] = []
    program = sized([[] for _ in range(20)], [100] * 20, wanted=range(20))
    job = run(program, 1000, log=lines)
    stored = [line.count("('v'") for line in lines if "-> Store(" in line]
    assert stored == [9, 8, 3]
    assert (job.counts.relieved, job.counts.executors, job.counts.tasks) == (2, 3, 20)
    assert job.story is None and not job.counts.overflows and job.counts.cold == 1


@pytest.mark.parametrize("kinds", [[], [Fault.CRASH, Fault.LOSE, Fault.REFUSE]], ids=["calm", "faults"])
def test_whoever_hands_over_in_time_is_never_ended(kinds: list[Fault]) -> None:
    """One task at a time, the largest of which takes no more than what is left when memory is not yet nearly full."""
    for seed in range(20):
        sizes = [*(1 + random.Random(seed).randrange(100) for _ in range(40))] * 2
        program = sized([*([] for _ in range(40)), *([(i, 0)] for i in range(40))], sizes, wanted=range(80))
        cloud = replace(CLOUD, memory=1 + most_at_hand(program) / (1 - FULL))
        job = checked(Case(seed, program, cloud, ONE_BY_ONE, Adversary(seed, 3, kinds, rarity=4.0), raising=False))
        assert job.story is None and not job.counts.overflows
        # Whoever follows two attempts that were ended goes step by step, and holds nothing.
        assert kinds or job.counts.relieved >= sum(sizes) // cloud.memory


# ---- what counts

A, B, C = ("v", (0, 0)), ("v", (1, 0)), ("v", (2, 0))


def place(limit: float) -> tuple[Environment, Storage]:
    """A process, and the tile store as its executor sees it; tiles of 60, 40 and 30 bytes."""
    job = Watched(sized([[], [], []], [60, 40, 30]), OneValue(), ONE_BY_ONE, replace(CLOUD, memory=limit), Adversary(0))
    found: Environment = job.environment()
    return found, found.lend(job.around).storage


def test_a_block_counts_once_however_many_hold_it() -> None:
    here, storage = place(600)
    storage.put({A: 1, B: 2})
    assert here.resident() == 100, "a sixth of the memory is for what is remembered"
    here.memory[A] = 1
    assert (here.resident(), here.resident([A, B])) == (100, 100)


def test_the_least_recently_used_tile_is_forgotten() -> None:
    here, storage = place(600)
    storage.put({A: 1, B: 2})
    assert storage.get([A]) == {A: 1}
    storage.put({C: 3})
    assert here.resident() == 60 + 30 and storage.get([A, B, C]) == {A: 1, B: 2, C: 3}


def test_nearly_full_is_not_full() -> None:
    here, _ = place(100)
    core = ExecutorState(sized([[]], [60]), ONE_BY_ONE, "leaf/0@0", 900.0)
    here.memory.update({A: 1})
    assert not here.relieve(core) and core.deadline == 900.0
    here.memory.update({C: 3})
    here.weigh()
    assert here.relieve(core) and core.deadline == 0.0
    with pytest.raises(OutOfMemory, match="130 bytes, of 100"):
        here.weigh([B])


def test_without_a_limit_nothing_is_counted() -> None:
    here, storage = place(math.inf)
    here.memory.update({A: 1, B: 2, C: 3})
    here.weigh()
    assert not here.relieve(ExecutorState(sized([[]], [60]), ONE_BY_ONE, "leaf/0@0"))
    assert isinstance(storage, OneValue), "and tiles are not remembered"
