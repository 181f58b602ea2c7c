"""One function and its sandboxes: who gets which invocation, and what becomes of those that fail.

A synchronous invocation is answered with its response; with all sandboxes busy it is throttled (429). An event is
accepted at once and waits for a sandbox; if its invocation fails, it is retried twice with the same request id, and
then dropped. A sandbox that asks for work takes what has waited longest; among those that wait, the last that worked
is asked first, so that the others can end after a while without work.

What is done for one job is counted apart from all else from the moment somebody follows the job, until it is forgotten:
however many jobs come and go, what stays are the counts of those under way.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

from wukong_sched.functions.limits import ControlGroup, control_group
from wukong_sched.functions.sandbox import Invocation, Sandbox, job_in
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.template import Template

Reply = Callable[[bytes, bool], None]
Finished = Callable[[bytes], None]
"""Told an event's response."""


class Throttled(Exception):
    """All sandboxes are busy, or too many events wait."""


class PayloadTooLarge(Exception):
    """A payload above the limit of its kind; carries the limit."""


@dataclass(slots=True)
class Counts:
    """What a function did since its service began."""

    invocations: int = 0
    cold: int = 0
    """Sandboxes started."""
    failed_starts: int = 0
    """Sandboxes that ended before they asked for work."""
    failed_in_a_row: int = 0
    """Of these, since a sandbox last asked for work."""
    errors: int = 0
    """Failed attempts."""
    retried: int = 0
    dropped: int = 0
    """Events that failed for good."""
    throttled: int = 0
    busy_seconds: float = 0.0
    """Of all sandboxes together."""
    last_error: str = ""


@dataclass(slots=True)
class JobCounts:
    """What was done for one job. Seconds are each invocation's, rounded up to milliseconds as they are billed."""

    attempts: int = 0
    """Invocations of its executors, however they ended."""
    attempt_seconds: float = 0.0
    failed: int = 0
    """Of these, the ones that raised, took too long, or ended with their sandbox."""
    failed_seconds: float = 0.0
    retried: int = 0
    """Failed attempts that the service followed by another."""
    throttled: int = 0
    """Invocations that were refused."""
    watched: int = 0
    """Invocations of its watchdog, by schedule."""
    watched_seconds: float = 0.0

    def add(self, invocation: Invocation, is_error: bool = False) -> None:
        """One more attempt, for as long as it has run."""
        seconds = math.ceil(1000 * invocation.seconds) / 1000
        if invocation.watches:
            self.watched += 1
            self.watched_seconds += seconds
            return
        self.attempts += 1
        self.attempt_seconds += seconds
        self.failed += is_error
        self.failed_seconds += seconds * is_error


