"""The composition root: from arrays to values, with the settings that hold, on the executor that is asked for."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from sarray.config import Settings, checked, settings
from sarray.delivery import Delivery, Kept, Place, Result, Target
from sarray.expression import Expression
from sarray.lower import Lowered, lower
from sarray.lowering.builder import Limits
from sarray.lowering.source import Held, source
from sarray.plan import Plan, plan_of
from sarray.progress import bar
from sarray.session_blas import single_threaded
from wukong_sched.storage.memory import MemoryStorage


class HasExpression(Protocol):
    """An array, as far as sessions know."""

    @property
    def expression(self) -> Expression: ...


@dataclass(frozen=True, slots=True)
class Job:
    """What a driver gets."""

    lowered: Lowered
    settings: Settings
    places: Mapping[str, Place]
    progress: bool | None
    trace: Any


def _run_serial(job: Job) -> None:
    from wukong_sched.drivers import serial

    serial.run(job.lowered.program, Delivery(MemoryStorage(), job.places))


def _run_threads(job: Job) -> None:
    from wukong_sched.drivers import threads

    with contextlib.ExitStack() as stack:
        memory: Callable[[], Any] = dict
        policy = threads.POLICY
        if job.settings.memory_limit is not None:
            peak = plan_of(job.lowered).peak_bytes
            memory = stack.enter_context(_spill(job, peak)).mapping
            policy = replace(policy, hold_bytes=peak, batch_bytes=peak)
        shown = bar(job.settings, job.progress)
        progress = stack.enter_context(shown) if shown is not None else None
        threads.run(
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


def _run_functions(job: Job) -> None:
    from sarray import local_functions

    storage = Delivery(MemoryStorage(), job.places)
    local_functions.run(job.lowered.program, storage, workers_of(job.settings))


@dataclass(frozen=True, slots=True)
class Executor:
    """Who runs a job."""

    run: Callable[[Job], None]
    rounds: int
    """Tasks that each worker should find (`Limits.rounds`): many where reading is free."""


EXECUTORS: Mapping[str, Executor] = {
    "threads": Executor(_run_threads, 16),
    "serial": Executor(_run_serial, 16),
    "functions": Executor(_run_functions, 4),
}
"""Who can run a job, by name."""


def executor_of(asked: Settings) -> Executor:
    """The executor that is asked for; ValueError if there is none of that name."""
    executor = EXECUTORS.get(asked.executor)
    if executor is None:
        raise ValueError(f"there is no executor {asked.executor!r}; known: {', '.join(EXECUTORS)}")
    return executor


def compute(
    *arrays: Any,
    executor: str | None = None,
    workers: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    trace: Any = None,
) -> tuple[Any, ...]:
    """The values of several arrays as NumPy arrays, work that they share done once.

    Arrays may also be in tuples, lists and dicts (``sa.compute(sa.tsqr(x))``); what is no array is given back.
    `workers` tasks run at once. `memory_limit` (``"4GiB"``) bounds the memory of this process but for the results;
    other blocks go to disk beyond it. `progress` says whether to show a bar, `trace` (a `wukong_sched.trace.Trace`)
    records what the scheduler does, `executor` is one of "threads", "serial" and "functions". Without them
    `sarray.config` decides. Raises MemoryLimitError before anything runs, TaskError from whatever a task raised.

    >>> import sarray as sa
    >>> x = sa.ones((4, 2), chunks=2)
    >>> sa.compute(x.sum(), x.mean(axis=0))
    (array(8.), array([1., 1.]))
    """
    found = list(_arrays(arrays))
    taken: set[int] = set()
    places = {each.expression.name: Result(each.expression, taken) for each in found}
    _run([each.expression for each in found], places, _asked(executor, workers, memory_limit), progress, trace)
    values = iter([places[each.expression.name].values for each in found])
    results: tuple[Any, ...] = _rebuilt(arrays, _distinct(values))
    return results


def persist(
    *arrays: Any,
    executor: str | None = None,
    workers: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    trace: Any = None,
) -> tuple[Any, ...]:
    """The same arrays, computed together and kept in memory block by block; arguments as in `compute`.

    >>> import sarray as sa
    >>> (x,) = sa.persist(sa.ones(4, chunks=2) + 1)
    >>> x.plan().tasks, x.chunks
    (2, ((2, 2),))
    """
    found = list(_arrays(arrays))
    places = {each.expression.name: Kept(each.expression) for each in found}
    _run([each.expression for each in found], places, _asked(executor, workers, memory_limit), progress, trace)
    kept = iter([type(each)(_held(places[each.expression.name])) for each in found])
    results: tuple[Any, ...] = _rebuilt(arrays, kept)
    return results


def _held(kept: Kept) -> Expression:
    """A source of blocks that exist; the same values have the same name."""
    return source(Held(f"kept-{kept.expression.name}", kept.blocks), kept.expression.chunks, kept.expression.dtype)


def store(
    arrays: Sequence[HasExpression],
    targets: Sequence[Any],
    *,
    executor: str | None = None,
    workers: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    trace: Any = None,
) -> None:
    """Write arrays into targets block by block; the public face is `sarray.store`."""
    if len(arrays) != len(targets):
        raise ValueError(f"store: {len(arrays)} arrays need as many targets, got {len(targets)}")
    places: dict[str, Place] = {}
    locks: dict[int, Any] = {}
    for array, target in zip(arrays, targets, strict=True):
        _check_target(array.expression, target)
        earlier = places.get(array.expression.name)
        lock = None if _is_memory(target) else locks.setdefault(id(target), threading.Lock())
        place = Target(array.expression, target, lock)
        places[array.expression.name] = place if earlier is None else Both(earlier, place)
    _run([each.expression for each in arrays], places, _asked(executor, workers, memory_limit), progress, trace)


def _is_memory(target: Any) -> bool:
    """Whether threads may write different parts at once; in a chunked store two parts may share a chunk."""
    return isinstance(target, np.ndarray) or getattr(target, "random_access", False)


def _check_target(expression: Expression, target: Any) -> None:
    if not hasattr(target, "__setitem__") or not hasattr(target, "shape"):
        raise TypeError(f"store: a target needs shape and slice assignment, and {type(target).__name__} has not")
    if tuple(target.shape) != expression.shape:
        raise ValueError(
            f"store: an array of shape {expression.shape} does not fit a target of shape {tuple(target.shape)}"
        )
    kind = getattr(target, "dtype", expression.dtype)
    if np.dtype(kind) != expression.dtype:
        raise TypeError(
            f"store: an array of {expression.dtype} does not fit a target of {kind}; write x.astype({str(kind)!r})"
        )


@dataclass(frozen=True, slots=True)
class Both:
    """Two places for one array."""

    first: Place
    second: Place

    def put(self, index: tuple[int, ...], block: Any) -> None:
        """Put the block into both."""
        self.first.put(index, block)
        self.second.put(index, block)

    def get(self, index: tuple[int, ...]) -> Any:
        """The block from one of them."""
        return self.first.get(index)


def plan(*arrays: Any) -> Plan:
    """What computing these arrays together will take; nothing is computed.

    >>> import sarray as sa
    >>> sa.plan(sa.ones((6, 4), chunks=2).sum()).tasks
    7
    """
    return plan_of(lower([each.expression for each in _arrays(arrays)], limits_of(settings())))


def _asked(executor: str | None, workers: int | None, memory_limit: int | str | None) -> Settings:
    """The settings that hold, with what the call itself asks for."""
    given = {"executor": executor, "workers": workers, "memory_limit": memory_limit}
    given = {key: value for key, value in given.items() if value is not None}
    return replace(settings(), **checked(given, "compute")) if given else settings()


def _run(
    expressions: Sequence[Expression], places: Mapping[str, Place], asked: Settings, progress: bool | None, trace: Any
) -> None:
    from wukong_sched.drivers.pump import refuse_nested  # drivers load when something is computed, not with the package

    refuse_nested()
    executor = executor_of(asked)
    if not expressions:
        return
    lowered = lower(expressions, limits_of(asked))
    if asked.memory_limit is not None:
        plan_of(lowered).check(asked.memory_limit, min(workers_of(asked), len(lowered.program)))
    with single_threaded() if lowered.uses_blas else contextlib.nullcontext():
        executor.run(Job(lowered, asked, places, progress, trace))


def workers_of(asked: Settings) -> int:
    """Tasks that run at once."""
    return asked.workers or processors()


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limits_of(asked: Settings) -> Limits:
    """What one task may use."""
    memory = asked.memory_limit or _machine_bytes() // 2
    workers = workers_of(asked)
    return Limits(memory // workers, workers, executor_of(asked).rounds, asked.split_every)


def resident_bytes() -> int:
    """Bytes of memory that this process has now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 0


def _machine_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


T = TypeVar("T")


def _is_array(value: Any) -> bool:
    return isinstance(getattr(value, "expression", None), Expression)


def _arrays(value: Any) -> Iterator[Any]:
    """The arrays in nested tuples, lists and dicts."""
    if _is_array(value):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _arrays(each)
    elif isinstance(value, dict):
        yield from _arrays(list(value.values()))


def _rebuilt(value: Any, values: Iterator[Any]) -> Any:
    """The nested value with its arrays replaced, in order."""
    if _is_array(value):
        return next(values)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_rebuilt(each, values) for each in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_rebuilt(each, values) for each in value)
    if isinstance(value, dict):
        return {key: _rebuilt(each, values) for key, each in value.items()}
    return value


def _distinct(values: Iterator[Any]) -> Iterator[Any]:
    """The values, copied where one comes again: everybody's result is his own."""
    seen: set[int] = set()
    for value in values:
        yield value.copy() if id(value) in seen else value
        seen.add(id(value))
