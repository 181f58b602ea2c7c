"""What stays local costs nothing: bytes and invocations, counted in the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.policies import Hollow, rows
from wukong_sched.drivers.cloud import EXAMPLE, Cloud
from wukong_sched.drivers.graphs import Graph, Work
from wukong_sched.drivers.pump import Pump
from wukong_sched.drivers.simulate import CALM, policy_for, run
from wukong_sched.drivers.simulation import Simulation
from wukong_sched.drivers.systems import cholesky
from wukong_sched.messages import Run
from wukong_sched.policy import CostModel, Wukong
from wukong_sched.program import Task, Tile
from wukong_sched.storage.memory import MemoryStorage

MB = 10**6
HERE = Cloud(store_latency=2e-4, store_bandwidth=1.5e9, coordination=2e-4, invoke=1.5e-3, cold_start=0.0, concurrency=2)
"""Roughly two processes of one machine."""


def chain(length: int) -> Graph:
    inputs = [[(number - 1, 0)] if number else [] for number in range(length)]
    return Graph(inputs, [(length - 1, 0)], costs=[1e6] * length, sizes=lambda tile: MB)


def tree(leaves: int, seconds: float = 0.0) -> Graph:
    inputs: list[list[tuple[int, int]]] = [[] for _ in range(leaves)]
    for number in range(0, 2 * leaves - 2, 2):
        inputs.append([(number, 0), (number + 1, 0)])
    return Graph(inputs, [(len(inputs) - 1, 0)], costs=[2e10 * seconds] * len(inputs))


@pytest.mark.parametrize("kind", [CostModel, Wukong])
def test_a_chain_is_one_invocation_without_reads_and_with_one_write(kind: type[CostModel]) -> None:
    forecast = run(chain(1000), MemoryStorage(), cloud=EXAMPLE, policy=kind(bandwidth=8e7, latency=0.015))
    assert (forecast.invocations, forecast.bytes_read, forecast.bytes_written) == (1, 0, MB)


class Seen(MemoryStorage):
    """Keeps the names of all tiles that were put."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[Tile] = set()

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        self.names.update(blocks)
        super().put(blocks)


class Attributed(Simulation):
    """Notes which function ran which task."""

    where: dict[Task, str]

    def work(self, pump: Pump, run: Run) -> Any:
        for task, _, _ in run.steps:
            self.where[task] = pump.token
        return super().work(pump, run)


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_no_tile_is_written_whose_reader_ran_in_the_same_executor(seconds: float) -> None:
    """A tree of 4,096 leaves on 8 sandboxes."""
    program, storage = tree(4096, seconds), Seen()
    cloud = replace(HERE, concurrency=8)
    simulation = Attributed(program, storage, policy_for(cloud), cloud, CALM)
    simulation.where = {}
    simulation.run()
    written = storage.names - set(program.wanted())
    wasted = [
        tile
        for tile in written
        if (maker := program.producer(tile)) is not None
        and simulation.where[maker] == simulation.where[program.consumers(tile)[0]]
    ]
    assert len(simulation.where) == len(program) == 8191
    assert not wasted
    assert len(set(simulation.where.values())) >= (1 if seconds == 0.0 else 8)


def test_accumulators_stay_with_their_holder() -> None:
    """Cholesky of 4,000 in chunks of 500 on two sandboxes: L is 72 MB, and little else is written."""
    program: Any = Hollow(cholesky(8, Work(2.5e8, 6 * MB, 2 * MB)).program(2 * MB))
    forecast = run(program, MemoryStorage(), cloud=HERE)
    assert forecast.tasks == 120
    assert 72 * MB <= forecast.bytes_written <= 140 * MB
    assert forecast.bytes_read <= (300 - 72) * MB


@pytest.mark.parametrize("sandboxes", [2, 16, 64])
def test_the_cost_model_is_nowhere_worse_than_the_rules(sandboxes: int) -> None:
    """In time, bytes and invocations, by more than 5 %."""
    assert {row.name: row.worse() for row in rows(sandboxes=sandboxes) if row.worse()} == {}
