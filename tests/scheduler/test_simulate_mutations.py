"""The simulator finds what is wrong: the protocol less one rule is caught within 2,000 seeds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scheduler.mutations import MUTATIONS, NeverRenews
from wukong_sched.coordination.memory import Record
from wukong_sched.coordination.protocol import Reply, State
from wukong_sched.drivers import simulate
from wukong_sched.drivers.adversary import FaultyCoordination
from wukong_sched.drivers.cloud import Cloud
from wukong_sched.drivers.exploration import Violation, Watched, explore
from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.pump import Pump
from wukong_sched.drivers.simulation import Doing, Simulation
from wukong_sched.drivers.virtual import Hung, Process
from wukong_sched.errors import InfrastructureError, Story
from wukong_sched.messages import Commit, Store, Stored
from wukong_sched.storage.memory import MemoryStorage

SEEDS = 2000


class BlamesTheTask(Watched):
    """Ends the job when the tile store fails, as if a task had raised."""

    def executor(self, id: str, token: str, dies: float) -> Process:
        try:
            yield from super().executor(id, token, dies)
        except InfrastructureError as error:
            self.coordination._end(State.FAILED, Story("node 1", id, (), str(error)))


class TakesRefusalsForStored(Watched):
    """Goes on when the tile store fails, and announces what is not there."""

    def store(self, pump: Pump, store: Store) -> Doing:
        try:
            return (yield from super().store(pump, store))
        except InfrastructureError:
            return Stored()


class CountsEveryAttempt(FaultyCoordination):
    """Gives a job up for attempts after which it had moved on, its hand-overs among them."""

    def _renew(self, id: str, record: Record, commit: Commit, reply: Reply) -> None:
        attempts = record.attempts
        super()._renew(id, record, commit, reply)
        record.attempts = attempts


SERVICES: dict[str, dict[str, Any]] = {
    "a store's error is a task's": {"simulation": BlamesTheTask},
    "a store's error is ignored": {"simulation": TakesRefusalsForStored},
    "attempts are never forgiven": {"records": CountsEveryAttempt},
}
"""What would be wrong about stores that fail and functions that are full."""
ALL = {**MUTATIONS, **SERVICES}


@pytest.mark.parametrize("instead", ALL.values(), ids=ALL)
def test_a_mutation_is_caught(instead: dict[str, Any]) -> None:
    for seed in range(SEEDS):
        try:
            explore(seed, **instead)
        except (Violation, Hung, KeyError, IndexError) as error:
            print(f"caught by seed {seed}: {type(error).__name__}: {error}")
            return
    pytest.fail(f"not caught by {SEEDS} seeds")


CHAIN = Graph([[], *([(i, 0)] for i in range(99))], [(99, 0)], costs=[2e10] * 100)
"""A hundred seconds of work that nobody else can help with."""


def test_a_lease_that_is_never_renewed_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud(lease=15.0)
    forecast = simulate.run(CHAIN, MemoryStorage(), cloud=cloud)
    assert (forecast.tasks, forecast.executors) == (100, 1)
    monkeypatch.setattr(simulate, "Simulation", lambda *given, **others: Simulation(*given, core=NeverRenews, **others))
    again = simulate.run(CHAIN, MemoryStorage(), cloud=cloud)
    # Two attempts come to nothing, and the third goes on because it commits after each task.
    assert (again.tasks > 100, again.executors) == (True, 3)
