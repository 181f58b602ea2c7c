"""What a warm process has left of jobs that are over, and what becomes of an executor whose memory is full."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.executors import limits_of
from sarray.lower import lower
from sarray.parking import parked
from tests.functions import programs
from tests.functions.test_worker import (
    KEY,
    SCATTER,
    Context,
    Queue,
    begun,
    drain,
    places,  # noqa: F401  # a fixture
    queue,  # noqa: F401  # a fixture
    valkey,  # noqa: F401  # a fixture
    values,
)
from wukong_sched.functions.places import Places
from wukong_sched.functions.worker import Worker
from wukong_sched.program import Program
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.cluster import Command, Deployment


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The collector of cycles does not come by."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The bytes that a process has in use: those `there`, and `each` for each task since the invocation began."""
    bytes_of = {"there": 0, "each": 0}

    def in_use() -> int:
        return bytes_of["there"] + bytes_of["each"] * len(programs.TAKEN)

    for name in ("execution", "worker"):
        monkeypatch.setattr(f"wukong_sched.functions.{name}.private_bytes", in_use)
    return bytes_of


@pytest.mark.parametrize(
    ("there", "each", "tasks"),
    [
        (100, 800, [1, 1, 1, 1, 1, 1]),
        (100, 300, [3, 3]),
        (800, 60, [3, 3]),  # what it has taken itself is worth a new beginning
        (800, 20, [6]),  # full, but it would gain next to nothing
        (900, 10, [6]),  # full before it began: its successor would find the same
    ],
)
def test_an_executor_hands_over_when_it_has_filled_the_memory(
    places: Places,  # noqa: F811
    queue: Queue,  # noqa: F811
    taken: dict[str, int],
    there: int,
    each: int,
    tasks: list[int],
) -> None:
    taken.update(there=there, each=each)
    job = begun(places, programs.takers(6), replace(SCATTER, quantum=1e-9))
    worker, ran = Worker(places, KEY, memory=1000), []
    while queue.events:
        programs.TAKEN.clear()
        worker.handle(json.loads(queue.events.popleft()), Context())
        ran.append(len(programs.TAKEN))
    assert [count for count in ran if count] == tasks
    assert {event["id"] for event in queue.sent} == {"task/0@0"}
    assert sorted(values(job)) == list(range(6))


@pytest.mark.parametrize(("there", "fetched"), [(500, 2), (501, 3)], ids=["half", "more"])
def test_programs_of_other_jobs_are_kept_while_there_is_room(
    places: Places,  # noqa: F811
    queue: Queue,  # noqa: F811
    taken: dict[str, int],
    there: int,
    fetched: int,
) -> None:
    taken.update(there=there)
    worker, asked = Worker(places, KEY, memory=1000), list[str]()
    get = places.objects().get

    def noted(keys: Sequence[str]) -> Any:
        asked.extend(key for key in keys if key.endswith("/program"))
        return get(keys)

    places.objects().get = noted  # type: ignore[method-assign]
    for leaves in (2, 3, 2):
        job = begun(places, programs.tree(leaves))
        drain(worker, queue)
        assert values(job) == [sum(range(leaves))]
    assert len(asked) == fetched


def doubled(directory: Path) -> Program:
    """Four blocks of an array in a file below the directory, each of them doubled."""
    x = sa.from_array(np.ones((4000, 4)), chunks=(1000, 4)) * 2
    return parked(lower([x.expression], limits_of(sa.settings())).program, directory)


def is_mapped(directory: Path) -> bool:
    """Whether this process maps a file below the directory."""
    return str(directory) in Path("/proc/self/maps").read_text()


@pytest.mark.usefixtures("uncollected")
def test_files_of_a_job_that_is_over_are_not_mapped(places: Places, queue: Queue, tmp_path: Path) -> None:  # noqa: F811
    """Though its program is kept. Who does not know that it is over finds out when it gets another."""
    worker = Worker(places, KEY)
    alone, half = tmp_path / "alone", tmp_path / "half"
    job = begun(places, doubled(alone))
    drain(worker, queue)
    assert not is_mapped(alone)
    np.testing.assert_array_equal(np.concatenate(values(job)), np.full((4000, 4), 2.0))
    given_up = begun(places, doubled(half), SCATTER, 2)
    worker.handle(json.loads(queue.events.popleft()), Context())
    assert is_mapped(half)
    given_up.cancel()
    given_up.sweep()
    queue.events.clear()
    begun(places, programs.tree(2))
    drain(worker, queue)
    assert not is_mapped(half)
    assert len(worker._plans) == 3


@pytest.mark.usefixtures("uncollected")
def test_jobs_share_connections(places: Places, queue: Queue, valkey: Valkey) -> None:  # noqa: F811
    worker, watch, server = Worker(places, KEY), Deployment(valkey.url), []
    for _ in range(5):
        job = begun(places, programs.tree(4))
        worker.handle({**queue.sent[-1], "id": ""}, Context())  # its watchdog
        drain(worker, queue)
        assert values(job) == [6]
        clients = bytes(watch.one(Command("", ["CLIENT", "LIST"]))).splitlines()
        server.append(len(clients))
    watch.close()
    assert server == server[:1] * 5
