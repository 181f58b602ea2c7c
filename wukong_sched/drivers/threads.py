"""Executors as worker turns in threads of this process: the same protocol, degenerated to work stealing.

The store is a dict of blocks as they are, an invoke is a push on a deque, and a worker without a turn takes from it.
An executor that hears of idle workers gives them a share of its ready work: it is robbed by consent, at its next
commit. Nothing is serialised, and nothing crashes alone: there are no leases and no watchdog.

The caller's thread only waits, so Ctrl-C ends the job at once: workers stop before their next task. Only a job of a
few short tasks runs in the caller's thread, as its one executor.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.coordination.protocol import State
from wukong_sched.drivers.pump import Pump, Surroundings, interrupts, marked, refuse_nested
from wukong_sched.drivers.worker_threads import WorkerThreads
from wukong_sched.errors import ProtocolError, raised
from wukong_sched.executor_state import ExecutorState
from wukong_sched.functions.usage import Usage, peak_memory, source_counter
from wukong_sched.interrupts import LISTEN
from wukong_sched.machine import resident_bytes
from wukong_sched.messages import Give, identity
from wukong_sched.policy import CostModel, Policy
from wukong_sched.program import Program, Range, Tile, range_tasks
from wukong_sched.report import Report
from wukong_sched.storage.protocol import Storage
from wukong_sched.trace import Trace

POLICY = CostModel()
"""In threads storing is free, and an invoke is a push on a deque."""
PATIENCE = 0.9
"""Seconds that the caller of a failed or interrupted job waits for workers to end the task that they are in."""

WORKERS = WorkerThreads()
"""Of all jobs of this process."""
FEW = 16
"""Tasks up to which a job may be short enough for the caller's thread."""

Memory = Callable[[], MutableMapping[Tile, Any]]


@dataclass(slots=True)
class Job:
    """One job's workers and their deque."""

    program: Program
    policy: Policy
    workers: int
    memory: Memory
    coordination: MemoryCoordination = field(default_factory=MemoryCoordination)
    turns: deque[str] = field(default_factory=deque)
    """Executors that were invoked and wait for a worker."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    busy: int = 0
    """Workers with a turn."""
    over: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    executors: int = 0
    tasks: int = 0
    usages: list[Usage] = field(default_factory=list)
    """Of each worker."""

    def invoke(self, ids: Sequence[str]) -> None:
        with self.changed:
            self.turns.extend(ids)
            self.changed.notify(len(ids))

    def idle(self) -> int:
        """Workers that have no turn, nor one waiting for them."""
        return max(0, self.workers - self.busy - len(self.turns))

    def ran(self, tasks: int) -> None:
        with self.changed:
            self.tasks += tasks

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more to do, or no way to go on; the first error is the job's."""
        with self.changed:
            if error is not None and self.error is None:
                self.error = error
            self.over.set()
            self.changed.notify_all()

    def turn(self) -> str | None:
        """The next executor to run here; None when the job is over."""
        with self.changed:
            while not self.turns and not self.over.is_set():
                self.changed.wait()
            if self.over.is_set():
                return None
            self.busy += 1
            self.executors += 1
            return self.turns.popleft()

    def turned(self, pump: Pump) -> None:
        """A turn has ended: is the job over? Decided in one piece, or a worker might take another's end for a stall."""
        with self.changed:
            self.busy -= 1
            view = self.coordination.read()
            if view.state is State.DONE:
                self.end()
            elif view.state is State.FAILED and view.story is not None:
                if view.story == pump.story:
                    self.end(raised(view.story, pump.error))
            elif not self.busy and not self.turns and not self.over.is_set():
                self.end(ProtocolError("every worker is idle, but the job has not ended; please report this bug"))

    def work(self, around: Surroundings) -> None:
        """One worker: turn after turn until the job is over."""
        usage = Usage()
        self.usages.append(usage)
        around = replace(around, seen=source_counter(self.program, usage), spent=usage.spent, ends=interrupts())
        with marked():
            while (id := self.turn()) is not None:
                usage.executors += 1
                core = ExecutorState(self.program, self.policy, id)
                pump = Pump(around, core, f"{id}#{self.executors}", self.memory())
                try:
                    pump.pump()
                except BaseException as error:  # the worker's thread must not swallow it: it is the job's
                    self.end(error)
                self.turned(pump)


def run(
    program: Program,
    storage: Storage,
    *,
    workers: int,
    policy: Policy = POLICY,
    memory: Memory = dict,
    progress: Callable[[int, int], None] | None = None,
    trace: Trace | None = None,
) -> Report:
    """Put the wanted tiles of the program into the storage, with so many worker threads.

    `memory` makes the mapping in which an executor holds its blocks; `progress` is told (tasks done, tasks) from the
    caller's thread. Raises `TaskError` from whatever a task raised, `NestedComputeError` if called within a task.
    """
    refuse_nested()
    began, peak = time.perf_counter(), peak_memory()
    leaves = tuple(program.leaves())
    if not program.wanted_count:
        return Report(0, 0, 0.0)
    job = Job(program, policy, max(1, min(workers, len(program))), memory)
    clock, stopped = time.perf_counter, job.over.is_set
    around = Surroundings(
        program, storage, job.coordination, clock, job.invoke, job.idle, stopped, ran=job.ran, trace=trace
    )
    job.coordination.create(1, [Give(identity(leaves[0]), leaves)], {})
    job.invoke([identity(leaves[0])])
    if _is_short(program, policy, leaves):
        job.work(around)
    else:
        _supervise(job, around, progress)
    if job.error is not None:
        raise job.error
    return _report(job, time.perf_counter() - began, peak)


def _report(job: Job, seconds: float, before: int) -> Report:
    """What the workers counted; whoever was not busy waited.

    The process's peak is this job's if it is above the one `before`; below, what the process has now must do.
    """
    usages = tuple(job.usages)
    for usage in usages:
        usage.spent("wait", max(0.0, seconds - sum(usage.seconds.values())))
    peak = peak_memory()
    whole = Usage(tasks=job.tasks, peak_memory=peak if peak > before else resident_bytes())
    return Report(job.tasks, job.executors, seconds, (whole, *usages))


def _is_short(program: Program, policy: Policy, leaves: Sequence[Range]) -> bool:
    """Whether the job is a few independent tasks that together take less time than starting threads is worth."""
    count = sum(stop - start for _, _, start, stop in leaves)
    if count != len(program) or count > FEW:
        return False
    return sum(policy.seconds(program.cost(task)) for task in range_tasks(program, leaves)) < policy.quantum


def _supervise(job: Job, around: Surroundings, progress: Callable[[int, int], None] | None) -> None:
    """Let workers begin and wait for the end, of the job or of the caller's patience."""
    overs: list[threading.Event] = []
    try:
        for _ in range(job.workers):
            overs.append(WORKERS.start(partial(job.work, around)))
        while not job.over.wait(LISTEN):
            if progress:
                progress(job.tasks, len(job.program))
        if progress and job.error is None:
            progress(len(job.program), len(job.program))
    finally:
        job.end()
        deadline = time.perf_counter() + PATIENCE
        for over in overs:
            over.wait(max(0.0, deadline - time.perf_counter()))
