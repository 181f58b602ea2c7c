"""Jobs that run in functions: submitted by one client, and fetched by it or by another.

With the program, the client stores what the wanted tiles are to their user: the *face* of the job, signed as the
program is. Whoever knows the job's id and is let into the place finds it, and gives the values in the shape that was
asked for.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from sarray.config import Settings
from sarray.delivery import Delivery, Result
from sarray.expression import Expression
from sarray.job import Job
from sarray.lower import Lowered
from sarray.nested import arrays_in, distinct, rebuilt
from sarray.policies import policy_of
from sarray.progress import bar
from sarray.reports import remember
from sarray.session_blas import arithmetic, single_threaded
from wukong_sched.coordination.protocol import State
from wukong_sched.errors import InfrastructureError, SchedulerError
from wukong_sched.functions.carried import Functions, Park, Wishes, begin, collect, finished
from wukong_sched.functions.plan import face_key
from wukong_sched.functions.submitted import ASTRAY, Submitted, undone
from wukong_sched.report import Report
from wukong_sched.storage import signed
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.memory import MemoryStorage


@dataclass(frozen=True, slots=True)
class Remote:
    """Functions somewhere."""

    name: str
    """Of the executor."""
    functions: Functions
    park: Park
    """Puts arrays of this process to where the functions find them."""
    arithmetic: Callable[[], str] = arithmetic
    """What decides the bits of BLAS there; nothing, if nobody cares."""


def run(remote: Remote, job: Job) -> Report:
    """Put the wanted blocks into their places, by functions."""
    with contextlib.ExitStack() as stack:
        shown = bar(job.settings, job.progress)
        progress = stack.enter_context(shown) if shown is not None else None
        wishes = replace(_wishes(remote, job.lowered, job.settings), progress=progress, trace=job.trace)
        wishes = replace(wishes, keeps=job.resume)
        name = new_id(remote)
        submitted = begin(remote.functions, job.lowered.program, wishes, remote.park, name)
        with finished(remote.functions, submitted):
            report = collect(remote.functions, submitted, Delivery(MemoryStorage(), job.places), wishes)
    return report


def run_in(way: Callable[..., Report], remote: Remote, job: Job) -> Report:
    """Put the wanted blocks into their places by the same functions, in another way (`wukong_sched.baselines`)."""
    if job.trace is not None:
        raise ValueError(f"trace: {job.settings.executor!r} has no executors to record; use executor='functions'")
    storage = Delivery(MemoryStorage(), job.places)
    shown = bar(job.settings, job.progress)
    with shown if shown is not None else contextlib.nullcontext() as progress:
        wishes = replace(_wishes(remote, job.lowered, job.settings), progress=progress)
        return way(job.lowered.program, storage, remote.functions, park=remote.park, wishes=wishes)


def new_id(remote: Remote) -> str:
    """An id for a job; it says where to look for it."""
    return f"{remote.name}-{secrets.token_hex(8)}"


def _wishes(remote: Remote, lowered: Lowered, asked: Settings) -> Wishes:
    bits = ""
    if lowered.uses_blas:
        with single_threaded():
            bits = remote.arithmetic()
    return Wishes(policy=policy_of(asked, remote.functions.policy), arithmetic=bits)


# ---- jobs that outlive their client


@dataclass(frozen=True, slots=True)
class Stand:
    """Stands for an array whose values will come."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Face:
    """What a job's wanted tiles are to their user."""

    value: Any
    """What was asked for, with a `Stand` for each array."""
    single: bool
    """Whether it was one array's own method that asked."""


def face_of(value: Any, single: bool) -> Face:
    """The face of a computation; arrays in it lose their past."""
    stands = (Stand(replace(each.expression, inputs=(), params=())) for each in arrays_in(value))
    return Face(rebuilt(value, stands), single)


def submit(remote: Remote, lowered: Lowered, asked: Settings, face: Face, *, resume: bool = False) -> SubmittedJob:
    """Begin a job that runs on whatever becomes of this process."""
    functions, name = remote.functions, new_id(remote)
    key = face_key(name)
    wishes = replace(_wishes(remote, lowered, asked), keeps=resume)
    submitted = begin(functions, lowered.program, wishes, remote.park, name)
    with undone(name, lambda: functions.finish(submitted, over=False)):
        submitted.outlast({key: signed.sign(face, functions.key, key)})
    return SubmittedJob(remote, submitted, face)


