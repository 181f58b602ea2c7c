"""Inside a function: an invocation is one executor, pumped to its end.

A warm process keeps the programs that it has fetched, by their hash, as long as there is room, and a job's tiles until
it knows that the job is over, or gets another. While a task runs, a thread renews the executor's lease; before its time
is up, or when it has filled the memory, the executor hands over to a new invocation of itself. An invocation of the
watchdog starts whoever should run and does not.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

from wukong_sched.coordination.protocol import State
from wukong_sched.drivers.pump import cause_of
from wukong_sched.errors import Story
from wukong_sched.functions.allocator import give_back
from wukong_sched.functions.cloud import Cloud
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.execution import HALF, Execution, Job, Process
from wukong_sched.functions.hints import Hints
from wukong_sched.functions.lease import Renewer, Turn
from wukong_sched.functions.plan import Plan, fingerprint, load_plan, program_key, trying_key
from wukong_sched.functions.readahead import READERS
from wukong_sched.functions.warm import Recent
from wukong_sched.functions.writebehind import WRITERS
from wukong_sched.machine import private_bytes
from wukong_sched.messages import Commit
from wukong_sched.storage.keys import Keys, never

PROGRAMS = 4
"""Programs that a warm process keeps."""
SHARE = 6
"""A warm process keeps tiles in the so manieth part of its memory."""
UNLIMITED = 1 << 31
"""Bytes assumed where nobody says how many there are."""
SPARE = 5.0
"""Seconds before its end at which a watchdog invokes its successor, at most: a tenth of the time that it has."""
LOADING = "to load the program of the job, with all that its functions refer to"
OVER, WATCHED, DONE = "over", "watched", "done"


class Context(Protocol):
    """What Lambda tells of an invocation."""

    @property
    def aws_request_id(self) -> str:
        """Of the invocation, the same when it is delivered again."""

    def get_remaining_time_in_millis(self) -> int:
        """Until the function is ended."""


class Swept(Exception):
    """The job's program is not in the store any more: the job is over, or it is lost."""


class Unusable(Exception):
    """The job's program cannot be loaded, whoever tries; an error of the store itself is no such reason."""


