"""Both ways give what the serial driver gives, and leave nothing behind, whatever happens on the way."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from tests.baselines.conftest import HANDLER, WAYS, Way, computed, expected, left
from tests.baselines.leaves import Counted
from tests.functions import programs
from tests.functions.processes import until
from wukong_sched.drivers import graphs
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.errors import InfrastructureError, JobCancelled, NestedComputeError, TaskError
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.submitted import Submitted
from wukong_sched.storage.cluster import Command
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.trace import Trace


@pytest.mark.parametrize("leaves", [1, 2, 7, 60])
def test_both_agree_with_the_serial_driver(way: Way, functions: LocalFunctions, leaves: int) -> None:
    program = programs.tree(leaves)
    found, report = computed(way, program, functions)
    assert found == expected(program)
    assert report.tasks == len(program)
    assert left(functions) == []


@pytest.mark.parametrize("name", sorted(WAYS))
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1))
def test_both_agree_on_random_graphs(functions: LocalFunctions, name: str, seed: int) -> None:
    program = graphs.draw(random.Random(seed), 16)
    found, report = computed(WAYS[name], program, functions)
    assert found == expected(program)
    assert report.tasks == len(program)


@pytest.mark.parametrize("name", sorted(WAYS))
@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_task_of_a_random_graph_that_raises_ends_it(functions: LocalFunctions, name: str, seed: int) -> None:
    program = graphs.draw(random.Random(seed), 12, raising=True)
    with pytest.raises(TaskError) as ours:
        computed(WAYS[name], program, functions)
    with pytest.raises(TaskError) as serial:
        expected(program)
    assert ours.value.story == serial.value.story


def test_the_bits_are_those_of_threads(way: Way) -> None:
    rng = np.random.default_rng(5)
    x, s = rng.standard_normal((60, 36)), rng.standard_normal((36, 36))
    a, b = sa.asarray(x, chunks=(20, 12)), sa.asarray(s @ s.T + 36 * np.eye(36), chunks=12)
    values = (a @ b, sa.cholesky(b), *sa.tsqr(sa.asarray(x, chunks=(20, 36))), (a * 2).sum(axis=0))
    name = next(name for name, each in WAYS.items() if each is way)
    for ours, threads in zip(
        sa.compute(*values, executor=name, workers=2), sa.compute(*values, executor="threads", workers=2), strict=True
    ):
        assert ours.tobytes() == threads.tobytes()


def test_both_run_what_comes_from_outside_by_name(way: Way) -> None:
    from wukong_sched.drivers.named import run_named

    name = next(name for name, each in WAYS.items() if each is way)
    storage, program = MemoryStorage(), programs.tree(5)
    assert run_named(program, storage, name, 2).tasks == len(program)
    assert storage.get(list(storage.tiles())) == expected(program)


def test_a_trace_is_refused(way: Way) -> None:
    name = next(name for name, each in WAYS.items() if each is way)
    with pytest.raises(ValueError, match=f"trace.*{name}"):
        sa.ones(3).compute(executor=name, trace=Trace())


def test_the_report_names_the_way(way: Way) -> None:
    name = next(name for name, each in WAYS.items() if each is way)
    x = sa.asarray(np.arange(12.0), chunks=4)
    np.testing.assert_array_equal((x + 1).compute(executor=name, workers=2), np.arange(1.0, 13.0))
    report = sa.last_report()
    found = report.to_dict()
    assert report.facts.executor == name
    assert found["tasks"] == 3
    assert found["bytes_read"]["source"] == 96
    assert found["requests"]["object"] == 3
    assert found["invocations"] == (3 if name == "pywren" else 2)
    assert sum(found["seconds"].values()) <= sum(usage.billed_seconds for usage in report.usages) * 1.01


def test_nothing_goes_through_redis_or_invocations(way: Way, functions: LocalFunctions) -> None:
    _, report = computed(way, programs.tree(20, programs.array), functions)
    used = report.usage
    tiles = 39 * 80_000
    assert used.bytes_written["redis"] == used.bytes_read["redis"] == used.requests["redis"] == 0
    assert used.bytes_written["inline"] == used.bytes_read["inline"] == 0
    assert used.puts["object"] == 39
    assert used.gets["object"] == 38
    assert 0 < used.bytes_read["object"] < used.bytes_written["object"] <= tiles + 39 * 128


def test_pywren_makes_one_call_for_each_task(functions: LocalFunctions) -> None:
    _, report = computed(WAYS["pywren"], programs.tree(16), functions)
    assert report.executors == report.tasks == 31


def test_numpywren_has_a_worker_for_each_function(functions: LocalFunctions) -> None:
    _, report = computed(WAYS["numpywren"], programs.crowd(60), functions)
    assert report.executors == 2
    assert all(usage.tasks for usage in report.usages)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_pipeline_of_any_width_is_right(functions: LocalFunctions, width: int) -> None:
    program = programs.diamonds(6)
    assert computed(WAYS["numpywren"], program, functions, width=width)[0] == expected(program)


def test_an_exception_ends_the_job_with_its_story_and_cause(way: Way, functions: LocalFunctions) -> None:
    with pytest.raises(TaskError, match=r"fail: block \(4,\) of array 'value' failed: ZeroDivisionError") as info:
        computed(way, programs.tree(8, programs.fail), functions)
    assert isinstance(info.value.__cause__, ZeroDivisionError)
    until(functions.service.endpoint.is_quiet)
    computed(way, programs.tree(2), functions)
    assert left(functions) == []


@pytest.mark.parametrize(
    ("leaf", "cause"), [(programs.Unloadable(), "KeyError: 'not here'"), (programs.Ending(), "SystemExit: 3")]
)
def test_a_program_that_cannot_be_loaded_is_told(way: Way, functions: LocalFunctions, leaf: Any, cause: str) -> None:
    with pytest.raises(TaskError, match=cause):
        computed(way, programs.tree(4, leaf), functions)


def test_a_job_whose_workers_die_before_they_begin_is_given_up(way: Way, functions: LocalFunctions) -> None:
    with pytest.raises(InfrastructureError, match=r"exit status 3"):
        computed(way, programs.tree(4, programs.Crashing()), functions)
    until(functions.service.endpoint.is_quiet)
    computed(way, programs.tree(2), functions)
    assert left(functions) == []


def test_a_job_within_a_task_is_refused(way: Way, functions: LocalFunctions) -> None:
    from wukong_sched.drivers.pump import marked

    with marked(), pytest.raises(NestedComputeError):
        computed(way, programs.tree(2), functions)


def test_a_cancelled_job_stops_and_leaves_nothing(way: Way, functions: LocalFunctions) -> None:
    def soon(job: Submitted) -> None:
        threading.Timer(0.3, job.cancel).start()

    with pytest.raises(JobCancelled):
        computed(way, programs.tree(400, programs.slow), functions, begun=soon)
    until(functions.service.endpoint.is_quiet)
    computed(way, programs.tree(2), functions)
    assert left(functions) == []


def test_an_interrupted_client_leaves_nothing(way: Way, functions: LocalFunctions) -> None:
    def soon(job: Submitted) -> None:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        computed(way, programs.tree(400, programs.slow), functions, begun=soon)
    until(functions.service.endpoint.is_quiet)
    computed(way, programs.tree(2), functions)
    assert left(functions) == []


def test_the_progress_is_told(way: Way, functions: LocalFunctions) -> None:
    from wukong_sched.functions.carried import Wishes

    told: list[tuple[int, int]] = []
    computed(way, programs.diamonds(12), functions, wishes=Wishes(progress=lambda *counts: told.append(counts)))
    assert all(done <= total == 37 for done, total in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told or way is WAYS["numpywren"]


# ---- services of their own


@pytest.mark.parametrize("name", sorted(WAYS))
def test_killed_sandboxes_are_made_up_for(tmp_path: Path, name: str) -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as functions:
        program = programs.tree(20, programs.once(str(tmp_path), 0, 11))
        assert list(computed(WAYS[name], program, functions)[0].values()) == [sum(range(20))]
        assert {path.name for path in tmp_path.iterdir()} == {"0", "11"}
        assert left(functions) == []


@pytest.mark.parametrize("name", sorted(WAYS))
@pytest.mark.parametrize("lose", ["emptied", "restarted"])
def test_a_valkey_that_is_emptied_in_the_middle_costs_no_result(tmp_path: Path, name: str, lose: str) -> None:
    """Half of the leaves are stored, one waits; what is stored is not computed again."""
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as functions:
        gate, marks = tmp_path / "gate", tmp_path / "marks"
        marks.mkdir()
        program = programs.tree(16, Counted(9, str(gate), str(marks)))
        ended: list[bool] = []

        def soon(job: Submitted) -> None:
            def strike() -> None:
                until(lambda: len(list(job.storage.tiles())) >= 8, 30)
                lost[lose](functions)
                ended.append(True)
                gate.touch()

            threading.Thread(target=strike).start()

        found, report = computed(WAYS[name], program, functions, begun=soon)
        assert list(found.values()) == [sum(range(16))]
        assert ended == [True]
        runs = Counter(path.name.partition("-")[0] for path in marks.iterdir())
        assert set(runs) == set(map(str, range(16)))
        assert sum(runs.values()) <= 16 + 2 * 3  # what three threads of two workers had in hand
        assert report.tasks >= len(program)
        until(lambda: left(functions) == [])


def emptied(functions: LocalFunctions) -> None:
    server = functions.places.server()
    server.one(Command("", ["FLUSHALL"]))
    server.close()


lost: Mapping[str, Callable[[LocalFunctions], None]] = {
    "emptied": emptied,
    "restarted": lambda functions: functions.running.valkey.restart(),
}
"""How a server forgets everything."""


def test_a_job_whose_queue_is_lost_again_and_again_is_given_up(functions: LocalFunctions) -> None:
    over = threading.Event()

    def soon(job: Submitted) -> None:
        def strike() -> None:
            while not over.is_set():
                emptied(functions)

        threading.Thread(target=strike).start()

    try:
        with pytest.raises(InfrastructureError, match="lost its queue 8 times"):
            computed(WAYS["numpywren"], programs.tree(400, programs.slow), functions, begun=soon)
    finally:
        over.set()
    until(functions.service.endpoint.is_quiet)
    computed(WAYS["numpywren"], programs.tree(2), functions)
    until(lambda: left(functions) == [])


def test_duplicate_deliveries_change_nothing(functions: LocalFunctions) -> None:
    from wukong_sched.baselines.numpywren import worker_event
    from wukong_sched.baselines.pywren import call_event

    program = programs.tree(20, programs.slow)

    def again(job: Submitted) -> None:
        first = next(iter(program.expand(program.leaves()[0])))
        functions.places.invoker().invoke([worker_event(job.name, 2), *[call_event(job.name, 0, first)] * 2])

    for way in WAYS.values():
        assert computed(way, program, functions, begun=again)[0] == expected(program)
    until(functions.service.endpoint.is_quiet)


@pytest.mark.long
def test_a_worker_that_is_frozen_loses_its_tasks_and_does_no_harm_when_it_wakes() -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as functions:
        victim = min(until(lambda: len(found := functions.counts()["pids"]) == 2 and all(found) and found))

        def freeze(job: Submitted) -> None:
            threading.Timer(0.2, os.kill, (victim, signal.SIGSTOP)).start()
            threading.Timer(3.5, os.kill, (victim, signal.SIGCONT)).start()

        program = programs.crowd(280)  # 2.8 s for two
        found, report = computed(WAYS["numpywren"], program, functions, begun=freeze)
        assert sorted(found.values()) == list(range(280))
        assert report.tasks >= len(program)
        assert left(functions) == []


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(WAYS))
def test_sandboxes_killed_at_any_moment_are_made_up_for(rng: np.random.Generator, name: str) -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=3, provisioned=3)) as functions:
        over, kills = threading.Event(), []

        def killer() -> None:
            while len(kills) < 6 and not over.wait(float(rng.uniform(0.2, 0.6))):
                if busy := functions.counts()["busy"]:
                    kills.append(int(rng.choice(busy)))
                    os.kill(kills[-1], signal.SIGKILL)

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            found, _ = computed(WAYS[name], programs.tree(120, programs.slow), functions)
        finally:
            over.set()
            thread.join()
        assert list(found.values()) == [sum(range(120))]
        assert kills
        computed(WAYS[name], programs.tree(2), functions)
        assert left(functions) == []


@pytest.mark.long
def test_a_worker_hands_over_before_its_time_is_up() -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=1, timeout=1.0)) as functions:
        found, report = computed(WAYS["numpywren"], programs.crowd(100), functions)
        assert sorted(found.values()) == list(range(100))
        assert report.executors >= 2
        assert functions.counts()["errors"] == 0


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(WAYS))
def test_a_task_that_always_outlasts_its_function_is_given_up(name: str) -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=1, timeout=0.6, retry_seconds=0.05)) as functions:
        with pytest.raises(InfrastructureError, match=r"times.*timed out after 0.60 seconds"):
            computed(WAYS[name], programs.tree(1, programs.slower), functions)
        until(functions.service.endpoint.is_quiet)
        computed(WAYS[name], programs.tree(1), functions)
        assert left(functions) == []
