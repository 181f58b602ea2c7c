"""One executor's turn inside a function, from its start to its report."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from wukong_sched.coordination.protocol import Coordination
from wukong_sched.drivers.pump import Pump, Surroundings, marked
from wukong_sched.executor_state import ExecutorState
from wukong_sched.functions.cloud import Cloud, Invoker
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.hints import Hints
from wukong_sched.functions.lease import KeptLease, Renewer
from wukong_sched.functions.plan import Plan, cause_key, usage_key
from wukong_sched.functions.readahead import ReadAhead
from wukong_sched.functions.usage import Usage, copied, peak_memory, resident_memory
from wukong_sched.functions.warm import Recent, WarmStorage, nbytes_of, warm_reader
from wukong_sched.messages import Commit
from wukong_sched.program import Tile
from wukong_sched.storage import signed
from wukong_sched.storage.protocol import Storage

AHEAD = 1 << 27
"""Bytes that a fold fetches ahead."""
FULL = 0.85
"""Part of a function's memory at which an executor hands over."""


@dataclass(slots=True)
class Job:
    """A job, as a warm process knows it."""

    name: JobName
    plan: Plan
    storage: Storage
    coordination: Coordination
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
    renewer: Renewer


class Execution:
    """One executor, in one process."""

    def __init__(self, process: Process, job: Job, message: Message, deadline: float) -> None:
        self._process, self._job, self._share = process, job, message.share
        self._usage = Usage(executors=1)
        self._began, self._before = time.monotonic(), copied(process.cloud.tallies())
        self._token = uuid.uuid4().hex
        self._reported = False
        self._lease = KeptLease(job.coordination, self._ending)
        self._core = ExecutorState(job.plan.program, job.plan.policy, message.id, deadline)
        self._pump = Pump(self._surroundings(), self._core, self._token)

    def _surroundings(self) -> Surroundings:
        process, job = self._process, self._job
        program, usage = job.plan.program, self._usage
        read = warm_reader(lambda tile: self._source(tile), job.recent)
        return Surroundings(
            ReadAhead(program, process.helper, AHEAD, lambda tile: _read(program, tile, read)),
            Timed(WarmStorage(job.storage, job.recent), usage),
            self._lease,
            time.monotonic,
            self._invoke,
            self._free,
            self._lease.gone.is_set,
            self._sleep,
            self._ran,
        )

    def run(self) -> None:
        """Pump the executor to its end."""
        renewer = self._process.renewer
        renewer.seconds = self._job.plan.renewal
        renewer.hold(self._lease)
        try:
            with marked():
                self._pump.pump()
        finally:
            renewer.drop()
            self._report()

    # ---- what the pump calls

    def _source(self, tile: Tile) -> Any:
        began = time.monotonic()
        block = self._job.plan.program.read(tile)
        self._usage.spent("fetch", time.monotonic() - began)
        self._usage.read("source", nbytes_of(block))
        return block

    def _invoke(self, ids: Sequence[str]) -> None:
        began, given = time.monotonic(), self._lease.given
        part = max(1, self._share // (len(ids) + 1))
        self._share = max(1, self._share - part * len(ids))
        hints, invoker = self._job.hints, self._process.invoker
        invoker.invoke([hints.event(id, given.get(id, ()), part, invoker.room) for id in ids])
        self._usage.spent("invoke", time.monotonic() - began)

    def _free(self) -> int:
        free = self._process.invoker.free()
        return self._share - 1 if free is None else free

    def _sleep(self, seconds: float) -> None:
        self._lease.gone.wait(seconds)
        self._usage.spent("wait", seconds)

    def _ran(self, tasks: int) -> None:
        """Some tasks ran: hand over if memory is nearly full."""
        self._usage.tasks += tasks
        memory = self._process.memory
        if memory and resident_memory() > FULL * memory:
            self._job.recent.clear()
            self._core.deadline = 0.0

    # ---- the report

    def _ending(self, commit: Commit) -> None:
        """The next commit ends the job: whoever waits for that shall find all it wants to know."""
        if commit.failure is not None and self._pump.error is not None:
            name = self._job.name.job
            self._process.cloud.objects().put(
                {cause_key(name): _signed_cause(self._pump.error, self._process.key, name)}
            )
        self._report()

    def _report(self) -> None:
        """Once, and only as long as the record was ours: who is gone writes nothing any more."""
        if self._reported or not self._lease.started or self._lease.gone.is_set():
            return
        self._reported = True
        usage = self._usage
        usage.billed_seconds = time.monotonic() - self._began
        usage.peak_memory = peak_memory()
        usage.moved(self._before, self._process.cloud.tallies())
        self._process.cloud.objects().put({usage_key(self._job.name.job, self._token): [usage.to_json()]})


def _read(program: Any, tile: Tile, warm: Callable[[Tile], Any]) -> Any:
    return program.read(tile) if program.is_cheap(tile[0]) else warm(tile)


def _signed_cause(error: BaseException, key: bytes, job: str) -> Any:
    """The exception, or what can be told of it if it cannot be pickled."""
    try:
        return signed.sign(error, key, cause_key(job))
    except Exception:  # whatever a class's own pickling raises
        return signed.sign(RuntimeError(f"{type(error).__name__}: {error}"), key, cause_key(job))


class Timed:
    """A store whose time is counted."""

    def __init__(self, storage: Storage, usage: Usage) -> None:
        self._storage, self._usage = storage, usage

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        began = time.monotonic()
        self._storage.put(blocks)
        self._usage.spent("store", time.monotonic() - began)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        began = time.monotonic()
        found = self._storage.get(tiles)
        self._usage.spent("fetch", time.monotonic() - began)
        return found

    def delete(self, tiles: Iterable[Tile]) -> None:
        self._storage.delete(tiles)

    def tiles(self) -> Iterable[Tile]:
        return self._storage.tiles()
