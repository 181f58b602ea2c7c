"""Functions on this machine: executors in processes of their own, which schedule each other.

The client writes the signed program and the root's record, invokes the root, and from then on only waits: stopped
(SIGSTOP) right after, the job still finishes. What goes wrong is the functions' matter too: twice a second the service
invokes a watchdog, which starts whoever should run and does not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from wukong_sched.drivers.pump import refuse_nested
from wukong_sched.errors import InfrastructureError
from wukong_sched.functions.carried import NONE, Wishes, begin, collect, finished
from wukong_sched.functions.endpoint import Endpoint
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.local import LocalService, private_path, start_service
from wukong_sched.functions.local_invoker import LocalInvoker
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.submitted import Submitted, attach, submit
from wukong_sched.functions.usage import Usage
from wukong_sched.links import shape as shape_of
from wukong_sched.policy import CostModel, Policy
from wukong_sched.program import Program
from wukong_sched.report import Facts, Report
from wukong_sched.services.forked import by
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.protocol import Storage

__all__ = ["POLICY", "LocalFunctions", "Outcome", "run"]

POLICY = CostModel(
    bandwidth=1.5e9, latency=2e-4, invoke_seconds=1.5e-3, quantum=1e-2, hold_bytes=1 << 28, waits=True
)
"""Of processes on one machine that share Valkey and files."""
LEASE, GRACE = 2.0, 1.0
"""Seconds of a lease, and until an executor that did not start is invoked again."""
WATCH = 0.5
"""Seconds between two invocations of the watchdog."""
WAIT_OVER, WAIT_CANCELLED = 0.2, 1.0
"""Seconds that a job's executors have to end when it is done, and when it is not."""
STARTS = 3
"""Sandboxes in a row that do not start, after which a job is given up."""
STORE = "store"
"""Name of the directory of tiles."""
BLAS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1")
"""One thread a function, so that results do not depend on where they were computed."""
CORE_TYPE = "OPENBLAS_CORETYPE"
PACKAGES = "awslambdaric", "blosc", "cloudpickle", "xxhash"
"""What functions import, beside what this package itself needs."""


class LocalFunctions:
    """A Valkey, a directory of files and a function service, all private to this process and gone with it.

    Started by the first job, or by `start`; ended by `close`, a ``with`` block, or this process's end, however it ends.
    `function` gives the limits; its handler serves jobs as `sarray.lambda_entry.handler` does. With a `shape` all
    traffic takes as long as in a cloud (`links.SHAPES`).
    """

    def __init__(self, function: FunctionSettings, classes: tuple[type, ...] = (), shape: str = "") -> None:
        self.function, self._classes, self.shape = function, classes, shape
        self.key = secrets.token_bytes(32)
        self._forget()

    def _forget(self) -> None:
        """Begin anew, with nothing that runs."""
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._exit: Callable[[], Any] = lambda: None
        """Ends what runs, at the interpreter's exit at the latest."""
        self._late: dict[str, Submitted] = {}
        """Jobs that were over before all of their executors were; swept again when these have ended."""

    def __repr__(self) -> str:
        return f"LocalFunctions({self.function.handler!r}, running={self._running is not None})"

    def __enter__(self) -> LocalFunctions:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> LocalFunctions:
        """Start everything, unless it runs; a forked child starts its own."""
        if self._owner != os.getpid():
            if self._running is not None:
                self._running.service.endpoint.close()
            self._forget()
        with self._lock:
            if self._running is None or not self._running.is_whole():
                self._end()
                self._running = self._begin()
                self._exit = weakref.finalize(self, by, os.getpid(), self._running.stack.close)
        return self

    def _begin(self) -> Running:
        _check_packages()
        home = private_path()
        with contextlib.ExitStack() as stack:
            valkey = Valkey(home)
            stack.callback(valkey.stop)
            addresses = Addresses(valkey.url, f"file://{home / STORE}", LEASE, GRACE, self.shape)
            pinned = {**BLAS, **{name: os.environ[name] for name in (CORE_TYPE,) if name in os.environ}}
            environment = {**pinned, **addresses.environment(self.key), "SARRAY_INVOKER": "local"}
            function = replace(self.function, environment={**environment, **self.function.environment})
            service = stack.enter_context(start_service(function, home))  # makes the directory
            valkey.start()
            places = Places(addresses, LocalInvoker(service.endpoint, function.asynchronous_payload), self._classes)
            stack.callback(places.close)
            return Running(service, places, valkey, stack.pop_all())

    @property
    def policy(self) -> Policy:
        """How jobs are scheduled here, unless they say so themselves."""
        links = shape_of(self.shape)
        if links:
            return links.policy(self.function.timeout)
        return replace(POLICY, margin=min(POLICY.margin, self.function.timeout / 10))

    @property
    def running(self) -> Running:
        """What runs; started if need be."""
        self.start()
        assert self._running is not None
        return self._running

    @property
    def service(self) -> LocalService | Kept:
        """The function service."""
        return self.running.service

    @property
    def places(self) -> Places:
        """The stores."""
        return self.running.places

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self.running.service.directory

    def close(self) -> None:
        """End everything; nothing is left."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        running, self._running = self._running, None
        self._late.clear()
        if running is not None:
            self._exit()

    def job_directory(self, job: str) -> Path:
        """Where a job may have files of its own, which go when it is swept."""
        return self.directory / STORE / Keys(job).job_prefix / "arrays"

    # ---- jobs

    renewal = LEASE / 4
    """Seconds between two renewals of a lease."""

    def submit(self, plan: Plan, *, keeps: bool = False, job: str = "") -> Submitted:
        """Begin a job, and let the service look after it."""
        watch, said, undo = self._watch, self._said, partial(self.finish, over=False)
        return submit(self.places, self.key, plan, keeps=keeps, job=job, watch=watch, said=said, undo=undo)

    def _watch(self, name: JobName) -> None:
        self.service.endpoint.follow(name.job)
        self.service.endpoint.schedule(name.job, WATCH, Message(name, "").to_json())

    def _said(self) -> str:
        return str(self.service.endpoint.state()["last_error"])

    def attach(self, job: str) -> Submitted:
        """A job that somebody has submitted here."""
        return attach(self.places, self.key, job, watch=self._watch, said=self._said)

    def check(self, job: Submitted) -> None:
        """Raise InfrastructureError if the functions that a job was given to have ended; others may run by now.

        A forked child cannot say of its parent's.
        """
        running = self._running
        if self._owner == os.getpid() and (running is None or not running.has(job) or not running.is_whole()):
            raise InfrastructureError(
                f"job {job.name.job} is gone: {self._ended()}, and what they stored has gone with them; submit it again"
            )

    def _ended(self) -> str:
        return "the functions that it was given to have ended, or were ended"

    def finish(self, submitted: Submitted, *, over: bool) -> None:
        """Leave nothing of a job behind, whether it is over or not."""
        running = self._running
        if running is None or not running.service.is_running():
            self.close()
            return
        if not running.has(submitted):
            return  # what it was given to has ended, and left nothing
        if not over:
            submitted.cancel()
        name, endpoint = submitted.name.job, running.service.endpoint
        endpoint.unschedule(name)
        if running.is_quiet(WAIT_OVER if over else WAIT_CANCELLED, name):
            self._late.pop(name, None)
        else:
            self._late[name] = submitted
        endpoint.forget(name)
        submitted.sweep()
        for late, job in list(self._late.items()):
            if late != name and endpoint.is_quiet(late):
                job.sweep()
                self._late.pop(late, None)

    def look(self, job: Submitted) -> Callable[[], str]:
        """What tells why no function can do anything; the service's own watchdog helps."""
        return self.trouble()

    def counts(self) -> Mapping[str, Any]:
        """What the service has counted since it began."""
        return self.service.endpoint.state()

    def facts(self, job: Submitted, seconds: float) -> Facts:
        """What the service has counted of a job."""
        counted = self.service.endpoint.followed(job.name.job)
        return Facts("", job.name.job, True, resumed=job.resumed, **counted)

    def settle(self, job: Submitted) -> None:
        """Wait a little for a job's executors to report."""
        self.running.is_quiet(WAIT_OVER, job.name.job)

    def trouble(self) -> Callable[[], str]:
        """What tells, from now on, why no function can do anything; an empty text as long as there is no reason."""
        service = self.service
        before = service.endpoint.state()["failed_starts"]

        def tell() -> str:
            if not service.is_running():
                return "the function service has ended"
            state = service.endpoint.state()
            failed = min(state["failed_starts"] - before, state["failed_in_a_row"])
            return f"functions do not start: {state['last_error']}" if failed >= STARTS else ""

        return tell


