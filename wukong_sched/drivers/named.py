"""Drivers by name, for programs that come from outside: futures, delayed calls, Dask's graphs.

"threads" runs tasks in threads of this process, "serial" one after the other in the caller's, "functions" in processes
of this machine that schedule each other, "numpywren" and "pywren" in the same processes, in these projects' ways
(`wukong_sched.baselines`), "simulate" here, in a cloud's virtual time. Functions are started once for
each number of workers, stay warm for later jobs, and end with this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wukong_sched.choice import counted
from wukong_sched.machine import processors
from wukong_sched.program import Program
from wukong_sched.report import Summary
from wukong_sched.shared import Shared
from wukong_sched.storage.protocol import Storage
from wukong_sched.trace import Trace

if TYPE_CHECKING:
    from wukong_sched.drivers.functions import LocalFunctions

Progress = Callable[[int, int], None]
"""Told (tasks done, tasks)."""
HANDLER = "wukong_sched.functions.entry.handler"
MEMORY = 2048
"""MB of one function."""
TIMEOUT = 24 * 3600.0
"""Seconds of one invocation: what runs here needs no cloud's limit, at which a long call would be begun again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants beside the program."""

    workers: int
    progress: Progress | None
    trace: Trace | None


def _threads(program: Program, storage: Storage, asked: Asked) -> Summary:
    from wukong_sched.drivers import threads

    return threads.run(program, storage, workers=asked.workers, progress=asked.progress, trace=asked.trace)


def _serial(program: Program, storage: Storage, asked: Asked) -> Summary:
    from wukong_sched.drivers import serial

    return serial.run(program, storage)


def _functions(program: Program, storage: Storage, asked: Asked) -> Summary:
    from wukong_sched.drivers import functions
    from wukong_sched.functions.carried import Wishes
    from wukong_sched.functions.filed import filed

    wishes = Wishes(progress=asked.progress, trace=asked.trace)
    return functions.run(program, storage, local_functions(asked.workers), park=filed, wishes=wishes).report


def _numpywren(program: Program, storage: Storage, asked: Asked) -> Summary:
    from wukong_sched.baselines import numpywren

    return _in_functions(numpywren.run, program, storage, asked)


def _pywren(program: Program, storage: Storage, asked: Asked) -> Summary:
    from wukong_sched.baselines import pywren

    return _in_functions(pywren.run, program, storage, asked)


def _in_functions(way: Callable[..., Summary], program: Program, storage: Storage, asked: Asked) -> Summary:
    from wukong_sched.functions.carried import Wishes

    return way(program, storage, local_functions(asked.workers), wishes=Wishes(progress=asked.progress))


def _simulate(program: Program, storage: Storage, asked: Asked) -> Summary:
    from wukong_sched.drivers import simulate

    return simulate.run(program, storage, trace=asked.trace)


Driver = Callable[[Program, Storage, Asked], Summary]
DRIVERS: Mapping[str, Driver] = {
    "threads": _threads,
    "serial": _serial,
    "functions": _functions,
    "numpywren": _numpywren,
    "pywren": _pywren,
    "simulate": _simulate,
}
"""Who can run a program, by name."""


def driver_of(executor: str) -> Driver:
    """The driver of this name; ValueError if there is none."""
    if executor not in DRIVERS:
        raise ValueError(f"there is no executor {executor!r}; known: {', '.join(DRIVERS)}")
    return DRIVERS[executor]


def run_named(
    program: Program,
    storage: Storage,
    executor: str = "threads",
    workers: int | None = None,
    *,
    progress: Progress | None = None,
    trace: Trace | None = None,
) -> Summary:
    """Put the wanted tiles of the program into the storage, by the driver of this name.

    `workers` tasks run at once, as many as this process has processors unless given. `progress` is told (tasks done,
    tasks) by "threads" and "functions"; `trace` records what all but "serial" do. Raises ValueError for an unknown
    name and for fewer workers than one, TypeError for a number of them that is no integer, TaskError from whatever a
    task raised, NestedComputeError within a task.

    >>> from wukong_sched.explicit import Explicit
    >>> from wukong_sched.storage.memory import MemoryStorage
    >>> program, storage = Explicit.from_mapping({"a": (pow, 2, 5)}, ["a"]), MemoryStorage()
    >>> run_named(program, storage, "serial").tasks, storage.get([program.tile_of("a")])
    (1, {('value', (0,)): 32})
    """
    return driver_of(executor)(program, storage, Asked(counted("workers", workers) or processors(), progress, trace))


def _local_functions(concurrency: int) -> LocalFunctions:
    from wukong_sched.drivers.functions import LocalFunctions
    from wukong_sched.functions.settings import FunctionSettings

    function = FunctionSettings(
        HANDLER, concurrency=concurrency, provisioned=concurrency, memory=MEMORY, timeout=TIMEOUT
    )
    return LocalFunctions(function)


local_functions = Shared(_local_functions)
"""So many functions on this machine; started by their first job, warm from then on."""
