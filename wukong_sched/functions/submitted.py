"""A job that runs in functions, seen from its client, which only waits.

Submitting writes the program, signed, and the root's record, and invokes the root. From then on functions schedule
functions; the client reads the job's state now and then. Whoever knows the job's name and key can wait for it too.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wukong_sched.coordination.protocol import Coordination, State
from wukong_sched.errors import InfrastructureError, JobCancelled, TaskError
from wukong_sched.functions.cloud import Cloud, JobStorage
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.plan import (
    Plan,
    cause_key,
    digest_of,
    fingerprint,
    load_plan,
    program_key,
    sign_plan,
    usage_key,
)
from wukong_sched.functions.usage import Usage, total
from wukong_sched.program import Tile
from wukong_sched.resume import first_plan
from wukong_sched.storage import signed
from wukong_sched.storage.keys import Keys, never

FIRST_PAUSE, LONGEST_PAUSE = 0.0005, 0.01
"""Seconds between two looks at the job's state."""
CHECK = 0.25
"""Seconds between two looks at the functions' health."""
BATCH = 64 << 20
"""Bytes of wanted tiles that are fetched at once."""
EPOCH = 1


@dataclass(slots=True)
class Submitted:
    """One job."""

    cloud: Cloud
    key: bytes = field(repr=False)
    plan: Plan
    name: JobName
    coordination: Coordination
    storage: JobStorage

    def wait(self, trouble: Callable[[], str] = lambda: "", seconds: float = float("inf")) -> None:
        """Return when the job is done.

        Raises TaskError from what a task raised, InfrastructureError if `trouble` tells of some, JobCancelled if
        somebody has swept the job, and TimeoutError after so many seconds.
        """
        pause, began = FIRST_PAUSE, time.monotonic()
        checked = began
        while (state := (view := self.coordination.read()).state) is State.RUNNING:
            time.sleep(pause)
            now = time.monotonic()
            pause = min(LONGEST_PAUSE, pause * 1.3)
            if now - began > seconds:
                raise TimeoutError(f"job {self.name.job} still runs after {seconds} s")
            if now - checked > CHECK:
                checked = now
                if text := trouble():
                    raise InfrastructureError(f"job {self.name.job} cannot go on: {text}")
        if state is State.FAILED and view.story is not None:
            raise TaskError(view.story) from self._cause()
        if state is State.LOST:
            raise InfrastructureError(f"job {self.name.job}: a stored tile is gone; resume the job to make it again")
        if state is State.MISSING:
            raise JobCancelled(f"job {self.name.job} was cancelled")

    def _cause(self) -> BaseException | None:
        key = cause_key(self.name.job)
        found = self.cloud.objects().get([key])
        cause: Any = signed.verify(found[key], self.key, key) if key in found else None
        return cause if isinstance(cause, BaseException) else None

    def blocks(self) -> Iterator[dict[Tile, Any]]:
        """The wanted tiles with their blocks, some at a time; InfrastructureError if one is not there."""
        program = self.plan.program
        batch: list[Tile] = []
        nbytes = 0
        for tile in program.wanted():
            batch.append(tile)
            nbytes += program.nbytes(tile)
            if nbytes >= BATCH:
                yield self._fetch(batch)
                batch, nbytes = [], 0
        if batch:
            yield self._fetch(batch)

    def _fetch(self, tiles: list[Tile]) -> dict[Tile, Any]:
        found = self.storage.get(tiles)
        missing = [tile for tile in tiles if tile not in found]
        if missing:
            raise InfrastructureError(f"job {self.name.job} is done, but tile {missing[0]} is not in the store")
        return found

    def usage(self) -> Usage:
        """What the executors that have ended did and used."""
        objects = self.cloud.objects()
        found = objects.get(list(objects.keys(usage_key(self.name.job, ""))))
        return total(Usage.from_json(bytes(data)) for data in found.values())

    def cancel(self) -> None:
        """End the job: whatever runs of it stops at its next commit or renewal."""
        self.coordination.sweep()

    def sweep(self) -> None:
        """Leave nothing of the job behind but wanted tiles that outlive it; the records last."""
        self.storage.sweep()
        self.coordination.sweep()


def attach(cloud: Cloud, key: bytes, job: str, *, keeps: bool = False) -> Submitted:
    """A job that runs, or is done and not swept; LookupError if there is none."""
    found = cloud.objects().get([program_key(job)])
    if not found:
        raise LookupError(f"there is no job {job}; it is over and was swept, or its name is another")
    (data,) = found.values()
    digest = digest_of(data)
    plan = load_plan(data, key, job, digest)
    keys = Keys(job, plan.program.is_wanted if keeps else never)
    name = JobName(job, digest, fingerprint(), keeps)
    return Submitted(cloud, key, plan, name, cloud.coordination(job), cloud.storage(keys, key))


def submit(cloud: Cloud, key: bytes, plan: Plan, *, keeps: bool = False, share: int = 1, job: str = "") -> Submitted:
    """Begin a job; `share` is how many executors it may have where nobody can say how many are free."""
    job = job or secrets.token_hex(8)
    digest, pieces = sign_plan(plan, key, job)
    name = JobName(job, digest, fingerprint(), keeps)
    keys = Keys(job, plan.program.is_wanted if keeps else never)
    submitted = Submitted(cloud, key, plan, name, cloud.coordination(job), cloud.storage(keys, key))
    first = first_plan(plan.program)
    cloud.objects().put({program_key(job): pieces})
    if not submitted.coordination.create(EPOCH, [first.root], first.arrived):
        raise InfrastructureError(f"there is a job {job} already")
    cloud.invoker().invoke([Message(name, first.root.id, share).to_json()])
    return submitted
