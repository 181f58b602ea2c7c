"""Arrays computed by functions while a killer ends their sandboxes and Valkey is restarted empty."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import sarray as sa
from sarray import local_functions
from tests.chaos.killer import Killer
from tests.chaos.phases import AT_WORK, Phase
from tests.chaos.work import Jobs, differs
from tests.functions.processes import is_alive, keys, leftover_groups, session
from wukong_sched.drivers.functions import LocalFunctions

HANDLER = "tests.chaos.hook.handler"
SANDBOXES, CLIENTS = 4, 3
ENOUGH = 0.8
"""Part of the kills that must come within a task, or between a store and its commit."""
PATIENCE = 120.0
"""Seconds that the last jobs, and the sweep, may take."""


@dataclass
class Summary:
    """What happened."""

    seed: int
    seconds: float = 0.0
    kills: Counter[Phase] = field(default_factory=Counter)
    restarts: int = 0
    jobs: Counter[str] = field(default_factory=Counter)
    counts: dict[str, Any] = field(default_factory=dict)
    """Of the service."""
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def at_work(self) -> int:
        """Kills within a task, or between a store and its commit."""
        return sum(self.kills[phase] for phase in AT_WORK)

    @property
    def is_good(self) -> bool:
        """Whether enough was tried, all results were right and nothing was left."""
        enough = self.at_work >= ENOUGH * self.kills.total() > 0
        return bool(enough and self.jobs.total() and not self.wrong and not self.left)

    def __str__(self) -> str:
        phases = ", ".join(f"{self.kills[phase]} {phase.name.lower()}" for phase in Phase if self.kills[phase])
        jobs = ", ".join(f"{count} {name}" for name, count in sorted(self.jobs.items()))
        counts = ", ".join(f"{self.counts.get(name, 0)} {name}" for name in COUNTED)
        lines = [
            f"seed      {self.seed}, {self.seconds:.0f} s",
            f"kills     {self.kills.total()}: {phases}",
            f"at work   {self.at_work} of {self.kills.total()} within a task, or between a store and its commit",
            f"restarts  {self.restarts} of Valkey",
            f"jobs      {self.jobs.total()}: {jobs}",
            f"service   {counts}",
            f"wrong     {len(self.wrong)}",
            f"left      {len(self.left)}",
        ]
        return "\n".join([*lines, *self.wrong, *map(str, self.left[:20])])


COUNTED = ("invocations", "cold", "errors", "retried", "dropped", "throttled", "failed_starts")


@contextlib.contextmanager
def hooked() -> Iterator[LocalFunctions]:
    """The functions that ``executor="functions"`` uses, with the hook in their handler."""
    local_functions.local_functions.clear()
    with mock.patch.object(local_functions, "HANDLER", HANDLER):
        functions = local_functions.local_functions(SANDBOXES, local_functions.MEMORY)
        try:
            yield functions.start()
        finally:
            functions.close()
            local_functions.local_functions.clear()


@dataclass
class Client:
    """Computes one job after the other, in a thread, until it is told to stop."""

    jobs: Jobs
    rng: random.Random
    summary: Summary
    over: threading.Event

    def run(self) -> None:
        while not self.over.is_set():
            name, arrays, expected = self.jobs.draw(self.rng)
            try:
                problem = differs(sa.compute(*arrays, executor="functions", workers=SANDBOXES), expected)
            except Exception:
                problem = traceback.format_exc()
            if problem:
                self.summary.wrong.append(f"{name}: {problem}")
            self.summary.jobs[name] += 1


def chaos(seconds: float, seed: int, restarts: int = 2) -> Summary:
    """So many seconds of it; the same seed draws the same jobs, and kills of the same kinds."""
    summary, jobs = Summary(seed), Jobs(seed)
    with hooked() as functions:
        service = functions.service
        pids = session(service.process.pid)
        killer = Killer(functions.directory, lambda: service.endpoint.state()["busy"], random.Random(seed))
        over = threading.Event()
        clients = [Client(jobs, random.Random(f"{seed} {number}"), summary, over) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        killer.start()
        try:
            for number in range(restarts):
                over.wait(max(0.0, began + seconds * (number + 1) / (restarts + 1) - time.monotonic()))
                functions.running.valkey.restart()
                summary.restarts += 1
            over.wait(max(0.0, began + seconds - time.monotonic()))
        finally:
            killer.stop()
            over.set()
        summary.kills, summary.seconds = killer.kills, time.monotonic() - began
        finish(functions, threads, summary)
        summary.counts = service.endpoint.state()
        pids = sorted({*pids, *session(service.process.pid), functions.running.valkey.pid})
        home = functions.directory
    summary.left += after(pids, home, service.process.pid)
    return summary


def finish(functions: LocalFunctions, threads: list[threading.Thread], summary: Summary) -> None:
    """Wait for the last jobs; then nothing may be left of any."""
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    hanging = [thread for thread in threads if thread.is_alive()]
    if hanging:
        summary.wrong.append(f"{len(hanging)} jobs hang; the service: {functions.service.endpoint.state()}")
        return
    while not functions.service.endpoint.is_quiet() and time.monotonic() < deadline:
        time.sleep(0.01)
    sa.ones(10, chunks=5).sum().compute(executor="functions", workers=SANDBOXES)  # sweeps what came late of others
    summary.left += stored(functions)


def stored(functions: LocalFunctions) -> list[str]:
    """Files and keys of jobs."""
    files = [str(path) for path in (functions.directory / "store").rglob("*") if path.is_file()]
    return [*files, *keys(functions.places._redis._server)]


def after(pids: list[int], home: Path, service: int) -> list[str]:
    """Processes, files and control groups that outlived the functions."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [*(f"process {pid}" for pid in pids if is_alive(pid)), *map(str, leftover_groups(service))]
        left += [str(home)] if home.exists() else []
        if not left:
            break
        time.sleep(0.02)
    return left
