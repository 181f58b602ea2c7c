"""A job that runs in functions, seen from its client, which only waits.

Submitting writes the program, signed, and the records to begin with, and invokes those. From then on functions schedule
functions; the client reads the job's state now and then, and resumes it if its records are lost. Whoever knows the
job's name and key can wait for it too.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wukong_sched.coordination.protocol import GIVEN_UP, GRAVES, Coordination, State, View
from wukong_sched.errors import InfrastructureError, JobCancelled, JobSwept, SchedulerError, Story, TaskError
from wukong_sched.functions.cloud import Cloud, JobStorage
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.plan import (
    Plan,
    began_key,
    cancelled_key,
    cause_key,
    digest_of,
    fingerprint,
    load_plan,
    program_key,
    sign_plan,
    trace_key,
    trying_key,
    usage_key,
)
from wukong_sched.functions.usage import Usage, total
from wukong_sched.opening import opening
from wukong_sched.program import Program, Tile
from wukong_sched.resume import first_plan
from wukong_sched.resume import plan as plan_from
from wukong_sched.storage import signed
from wukong_sched.storage.keys import Keys, never
from wukong_sched.storage.objects import Pieces
from wukong_sched.trace import Trace

FIRST_PAUSE, LONGEST_PAUSE = 0.0005, 0.01
"""Seconds between two looks at the job's state."""
STUCK = 6.0
"""Renewals of a lease for which executors that should run were not started, until the client looks after them too."""
CHECK = 0.25
"""Seconds between two looks at the functions' health."""
BATCH = 64 << 20
"""Bytes of wanted tiles that are fetched at once."""
SAID = 400
"""Most characters of what the service said last."""
MORE = (
    "A function is ended when it takes more memory or time than it has: give it more (with sarray the settings "
    "functions.memory and functions.timeout, or what the function was deployed with), or make chunks smaller."
)
RESUMES = 5
"""Times that a job is resumed before it is given up."""


