"""PyWren's way: the client maps a function over the tasks of one level after the other.

A level is all tasks whose inputs exist once the levels before it are done. For each of them the client invokes one
function, which reads its inputs from the object store, runs the task, and writes its results and a status there. The
client lists statuses, less and less often, until all have come, and goes on to the next level. Where a level is wider
than there are functions, invocations wait for one. A call that ends without a status is invoked again by the service,
as Lambda does, and then by the client, a few times.

Bytes are counted as in numpywren's way: encoded tiles, at the store; statuses and programs are not among them.

Source: E. Jonas, Q. Pu, S. Venkataraman, I. Stoica, B. Recht, "Occupy the Cloud: Distributed Computing for the 99%",
SoCC 2017, arXiv 1702.04024.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from wukong_sched.baselines.opened import Look, delivered, failed, is_wanted, opened
from wukong_sched.baselines.standing import followers
from wukong_sched.baselines.stateless import Stateless, TaskFailed
from wukong_sched.coordination.wire import story_text, to_story
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.drivers.pump import refuse_nested
from wukong_sched.drivers.serial import produced
from wukong_sched.errors import InfrastructureError, JobCancelled, Story
from wukong_sched.functions.carried import NONE, Park, Wishes, as_it_is, finished
from wukong_sched.functions.events import JobName
from wukong_sched.functions.execution import signed_cause
from wukong_sched.functions.plan import cause_key, usage_key
from wukong_sched.functions.submitted import Submitted
from wukong_sched.functions.worker import Context, Swept, Unusable, Worker
from wukong_sched.program import Program, Task, range_tasks
from wukong_sched.report import Report
from wukong_sched.storage.keys import Keys, in_words, safe
from wukong_sched.storage.protocol import Storage

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.064
"""Seconds between two lists of statuses."""
CHECK = 0.25
"""Seconds without a status after which the client looks whether something is wrong."""
CALLS = 3
"""Times that the client makes one call."""


def run(
    program: Program,
    storage: Storage,
    functions: LocalFunctions,
    *,
    park: Park = as_it_is,
    wishes: Wishes = NONE,
    begun: Callable[[Submitted], None] = lambda job: None,
) -> Report:
    """Put the wanted tiles of the program into the storage, level by level.

    `begun` is told before the first call. Raises TaskError from whatever a task raised, InfrastructureError if
    functions cannot run, NestedComputeError within a task.
    """
    refuse_nested()
    if not program.wanted_count:
        return Report(0, 0, 0.0)
    look = functions.trouble()
    job, done = opened(functions, program, park, wishes), 0
    with finished(functions, job):
        begun(job)
        for number, level in enumerate(levels(program)):
            Level(job, functions, look, number, level).run()
            done += len(level)
            if wishes.progress is not None:
                wishes.progress(done, len(program))
        return delivered(functions, job, storage)


def levels(program: Program) -> Iterator[list[Task]]:
    """Tasks by the longest way to them from a leaf.

    >>> from wukong_sched.drivers.graphs import Graph
    >>> list(levels(Graph([[], [(0, 0)], [(0, 0), (1, 0)]], wanted=[(2, 0)])))
    [[('leaf', (0,))], [('node', (1,))], [('node', (2,))]]
    """
    missing: dict[Task, int] = {}
    level = list(range_tasks(program, program.leaves()))
    while level:
        yield level
        following: list[Task] = []
        for consumer in (each for task in level for each in followers(program, task)):
            missing[consumer] = missing.get(consumer, len(produced(program, consumer))) - 1
            if not missing[consumer]:
                del missing[consumer]
                following.append(consumer)
        level = following


class Level:
    """One map: a call for each task of a level."""

    def __init__(self, job: Submitted, functions: LocalFunctions, look: Look, number: int, tasks: list[Task]) -> None:
        self._job, self._functions, self._look = job, functions, look
        self._prefix = status_key(job.name.job, number, "")
        self._missing = {
            status_key(job.name.job, number, name(task)): call_event(job.name, number, task) for task in tasks
        }
        self._calls = 0

    def run(self) -> None:
        """Call, and return when every call has left its status."""
        self._call()
        pause, heard = FIRST_PAUSE, time.monotonic()
        while self._missing:
            time.sleep(pause)
            found = self._found()
            now = time.monotonic()
            pause = FIRST_PAUSE if found else min(LONGEST_PAUSE, 2 * pause)
            if found or now - heard > CHECK:
                heard = now
                self._check()

    def _call(self) -> None:
        self._calls += 1
        self._functions.places.invoker().invoke(list(self._missing.values()))

    def _found(self) -> int:
        """How many statuses have come since the last look."""
        found = self._missing.keys() & set(self._functions.places.object_store.keys(self._prefix))
        for key in found:
            del self._missing[key]
        return len(found)

    def _check(self) -> None:
        """Raise if the job cannot go on; call again what was lost."""
        job, store = self._job, self._functions.places.object_store
        for data in store.get([story_key(job.name.job)]).values():
            story = to_story(bytes(data).decode())
            assert story is not None
            raise failed(job, story)
        if job.is_cancelled():
            raise JobCancelled(f"job {job.name.job} was cancelled")
        if text := self._look():
            raise InfrastructureError(f"job {job.name.job} cannot go on: {text}")
        state = self._functions.counts()
        if self._missing and not state["busy"] and not state["waiting"] and not self._found():
            self._call_again(state["last_error"])

    def _call_again(self, last: str) -> None:
        if self._calls >= CALLS:
            lost = next(iter(self._missing)).rpartition("/")[2]
            raise InfrastructureError(
                f"job {self._job.name.job}: {len(self._missing)} calls, {lost} among them, ended {CALLS} times without "
                f"a status; the service says {last or 'nothing'}"
            )
        self._call()


def name(task: Task) -> str:
    """A task as part of a key."""
    return safe(in_words(task))


def status_key(job: str, level: int, task: str) -> str:
    """Where a call says that it is done, and what it used; all calls of a level, for an empty task."""
    return usage_key(job, f"{level}/{task}")


def story_key(job: str) -> str:
    """Where a call says why it failed."""
    return f"{Keys(job).job_prefix}story"


def call_event(name: JobName, level: int, task: Task) -> bytes:
    """The invocation of a function for one task."""
    found = {"way": "pywren", "job": name.job, "program": name.program, "fingerprint": name.fingerprint}
    return json.dumps({**found, "id": in_words(task), "rule": task[0], "index": task[1], "level": level}).encode()


# ---- in a function


def work(worker: Worker, job: JobName, event: Mapping[str, Any], context: Context) -> None:
    """One call."""
    process, store, task = worker.process, worker.process.cloud.object_store, (event["rule"], tuple(event["index"]))
    if not is_wanted(process.cloud, job.job):
        raise Swept
    try:
        plan = worker.plan(job)
    except Unusable as error:
        _tell(worker, job.job, Story("program", job.job, (), str(error)))
        return
    with closing(Stateless(worker, job.job, plan)) as stateless:
        try:
            stateless.write(stateless.run(task))
        except TaskFailed as failure:
            cause = failure.__cause__ or failure
            store.put({cause_key(job.job): signed_cause(cause, process.key, job.job)})
            _tell(worker, job.job, failure.story)
            return
        key = status_key(job.job, event["level"], name(task))
        store.put({key: [stateless.measured().to_json()]})


def _tell(worker: Worker, job: str, story: Story) -> None:
    """Let the client know why the job ends."""
    worker.process.cloud.object_store.put({story_key(job): [story_text(story).encode()]})