class Worker:
    """Handles the invocations of one process; `memory` in bytes, 0 if nobody knows.

    `arithmetic` says what decides the bits of BLAS here; programs that ask for another are refused.
    """

    def __init__(self, cloud: Cloud, key: bytes, memory: int = 0, arithmetic: Callable[[], str] = lambda: "") -> None:
        self._arithmetic = cache(arithmetic)
        helper, writer = ThreadPoolExecutor(READERS, "readahead"), ThreadPoolExecutor(WRITERS, "writebehind")
        self.process = Process(cloud, key, memory, cloud.invoker(), helper, writer, Renewer(1.0))
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._job: Job | None = None

    def handle(self, event: Mapping[str, Any], context: Context) -> str:
        """One invocation."""
        message = Message.from_event(event)
        if not message.id:
            return self._watch(message, context)
        deadline = time.monotonic() + _left(context)
        turn = Turn.take(self.process.cloud.coordination(message.name.job), message.id, context.aws_request_id)
        return OVER if turn is None else self._execute(message, deadline, turn)

    def _execute(self, message: Message, deadline: float, turn: Turn) -> str:
        """The record is ours, and renewed: whatever ends this process from now on has been counted as an attempt."""
        renewer = self.process.renewer
        renewer.hold(turn.lease)
        try:
            job = self._open(message, turn)
            self._make_room(job)
            renewer.seconds = job.plan.renewal
            self.process.cloud.receive(message.tiles)
            execution = Execution(self.process, job, message, deadline, turn)
            execution.run()
        except Swept:  # its record is there, and that goes first
            turn.lease.commit(message.id, turn.token, Commit(turn.taken.seq, lost=("program", ())))
            return OVER
        except Unusable as error:
            story = Story("program", message.name.job, (), str(error))
            turn.lease.commit(message.id, turn.token, Commit(turn.taken.seq, failure=story))
            return OVER
        finally:
            renewer.drop()
        execution.report()
        if execution.is_over:
            self._leave()
        return DONE

    def _make_room(self, job: Job) -> None:
        """Let go of what other jobs have left, if half of the memory is in use before this one begins."""
        most = HALF * self.process.memory
        if not most or private_bytes() <= most:
            return
        give_back()
        if private_bytes() > most:
            self._plans = OrderedDict({job.name.program: job.plan})
            gc.collect()
            give_back()

    def _open(self, message: Message, turn: Turn) -> Job:
        """The job. An attempt after others that were ended says, until it has the program, that it loads it."""
        if not turn.lease.is_suspect:
            return self._job_of(message.name)
        objects, key = self.process.cloud.objects(), trying_key(message.name.job, message.id)
        objects.put({key: [LOADING.encode()]})
        job = self._job_of(message.name)
        objects.delete([key])
        return job

    def _job_of(self, name: JobName) -> Job:
        if self._job is None or self._job.name != name:
            self._leave()
            plan, process = self.plan(name), self.process
            keys = Keys(name.job, plan.program.is_wanted if name.keeps else never)
            storage = process.cloud.storage(keys, process.key)
            recent = Recent((process.memory or UNLIMITED) // SHARE)
            hints = Hints(name, plan.program, keys, process.cloud)
            self._job = Job(name, plan, storage, recent, hints)
        return self._job

    def _leave(self) -> None:
        """Let go of the job; its program stays for others that compute the same."""
        if self._job is not None:
            self._job.recent.clear()
            self._job = None

    def exists(self, job: str) -> bool:
        """Whether the job's program is still in the store."""
        key = program_key(job)
        return key in self.process.cloud.objects().get([key])

    def plan(self, name: JobName) -> Plan:
        """The plan of a job; Swept if it is over, Unusable if it cannot be loaded here."""
        if name.fingerprint != fingerprint():
            raise Unusable(f"the client has {name.fingerprint}, the function {fingerprint()}; deploy it again")
        plan = self._plans.get(name.program)
        if plan is None:
            plan = self._load(name)
            self._check(plan)
            self._plans[name.program] = plan
        self._plans.move_to_end(name.program)
        if len(self._plans) > PROGRAMS:
            self._plans.popitem(last=False)
        return plan

    def _check(self, plan: Plan) -> None:
        here = self._arithmetic() if plan.arithmetic else ""
        if here and here != plan.arithmetic:
            raise Unusable(
                f"the job is to be computed by BLAS as {plan.arithmetic!r}, and this function's is {here!r}: results "
                "would depend on where they are computed; set OPENBLAS_CORETYPE alike for all"
            )

    def _load(self, name: JobName) -> Plan:
        key = program_key(name.job)
        found = self.process.cloud.objects().get([key])
        if key not in found:
            raise Swept
        try:
            return load_plan(found[key], self.process.key, name.job, name.program)
        except BaseException as error:  # whatever loading somebody's classes raises ends the job, with its story
            raise Unusable(cause_of(error)) from error

    def _watch(self, message: Message, context: Context) -> str:
        """Start whoever should run and does not: once, or again and again, and then by a successor."""
        coordination, invoker = self.process.cloud.coordination(message.name.job), self.process.invoker
        pause, left = threading.Event(), _left(context)
        spare, has_paused = min(SPARE, left / 10), False
        while (view := coordination.read()).state is State.RUNNING:
            if has_paused and left < message.every + spare:
                invoker.invoke([message.to_json()])
                return WATCHED
            free = invoker.free()
            # Where events wait for a sandbox, those not started are among them; ours will be free next.
            waiting = view.startable if free is None else view.startable[: max(0, free + 1)]
            share = max(1, message.share // (1 + len(waiting)))
            invoker.invoke([replace(message, id=id, every=0.0, share=share).to_json() for id in waiting])
            if not message.every:
                return WATCHED
            has_paused = not pause.wait(min(message.every, max(0.0, left - spare)))
            left = _left(context)
        return OVER


def _left(context: Context) -> float:
    """Seconds until the function is ended."""
    return context.get_remaining_time_in_millis() / 1000