@dataclass(slots=True)
class Submitted:
    """One job."""

    cloud: Cloud
    key: bytes = field(repr=False)
    plan: Plan
    signed: Pieces = field(repr=False)
    """The plan as functions get it."""
    name: JobName
    coordination: Coordination
    storage: JobStorage
    watch: Callable[[JobName], None] = lambda name: None
    """Sets up a watchdog."""
    said: Callable[[], str] = lambda: ""
    """What the service said of the last invocation that failed."""
    share: int = 1
    """How many executors it may have where nobody can say how many are free."""
    beside: Mapping[str, Pieces] = field(default_factory=dict, repr=False)
    """What is stored with the plan for whoever attaches: in all tiers then, since its client may be gone."""
    epoch: int = 0
    resumed: int = 0
    """How often it had to be resumed."""
    began: float = field(default_factory=time.time)
    """When it was submitted, as far as this client knows, in seconds since 1970: other processes have other clocks."""
    seen: bool = False
    """Whether this client has seen it run."""
    cancelled: bool = False
    """Whether this client has cancelled it, or has seen that somebody had."""

    def begin(self, *, resume: bool = False) -> bool:
        """Write the plan of a new epoch and invoke who begins it; False if somebody else has done that.

        With `resume`, what is stored is not made again.
        """
        program = self.plan.program
        self.epoch += 1
        stored = frozenset(self.storage.tiles()) if resume else frozenset()
        first = plan_from(program, stored) if stored else first_plan(program)
        self._put_plan()
        invoker = self.cloud.invoker()
        free = invoker.free()
        roots = opening(program, self.plan.policy, first.root, (self.share if free is None else free) - 1)
        if not self.coordination.create(self.epoch, roots, first.arrived):
            if self.coordination.read().state in GRAVES:  # it ended meanwhile, and what was just stored would stay
                self.storage.sweep()
            return False
        self.watch(self.name)
        least, more = divmod(self.share, len(roots))
        shares = [max(1, least + (number < more)) for number in range(len(roots))]
        invoker.invoke([Message(self.name, root.id, mine).to_json() for root, mine in zip(roots, shares, strict=True)])
        return True

    def wait(self, trouble: Callable[[], str] = lambda: "", seconds: float = math.inf, check: float = CHECK) -> None:
        """Return when the job is done; resume it if its records, or a stored tile, are lost.

        `trouble` is asked every `check` seconds.

        Raises TaskError from what a task raised, InfrastructureError if `trouble` tells of some, too much is lost or
        one task's functions were ended again and again, JobCancelled if it was cancelled, JobSwept if somebody else
        has its results, and TimeoutError after so many seconds.
        """
        deadline = time.monotonic() + seconds
        while (view := self._watched(trouble, deadline, check)).state is not State.DONE:
            if view.state in OVER or self.is_cancelled():
                raise OVER.get(view.state, Submitted._cancelled)(self, view)
            self.resume(view)

    def resume(self, view: View) -> None:
        """Begin a lost job again, from what is stored; InfrastructureError if it was lost too often."""
        self.resumed += 1
        if self.resumed > RESUMES:
            raise InfrastructureError(f"job {self.name.job} has lost its records or tiles {RESUMES} times; given up")
        self.epoch = max(self.epoch, view.epoch)
        self.begin(resume=True)

    def _failed(self, view: View) -> SchedulerError:
        assert view.story is not None
        if view.story.operation == GIVEN_UP:
            return self._given_up(view.story)
        error = TaskError(view.story)
        error.__cause__ = cause = self.cause()
        if isinstance(cause, MemoryError):
            error.add_note(MORE)
        return error

    def _given_up(self, story: Story) -> InfrastructureError:
        """The error for an executor that was ended again and again: which task it tried, as far as is known."""
        key = trying_key(self.name.job, story.array)
        notes = self.cloud.objects().get([key])
        tried = f"; the last tried {bytes(notes[key]).decode()}" if key in notes else ""
        last = f" The last error was: {said[:SAID]}." if (said := self.said()) else ""
        return InfrastructureError(f"job {self.name.job} was given up: {story.cause}{tried}.{last} {MORE}")

    def _cancelled(self, view: View) -> SchedulerError:
        return JobCancelled(f"job {self.name.job} was cancelled")

    def _swept(self, view: View) -> SchedulerError:
        return JobSwept(f"job {self.name.job} is over, and somebody else has fetched its results; they are gone")

    def _watched(self, trouble: Callable[[], str], deadline: float, check: float) -> View:
        """What the job is at, as soon as it does not run."""
        pause, checked = FIRST_PAUSE, time.monotonic()
        moving = checked
        while (view := self.coordination.read()).state is State.RUNNING:
            self.seen = True
            time.sleep(pause)
            now = time.monotonic()
            moving = moving if view.startable else now
            if now - moving > STUCK * self.plan.renewal:
                moving = now
                self._revive()
            pause = min(LONGEST_PAUSE, pause * 1.3)
            if now > deadline:
                raise TimeoutError(f"job {self.name.job} still runs")
            if now - checked > check:
                checked = now
                if text := trouble():
                    raise InfrastructureError(f"job {self.name.job} cannot go on: {text}")
        return view

    def _revive(self) -> None:
        """Nobody starts what should run: what a server emptied at the wrong moment took with it is put there again."""
        self._put_plan()
        self.watch(self.name)

    def outlast(self, beside: Mapping[str, Pieces]) -> None:
        """Let whoever attaches find the job, and this beside it, though the server of the records lose everything."""
        self.beside = beside
        self.cloud.objects().put(beside)
        self.cloud.object_store.put(self._stored())

    def _put_plan(self) -> None:
        self.cloud.objects().put(self._stored())
        if self.beside:
            self.cloud.object_store.put(self._stored())

    def _stored(self) -> dict[str, Pieces]:
        job, began = self.name.job, repr(self.began).encode()
        return {program_key(job): self.signed, began_key(job): [began], **self.beside}

    def cause(self) -> BaseException | None:
        """The exception that ended the job; None if it cannot be loaded here: its story says what it was."""
        key = cause_key(self.name.job)
        found = self.cloud.objects().get([key])
        try:
            cause: Any = signed.verify(found[key], self.key, key) if key in found else None
        except signed.SignatureError:
            raise
        except (Exception, SystemExit):  # whatever loading somebody's classes raises
            return None
        return cause if isinstance(cause, BaseException) else None

    def blocks(self, trouble: Callable[[], str] = lambda: "") -> Iterator[dict[Tile, Any]]:
        """The wanted tiles with their blocks, some at a time; what is lost since they were stored is made again.

        Raises as `wait` does.
        """
        for tiles in batches(self.plan.program):
            yield self._fetch(tiles, trouble)

    def _fetch(self, tiles: list[Tile], trouble: Callable[[], str]) -> dict[Tile, Any]:
        while len(found := self.storage.get(tiles)) < len(tiles):
            self.coordination.sweep(State.LOST)  # done no more, unless it is over
            self.wait(trouble)
        return found

    def usages(self) -> tuple[Usage, ...]:
        """What each executor that has ended did and used."""
        objects = self.cloud.objects()
        found = objects.get(sorted(objects.keys(usage_key(self.name.job, ""))))
        return tuple(Usage.from_json(bytes(data)) for data in found.values())

    def usage(self) -> Usage:
        """What the executors that have ended did and used, together."""
        return total(self.usages())

    def traced_into(self, trace: Trace) -> None:
        """Add the histories of the executors that have ended, if the job's plan had them recorded."""
        objects = self.cloud.objects()
        for key, data in objects.get(list(objects.keys(trace_key(self.name.job, "")))).items():
            found: Any = signed.verify(data, self.key, key)
            trace.histories.update(found)

    def seconds(self, usages: Sequence[Usage]) -> float:
        """From the job's submission until now, or until the last of its executors ended if nobody here saw it run.

        By the clocks of client and functions. If the word of the submission is lost with a server, from when this
        client attached.
        """
        ended = max((usage.ended for usage in usages), default=0.0)
        return max(0.0, (ended if ended and not self.seen else time.time()) - self.began)

    def cancel(self) -> None:
        """End the job: whatever runs of it stops at its next commit or renewal."""
        self.cancelled = True
        self.cloud.objects().put({cancelled_key(self.name.job): [b"cancelled"]})
        self.coordination.sweep(State.CANCELLED)

    def is_cancelled(self) -> bool:
        """Whether somebody has cancelled it."""
        key = cancelled_key(self.name.job)
        self.cancelled = self.cancelled or key in self.cloud.objects().get([key])
        return self.cancelled

    def sweep(self) -> None:
        """Leave nothing of the job behind but wanted tiles that outlive it, and for a day the word that it is over.

        The records go first: then no executor stores any more, and nobody who waits begins it again. What is stored
        goes even if their server cannot be reached.
        """
        with contextlib.ExitStack() as swept:
            swept.callback(self.storage.sweep)
            self.coordination.sweep(State.SWEPT)


