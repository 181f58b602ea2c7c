"""A Dask scheduler: what ``compute(scheduler=...)`` and ``dask.config.set(scheduler=...)`` call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pickle import PicklingError
from typing import Any

import dask

from wukong_sched.causes import exception_of
from wukong_sched.choice import counted
from wukong_sched.dask.away import Away, opened
from wukong_sched.dask.callbacks import Callbacks, watching
from wukong_sched.dask.constants import without_constants
from wukong_sched.dask.fused import unfused
from wukong_sched.dask.graph import Call, nodes_of, program_of, value_of
from wukong_sched.dask.lost_writes import refuse_lost_writes
from wukong_sched.dask.reports import remember
from wukong_sched.drivers import serial
from wukong_sched.drivers.blas import single_threaded
from wukong_sched.drivers.named import DRIVERS, Progress, driver_of, run_named
from wukong_sched.drivers.pump import inside_task
from wukong_sched.errors import TaskError
from wukong_sched.explicit import Explicit
from wukong_sched.report import Summary
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.storage.protocol import Storage

TRAVELS = (
    "a graph goes to functions pickled, with its data: let tasks open their files and connections themselves, give "
    "list(...) of a generator, or compute this with scheduler=wukong_sched.dask.get"
)
Carrier = Callable[[Explicit, Storage, Progress | None], Summary]
"""Puts the wanted tiles of a program into a storage, telling of progress, and says what was done."""
IN_PROCESS = ("threads", "serial")
"""Executors whose tasks can call back."""
SHARE_MEMORY = (*IN_PROCESS, "simulate")
"""Executors whose tasks write into what this process has."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Runs Dask graphs on an executor of this engine, with so many workers (None: Dask's ``num_workers``, or all).

    Raises TypeError or ValueError unless `workers` is None or an integer of at least 1, and ValueError for an executor
    that there is not.

    >>> import dask
    >>> dask.delayed(sum)([1, 2]).compute(scheduler=Scheduler("serial"))
    3
    """

    executor: str = "threads"
    workers: int | None = None
    carrier: Carrier | None = None
    """Runs programs of this executor, if it is none of this engine's drivers by name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "workers", counted("workers", self.workers))
        if self.carrier is None:
            driver_of(self.executor)

    def __call__(
        self,
        graph: Any,
        keys: Any,
        *,
        executor: str | None = None,
        num_workers: int | None = None,
        callbacks: Any = None,
        pool: Any = None,
        **ignored: Any,
    ) -> Any:
        """The values of a key, or of nested lists of keys as nested tuples.

        `executor` and `num_workers` stand for this scheduler's own; other options of Dask's schedulers mean nothing
        here. A task's exception is raised as itself, with a note that says which task it was. Raises TypeError for a
        `pool`, whose threads are not this engine's, and for a store from other processes into an array of this one;
        TypeError or ValueError unless `num_workers` is None or an integer of at least 1; ValueError for an executor
        that there is not; MissingKey, a KeyError, for a key that is not there.
        """
        if pool is not None:
            raise TypeError("pool= is of Dask's own threads, this scheduler has others; say how many: num_workers=2")
        asked, workers = executor or self.executor, self._workers(num_workers)
        carrier = self.carrier if asked == self.executor else None
        if carrier is None:
            driver_of(asked)
        run = carrier or partial(_by_name, asked, workers)
        with watching(nodes_of(graph), callbacks) as watch:
            values = _computed(keys, asked, workers, watch, run)
        return _nested(keys, values)

    def _workers(self, asked: int | None) -> int | None:
        given = (asked, self.workers, dask.config.get("num_workers", None))
        return counted("num_workers", next((number for number in given if number is not None), None))


def _by_name(
    executor: str, workers: int | None, program: Explicit, storage: Storage, progress: Progress | None
) -> Summary:
    return run_named(program, storage, executor, workers, progress=progress)


def _computed(keys: Any, executor: str, workers: int | None, watch: Callbacks, run: Carrier) -> Callable[[Any], Any]:
    """What gives a key's value, when all are computed."""
    here, nodes = executor in IN_PROCESS, watch.nodes
    wrap: Callable[[Call], Any] = (watch.wrap if watch else unfused) if here else Away
    if executor not in SHARE_MEMORY and not inside_task():
        refuse_lost_writes(nodes, elsewhere=executor not in DRIVERS)
    program = program_of(nodes if here else without_constants(nodes), keys, wrap)
    storage = MemoryStorage()
    try:
        if inside_task():  # a task that computes a graph of its own does so here, as in Dask's threads
            serial.run(program, storage)
        else:
            with single_threaded() if _is_parallel(program, executor, workers) else nullcontext():
                progress = watch.progress if watch and not here else None
                remember(run(program, storage, progress), executor)
    except TaskError as error:
        cause = exception_of(error, program)
        raise cause from cause.__cause__
    except (TypeError, PicklingError) as error:  # of what the graph holds, as it is pickled
        if not here:
            error.add_note(TRAVELS)
        raise
    return partial(_value, program, storage)


def _is_parallel(program: Explicit, executor: str, workers: int | None) -> bool:
    """Whether tasks run beside each other in this process, so that BLAS's own threads would only be in their way."""
    return executor == "threads" and workers != 1 and len(program) > 1


def _value(program: Explicit, storage: MemoryStorage, key: Any) -> Any:
    tile = program.tile_of(key)
    return opened(value_of(storage.get((tile,))[tile]))


def _nested(keys: Any, value: Callable[[Any], Any]) -> Any:
    return tuple(_nested(key, value) for key in keys) if isinstance(keys, list) else value(keys)


get = Scheduler()
"""The scheduler for threads: ``x.compute(scheduler=wukong_sched.dask.get)``."""
