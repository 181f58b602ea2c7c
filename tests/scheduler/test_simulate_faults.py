"""Each fault by its name, alone, in the simulator: the job ends right, and nothing is left (see `exploration`).

What S3 errors do exactly is in `test_simulate_refusals`; functions out of memory are in `test_simulate_full`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from wukong_sched.coordination.protocol import State
from wukong_sched.drivers import exploration
from wukong_sched.drivers.adversary import Adversary, Fault
from wukong_sched.drivers.exploration import Case, OneValue, Watched, case
from wukong_sched.drivers.virtual import Process

SEEDS = [seed for seed in range(60) if not case(seed).raising][:40]


def roomy(seed: int) -> Case:
    """What a seed stands for, in functions that hold whatever they are to hold."""
    this = case(seed)
    return replace(this, cloud=replace(this.cloud, memory=math.inf))


def simulated(
    seed: int, kinds: Sequence[Fault] = (), storage: OneValue | None = None, kind: Any = Watched, **cloud: Any
) -> Watched:
    """The program and policy of a seed, with these faults only; all that must hold of every run is checked."""
    this = roomy(seed)
    adversary = Adversary(seed, 4 if kinds else 0, kinds, rarity=4.0, torn=True)
    this = replace(this, adversary=adversary, cloud=replace(this.cloud, max_attempts=math.inf, **cloud))
    store = OneValue() if storage is None else storage
    run: Watched = kind(this.program, store, this.policy, this.cloud, adversary)
    run.run(exploration.MOST_SECONDS, exploration.MOST_EVENTS)
    exploration._check_end(this, run, store)
    assert run.story is None
    return run


NAMED = {
    "a sandbox killed at any moment, in the middle of a store too": [Fault.CRASH],
    "a sandbox that stands still beyond its lease": [Fault.STALL, Fault.EXPIRE],
    "a duplicate delivery": [Fault.DOUBLE],
    "a duplicate commit": [Fault.ECHO],
    "a lost invocation": [Fault.LOSE],
    "a late invocation": [Fault.DELAY],
    "a throttled burst": [Fault.THROTTLE],
    "a lost reply": [Fault.SILENCE],
    "Redis restarted empty": [Fault.WIPE],
    "Redis fallen back": [Fault.FORGET],
    "an object missing": [Fault.VANISH],
    "a late deletion": [Fault.LINGER],
    "S3 errors in the middle": [Fault.REFUSE],
}


@pytest.mark.parametrize("kinds", NAMED.values(), ids=NAMED)
def test_a_fault_alone(kinds: list[Fault]) -> None:
    struck = [fault for seed in SEEDS for fault in simulated(seed, kinds).adversary.struck]
    assert set(struck) == set(kinds) and len(struck) >= 10


def test_a_sandbox_past_its_time_limit() -> None:
    """The limit is far below what the job takes: executors are killed again and again, or hand over in time."""
    killed = 0
    for seed in SEEDS[:20]:
        lines: list[str] = []

        def run(*given: Any, lines: list[str] = lines) -> Watched:
            return Watched(*given, log=lines.append)

        simulated(seed, kind=run, time_limit=6.0, store_latency=1.5)
        killed += sum("is killed at its time limit" in line for line in lines)
    assert killed >= 20


class Unasked(Watched):
    """Nobody can say how many functions could start: many, the executors think."""

    def idle(self) -> int:
        return 100


def test_a_throttled_burst() -> None:
    """One function runs, every other invocation meanwhile is refused, and none is tried again but by the watchdog."""
    throttled = sum(simulated(seed, kind=Unasked, concurrency=1, tries=1).counts.throttled for seed in SEEDS)
    assert throttled >= 20


@dataclass(slots=True)
class Absent(Watched):
    """The client goes away as soon as it has begun the job, and comes back much later; functions look after it."""

    found: float = math.nan
    """When the job was over, as its client finds when it is back."""

    def client(self) -> Process:
        yield from self.open()
        for _ in range(400):
            self.invoke(self.coordination.read().startable)  # the watchdog, which is a function
            yield self.cloud.watchdog
        self.found = self.counts.ended
        assert self.coordination.read().state is State.DONE
        yield from super(Absent, self).client()


def test_a_client_gone_and_back() -> None:
    for seed in SEEDS[:20]:
        run = simulated(seed, [Fault.CRASH, Fault.LOSE], kind=Absent)
        assert run.found == run.counts.ended < run.timeline.now and run.counts.epochs == 1


def test_the_same_job_again_runs_nothing_that_is_stored() -> None:
    for seed in SEEDS[:20]:
        storage = OneValue()
        first = simulated(seed, storage=storage)
        assert simulated(seed, storage=storage).counts.tasks == 0 < first.counts.tasks


@dataclass(slots=True)
class Cancelled(Watched):
    """The client ends the job while it runs."""

    after: int = 0
    """Tasks that had run by then."""

    def client(self) -> Process:
        yield from self.open()
        while self.counts.tasks < 3 and self.coordination.read().state is State.RUNNING:
            yield 1e-3
        self.coordination.sweep()
        self.after = self.counts.tasks
        yield from self.sweep()
        yield self.cloud.time_limit + self.cloud.cold_start
        yield from self.sweep()


def test_a_cancelled_job_stops_and_leaves_nothing() -> None:
    for seed in SEEDS[:20]:
        this, store = roomy(seed), OneValue()
        run = Cancelled(this.program, store, this.policy, this.cloud, Adversary(seed))
        run.run(exploration.MOST_SECONDS, exploration.MOST_EVENTS)
        left = [tile for tile in store.tiles() if not this.program.is_wanted(tile)]
        assert left == [] and run.coordination.empty() and run.running == 0
        assert run.coordination.read().state is State.MISSING
