"""Jobs in functions give what the serial driver gives, and leave nothing behind, whatever happens on the way."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.functions import programs
from tests.functions.conftest import HANDLER
from tests.functions.processes import keys, until
from wukong_sched.drivers import serial
from wukong_sched.drivers.functions import POLICY, LocalFunctions, run
from wukong_sched.errors import InfrastructureError, JobCancelled, TaskError
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.submitted import Submitted
from wukong_sched.program import Program, Tile
from wukong_sched.storage.memory import MemoryStorage

SCATTER = programs.steady(POLICY, invoke_seconds=1e-6, latency=1e-9, bandwidth=math.inf, quantum=1e-3, hold_bytes=0)
"""Gives away whatever it can, and holds nothing back."""


def wanted(program: Program, functions: LocalFunctions, **options: Any) -> dict[Tile, Any]:
    storage = MemoryStorage()
    run(program, storage, functions, **options)
    return storage.get(list(storage.tiles()))


def expected(program: Program) -> dict[Tile, Any]:
    storage = MemoryStorage()
    serial.run(program, storage)
    return storage.get(list(storage.tiles()))


def left(functions: LocalFunctions) -> list[str]:
    """Whatever is in the stores."""
    files = [str(path) for path in (functions.directory / "store").rglob("*") if path.is_file()]
    return [*files, *keys(functions.places._redis._server)]


@pytest.mark.parametrize("policy", [POLICY, SCATTER], ids=["costs", "scatter"])
@pytest.mark.parametrize("leaves", [1, 2, 7, 100])
def test_functions_agree_with_the_serial_driver(functions: LocalFunctions, leaves: int, policy: Any) -> None:
    program = programs.tree(leaves)
    assert wanted(program, functions, policy=policy) == expected(program)
    assert left(functions) == []


def test_a_tree_is_shared_out(functions: LocalFunctions) -> None:
    storage = MemoryStorage()
    outcome = run(programs.tree(64, programs.slow), storage, functions)
    assert list(storage.get(list(storage.tiles())).values()) == [sum(range(64))]
    assert outcome.usage.executors >= 2
    assert outcome.usage.tasks == 127
    assert outcome.report.seconds < 64 * 0.02 + 0.3


def test_a_chain_is_one_invocation_no_read_and_one_write(functions: LocalFunctions) -> None:
    program, storage = programs.chain(1000), MemoryStorage()
    before = functions.service.endpoint.state()["invocations"]
    job: list[Submitted] = []
    outcome = run(program, storage, functions, submitted=job.append)
    assert storage.get(list(program.wanted())) == {next(program.wanted()): 999}
    assert (outcome.usage.tasks, outcome.usage.executors) == (1000, 1)
    assert outcome.usage.bytes_read == {"inline": 0, "redis": 0, "object": 0} or outcome.usage.requests["redis"] <= 2
    assert functions.service.endpoint.state()["invocations"] - before <= 2  # the watchdog may have looked


def test_arrays_come_back_as_they_are(functions: LocalFunctions) -> None:
    found = wanted(programs.tree(20, programs.array), functions, policy=SCATTER)
    (block,) = found.values()
    np.testing.assert_array_equal(block, np.full(10_000, float(sum(range(20)))))


def test_an_exception_ends_the_job_with_its_story_and_cause(functions: LocalFunctions) -> None:
    with pytest.raises(
        TaskError, match=r"fail: block \(4,\) of array 'value' failed: ZeroDivisionError: three"
    ) as info:
        wanted(programs.tree(8, programs.fail), functions)
    assert isinstance(info.value.__cause__, ZeroDivisionError)
    assert left(functions) == []
    assert wanted(programs.tree(4), functions) == expected(programs.tree(4))


def test_duplicate_deliveries_change_nothing(functions: LocalFunctions) -> None:
    program, storage = programs.tree(40, programs.slow), MemoryStorage()

    def again(job: Submitted) -> None:
        root = "task/0@0"
        functions.places.invoker().invoke([Message(job.name, root).to_json()] * 5)
        functions.places.invoker().invoke([Message(job.name, "nobody[1]").to_json()])

    outcome = run(program, storage, functions, submitted=again)
    assert storage.get(list(storage.tiles())) == expected(program)
    assert outcome.usage.tasks == len(program)


def test_a_lost_invocation_is_made_up_for(functions: LocalFunctions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(functions.places.invoker()), "invoke", lambda self, events: None)
    assert wanted(programs.tree(4), functions) == expected(programs.tree(4))


def test_a_task_that_outlasts_the_lease_keeps_it(functions: LocalFunctions) -> None:
    outcome = run(programs.tree(1, programs.slower), MemoryStorage(), functions)
    assert (outcome.usage.tasks, outcome.usage.executors) == (1, 1)


def test_a_cancelled_job_stops_and_leaves_nothing(functions: LocalFunctions) -> None:
    def soon(job: Submitted) -> None:
        threading.Timer(0.2, job.cancel).start()

    began = time.monotonic()
    with pytest.raises(JobCancelled):
        run(programs.tree(1000, programs.slow), MemoryStorage(), functions, submitted=soon)
    assert time.monotonic() - began < 5
    until(functions.service.endpoint.is_quiet)
    wanted(programs.tree(2), functions)
    assert left(functions) == []


def test_somebody_else_can_wait_for_a_job(functions: LocalFunctions) -> None:
    job = functions.submit(Plan(programs.tree(16, programs.slow), POLICY))
    other = functions.attach(job.name.job)
    other.wait()
    assert [list(blocks.values()) for blocks in other.blocks()] == [[120]]
    functions.finish(other, over=True)
    assert left(functions) == []


@pytest.mark.parametrize("change", ["bytes", "key", "other"])
def test_a_program_that_was_not_signed_for_this_job_is_not_loaded(functions: LocalFunctions, change: str) -> None:
    from wukong_sched.functions import plan as plans

    objects, plan = functions.places.objects(), Plan(programs.tree(4), POLICY)
    name, pieces = plans.sign_plan(plan, b"another key" if change == "key" else functions.key, "forged")
    data = bytearray(b"".join(pieces))
    data[-1] ^= change == "bytes"
    job = "victim" if change == "other" else "forged"
    objects.put({plans.program_key(job): [bytes(data)]})
    coordination = functions.places.coordination(job)
    from wukong_sched.resume import first_plan

    first = first_plan(plan.program)
    coordination.create(1, [first.root], first.arrived)
    message = Message(JobName(job, name, plans.fingerprint()), first.root.id)
    functions.places.invoker().invoke([message.to_json()])
    view = until(lambda: (v := coordination.read()).story and v)
    assert "not the one" in view.story.cause if change == "bytes" else "signature" in view.story.cause
    coordination.sweep()
    objects.sweep(f"jobs/{job}/")


def test_secrets_are_shown_nowhere(functions: LocalFunctions) -> None:
    shown = " ".join(map(repr, (functions, functions.function, functions.service.endpoint, functions.places)))
    log = (functions.directory / "functions.log").read_text()
    environments = [Path(f"/proc/{pid}/cmdline").read_text() for pid in functions.service.endpoint.state()["pids"]]
    for secret in (functions.key.hex(), str(functions.key), functions.service.endpoint.access_key):
        assert secret not in shown + log + "".join(environments)


# ---- services of their own


def test_a_valkey_that_comes_back_empty_costs_no_result() -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as functions:
        program, storage, jobs = programs.tree(100, programs.slow), MemoryStorage(), list[Submitted]()

        def restart(job: Submitted) -> None:
            jobs.append(job)
            for seconds in (0.3, 0.9):
                threading.Timer(seconds, functions.running.valkey.restart).start()

        outcome = run(program, storage, functions, submitted=restart)
        assert list(storage.get(list(storage.tiles())).values()) == [sum(range(100))]
        assert 1 <= jobs[0].resumed <= 2
        assert outcome.counts["dropped"] == 0
        until(lambda: left(functions) == [])


def test_a_service_that_dies_is_told_and_replaced() -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=1)) as functions:
        home = functions.directory

        def kill(job: Submitted) -> None:
            threading.Timer(0.2, functions.service.process.kill).start()

        with pytest.raises(InfrastructureError):
            run(programs.tree(100, programs.slow), MemoryStorage(), functions, submitted=kill)
        assert not home.exists()
        assert wanted(programs.tree(4), functions) == expected(programs.tree(4))


def test_kept_tiles_are_not_made_again() -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as functions:
        plan = Plan(programs.crowd(10), POLICY)
        tasks = []
        for _ in range(2):
            job = functions.submit(plan, keeps=True)
            job.wait()
            until(functions.service.endpoint.is_quiet)
            tasks.append(job.usage().tasks)
            functions.finish(job, over=True)
        assert tasks == [10, 0]
        assert [len(found) for found in job.blocks()] == [10]
        job.storage.delete(list(plan.program.wanted()))
        assert left(functions) == []


def test_killed_sandboxes_are_made_up_for(tmp_path: Path) -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as functions:
        program = programs.tree(40, programs.once(str(tmp_path), 0, 11, 29))
        assert list(wanted(program, functions, policy=SCATTER).values()) == [sum(range(40))]
        assert {path.name for path in tmp_path.iterdir()} == {"0", "11", "29"}
        assert left(functions) == []


def test_sandboxes_killed_at_any_moment_are_made_up_for(rng: np.random.Generator) -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=3, provisioned=3)) as functions:
        over, kills = threading.Event(), []

        def killer() -> None:
            while not over.wait(float(rng.uniform(0.2, 0.6))):
                busy = functions.service.endpoint.state()["busy"]
                if busy:
                    kills.append(int(rng.choice(busy)))
                    os.kill(kills[-1], signal.SIGKILL)

        thread = threading.Thread(target=killer)
        program = programs.tree(120, programs.slow)
        until(lambda: len(functions.service.endpoint.state()["pids"]) == 3)
        thread.start()
        try:
            found = wanted(program, functions, policy=SCATTER)
        finally:
            over.set()
            thread.join()
        assert list(found.values()) == [sum(range(120))]
        assert kills
        assert wanted(programs.tree(2), functions) == expected(programs.tree(2))
        until(lambda: left(functions) == [])


def test_an_executor_hands_over_before_its_time_is_up() -> None:
    policy = replace(POLICY, margin=0.5)
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=1, timeout=1.0)) as functions:
        storage = MemoryStorage()
        outcome = run(programs.crowd(100), storage, functions, policy=policy)
        assert sorted(storage.get(list(storage.tiles())).values()) == list(range(100))
        assert outcome.usage.executors >= 3
        assert outcome.counts["errors"] == 0


def test_a_throttled_burst_is_got_over() -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2, asynchronous_queue=1)) as functions:
        program = programs.tree(60, programs.slow)
        policy = replace(SCATTER, fan=16)
        assert wanted(program, functions, policy=policy) == expected(program)


def test_functions_that_cannot_start_are_told() -> None:
    function = FunctionSettings("tests.functions.nothing.handler", retry_seconds=0.05)
    with LocalFunctions(function) as functions, pytest.raises(InfrastructureError, match=r"do not start.*nothing"):
        run(programs.tree(2), MemoryStorage(), functions)
