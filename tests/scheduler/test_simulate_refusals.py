"""S3 errors in the middle, in the simulator: asked again after a while, and if that does not help a failed attempt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from tests.scheduler.test_simulate_faults import SEEDS, roomy
from wukong_sched.coordination.protocol import GIVEN_UP
from wukong_sched.drivers import exploration, simulate
from wukong_sched.drivers.adversary import Adversary, Fault
from wukong_sched.drivers.cloud import Cloud
from wukong_sched.drivers.exploration import OneValue, Watched
from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.refusals import MOST, RETRY, refused
from wukong_sched.errors import InfrastructureError, Story
from wukong_sched.policy import CostModel
from wukong_sched.program import Program
from wukong_sched.storage.memory import MemoryStorage

CLOUD = Cloud(lease=30.0, watchdog=5.0, max_attempts=3)
CHAIN = Graph([[], [(0, 0)], [(1, 0)]], [(2, 0)], bare=True)
"""One executor that makes one request: it stores the last tile."""
ALONE = CostModel()
"""Nothing travels for nothing, nobody waits for anybody."""


@dataclass(slots=True)
class Refusing(Adversary):
    """Refuses requests to the tile store as it is told, one entry for each, and none afterwards."""

    told: list[int] = field(default_factory=list)
    effective: bool = False
    """Whether what is refused takes effect all the same."""
    asked: int = 0

    def refusals(self, most: int) -> int:
        self.asked += 1
        return self.told[self.asked - 1] if self.asked <= len(self.told) else 0

    def draw(self) -> float:
        return 0.25 if self.effective else 0.5


def run(program: Program, adversary: Adversary, cloud: Cloud = CLOUD, seed: int = 0) -> Watched:
    """The job, and all that must hold of every run, whose rules know nothing of how often this one refuses."""
    store = OneValue()
    this = exploration.Case(seed, program, cloud, ALONE, adversary, raising=False)
    job = Watched(program, store, ALONE, cloud, adversary)
    job.run(exploration.MOST_SECONDS, exploration.MOST_EVENTS)
    if job.story is None:
        exploration._check_end(this, job, store)
    assert list(store.tiles()) == [tile for tile in store.tiles() if program.is_wanted(tile)]
    return job


# ---- one request


@pytest.mark.parametrize("effective", [False, True])
def test_what_is_refused_is_asked_again_after_longer_and_longer_times(effective: bool) -> None:
    calm, job = run(CHAIN, Adversary(0)), run(CHAIN, Refusing(0, told=[3], effective=effective))
    draw = 0.25 if effective else 0.5
    assert job.counts.ended - calm.counts.ended == pytest.approx(draw * (0.1 + 0.2 + 0.4))
    assert replace(job.counts, busy=0.0, ended=0.0) == replace(calm.counts, busy=0.0, ended=0.0)


def test_the_times_are_random_parts_of_ever_longer_ones() -> None:
    adversary = Adversary(5)
    most = [min(RETRY.cap, RETRY.base * 2**k) for k in range(RETRY.attempts - 1)]
    parts = []
    for _ in range(50):
        waits: list[float] = []
        assert refused(replace(RETRY, sleep=waits.append, draw=adversary.draw), MOST) is not None
        parts += [wait / longest for wait, longest in zip(waits, most, strict=True)]
    assert 0 <= min(parts) < 0.05 and 0.95 < max(parts) <= 1 and 0.4 < sum(parts) / len(parts) < 0.6


@pytest.mark.parametrize("effective", [False, True])
def test_a_request_that_is_always_refused_is_a_failed_attempt(effective: bool) -> None:
    """The process goes on, the record waits until its lease is over; the second attempt begins with what it owed."""
    adversary = Refusing(0, told=[RETRY.attempts], effective=effective)
    job = run(CHAIN, adversary)
    assert job.story is None and adversary.asked == 2
    assert (job.counts.refused, job.counts.executors, job.counts.tasks) == (1, 2, 6)
    assert (job.counts.invocations, job.counts.cold, job.counts.commits) == (2, 1, 2)
    assert CLOUD.lease < job.counts.ended < CLOUD.lease + 2 * CLOUD.watchdog


def test_a_store_that_refuses_everything_ends_the_job() -> None:
    job = run(CHAIN, Refusing(0, told=[MOST] * 9))
    assert job.story == Story(GIVEN_UP, "leaf/0@0", (), "3 attempts ended without a commit")
    assert (job.counts.refused, job.counts.commits) == (3, 0)
    with pytest.raises(InfrastructureError, match=r"^the job was given up: 3 attempts ended without a commit$"):
        simulate.run(CHAIN, MemoryStorage(), cloud=CLOUD, policy=ALONE, adversary=Refusing(0, told=[MOST] * 9))


# ---- any request


@pytest.mark.parametrize("refusals", [RETRY.attempts - 1, RETRY.attempts])
def test_whichever_request_is_refused_the_result_is_right(refusals: int) -> None:
    """Fetches, stores and deletions of random jobs, of which the nth is refused: one too few or just often enough."""
    for seed in SEEDS[:12]:
        program = roomy(seed).program
        requests = Refusing(seed)
        run(program, requests)
        for number in range(0, requests.asked, 1 + requests.asked // 8):
            adversary = Refusing(seed, told=[0] * number + [refusals])
            job = run(program, adversary)
            assert job.story is None and adversary.asked > number
            assert job.counts.refused == (refusals == RETRY.attempts)


def test_many_refusals_at_random() -> None:
    """Beside lost invocations, and as many as the adversary likes; each that lasts too long ends an attempt."""
    refused = struck = 0
    for seed in SEEDS:
        this = roomy(seed)
        adversary = Adversary(seed, 30, [Fault.REFUSE, Fault.LOSE], rarity=5.0, jitter=1.0, torn=True)
        job = run(this.program, adversary, replace(this.cloud, max_attempts=math.inf))
        assert job.story is None
        refused, struck = refused + job.counts.refused, struck + adversary.struck.count(Fault.REFUSE)
    assert 0.3 * struck < refused < 0.7 * struck and struck >= 100
