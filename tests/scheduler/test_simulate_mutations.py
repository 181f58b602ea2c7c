"""The simulator finds what is wrong: the protocol less one rule is caught within 2,000 seeds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scheduler.mutations import MUTATIONS, NeverRenews
from wukong_sched.drivers import simulate
from wukong_sched.drivers.cloud import Cloud
from wukong_sched.drivers.exploration import Violation, explore
from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.simulation import Simulation
from wukong_sched.drivers.virtual import Hung
from wukong_sched.errors import TaskError
from wukong_sched.storage.memory import MemoryStorage

SEEDS = 2000


@pytest.mark.parametrize("instead", MUTATIONS.values(), ids=MUTATIONS)
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
    with pytest.raises(TaskError, match="5 attempts ended without a commit"):
        simulate.run(CHAIN, MemoryStorage(), cloud=cloud)
