"""numpywren's way: one queue, stateless workers, every tile through the object store.

A worker is one long invocation. It takes a task from the queue, reads the task's inputs, runs it, writes its results,
and then says so to the queue, which counts the arrivals of the tasks that follow and makes those ready that have all.
Some tasks are under way in a worker at once, so that it computes one while it reads for the next and writes for the
last (numpywren: the width of the pipeline). Nothing is kept between two tasks, and nothing goes through Redis but
names. A worker renews the lease on what it runs; when it dies, the lease runs out, and the task is handed out again.
Before its time is up a worker invokes its successor. If the queue's server is emptied, workers end, and the client
writes the queue anew from the tiles that are stored, and invokes others; nothing that is stored is computed again.

What is better here than in the original, so that the comparison is one of ways and not of workmanship: the same
kernels and the same codec, no sleeps (the original polls its queue; here an arrival wakes whoever waits), and
dependencies solved by integer arithmetic, not by a computer algebra system.

Bytes are counted at the store, and are those of encoded tiles: as everywhere here, a triangle is stored as its half,
and every tile has a header of 128 bytes or so. numpywren stores raw arrays. On numpywren's own recurrences what is
counted is what it was measured to move, less the triangles (``benchmarks/numpywren_programs.py``; tested at full size):
GEMM 1,664 MB read and 768 written, as measured; TSQR 273 and 284 (277 and 293); Cholesky 606 and 233 (632 and 240).

Source: V. Shankar, K. Krauth, Q. Pu, E. Jonas, S. Venkataraman, I. Stoica, B. Recht, J. Ragan-Kelley, "numpywren:
Serverless Linear Algebra", arXiv 1810.09679.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any

from wukong_sched.baselines.opened import Look, delivered, failed, is_wanted, opened
from wukong_sched.baselines.queue import Arrival, Queue
from wukong_sched.baselines.standing import standing
from wukong_sched.baselines.stateless import Stateless, TaskFailed
from wukong_sched.coordination.protocol import State
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.drivers.pump import refuse_nested
from wukong_sched.drivers.serial import produced
from wukong_sched.errors import InfrastructureError, JobCancelled, Story
from wukong_sched.functions.carried import NONE, Park, Wishes, as_it_is, finished
from wukong_sched.functions.cloud import Cloud
from wukong_sched.functions.events import JobName
from wukong_sched.functions.execution import signed_cause
from wukong_sched.functions.plan import cause_key, usage_key
from wukong_sched.functions.submitted import Submitted
from wukong_sched.functions.worker import Context, Unusable, Worker
from wukong_sched.program import SINK, Program, Task, range_tasks
from wukong_sched.report import Report
from wukong_sched.storage.protocol import Storage

LEASE = 2.0
"""Seconds for which a task is a worker's; renewed four times as often."""
WIDTH = 3
"""Tasks that are under way in one worker."""
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.016
"""Seconds between the client's looks at the job."""
NAP = 0.25
"""Seconds after which a worker that waits asks again, for leases that have run out."""
CHECK = 0.25
"""Seconds between the client's looks at the health of workers."""
DEATHS = 8
"""Workers for each place in the crew that may end, one after the other, without any task taken."""
LOSSES = 8
"""Times that the queue of a job is made again."""
SPARE = 10.0
"""Seconds before its time limit, but at most a tenth of it, at which a worker takes no more tasks."""


def run(
    program: Program,
    storage: Storage,
    functions: LocalFunctions,
    *,
    park: Park = as_it_is,
    wishes: Wishes = NONE,
    width: int = WIDTH,
    begun: Callable[[Submitted], None] = lambda job: None,
) -> Report:
    """Put the wanted tiles of the program into the storage, by as many workers as there are functions.

    Each has `width` tasks under way. `begun` is told as soon as the workers are invoked. Raises TaskError from whatever
    a task raised, InfrastructureError if functions cannot run, NestedComputeError within a task.
    """
    refuse_nested()
    if not program.wanted_count:
        return Report(0, 0, 0.0)
    look = functions.trouble()
    job = opened(functions, program, park, wishes)
    with finished(functions, job), closing(_queue(functions.places, job.name.job)) as queue:
        queue.create(len(program))
        queue.offer(range_tasks(program, program.leaves()))
        size = min(len(program), functions.function.concurrency)
        crew = Crew(functions, queue, size, worker_event(job.name, width))
        begun(job)
        _wait(job, queue, lambda: crew.recruited() or look(), wishes.progress, LOSSES)
        return delivered(functions, job, storage)


def _queue(cloud: Cloud, job: str) -> Queue:
    return Queue(cloud.server(), job, LEASE, cloud.round_trip)


def worker_event(name: JobName, width: int) -> bytes:
    """The invocation of a worker."""
    found = {"way": "numpywren", "job": name.job, "program": name.program, "fingerprint": name.fingerprint}
    return json.dumps({**found, "id": "worker", "width": width}).encode()


