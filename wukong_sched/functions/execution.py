"""One executor's turn inside a function, from its start to its report."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

from wukong_sched.drivers.pump import Pump, Surroundings, marked
from wukong_sched.executor_state import ExecutorState
from wukong_sched.functions.allocator import give_back
from wukong_sched.functions.cloud import Cloud, Invoker, JobStorage
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.hints import Hints
from wukong_sched.functions.lease import Renewer, Turn
from wukong_sched.functions.metered import Meter, MeteredProgram, MeteredStorage
from wukong_sched.functions.news import News
from wukong_sched.functions.plan import Plan, attempt, cause_key, program_key, trace_key, trying_key, usage_key
from wukong_sched.functions.usage import Usage, copied, forget_peak, recent_peak
from wukong_sched.functions.warm import Recent, WarmStorage, warm_reader
from wukong_sched.functions.writebehind import WriteBehind, early
from wukong_sched.machine import private_bytes
from wukong_sched.messages import Commit
from wukong_sched.policy import CostModel, Policy
from wukong_sched.program import Task, Tile
from wukong_sched.storage import signed
from wukong_sched.storage.exceptions import portable
from wukong_sched.trace import Trace

AHEAD = 1 << 27
"""Bytes that a fold fetches ahead."""
HALF = 0.5
"""Part of a function's memory from which on it keeps none that it has freed, and no programs of other jobs."""
LEAST = 0.1
"""Seconds that an executor works before it hands over, as far as its function has them."""
PARTS = 4
"""Into so many parts goes a function's memory: its task, and what is held, kept and fetched beside that."""
FULL = 0.85
"""Part of a function's memory from which on it keeps no tiles for later, and its executor hands over, if that helps."""


@dataclass(slots=True)
class Job:
    """A job, as a warm process knows it."""

    name: JobName
    plan: Plan
    storage: JobStorage
    recent: Recent
    hints: Hints


@dataclass(slots=True)
class Process:
    """What all executors of one process share."""

    cloud: Cloud
    key: bytes = field(repr=False)
    memory: int
    """Bytes that the process may have; 0: nobody knows."""
    invoker: Invoker
    helper: Executor
    """Reads ahead."""
    writer: Executor
    """Writes behind."""
    renewer: Renewer
    is_fresh: bool = True
    """Whether no executor has run here yet."""