class Kept(Protocol):
    """Processes that somebody else keeps."""

    @property
    def endpoint(self) -> Endpoint:
        """The service's front door."""

    @property
    def directory(self) -> Path:
        """Where the files are."""

    def is_running(self) -> bool:
        """Whether they live."""


@dataclass(frozen=True, slots=True)
class Running:
    """The processes of one `LocalFunctions`, and the way to them."""

    service: LocalService | Kept
    places: Places
    valkey: Valkey | Kept
    stack: contextlib.ExitStack
    """Ends all."""

    def is_whole(self) -> bool:
        """Whether all processes live."""
        return self.service.is_running() and self.valkey.is_running()

    def has(self, job: Submitted) -> bool:
        """Whether a job was given to these, not to others that ran before."""
        return self.places.server().address == job.cloud.server().address

    def is_quiet(self, seconds: float, job: str = "") -> bool:
        """Whether no function runs, or none of a job's, perhaps after so many seconds."""
        deadline, pause = time.monotonic() + seconds, 0.0005
        while not self.service.endpoint.is_quiet(job):
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(0.02, 2 * pause)
        return True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job did."""

    report: Report
    usage: Usage
    """Of all executors together."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    """Of the service, since it began."""


def run(
    program: Program,
    storage: Storage,
    functions: LocalFunctions,
    *,
    policy: Policy | None = None,
    park: Callable[[Program, Path], Program] = lambda program, directory: program,
    submitted: Callable[[Submitted], None] = lambda job: None,
    wishes: Wishes = NONE,
) -> Outcome:
    """Put the wanted tiles of the program into the storage, by functions.

    `park` may put what the program holds into files of the job's own directory. `submitted` is told as soon as the job
    runs. Raises TaskError from whatever a task raised, InfrastructureError if functions cannot run,
    NestedComputeError within a task.
    """
    refuse_nested()
    if not program.wanted_count:
        return Outcome(Report(0, 0, 0.0), Usage())
    asked = replace(wishes, policy=policy or wishes.policy)
    job = begin(functions, program, asked, lambda held, name: park(held, functions.job_directory(name)))
    with finished(functions, job):
        submitted(job)
        report = collect(functions, job, storage, asked)
        return Outcome(report, report.usage, functions.counts())


def _check_packages() -> None:
    """Raise InfrastructureError where functions would end before they begin."""
    missing = ", ".join(name for name in PACKAGES if importlib.util.find_spec(name) is None)
    if missing:
        install = 'type: pip install "sarray[functions]"'
        raise InfrastructureError(f"functions need {missing}, which this Python does not have; {install}")
