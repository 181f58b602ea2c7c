"""What a job would take: virtual seconds, invocations and bytes, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wukong_sched.drivers import serial, simulate
from wukong_sched.drivers.cloud import EXAMPLE, IDEAL, Cloud
from wukong_sched.drivers.graphs import Graph, Work
from wukong_sched.drivers.simulate import policy_for, run
from wukong_sched.drivers.systems import cholesky
from wukong_sched.errors import TaskError
from wukong_sched.program import Program, Tile
from wukong_sched.storage.memory import MemoryStorage

CLOUD = Cloud(
    store_latency=0.01,
    store_bandwidth=1e8,
    coordination=0.002,
    invoke=0.02,
    cold_start=0.3,
    flops_per_second=1e9,
    task_overhead=0.0,
)
BLOCK = 10**7
"""Bytes: 0.1 s in transfer, 0.11 s with the latency."""


def blocks(tile: Tile) -> int:
    return BLOCK


def chain(length: int) -> Graph:
    return Graph([[], *([(i, 0)] for i in range(length - 1))], [(length - 1, 0)], costs=[1e9] * length, sizes=blocks)


def wide(leaves: int, seconds: float = 1.0) -> Graph:
    """Independent tasks, all wanted."""
    return Graph(
        [[] for _ in range(leaves)], [(i, 0) for i in range(leaves)], costs=[1e9 * seconds] * leaves, sizes=blocks
    )


def expected(program: Program) -> dict[Tile, int]:
    storage = MemoryStorage()
    serial.run(program, storage)
    return storage.get(list(program.wanted()))


def test_a_chain_by_hand() -> None:
    storage = MemoryStorage()
    forecast = run(chain(5), storage, cloud=CLOUD)
    beginning = 0.01 + 0.02 + 0.3 + 0.002
    """Listing, invoke, cold start, start."""
    assert forecast.seconds == pytest.approx(beginning + 0.11 + 5.0 + 0.11 + 0.002 + 0.001)
    assert (forecast.tasks, forecast.executors, forecast.invocations, forecast.cold_starts) == (5, 1, 1, 1)
    assert (forecast.bytes_read, forecast.bytes_written, forecast.requests) == (0, BLOCK, 1)
    assert forecast.commits == 2
    assert forecast.busy_seconds == pytest.approx(0.002 + 0.11 + 5.0 + 0.11 + 0.004)
    assert storage.get(list(chain(5).wanted())) == expected(chain(5))


def test_nothing_but_the_work_takes_time_in_an_ideal_cloud() -> None:
    forecast = run(chain(7), MemoryStorage(), cloud=replace(IDEAL, flops_per_second=1e9, task_overhead=0.0))
    assert forecast.seconds == pytest.approx(7.0)


@pytest.mark.parametrize("tasks", [4, 16, 64])
def test_wide_work_is_shared(tasks: int) -> None:
    """In the time of two tasks at most, a cold start for each generation of the launch tree, and the transfers."""
    forecast = run(wide(tasks), MemoryStorage(), cloud=CLOUD)
    assert 0.95 * tasks < forecast.executors <= tasks
    assert 1.0 + 0.33 + 0.11 < forecast.seconds < 2.0 + 3 * 0.35 + 3 * 0.11
    assert forecast.bytes_written == tasks * BLOCK and forecast.bytes_read == 0


def test_work_that_is_not_worth_shipping_stays() -> None:
    """Reading its source is part of a task's work, so that it takes small blocks to be not worth it."""
    tasks = [[] for _ in range(64)]  # type: list[list[tuple[int, int]]]
    small = Graph(tasks, [(i, 0) for i in range(64)], costs=[1e5] * 64)
    assert run(small, MemoryStorage(), cloud=CLOUD).executors == 1
    assert run(wide(64, seconds=1e-4), MemoryStorage(), cloud=CLOUD).executors > 8


@pytest.mark.parametrize(("limit", "rounds"), [(1, 16), (4, 4), (16, 1)])
def test_a_concurrency_limit_makes_rounds(limit: int, rounds: int) -> None:
    forecast = run(wide(16, seconds=10.0), MemoryStorage(), cloud=replace(CLOUD, concurrency=limit))
    assert 10.0 * rounds < forecast.seconds < 10.0 * rounds + 3.0 + 0.3 * 16
    assert forecast.executors <= limit and forecast.throttled == 0


def test_more_bandwidth_is_faster() -> None:
    program = cholesky(6, Work(5e9)).program(BLOCK)
    slow, fast = (run(program, MemoryStorage(), cloud=replace(EXAMPLE, store_bandwidth=b)) for b in (5e7, 5e9))
    transfers = slow.bytes_read / 5e7 - fast.bytes_read / 5e9
    assert 0 < slow.seconds - fast.seconds < transfers
    assert slow.tasks == fast.tasks == len(program) == 56


def test_a_function_that_comes_to_its_time_limit_hands_over() -> None:
    cloud = replace(CLOUD, time_limit=60.0, lease=40.0)
    forecast = run(chain(200), MemoryStorage(), cloud=cloud)
    assert forecast.tasks == 200
    assert forecast.executors == 4, "hands over 6 s before its limit, after 54 s at least"
    assert forecast.bytes_read == forecast.bytes_written - BLOCK == 3 * BLOCK


def test_what_a_task_raises_comes_through() -> None:
    program = Graph([[], [(0, 0)]], [(1, 0)], raises=1)
    with pytest.raises(TaskError, match=r"node 1: block \(1, 0\) of array 'v' failed: ArithmeticError") as caught:
        run(program, MemoryStorage(), cloud=CLOUD)
    assert isinstance(caught.value.__cause__, ArithmeticError)


def test_nothing_wanted_is_nothing_done() -> None:
    forecast = run(Graph([[]], []), MemoryStorage(), cloud=CLOUD)
    assert (forecast.tasks, forecast.seconds, forecast.invocations) == (0, 0.0, 0)


def test_it_goes_on_from_what_is_stored() -> None:
    program, storage = chain(9), MemoryStorage()
    value = expected(Graph([[], *([(i, 0)] for i in range(8))], [(5, 0)]))["v", (5, 0)]
    storage.put({("v", (5, 0)): value})
    forecast = run(program, storage, cloud=CLOUD)
    assert forecast.tasks == 3 and forecast.bytes_read == BLOCK
    assert storage.get(list(storage.tiles())) == expected(program)


def test_two_forecasts_are_equal() -> None:
    program = cholesky(5).program(BLOCK)
    lines: list[str] = []
    first = run(program, MemoryStorage(), log=lines.append)
    assert first == run(program, MemoryStorage())
    assert lines and lines[0].split()[1] == "client"


def test_the_policy_knows_the_cloud() -> None:
    policy = policy_for(CLOUD)
    assert policy.seconds(Work(2e9)) == pytest.approx(CLOUD.work(Work(2e9))) == pytest.approx(2.0)
    assert policy.ship(BLOCK) == pytest.approx(0.02 + 2 * 0.002 + 2 * CLOUD.transfer(BLOCK))
    assert policy.renewal < CLOUD.lease and policy.margin < CLOUD.time_limit


def test_the_driver_has_a_calm_world() -> None:
    assert (simulate.CALM.faults, simulate.CALM.jitter, simulate.CALM.torn) == (0, 0.0, False)