class Execution:
    """One executor, in one process."""

    def __init__(self, process: Process, job: Job, message: Message, deadline: float, turn: Turn) -> None:
        self._process, self._job, self._share = process, job, message.share
        self._id = message.id
        self._meter = Meter()
        self._full = handed_over_at(process.memory, private_bytes())
        self._most = 0
        """Bytes of memory, when tasks had run."""
        self._meter.usage.cold, process.is_fresh = int(process.is_fresh), False
        self._began, self._before = turn.began, copied(process.cloud.tallies())
        self._waited = max(0.0, time.time() - message.sent) if message.sent else 0.0
        self._saved = copied({"": job.storage.saved})
        self._mark = turn.mark
        self._reported = self._ended = False
        self._trace = Trace() if job.plan.traced else None
        self._news = News(process.cloud.objects(), job.name.job, self._mark, job.plan.news, self._began)
        self._lease = turn.lease
        self._lease.ending = self._ending
        policy = fitted(job.plan.policy, deadline - turn.began, process.memory)
        self._core = ExecutorState(job.plan.program, policy, message.id, deadline)
        self._storage = WriteBehind(WarmStorage(MeteredStorage(job.storage, self._meter), job.recent), process.writer)
        self._pump = Pump(self._surroundings(), self._core, turn.token)

    def _surroundings(self) -> Surroundings:
        process, job, meter = self._process, self._job, self._meter
        program, cloud = job.plan.program, process.cloud
        read = warm_reader(lambda tile: meter.source(lambda it: cloud.source(program.read, it), tile), job.recent)
        metered = self._metered = MeteredProgram(
            program, process.helper, AHEAD, lambda tile: _read(program, tile, read), meter, self._starting, self._made
        )
        return Surroundings(
            metered,
            self._storage,
            self._lease,
            time.monotonic,
            self._invoke,
            self._free,
            self._lease.gone.is_set,
            self._sleep,
            self._ran,
            expect=self._expect,
            spent=meter.spent,
            trace=self._trace,
            waited=self._waited,
        )

    def run(self) -> None:
        """Pump the executor to its end; if that raises there is nothing to report: its successor counts the attempt."""
        forget_peak()
        try:
            with marked():
                self._pump.pump()
        finally:
            self._metered.close()
            self._storage.close()
            # Whatever still refers to this executor must not keep its blocks until the collector comes by.
            self._pump.memory.clear()

    @property
    def is_over(self) -> bool:
        """Whether the job is, as far as this executor knows, or its record is another's."""
        return self._ended or self._lease.gone.is_set()

    # ---- what the pump calls

    def _invoke(self, ids: Sequence[str]) -> None:
        given = self._lease.given
        parts = len(ids) + (self._id not in ids)  # our successor takes over all
        part = max(1, self._share // parts)
        self._share = max(1, self._share - part * len(ids))
        hints, invoker = self._job.hints, self._process.invoker
        invoker.invoke([hints.event(id, given.get(id, ()), part, invoker.room, self._core.policy) for id in ids])

    def _free(self) -> int:
        free = self._process.invoker.free()
        return self._share - 1 if free is None else free

    def _expect(self, tiles: Sequence[Tile], meanwhile: bool) -> None:
        """Sources will be read; ahead only by a first attempt, and as long as half of the memory is left for tasks."""
        size, memory = self._job.plan.program.nbytes, self._process.memory
        tight = memory and private_bytes() + sum(map(size, tiles)) > HALF * memory
        if not meanwhile or not (tight or self._lease.is_suspect):
            self._metered.expect(tiles, meanwhile)

    def _sleep(self, seconds: float) -> None:
        self._lease.gone.wait(seconds)

    def _ran(self, tasks: int) -> None:
        """Some tasks ran: hand over if this executor has filled the memory."""
        self._meter.usage.tasks += tasks
        self._news.tell(self._meter.usage.tasks)
        memory, used = self._process.memory, private_bytes()
        self._most = max(self._most, used)
        if memory and used > HALF * memory:
            give_back()
            used = private_bytes()
        if memory and used > FULL * memory:
            self._job.recent.clear()
        if used > self._full:
            self._core.deadline = 0.0

    def _starting(self, task: Task) -> None:
        """A task begins: if earlier attempts were ended, say which it is, in case that this one is ended too."""
        if self._lease.is_suspect:
            note = attempt(self._job.plan.program, task, self._process.memory, private_bytes())
            self._process.cloud.objects().put({trying_key(self._job.name.job, self._id): [note.encode()]})

    def _made(self, task: Task, results: Sequence[Any]) -> None:
        """A task has run: what of its results must be stored in any case is on its way at once."""
        plan = self._job.plan
        if self._lease.gone.is_set():  # the job may have been swept, and nobody would sweep this
            return
        for tile, block in early(plan.program, plan.policy, task, results):
            self._storage.begin(tile, block)

    # ---- the report

    def _ending(self, commit: Commit) -> None:
        """The next commit ends the job: whoever waits for that shall find all it wants to know, and may sweep."""
        self._ended = True
        self._storage.close()
        if commit.failure is not None and self._pump.error is not None:
            name = self._job.name.job
            self._process.cloud.objects().put(
                {cause_key(name): signed_cause(self._pump.error, self._process.key, name)}
            )
        self.report()

    def report(self) -> None:
        """Once, and only if the record was ours to the end; when the job has been swept nothing is written any more."""
        if self._reported or not self._lease.started or self._pump.lost:
            return
        if self._lease.gone.is_set() and not self._exists():  # a record that owes nothing ends before its executor
            return
        self._reported = True
        name, objects = self._job.name.job, self._process.cloud.objects()
        if self._trace is not None:
            key = trace_key(name, self._mark)
            objects.put({key: signed.sign(list(self._trace.histories.items()), self._process.key, key)})
        objects.put({usage_key(name, self._mark): [self._measured().to_json()]})

    def _exists(self) -> bool:
        key = program_key(self._job.name.job)
        return key in self._process.cloud.objects().get([key])

    def _measured(self) -> Usage:
        """What this executor did and used, but for saying so."""
        usage, process, saved = self._meter.usage, self._process, Usage()
        usage.billed_seconds, usage.ended = time.monotonic() - self._began, time.time()
        # Who ends by itself was never beyond its limit, though pages of files that are gone again may seem to say so.
        usage.peak_memory = min(max(self._most, recent_peak()), process.memory or sys.maxsize)
        usage.memory = process.memory
        usage.retries = max(0, self._lease.attempts - 1)
        usage.moved(self._before, process.cloud.tallies())
        saved.moved(self._saved, {"": self._job.storage.saved})
        usage.saved_codec = max(0, saved.bytes_read[""] + saved.bytes_written[""])
        usage.saved_locality = self._meter.saved
        return usage


def fitted(policy: Policy, seconds: float, memory: int = 0) -> Policy:
    """The policy, for a function that has so many seconds and bytes (0: nobody knows), which may be less than planned.

    If its margin leaves no time to work, that is the last tenth of it; what it holds, keeps and fetches beside a task
    is a part of its memory each.

    >>> fitted(CostModel(margin=10.0), 9.0).margin, fitted(CostModel(margin=10.0), 900.0).margin
    (0.9, 10.0)
    >>> fitted(CostModel(hold_bytes=1 << 28), 900.0, 1 << 28).hold_bytes >> 20
    64
    """
    if not isinstance(policy, CostModel):
        return policy
    if seconds - policy.margin <= LEAST:
        policy = replace(policy, margin=min(policy.margin, seconds / 10))
    if not memory:
        return policy
    most = memory // PARTS
    held, kept, fetched = (min(most, each) for each in (policy.hold_bytes, policy.cache_bytes, policy.batch_bytes))
    return replace(policy, hold_bytes=held, cache_bytes=kept, batch_bytes=fetched)


def handed_over_at(memory: int, used: int) -> float:
    """Bytes in use at which an executor hands over, in a process that had so many in use when it began.

    Its successor may well find the same process: what others have left there does not get less by handing over, and an
    executor that did so for the sake of that would do it after every task, and the one after it.

    >>> handed_over_at(1000, 300), handed_over_at(1000, 800), handed_over_at(0, 800)
    (850.0, 950.0, inf)
    """
    return max(FULL * memory, used + (1 - FULL) * memory) if memory else math.inf


def _read(program: Any, tile: Tile, warm: Callable[[Tile], Any]) -> Any:
    return program.read(tile) if program.is_cheap(tile[0]) else warm(tile)


def signed_cause(error: BaseException, key: bytes, job: str) -> Any:
    """The exception, or what can be told of it if it cannot be pickled."""
    return signed.sign(portable(error), key, cause_key(job))