ASTRAY = frozenset({State.MISSING, State.LOST})
"""What a job is at that has not ended, and does not go on by itself."""
OVER: Mapping[State, Callable[[Submitted, View], SchedulerError]] = {
    State.FAILED: Submitted._failed,
    State.CANCELLED: Submitted._cancelled,
    State.SWEPT: Submitted._swept,
}
"""The error for whoever waits for a job that will never be done."""


def batches(program: Program) -> Iterator[list[Tile]]:
    """The wanted tiles, some megabytes at a time."""
    batch: list[Tile] = []
    nbytes = 0
    for tile in program.wanted():
        batch.append(tile)
        nbytes += program.nbytes(tile)
        if nbytes >= BATCH:
            yield batch
            batch, nbytes = [], 0
    if batch:
        yield batch


def attach(
    cloud: Cloud,
    key: bytes,
    job: str,
    *,
    share: int = 1,
    watch: Callable[[JobName], None] = lambda name: None,
    said: Callable[[], str] = lambda: "",
) -> Submitted:
    """A job that runs, or is done and not swept; LookupError if there is none. `share` counts if it is resumed."""
    program, began = program_key(job), began_key(job)
    found = cloud.objects().get([program, began])
    if program not in found:
        why = "it is over and was swept, or has gone with the functions that have ended, or its name is another"
        raise LookupError(f"there is no job {job}: {why}")
    data = found[program]
    digest = digest_of(data)
    plan = load_plan(data, key, job, digest)
    keys = Keys(job, plan.program.is_wanted if plan.keeps else never)
    name = JobName(job, digest, fingerprint(), plan.keeps)
    records, storage = cloud.coordination(job), cloud.storage(keys, key)
    submitted = Submitted(cloud, key, plan, [data], name, records, storage, watch, said, share)
    if began in found:
        submitted.began = float(bytes(found[began]))
    return submitted


@contextlib.contextmanager
def undone(job: str, undo: Callable[[], None]) -> Iterator[None]:
    """Undo what was begun of a job if the rest fails, or is interrupted, whose error stays the one that is raised."""
    try:
        yield
    except BaseException as error:
        try:
            undo()
        except Exception as again:
            error.add_note(f"What was stored of job {job} could not be removed: {again}")
        raise


def submit(
    cloud: Cloud,
    key: bytes,
    plan: Plan,
    *,
    keeps: bool = False,
    share: int = 1,
    job: str = "",
    watch: Callable[[JobName], None] = lambda name: None,
    said: Callable[[], str] = lambda: "",
    undo: Callable[[Submitted], None] = lambda job: None,
) -> Submitted:
    """Begin a job; if it `keeps` wanted tiles under their own names, those that are stored are not made again.

    If it cannot begin, or whoever waits for that is interrupted, `undo` is to leave nothing of it behind.
    """
    job = job or secrets.token_hex(8)
    plan = replace(plan, keeps=keeps)
    digest, pieces = sign_plan(plan, key, job)
    name = JobName(job, digest, fingerprint(), keeps)
    keys = Keys(job, plan.program.is_wanted if keeps else never)
    records, storage = cloud.coordination(job), cloud.storage(keys, key)
    submitted = Submitted(cloud, key, plan, pieces, name, records, storage, watch, said, share)
    with undone(job, lambda: undo(submitted)):
        begun = submitted.begin(resume=keeps)
    if not begun:
        raise InfrastructureError(f"there is a job {job} already")
    return submitted
