"""Whatever a task raises is its own, whichever driver of this process runs it; but Ctrl-C is the caller's."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from wukong_sched.drivers import serial, simulate, simulated_functions, threads
from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.rehearsal import Machine
from wukong_sched.errors import Story, TaskError
from wukong_sched.links import AWS
from wukong_sched.program import BlockReader, Task, Tile
from wukong_sched.storage.memory import MemoryStorage

DRIVERS: dict[str, Callable[[Graph, MemoryStorage], Any]] = {
    "serial": serial.run,
    "threads": partial(threads.run, workers=2),
    "simulate": simulate.run,
    "simulated functions": lambda program, storage: simulated_functions.run(program, storage, AWS, Machine(1, 1)),
}


class Halt(BaseException):
    """As the PanicException of extensions in Rust, and trio's Cancelled: no Exception."""


class Mute(Exception):
    """Its text is an end of the program."""

    def __str__(self) -> str:
        raise SystemExit(2)


class Throwing(Graph):
    """A task, or a source, that does what it is told; a chain of two tasks, for workers, or one short one."""

    def __init__(self, throw: Callable[[], Any], at: str = "run", size: int = 2) -> None:
        super().__init__([[], [(0, 0)]][:size], [(size - 1, 0)], costs=[1.0] * size)
        self._throw, self._at = throw, at

    def run(self, task: Task, block: BlockReader) -> list[Any]:
        if self._at == "run":
            self._throw()
        return super().run(task, block)

    def read(self, tile: Tile) -> int:
        if self._at == "read" and tile[0] == "a":
            self._throw()
        return super().read(tile)


def throw(error: BaseException) -> None:
    raise error


def failure(driver: str, program: Graph) -> TaskError:
    """What the job ends with."""
    with pytest.raises(TaskError) as caught:
        DRIVERS[driver](program, MemoryStorage())
    return caught.value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (asyncio.CancelledError("over"), "CancelledError: over"),
        (Halt("here"), "Halt: here"),
        (BaseExceptionGroup("both", [Halt(), SystemExit(3)]), "BaseExceptionGroup: both (2 sub-exceptions)"),
        (SystemExit(4), "SystemExit: 4"),
        (GeneratorExit(), "GeneratorExit: "),
        (Mute(), "Mute, whose text raises SystemExit"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
@pytest.mark.parametrize("driver", DRIVERS)
def test_whatever_a_task_raises_ends_the_job_with_its_story(driver: str, error: BaseException, cause: str) -> None:
    for size in (1, 2):
        found = failure(driver, Throwing(lambda: throw(error), size=size))
        assert (found.story, found.__cause__) == (Story("leaf 0", "v", (0, 0), cause), error)


@pytest.mark.parametrize("driver", DRIVERS)
def test_whatever_a_source_raises_does_too(driver: str) -> None:
    error = Halt("here")
    found = failure(driver, Throwing(lambda: throw(error), "read"))
    read = Story("read", "a", (0,), "Halt: here"), Story("leaf 0", "v", (0, 0), "Halt: here")  # before it runs, or then
    assert found.story in read and found.__cause__ is error


@pytest.mark.parametrize("at", ["run", "read"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_control_c_is_the_callers(driver: str, at: str) -> None:
    """Whatever it interrupts, where that is in the main thread."""
    with pytest.raises(KeyboardInterrupt):
        DRIVERS[driver](Throwing(lambda: signal.raise_signal(signal.SIGINT), at, size=1), MemoryStorage())


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_looks_like_it_in_another_thread_is_the_tasks(driver: str) -> None:
    """Python interrupts no thread but the main one."""
    program = Throwing(lambda: throw(KeyboardInterrupt("mine")), size=1)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(failure, driver, program).result(60)
    assert found.story == Story("leaf 0", "v", (0, 0), "KeyboardInterrupt: mine")


def test_what_looks_like_it_in_a_worker_is_the_tasks() -> None:
    error = KeyboardInterrupt("mine")
    assert failure("threads", Throwing(lambda: throw(error), size=2)).__cause__ is error
