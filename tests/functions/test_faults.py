"""One fault after the other, each at a moment that the test chooses, against jobs in functions."""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.killer import is_stopped
from tests.chaos.phases import DIRECTORY, Phase, Record
from tests.functions import faulty, programs
from tests.functions.conftest import HANDLER
from tests.functions.processes import has_groups, until
from tests.functions.test_jobs import SCATTER, expected, left, wanted
from wukong_sched.drivers.functions import POLICY, STARTS, LocalFunctions, run
from wukong_sched.errors import InfrastructureError, JobCancelled, JobSwept, TaskError
from wukong_sched.functions.events import Message
from wukong_sched.functions.local import start_service
from wukong_sched.functions.plan import Plan, program_key
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.submitted import Submitted
from wukong_sched.storage.memory import MemoryStorage

TWO = FunctionSettings(HANDLER, concurrency=2, provisioned=2)


# ---- a sandbox that ends too early


@pytest.fixture(scope="module")
def hooked() -> Iterator[LocalFunctions]:
    with LocalFunctions(replace(TWO, handler="tests.chaos.hook.handler")) as running:
        yield running


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase > Phase.WORKING], ids=lambda phase: phase.name)
def test_a_sandbox_killed_at_any_moment(hooked: LocalFunctions, phase: Phase) -> None:
    """Stopped in this phase of its work, and then killed."""
    killed: list[int] = []
    endpoint = hooked.service.endpoint

    def strike() -> bool:
        for pid in endpoint.state()["busy"]:
            path = hooked.directory / DIRECTORY / str(pid)
            if not path.exists():
                continue
            record = Record(path)
            record.wish(phase)
            if record.phase == phase:
                os.kill(pid, signal.SIGSTOP)
                until(lambda pid=pid: is_stopped(pid))
                found = record.phase
                os.kill(pid, signal.SIGKILL if found == phase else signal.SIGCONT)
                killed.extend([pid] * (found == phase))
            record.close()
        return bool(killed)

    thread = threading.Thread(target=lambda: until(strike))
    program = programs.tree(60, programs.slow)
    found = wanted(program, hooked, policy=SCATTER, submitted=lambda job: thread.start())
    thread.join()
    assert found == expected(program)
    assert len(killed) >= 1
    wanted(programs.tree(2), hooked)
    until(lambda: left(hooked) == [])


def test_a_sandbox_past_its_time_limit(tmp_path: Path) -> None:
    with LocalFunctions(replace(TWO, timeout=1.5)) as functions:
        program = programs.tree(12, faulty.Once(tmp_path, faulty.sleep))
        outcome = run(program, storage := MemoryStorage(), functions, policy=replace(POLICY, margin=0.1))
        assert list(storage.get(list(program.wanted())).values()) == [sum(range(12))]
        assert "timed out after 1.50 seconds" in outcome.counts["last_error"]
        assert left(functions) == []


def test_a_sandbox_out_of_memory(tmp_path: Path) -> None:
    """The kernel ends it, and it is made up for; where there is only a resource limit, the task raises."""
    with LocalFunctions(replace(TWO, memory=256)) as functions:
        program = programs.tree(12, faulty.Once(tmp_path, faulty.take_memory))
        if has_groups():
            assert wanted(program, functions) == expected(programs.tree(12))
            assert "SIGKILL" in functions.service.endpoint.state()["last_error"]
        else:
            with pytest.raises(TaskError, match="MemoryError") as caught:
                wanted(program, functions)
            assert "functions.memory" in "".join(caught.value.__notes__)
        assert wanted(programs.tree(4), functions) == expected(programs.tree(4))
        assert left(functions) == []


@pytest.mark.long
def test_a_task_that_always_ends_its_sandbox_ends_the_job() -> None:
    with LocalFunctions(TWO) as functions:
        with pytest.raises(InfrastructureError, match="8 attempts ended without a commit") as caught:
            wanted(programs.tree(1, faulty.die), functions)
        words = "block (0,)", "whose blocks take", "in a function of 2048 MB", "signal: SIGKILL", "functions.memory"
        assert [word for word in words if word not in str(caught.value)] == []
        assert wanted(programs.tree(4), functions) == expected(programs.tree(4))
        assert left(functions) == []


# ---- invocations


def test_each_first_invocation_lost() -> None:
    with LocalFunctions(replace(TWO, handler="tests.functions.faulty.lose_first")) as functions:
        program = programs.tree(24, programs.slow)
        assert wanted(program, functions, policy=SCATTER) == expected(program)
        lost = list((functions.directory / faulty.LOST).iterdir())
        assert len(lost) >= 2
        assert left(functions) == []


