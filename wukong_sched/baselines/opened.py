"""What the client does alike for each way: store the signed program, fetch the results, say what it took."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wukong_sched.coordination.protocol import GIVEN_UP
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.errors import InfrastructureError, SchedulerError, Story, raised
from wukong_sched.functions.carried import Park, Wishes
from wukong_sched.functions.cloud import Cloud, JobStorage
from wukong_sched.functions.events import JobName
from wukong_sched.functions.plan import Plan, cancelled_key, fingerprint, program_key, sign_plan
from wukong_sched.functions.submitted import Submitted, batches
from wukong_sched.program import Program, Tile
from wukong_sched.report import Report
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import Objects, Tally
from wukong_sched.storage.protocol import Storage

SETTLE = 5.0
"""Seconds that invocations have to report when their job is done; they take milliseconds, if nothing is wrong."""
Look = Callable[[], str]
"""What tells why no function can do anything; an empty text as long as there is no reason."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A job's tiles in the object store; its sweep takes along whatever the job has in any tier."""

    inner: JobStorage
    objects: Objects
    """All tiers."""
    prefix: str

    @property
    def saved(self) -> Tally:
        """What the codec saved."""
        return self.inner.saved

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Store blocks."""
        self.inner.put(blocks)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        """Those that are there."""
        return self.inner.get(tiles)

    def delete(self, tiles: Iterable[Tile]) -> None:
        """Forget these."""
        self.inner.delete(tiles)

    def tiles(self) -> Iterable[Tile]:
        """All."""
        return self.inner.tiles()

    def sweep(self) -> None:
        """Forget the job."""
        self.objects.sweep(self.prefix)


def open_key(job: str) -> str:
    """What is in the object store as long as somebody wants the job."""
    return f"{Keys(job).job_prefix}open"


def is_wanted(cloud: Cloud, job: str) -> bool:
    """Whether somebody still wants the job."""
    found = cloud.objects().get([open_key(job), cancelled_key(job)])
    return list(found) == [open_key(job)]


def opened(functions: LocalFunctions, program: Program, park: Park, wishes: Wishes) -> Submitted:
    """A job whose program is stored, all of whose tiles will be in the object store; nothing runs yet."""
    places, key, job = functions.places, functions.key, secrets.token_hex(8)
    plan = Plan(park(program, job), wishes.policy or functions.policy, arithmetic=wishes.arithmetic)
    digest, pieces = sign_plan(plan, key, job)
    places.object_store.put({program_key(job): pieces, open_key(job): [b"open"]})
    functions.service.endpoint.follow(job)
    keys = Keys(job)
    storage = Tiles(places.object_storage(keys, key), places.objects(), keys.job_prefix)
    name, records = JobName(job, digest, fingerprint()), places.coordination(job)
    return Submitted(places, key, plan, pieces, name, records, storage, said=lambda: functions.counts()["last_error"])


def delivered(functions: LocalFunctions, job: Submitted, storage: Storage) -> Report:
    """The report of a job that is done, when its wanted tiles are in the storage."""
    for tiles in batches(job.plan.program):
        blocks = job.storage.get(tiles)
        if len(blocks) < len(tiles):
            missing = next(tile for tile in tiles if tile not in blocks)
            raise InfrastructureError(f"job {job.name.job} is done, but tile {missing} is not in the object store")
        storage.put(blocks)
    functions.running.is_quiet(SETTLE, job.name.job)
    usages = job.usages()
    seconds = job.seconds(usages)
    return Report(sum(each.tasks for each in usages), len(usages), seconds, usages, functions.facts(job, seconds))


def failed(job: Submitted, story: Story) -> SchedulerError:
    """The error of a job that ended so: a task's, or of whatever ended the functions that tried a task."""
    if story.operation == GIVEN_UP:
        last = job.said() or "nothing"
        return InfrastructureError(f"job {job.name.job} was given up: {story.cause}; the service says {last}")
    return raised(story, job.cause())
