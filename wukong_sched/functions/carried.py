"""A job carried by functions from its submission to its report, wherever the functions are.

Submitting, waiting and collecting are three steps, which different clients may take: whoever knows a job's name and
key may wait for it, and fetch what it was wanted for. Leaving nothing behind is the last one's duty.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from wukong_sched.functions.news import told
from wukong_sched.functions.places import Places
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.submitted import CHECK, Submitted, undone
from wukong_sched.policy import Policy
from wukong_sched.program import Program
from wukong_sched.report import Facts, Report
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.protocol import Storage
from wukong_sched.trace import Trace

NEWS = 0.5
"""Seconds between two words of an executor, where somebody looks."""
LOOK = 0.5
"""Seconds between two looks at them."""

Park = Callable[[Program, str], Program]
"""Puts what a program holds to where the functions of a job of this name find it."""


def as_it_is(program: Program, job: str) -> Program:
    """Park nothing."""
    return program


class Functions(Protocol):
    """Functions somewhere, and their stores."""

    @property
    def policy(self) -> Policy:
        """How jobs are scheduled here, unless they say so themselves."""

    @property
    def renewal(self) -> float:
        """Seconds between two renewals of a lease."""

    @property
    def places(self) -> Places:
        """The stores."""

    @property
    def key(self) -> bytes:
        """Signs what is pickled."""

    def submit(self, plan: Plan, *, keeps: bool = False, job: str = "") -> Submitted:
        """Begin a job, and see that somebody looks after it."""

    def attach(self, job: str) -> Submitted:
        """A job that somebody has submitted here; LookupError if there is none."""

    def look(self, job: Submitted) -> Callable[[], str]:
        """What tells, asked now and then, why no function can do anything; it may help, too."""

    def facts(self, job: Submitted, seconds: float) -> Facts:
        """What is known, beside what its executors have written, of a job that took so long."""

    def settle(self, job: Submitted) -> None:
        """Wait a little for a job's executors to report."""

    def check(self, job: Submitted) -> None:
        """Raise InfrastructureError if the functions that a job was given to have ended, and all that they stored."""

    def finish(self, submitted: Submitted, *, over: bool) -> None:
        """Leave nothing of a job behind, whether it is over or not."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a job's user wants beside its values."""

    policy: Policy | None = None
    """None: that of the place."""
    keeps: bool = False
    """Whether wanted tiles outlive the job, and those that are stored are not made again."""
    progress: Callable[[int, int], None] | None = None
    """Told (tasks done, tasks) now and then."""
    meanwhile: Callable[[], None] | None = None
    """Called every `glance` seconds, at most, while the job runs."""
    glance: float = 0.05
    trace: Trace | None = None
    """Takes what executors record."""
    arithmetic: str = ""
    """What decides the bits of BLAS; functions that compute otherwise refuse the job."""


NONE = Wishes()


def begin(
    functions: Functions, program: Program, wishes: Wishes = NONE, park: Park = as_it_is, job: str = ""
) -> Submitted:
    """Submit a program, with what it holds parked; if that cannot be, nothing of it is left.

    Whether the server of the records can be reached at all shows before anything large is parked.
    """
    name = job or secrets.token_hex(8)
    functions.places.reach()
    news = NEWS if wishes.progress is not None else math.inf
    policy = wishes.policy or functions.policy
    with undone(name, lambda: functions.places.object_store.sweep(Keys(name).job_prefix)):
        parked = park(program, name)
    plan = Plan(parked, policy, functions.renewal, news, wishes.trace is not None, arithmetic=wishes.arithmetic)
    return functions.submit(plan, keeps=wishes.keeps, job=name)


def collect(
    functions: Functions, job: Submitted, storage: Storage, wishes: Wishes = NONE, seconds: float = math.inf
) -> Report:
    """Wait for a job, put its wanted tiles into the storage, and say what it did; it is not finished yet.

    Raises as `Submitted.wait`.
    """
    job.wait(_watching(functions, job, wishes), seconds, wishes.glance if wishes.meanwhile is not None else CHECK)
    for blocks in job.blocks():
        storage.put(blocks)
    functions.settle(job)
    usages = job.usages()
    if wishes.trace is not None:
        job.traced_into(wishes.trace)
    seconds = job.seconds(usages)
    facts = functions.facts(job, seconds)
    return Report(sum(each.tasks for each in usages), len(usages), seconds, usages, facts)


def _watching(functions: Functions, job: Submitted, wishes: Wishes) -> Callable[[], str]:
    look, progress, meanwhile = functions.look(job), wishes.progress, wishes.meanwhile
    if meanwhile is not None:
        return _glancing(look, meanwhile)
    if progress is None:
        return look
    objects, total, last = job.cloud.objects(), len(job.plan.program), time.monotonic()

    def watch() -> str:
        nonlocal last
        if time.monotonic() - last > LOOK:
            last = time.monotonic()
            progress(min(told(objects, job.name.job), total), total)
        return look()

    return watch


def _glancing(look: Callable[[], str], meanwhile: Callable[[], None]) -> Callable[[], str]:
    """Call `meanwhile` at every call, and look as often as where nobody glances."""
    last = time.monotonic()

    def watch() -> str:
        nonlocal last
        meanwhile()
        if time.monotonic() - last <= CHECK:
            return ""
        last = time.monotonic()
        return look()

    return watch


@contextlib.contextmanager
def finished(functions: Functions, job: Submitted) -> Iterator[Submitted]:
    """The job, of which nothing is left afterwards, however it ends."""
    over = False
    try:
        yield job
        over = True
    finally:
        functions.finish(job, over=over)
