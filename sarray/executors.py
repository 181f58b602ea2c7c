"""Who runs a job: in this process, or by functions somewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sarray.config import Settings
from sarray.delivery import Delivery
from sarray.job import Job, workers_of
from sarray.lowering.builder import Limits, none_stay
from sarray.plan import plan_of
from sarray.policies import policy_of
from sarray.progress import bar
from wukong_sched.links import AWS, LOCAL, Links, shape
from wukong_sched.machine import machine_bytes, resident_bytes
from wukong_sched.report import Report
from wukong_sched.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from sarray.remote import Remote


def _run_serial(job: Job) -> Report:
    from wukong_sched.drivers import serial

    if job.trace is not None:
        raise ValueError('trace: executor "serial" has no scheduler to record; use "threads" or "functions"')
    return serial.run(job.lowered.program, Delivery(MemoryStorage(), job.places))


def _run_threads(job: Job) -> Report:
    from wukong_sched.drivers import threads

    with contextlib.ExitStack() as stack:
        memory: Callable[[], Any] = dict
        policy = policy_of(job.settings, threads.POLICY)
        if job.settings.memory_limit is not None:
            peak = plan_of(job.lowered).peak_bytes
            memory = stack.enter_context(_spill(job, peak)).mapping
            policy = replace(policy, hold_bytes=peak, batch_bytes=peak)
        shown = bar(job.settings, job.progress)
        progress = stack.enter_context(shown) if shown is not None else None
        return threads.run(
            job.lowered.program,
            Delivery(MemoryStorage(memory()), job.places),
            workers=workers_of(job.settings),
            policy=policy,
            memory=memory,
            progress=progress,
            trace=job.trace,
        )


WORKSPACE = 32 << 20
"""Bytes that BLAS and a kernel's scratch arrays take in each worker, beside its task's blocks."""

ALLOCATED = 0.9
"""Share of the memory limit that is dealt out; the rest is for what the allocator cannot use."""


def _spill(job: Job, peak: int) -> Any:
    """Blocks on disk beyond what the limit leaves: for this process as it is, and for every worker's running task."""
    from wukong_sched.storage.spill import Spill

    busy = (peak + WORKSPACE) * min(workers_of(job.settings), len(job.lowered.program))
    limit = int((job.settings.memory_limit or 0) * ALLOCATED)
    return Spill(max(limit - resident_bytes() - busy, peak))


def _run_remote(job: Job) -> Report:
    from sarray import remote

    return remote.run(place_of(job.settings), job)


def _run_numpywren(job: Job) -> Report:
    from sarray import remote
    from wukong_sched.baselines import numpywren

    return remote.run_in(numpywren.run, _local(job.settings), job)


def _run_pywren(job: Job) -> Report:
    from sarray import remote
    from wukong_sched.baselines import pywren

    return remote.run_in(pywren.run, _local(job.settings), job)


def _local(asked: Settings) -> Remote:
    from sarray import local_functions

    return local_functions.remote(asked)


def _aws(asked: Settings) -> Remote:
    from sarray import aws_functions

    return aws_functions.remote(asked)


@dataclass(frozen=True, slots=True)
class Executor:
    """Who runs a job."""

    run: Callable[[Job], Report]
    rounds: int
    """Tasks that each worker should find (`Limits.rounds`): many where reading is free."""
    place: Callable[[Settings], Remote] | None = None
    """Where jobs outlive their client, and what they want may be kept; None for what runs in this process."""
    links: Callable[[Settings], Links] | None = None
    """How fast bytes move there; None where they do not move."""


EXECUTORS: Mapping[str, Executor] = {
    "threads": Executor(_run_threads, 16),
    "serial": Executor(_run_serial, 16),
    "functions": Executor(_run_remote, 1, _local, lambda asked: shape(asked.functions_shape) or LOCAL),
    "numpywren": Executor(_run_numpywren, 1, None, lambda asked: shape(asked.functions_shape) or LOCAL),
    "pywren": Executor(_run_pywren, 1, None, lambda asked: shape(asked.functions_shape) or LOCAL),
    "aws": Executor(_run_remote, 1, _aws, lambda asked: AWS),
}
"""Who can run a job, by name."""


def executor_of(asked: Settings) -> Executor:
    """The executor that is asked for; ValueError if there is none of that name."""
    executor = EXECUTORS.get(asked.executor)
    if executor is None:
        raise ValueError(f"there is no executor {asked.executor!r}; known: {', '.join(EXECUTORS)}")
    return executor


def place_of(asked: Settings) -> Remote:
    """Where the executor that is asked for runs its jobs; ValueError if that is this process."""
    executor = executor_of(asked)
    if executor.place is None:
        raise ValueError(
            f"a job of executor {asked.executor!r} ends with its caller; write compute(), or submit with {_stores()}"
        )
    return executor.place(asked)


def _stores() -> str:
    return " or ".join(f'executor="{name}"' for name, each in EXECUTORS.items() if each.place is not None)


def run(job: Job) -> Report:
    """Run a job on the executor that its settings name."""
    asked, began = job.settings, time.perf_counter()
    executor = executor_of(asked)
    if job.resume and executor.place is None:
        raise ValueError(f"resume: executor {asked.executor!r} keeps nothing between computations; try {_stores()}")
    report = executor.run(job)
    facts = replace(report.facts, executor=asked.executor, memory_limit=asked.memory_limit or 0)
    return replace(report, seconds=time.perf_counter() - began, facts=facts)


def limits_of(asked: Settings) -> Limits:
    """What one task may use."""
    executor, workers = executor_of(asked), workers_of(asked)
    if executor.links is None:
        memory = (asked.memory_limit or machine_bytes() // 2) // workers
        return Limits(memory, workers, executor.rounds, asked.split_every)
    memory = (asked.memory_limit or asked.functions_memory) // 2
    policy = policy_of(asked, executor.links(asked).policy())
    stays = policy.stays if executor.place is not None else none_stay
    return Limits(memory, workers, executor.rounds, asked.split_every, policy.recomputes, stays)