@dataclass(slots=True)
class Service:
    """Runs one function's invocations; all methods belong to the event loop's thread."""

    settings: FunctionSettings
    surroundings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that each sandbox sees beside the function's own environment."""
    counts: Counts = field(default_factory=Counts)
    sandboxes: set[Sandbox] = field(default_factory=set)
    _idle: list[Sandbox] = field(default_factory=list)
    _queue: deque[Invocation] = field(default_factory=deque)
    _starting: set[asyncio.Task[None]] = field(default_factory=set)
    _timers: set[asyncio.TimerHandle] = field(default_factory=set)
    _template: Template | None = None
    _limit: Callable[[str], ControlGroup | None] | None = None
    """Makes a control group; None where there can be none."""
    _closed: bool = False
    _under_way: Counter[str] = field(default_factory=Counter)
    """Invocations that run or wait, by job."""
    _followed: dict[str, JobCounts] = field(default_factory=dict)

    def provision(self) -> None:
        """Start the sandboxes that shall be there from the beginning."""
        for _ in range(min(self.settings.provisioned, self.settings.concurrency)):
            self._launch()

    # ---- invocations

    def call(self, payload: bytes, reply: Reply) -> None:
        """Invoke and answer with the response and whether it is an error's; Throttled if nobody is free."""
        self._check(payload, self.settings.synchronous_payload)
        if self.free() <= 0:
            raise self._throttled(payload)
        invocation = Invocation(payload, reply)
        invocation.done = lambda body, is_error: self._called(invocation, reply, body, is_error)
        self._enqueue(invocation)

    def send(self, payload: bytes, finished: Finished | None = None) -> str:
        """Accept an event: its request id. A schedule's is not retried: `finished` hears of its end."""
        self._check(payload, self.settings.asynchronous_payload)
        if len(self._queue) >= self.settings.asynchronous_queue:
            raise self._throttled(payload)
        invocation = Invocation(payload, lambda body, is_error: None, watches=finished is not None)
        invocation.done = lambda body, is_error: self._sent(invocation, finished, body, is_error)
        self._enqueue(invocation)
        return invocation.id

    def _check(self, payload: bytes, limit: int) -> None:
        if len(payload) > limit:
            raise PayloadTooLarge(f"Request must be smaller than {limit} bytes for the Invoke operation")

    def _throttled(self, payload: bytes) -> Throttled:
        self.counts.throttled += 1
        self._of(job_in(payload)).throttled += 1
        return Throttled("Rate Exceeded.")

    def _called(self, invocation: Invocation, reply: Reply, body: bytes, is_error: bool) -> None:
        self._count(invocation, body, is_error)
        reply(body, is_error)

    def _sent(self, invocation: Invocation, finished: Finished | None, body: bytes, is_error: bool) -> None:
        self._count(invocation, body, is_error)
        most = self.settings.retries if finished is None else 0
        if is_error and invocation.attempts <= most and not self._closed:
            self.counts.retried += 1
            self._of(invocation.job).retried += 1
            self._later(self.settings.retry_seconds * 2 ** (invocation.attempts - 1), invocation)
            return
        self.counts.dropped += is_error
        if finished is not None:
            finished(body)

    def _count(self, invocation: Invocation, body: bytes, is_error: bool) -> None:
        self.counts.invocations += 1
        self._of(invocation.job).add(invocation, is_error)
        self._under_way[invocation.job] -= 1
        if not self._under_way[invocation.job]:
            del self._under_way[invocation.job]
        self.counts.busy_seconds += invocation.seconds
        if is_error:
            self.counts.errors += 1
            self.counts.last_error = body.decode(errors="replace")[:4000]

    def _later(self, seconds: float, invocation: Invocation) -> None:
        def retry() -> None:
            self._timers.discard(timer)
            self._enqueue(invocation)

        timer = asyncio.get_running_loop().call_later(seconds, retry)
        self._timers.add(timer)

    # ---- sandboxes

    def _enqueue(self, invocation: Invocation) -> None:
        invocation.started = 0.0
        self._under_way[invocation.job] += 1
        if self._idle:
            self._idle.pop().deliver(invocation)
            return
        self._queue.append(invocation)
        self._scale()

    def _scale(self) -> None:
        """Start a sandbox for each waiting invocation that will find none, as far as the limit goes."""
        coming = sum(sandbox.is_coming for sandbox in self.sandboxes)
        wanted = min(len(self._queue) - coming, self.settings.concurrency - len(self.sandboxes))
        for _ in range(0 if self._closed else wanted):
            self._launch()

    def _launch(self) -> None:
        sandbox = Sandbox(self.settings, self._from(), self._limit, self._ready, self._ended)
        self.sandboxes.add(sandbox)
        self.counts.cold += 1
        task = asyncio.get_running_loop().create_task(sandbox.start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    def _from(self) -> Template:
        """What sandboxes are forked from."""
        if self._template is None:
            nbytes = self.settings.memory << 20
            probe = control_group(f"functions-{os.getpid()}", nbytes)
            if probe is not None:
                probe.remove()
                self._limit = lambda name: control_group(name, nbytes)
            self._template = Template(self.settings, self.surroundings, 0 if probe is not None else nbytes)
        return self._template

    def _ready(self, sandbox: Sandbox) -> None:
        self.counts.failed_in_a_row = 0
        if self._queue:
            sandbox.deliver(self._queue.popleft())
            return
        self._idle.append(sandbox)
        sandbox.rest(self.settings.idle_seconds)

    def _ended(self, sandbox: Sandbox, failure: bytes) -> None:
        self.sandboxes.discard(sandbox)
        if sandbox in self._idle:
            self._idle.remove(sandbox)
        if failure:
            self.counts.failed_starts += 1
            self.counts.failed_in_a_row += 1
            self.counts.last_error = failure.decode(errors="replace")
        if failure and self._queue:  # it never started: what it was started for has failed
            invocation = self._queue.popleft()
            invocation.attempts += 1
            invocation.done(failure, True)
        self._scale()

    # ---- one job's counts

    def follow(self, job: str) -> None:
        """Count what is done for a job from now on, until it is forgotten."""
        self._followed.setdefault(job, JobCounts())

    def followed(self, job: str) -> JobCounts:
        """What was done for a job; what runs of it counts as far as it has come."""
        counts = replace(self._of(job))
        for sandbox in self.sandboxes:
            if sandbox.invocation is not None and sandbox.invocation.job == job:
                counts.add(sandbox.invocation)
        return counts

    def forget(self, job: str) -> None:
        """Follow a job no longer; whatever it still does counts for the service alone."""
        self._followed.pop(job, None)

    def _of(self, job: str) -> JobCounts:
        """The counts of a job; those of one that nobody follows are made for this call alone."""
        return self._followed.get(job) or JobCounts()

    # ---- what there is

    def free(self) -> int:
        """Invocations that could run at once."""
        busy = sum(sandbox.invocation is not None for sandbox in self.sandboxes)
        return self.settings.concurrency - busy - len(self._queue)

    def is_quiet(self, job: str = "") -> bool:
        """Whether nothing runs and nothing waits, of one job or of all, retries and schedules aside."""
        if job:
            return job not in self._under_way
        return not self._queue and not any(sandbox.invocation is not None for sandbox in self.sandboxes)

    def state(self) -> dict[str, object]:
        """Counts, and what is under way."""
        pids = [sandbox.pid for sandbox in self.sandboxes]
        busy = [sandbox.pid for sandbox in self.sandboxes if sandbox.invocation is not None]
        waiting = len(self._queue) + len(self._timers)
        return {**asdict(self.counts), "free": self.free(), "waiting": waiting, "pids": pids, "busy": busy}

    async def close(self) -> None:
        """End everything."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        self._queue.clear()
        await asyncio.gather(*self._starting, return_exceptions=True)
        if self._template is not None:
            self._template.close()
        for sandbox in list(self.sandboxes):
            sandbox.close()
        self.sandboxes.clear()