class Crew:
    """The workers of a job, as its client sees them."""

    def __init__(self, functions: LocalFunctions, queue: Queue, size: int, event: bytes) -> None:
        self._functions, self._queue, self._size, self._event = functions, queue, size, event
        self._taken = self._vain = 0
        """Tasks handed out when workers were last too few, and workers invoked since another was."""
        functions.places.invoker().invoke([event] * size)

    def recruited(self) -> str:
        """Invoke as many workers as there are too few; why not, if many have ended that had taken no task."""
        state: Mapping[str, Any] = self._functions.counts()
        missing = self._size - len(state["busy"]) - state["waiting"]
        if missing <= 0:
            return ""
        before, self._taken = self._taken, self._queue.read().taken
        self._vain = missing + (self._vain if self._taken == before else 0)
        if self._vain > DEATHS * self._size:
            return f"its workers end before they take a task; the service says {state['last_error'] or 'nothing'}"
        self._functions.places.invoker().invoke([self._event] * missing)
        return ""


def _wait(job: Submitted, queue: Queue, look: Look, progress: Callable[[int, int], None] | None, losses: int) -> None:
    """Return when all tasks are done; a queue that is lost is made again so many times."""
    pause, checked, total = FIRST_PAUSE, time.monotonic(), len(job.plan.program)
    while (view := queue.read()).state is State.RUNNING:
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, 1.3 * pause)
        if time.monotonic() - checked > CHECK:
            checked = time.monotonic()
            if progress is not None:
                progress(view.done, total)
            if text := look():
                raise InfrastructureError(f"job {job.name.job} cannot go on: {text}")
    if view.state is State.FAILED and view.story is not None:
        raise failed(job, view.story)
    if view.state is not State.DONE:
        if job.is_cancelled():
            raise JobCancelled(f"job {job.name.job} was cancelled")
        if not losses:
            raise InfrastructureError(f"job {job.name.job} has lost its queue {LOSSES} times; given up")
        queue.restore(total, standing(job.plan.program, set(job.storage.tiles())))
        _wait(job, queue, look, progress, losses - 1)


# ---- in a function


def work(worker: Worker, name: JobName, event: Mapping[str, Any], context: Context) -> None:
    """One worker, until no task is left or its time is up."""
    cloud, seconds = worker.process.cloud, context.get_remaining_time_in_millis() / 1000
    deadline = time.monotonic() + seconds - min(SPARE, seconds / 10)
    with closing(_queue(cloud, name.job)) as queue:
        try:
            plan = worker.plan(name)
        except Unusable as error:
            queue.fail(Story("program", name.job, (), str(error)))
            return
        with closing(Stateless(worker, name.job, plan)) as stateless:
            shift = Shift(stateless, queue, deadline, event["width"])
            shift.run()
            if queue.read().state is State.MISSING and not is_wanted(cloud, name.job):
                return
            key = usage_key(name.job, context.aws_request_id + f"-{time.monotonic_ns()}")
            cloud.object_store.put({key: [stateless.measured().to_json()]})
        if not shift.over.is_set():
            cloud.invoker().invoke([worker_event(name, event["width"])])


class Shift:
    """The threads of one worker: each takes a task, reads, computes when no other does, writes, takes the next."""

    def __init__(self, stateless: Stateless, queue: Queue, deadline: float, width: int) -> None:
        self._stateless, self._queue, self._deadline, self._width = stateless, queue, deadline, width
        self._places = threading.Semaphore(max(1, width - 1))
        """One task that is computed, and others that are read: what waits for this processor, nobody else has."""
        self._held: dict[int, Task] = {}
        """By thread."""
        self.over = threading.Event()
        """Whether the job is."""

    def run(self) -> None:
        """Work, and renew the leases meanwhile; raises what a thread raised."""
        with ThreadPoolExecutor(self._width, "numpywren") as pool:
            threads = [pool.submit(self._loop) for _ in range(self._width)]
            pending = set(threads)
            while pending:
                ended, pending = wait(pending, LEASE / 4)
                broken = any(future.exception() for future in ended)
                if broken or not self._queue.renew(list(self._held.copy().values())):
                    self._deadline = 0.0
        for thread in threads:
            thread.result()

    def _loop(self) -> None:
        while not self.over.is_set() and time.monotonic() < self._deadline:
            began = time.monotonic()
            with self._places:
                task = self._taken()
                self._stateless.waited(began)
                results = self._computed(task) if task is not None else None
            if task is not None and results is not None:
                self._stateless.write(results)
                self._end(self._queue.complete(task, list(arrivals(self._stateless.plan.program, task))))
            self._held.pop(threading.get_ident(), None)

    def _taken(self) -> Task | None:
        """A task; None if there was none for a while, or the job is over."""
        found = self._queue.take(1) if time.monotonic() < self._deadline else []
        self._end(found is not None)
        if found:
            self._held[threading.get_ident()] = found[0]
            return found[0]
        if not self.over.is_set():
            self._queue.wait(NAP)
        return None

    def _computed(self, task: Task) -> dict[Any, Any] | None:
        """The task's results; None if it failed, and the job with it."""
        try:
            return self._stateless.run(task)
        except TaskFailed as failure:
            process, job = self._stateless.worker.process, self._stateless.job
            cause = failure.__cause__ or failure
            process.cloud.object_store.put({cause_key(job): signed_cause(cause, process.key, job)})
            self._queue.fail(failure.story)
            self.over.set()
            return None

    def _end(self, runs: bool) -> None:
        if not runs:
            self.over.set()


def arrivals(program: Program, task: Task) -> Iterator[Arrival]:
    """Every edge that begins at the task."""
    for tile in program.outputs(task):
        for consumer in program.consumers(tile):
            if consumer != SINK:
                yield consumer, tile, len(produced(program, consumer))