def test_functions_are_given_up_when_none_starts_several_times_in_a_row(tmp_path: Path) -> None:
    path = tmp_path / "there"
    fickle = FunctionSettings("tests.functions.fickle.handler", concurrency=1, environment={"FICKLE": str(path)})
    with LocalFunctions(fickle) as functions:
        endpoint, tell = functions.service.endpoint, functions.trouble()
        for _ in range(STARTS - 1):
            assert b"not yet" in endpoint.call(b"{}").body and tell() == ""
        path.touch()
        os.kill(int(endpoint.call(b"{}").body), signal.SIGKILL)
        until(lambda: not endpoint.state()["pids"])
        path.unlink()
        for _ in range(STARTS):
            assert tell() == ""
            assert b"not yet" in endpoint.call(b"{}").body
        assert "functions do not start" in tell() and "not yet" in tell()
        assert functions.trouble()() == ""


def test_each_invocation_delivered_twice() -> None:
    """At the same time, by two functions."""
    with LocalFunctions(replace(TWO, concurrency=4)) as functions:
        invoker = functions.places.invoker()
        program = programs.tree(40, programs.slow)

        def again(job: Submitted) -> None:
            for _ in range(20):
                view = job.coordination.read()
                ids = [key.rpartition(":x:")[2] for key in functions.places._redis._server.scan("*:x:*")]
                invoker.invoke([Message(job.name, id).to_json() for id in ids] if view.epoch else [])

        assert wanted(program, functions, policy=SCATTER, submitted=again) == expected(program)
        assert functions.service.endpoint.state()["errors"] == 0


def test_a_watchdog_that_is_over_does_not_end_its_successor(tmp_path: Path) -> None:
    """It has seen that the job's records are lost; meanwhile the job is resumed, and has another by the same name."""
    first, second = tmp_path / "first", tmp_path / "second"
    with start_service(replace(TWO, handler="tests.functions.faulty.note")) as service:

        def schedule(file: Path, seconds: float, answer: str) -> None:
            event = {"file": str(file), "seconds": seconds, "answer": answer}
            service.endpoint.schedule("job", 0.01, json.dumps(event).encode())

        schedule(first, 0.5, "over")
        until(first.exists)
        schedule(second, 0.0, "watched")
        until(lambda: service.endpoint.state()["busy_seconds"] > 0.5)
        seen = len(second.read_text())
        until(lambda: len(second.read_text()) > seen + 3)
        assert len(first.read_text()) == 1
        service.endpoint.unschedule("job")
        until(service.endpoint.is_quiet)


# ---- stores


def held(functions: LocalFunctions, tmp_path: Path, then: Callable[[Submitted], Any]) -> tuple[Submitted, Any]:
    """A job whose last leaf waits until `then` has happened; at that time all others are stored."""
    gate = tmp_path / secrets.token_hex(4)
    program = programs.tree(16, faulty.Gate(15, str(gate)))
    job = functions.submit(Plan(program, SCATTER, 0.5))
    until(lambda: len(list(job.storage.tiles())) >= 2 and len(functions.service.endpoint.state()["busy"]) == 1)
    then(job)
    gate.touch()
    job.wait(functions.trouble())
    (blocks,) = job.blocks()
    functions.finish(job, over=True)
    assert left(functions) == []
    return job, list(blocks.values())


def test_an_object_missing(tmp_path: Path) -> None:
    with LocalFunctions(TWO) as functions:

        def lose(job: Submitted) -> None:
            state = functions.service.endpoint.state()
            for pid in set(state["pids"]) - set(state["busy"]):
                os.kill(pid, signal.SIGKILL)  # it has them in its memory
            job.storage.delete(list(job.storage.tiles()))

        def resumed() -> int:
            job, found = held(functions, tmp_path, lose)
            assert found == [sum(range(16))]
            return job.resumed

        until(resumed, 60)  # one executor alone, the other being late, needs nothing of what it has stored


def test_redis_restarted_empty_in_the_middle(tmp_path: Path) -> None:
    with LocalFunctions(TWO) as functions:
        job, found = held(functions, tmp_path, lambda job: functions.running.valkey.restart())
        assert found == [sum(range(16))]
        assert job.resumed >= 1


@pytest.mark.parametrize("lose", ["restart", "delete"])
def test_what_is_lost_after_the_job_is_done_is_made_again(lose: str) -> None:
    with LocalFunctions(TWO) as functions:
        program = programs.tree(16)
        job = functions.submit(Plan(program, POLICY))
        job.wait()
        if lose == "restart":
            functions.running.valkey.restart()
        else:
            job.storage.delete(list(program.wanted()))
        assert [list(blocks.values()) for blocks in job.blocks()] == [[sum(range(16))]]
        assert job.resumed == 1
        functions.finish(job, over=True)
        assert left(functions) == []