def attach(remote: Remote, id: str) -> SubmittedJob:
    """A job that somebody has submitted; LookupError if there is none of this id."""
    functions = remote.functions
    submitted = functions.attach(id)
    key = face_key(id)
    found = functions.places.objects().get([key])
    if key not in found:
        raise LookupError(f"job {id} was not begun by submit(), so nobody but its client can have its values")
    face: Any = signed.verify(found[key], functions.key, key)
    submitted.beside = {key: [found[key]]}
    return SubmittedJob(remote, submitted, face)


def forget(remote: Remote, expressions: Iterable[Expression]) -> None:
    """Delete what jobs with ``resume=True`` have stored of these arrays; what is not there is no error."""
    functions = remote.functions
    storage = functions.places.storage(Keys("", lambda tile: True), functions.key)
    for expression in expressions:
        storage.delete([(expression.name, index) for index in product(*map(range, expression.numblocks))])


@dataclass(slots=True)
class SubmittedJob:
    """A job that runs elsewhere, and goes on if this process ends; ``sa.attach(job.id)`` finds it again.

    Its values are fetched once: then nothing of it is left where it ran, and whoever else asks finds no such job.
    """

    _remote: Remote = field(repr=False)
    _submitted: Submitted = field(repr=False)
    _face: Face = field(repr=False)
    _report: Report | None = field(default=None, repr=False)
    _values: Any = field(default=None, repr=False)
    _is_over: bool = field(default=False, repr=False)
    """Whether it is known to have ended, whatever becomes of its records."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def id(self) -> str:
        """Names the job everywhere."""
        return self._submitted.name.job

    def __repr__(self) -> str:
        return f"SubmittedJob({self.id!r})"

    def done(self) -> bool:
        """Whether it has ended, well or not; if so, then for ever.

        A job whose records are lost has not, as far as anybody knows, unless it was cancelled: it is resumed, or else
        whoever only asks would ask for ever. Raises InfrastructureError if that happens again and again, or if the
        functions that it was given to have ended themselves.
        """
        if not self._is_over:
            with self._within_reach():
                self._is_over = self._has_ended()
        return self._is_over

    def _has_ended(self) -> bool:
        view = self._submitted.coordination.read()
        if view.state not in ASTRAY or self._submitted.is_cancelled():
            return view.state is not State.RUNNING
        if self._lock.acquire(blocking=False):  # whoever waits resumes it otherwise
            try:
                self._submitted.resume(view)
            finally:
                self._lock.release()
        return False

    @contextlib.contextmanager
    def _within_reach(self) -> Iterator[None]:
        """InfrastructureError that says so if the functions have ended, or do meanwhile."""
        self._remote.functions.check(self._submitted)
        try:
            yield
        except InfrastructureError:
            self._remote.functions.check(self._submitted)
            raise

    def result(self, timeout: float | None = None) -> Any:
        """The values, in the shape that was asked for.

        Raises TimeoutError if it still runs after so many seconds, JobCancelled, JobSwept if somebody else has fetched
        them, TaskError from whatever a task raised, InfrastructureError if functions cannot compute it.
        Ctrl-C ends the waiting, not the job.
        """
        with self._lock:
            if self._report is None:
                with self._within_reach():
                    self._collect(math.inf if timeout is None else timeout)
            return self._values

    def _collect(self, seconds: float) -> None:
        functions, taken = self._remote.functions, set[int]()
        expressions = {each.expression.name: each.expression for each in arrays_in(self._face.value)}
        places = {name: Result(expression, taken) for name, expression in expressions.items()}
        try:
            found = collect(functions, self._submitted, Delivery(MemoryStorage(), places), seconds=seconds)
        except SchedulerError:
            self.cancel()
            raise
        functions.finish(self._submitted, over=True)
        self._is_over = True
        facts = replace(found.facts, executor=self._remote.name)
        self._report = remember(replace(found, facts=facts))
        self._values = self._shaped(places)

    def _shaped(self, places: Mapping[str, Result]) -> Any:
        values = [places[each.expression.name].values for each in arrays_in(self._face.value)]
        found = rebuilt(self._face.value, distinct(iter(values)))
        return np.asarray(found[0]) if self._face.single else found

    def report(self) -> Report:
        """What it did and cost, once there is a result."""
        self.result()
        assert self._report is not None
        return self._report

    def cancel(self) -> None:
        """End it: whatever runs of it stops soon, whoever waits for it hears of that, and nothing of it is left."""
        self._remote.functions.finish(self._submitted, over=False)
        self._is_over = True
