"""The simulator against reality: the same jobs on shaped functions of this machine, and in virtual time.

With one sandbox nothing depends on who comes first, and every count must be equal. With several, tasks, bytes of
sources that are read once and wanted tiles must be; what else is stored may differ where two come at the same time.
Times are compared by ``benchmarks/simulated.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import sarray as sa
from benchmarks.simulated import CORES, arrays, compare, functions, program_of
from sarray.lambda_entry import CLASSES
from sarray.session_blas import single_threaded
from wukong_sched.drivers import serial, simulated_functions
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.drivers.rehearsal import Machine
from wukong_sched.drivers.virtual import Processors, Timeline
from wukong_sched.links import AWS, LOCAL
from wukong_sched.storage.memory import MemoryStorage

ATTEMPTS = 3
"""On a machine that is busy with something else a watchdog may start an executor twice."""
JOBS = ("tsqr", "gemm", "cholesky", "tree")


@pytest.fixture(autouse=True)
def one_blas_thread() -> Iterator[None]:
    with single_threaded():
        yield


@pytest.fixture(scope="module")
def jobs() -> Mapping[str, Any]:
    return arrays(1)


@pytest.fixture(scope="module")
def alone() -> Iterator[LocalFunctions]:
    with functions(1) as running:
        yield running


@pytest.fixture(scope="module")
def together() -> Iterator[LocalFunctions]:
    with functions(4) as running:
        yield running


@pytest.mark.parametrize("name", JOBS)
def test_in_one_sandbox_every_count_agrees(name: str, alone: LocalFunctions, jobs: Mapping[str, Any]) -> None:
    differences = [compare(name, jobs[name], alone, 1).differences()]
    while differences[-1] and len(differences) < ATTEMPTS:
        differences.append(compare(name, jobs[name], alone, 1).differences())
    assert differences[-1] == {}


@pytest.mark.parametrize("name", JOBS)
def test_in_several_what_no_race_decides_agrees(name: str, together: LocalFunctions, jobs: Mapping[str, Any]) -> None:
    found = compare(name, jobs[name], together, 1)
    agreeing = {"tasks"} if name == "gemm" else {"tasks", "bytes_read source"}
    assert not agreeing & found.differences().keys()
    assert min(found.counts()["bytes_written redis"]) > found.wanted * 0.4  # a triangle moves little more than half
    assert found.ratio > 0 and found.name in str(found)


@pytest.mark.parametrize("name", JOBS)
def test_values_are_those_of_the_serial_driver(name: str, jobs: Mapping[str, Any]) -> None:
    program = program_of(jobs[name])
    expected, found = MemoryStorage(), MemoryStorage()
    serial.run(program, expected)
    simulated_functions.run(program, found, AWS, Machine(4, CORES), classes=CLASSES)
    for tile in program.wanted():
        np.testing.assert_array_equal(found.get([tile])[tile], expected.get([tile])[tile])


def test_two_rehearsals_are_equal(jobs: Mapping[str, Any]) -> None:
    program = program_of(jobs["cholesky"])
    first, second = (
        simulated_functions.run(program, MemoryStorage(), AWS, Machine(4, CORES), classes=CLASSES) for _ in range(2)
    )
    assert (first.seconds, first.bytes_read, first.bytes_written) == (
        second.seconds,
        second.bytes_read,
        second.bytes_written,
    )


def test_a_slower_network_takes_longer_and_moves_no_more(jobs: Mapping[str, Any]) -> None:
    program = program_of(jobs["tsqr"])
    policy = AWS.policy()
    fast, slow = (
        simulated_functions.run(program, MemoryStorage(), links, Machine(1, CORES), policy=policy, classes=CLASSES)
        for links in (LOCAL, AWS)
    )
    assert slow.seconds > fast.seconds
    assert slow.bytes_read == fast.bytes_read


@pytest.mark.parametrize("behind", [True, False])
def test_every_byte_that_moves_is_copied_by_a_processor(behind: bool) -> None:
    """Be it written behind, as tiles are that somebody wants, or read from a source."""
    made, given = sa.random.default_rng(0).normal(size=(400, 50), chunks=50), sa.from_array(np.ones((400, 50)))
    program = program_of(made if behind else given.sum())
    idle, copying = (
        simulated_functions.run(program, MemoryStorage(), AWS, Machine(1, 1, copying=seconds), classes=CLASSES)
        for seconds in (0.0, 1e-3)
    )
    moved = sum(copying.bytes_read.values()) + sum(copying.bytes_written.values())
    assert moved >= 400 * 50 * 8
    assert copying.seconds == pytest.approx(idle.seconds + moved * 1e-3, rel=0.02)


@pytest.mark.parametrize(("count", "expected"), [(1, [3.0, 5.0, 6.0]), (2, [1.5, 2.5, 3.5]), (3, [1.0, 2.0, 3.0])])
def test_processors_are_shared_alike(count: int, expected: list[float]) -> None:
    """Three who compute 1, 2 and 3 seconds: on one processor the first is done when all have had one."""
    timeline, ends = Timeline(), list[float]()
    processors = Processors(timeline, count)

    def process(seconds: float) -> Any:
        yield from processors.use(seconds)
        ends.append(timeline.now)

    for seconds in (1.0, 2.0, 3.0):
        timeline.spawn(process(seconds))
    timeline.run()
    assert ends == pytest.approx(expected)