@pytest.mark.parametrize("lose", ["program", "watchdog"])
def test_what_is_lost_between_two_steps_of_a_submission_is_brought_again(
    lose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is emptied when the program is stored, but not the records; or the watchdog was that of before."""
    with LocalFunctions(TWO) as functions:
        invoker = functions.places.invoker()
        objects = functions.places.objects()

        def lost(events: Sequence[bytes]) -> None:
            name = json.loads(events[0])["job"]
            if lose == "program":
                objects.delete([program_key(name)])
            functions.service.endpoint.unschedule(name)
            monkeypatch.undo()

        monkeypatch.setattr(invoker, "invoke", lost)
        program = programs.tree(16)
        job = functions.submit(Plan(program, POLICY))
        job.wait(seconds=60)
        assert [list(blocks.values()) for blocks in job.blocks()] == [[sum(range(16))]]
        functions.finish(job, over=True)
        assert left(functions) == []


def test_a_valkey_that_died_is_replaced() -> None:
    with LocalFunctions(TWO) as functions:
        assert wanted(programs.tree(4), functions) == expected(programs.tree(4))
        valkey = functions.running.valkey
        os.kill(valkey.pid, signal.SIGKILL)
        until(lambda: not valkey.is_running())
        assert wanted(programs.tree(4), functions) == expected(programs.tree(4))


# ---- clients


def test_a_client_gone_and_back(functions: LocalFunctions) -> None:
    """It gives up waiting; whoever asks for the job later, running or done, gets its result."""
    job = functions.submit(Plan(programs.tree(60, programs.slow), SCATTER))
    with pytest.raises(TimeoutError, match="still runs"):
        job.wait(seconds=0.05)
    name = job.name.job
    del job
    functions.attach(name).wait()
    until(functions.service.endpoint.is_quiet)
    back = functions.attach(name)
    back.wait()
    assert [list(blocks.values()) for blocks in back.blocks()] == [[sum(range(60))]]
    assert back.usage().tasks == 119 and back.resumed == 0
    functions.finish(back, over=True)
    assert left(functions) == []


def test_the_same_job_again_makes_what_is_not_stored(functions: LocalFunctions) -> None:
    plan = Plan(programs.crowd(40), POLICY)
    job = functions.submit(plan, keeps=True)
    until(lambda: len(list(job.storage.tiles())) >= 5)
    functions.finish(job, over=False)
    until(functions.service.endpoint.is_quiet)
    stored = len(list(job.storage.tiles()))
    again = functions.submit(plan, keeps=True)
    again.wait()
    until(functions.service.endpoint.is_quiet)
    assert again.usage().tasks == 40 - stored
    assert sorted(value for blocks in again.blocks() for value in blocks.values()) == list(range(40))
    functions.finish(again, over=True)
    again.storage.delete(list(plan.program.wanted()))
    assert left(functions) == []


def test_whoever_comes_too_late_does_not_begin_the_job_again(functions: LocalFunctions) -> None:
    """Two wait for it; one has fetched the results, and left nothing, before the other looks."""
    job = functions.submit(Plan(programs.tree(8), POLICY))
    late = functions.attach(job.name.job)
    job.wait()
    functions.finish(job, over=True)
    before = functions.counts()["invocations"]
    for act in (late.wait, lambda: list(late.blocks())):
        with pytest.raises(JobSwept, match=f"{job.name.job} is over, and somebody else has fetched"):
            act()
    assert not late.begin(resume=True) and late.resumed == 0
    until(functions.service.endpoint.is_quiet)
    assert functions.counts()["invocations"] == before
    assert left(functions) == []


def test_whoever_waits_for_a_job_that_failed_hears_why(functions: LocalFunctions) -> None:
    job = functions.submit(Plan(programs.tree(8, programs.fail), POLICY))
    late = functions.attach(job.name.job)
    with pytest.raises(TaskError, match="three"):
        job.wait()
    functions.finish(job, over=False)
    with pytest.raises(TaskError, match="three"):
        late.wait()
    assert left(functions) == []


def test_a_job_cancelled_is_not_begun_again_by_whoever_was_stopped(functions: LocalFunctions) -> None:
    job = functions.submit(Plan(programs.tree(200, programs.slow), POLICY))
    late = functions.attach(job.name.job)
    functions.finish(job, over=False)
    until(functions.service.endpoint.is_quiet)
    with pytest.raises(JobCancelled):
        late.wait()
    wanted(programs.tree(2), functions)  # sweeps what came late
    assert left(functions) == []


def test_a_job_cancelled_by_somebody_else(functions: LocalFunctions) -> None:
    job = functions.submit(Plan(programs.tree(400, programs.slow), POLICY))
    threading.Timer(0.2, functions.attach(job.name.job).cancel).start()
    with pytest.raises(JobCancelled, match="was cancelled"):
        job.wait()
    functions.finish(job, over=False)
    until(functions.service.endpoint.is_quiet)
    wanted(programs.tree(2), functions)
    assert left(functions) == []


@pytest.mark.long
@pytest.mark.parametrize("memory", [250, 512])
def test_what_is_read_ahead_fits_beside_the_tasks(memory: int) -> None:
    """Sources of 92 MB and a copy of each: one at a time has room in 250 MB, two have not; each is read once."""
    program, leaves = programs.copying(4), 4
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=1, provisioned=1, memory=memory), shape="aws") as places:
        outcome = run(program, MemoryStorage(), places)
    assert outcome.usage.retries == 0
    assert outcome.usage.bytes_read["source"] == leaves * programs.size_of_copied(("a", (0,)))
    assert outcome.usage.peak_memory < memory << 20
