"""The local service behaves as Lambda does."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.functions.processes import has_groups, is_alive, leftover_groups, until
from wukong_sched.functions.endpoint import Answer, Endpoint
from wukong_sched.functions.local import LocalService, start_service
from wukong_sched.functions.settings import FunctionSettings

HANDLERS = "tests.functions.handlers"


def settings(handler: str = "act", **values: Any) -> FunctionSettings:
    return FunctionSettings(f"{HANDLERS}.{handler}", **values)


@pytest.fixture
def start() -> Iterator[Callable[..., LocalService]]:
    """Start services that end with the test."""
    running: list[LocalService] = []

    def start(handler: str = "act", **values: Any) -> LocalService:
        running.append(start_service(settings(handler, **values)))
        return running[-1]

    yield start
    for service in running:
        service.close()


def call(service: LocalService, **event: Any) -> Any:
    answer = service.endpoint.call(json.dumps(event).encode())
    assert answer.status == 200, answer
    return json.loads(answer.body)


def failure(service: LocalService, **event: Any) -> dict[str, Any]:
    """The error of an invocation that fails."""
    answer = service.endpoint.call(json.dumps(event).encode())
    assert (answer.status, answer.headers["x-amz-function-error"]) == (200, "Unhandled")
    found: dict[str, Any] = json.loads(answer.body)
    return found


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.headers.get("x-amzn-errortype", "")


def in_parallel(count: int, work: Callable[[int], Any]) -> list[Any]:
    results: list[Any] = [None] * count

    def one(number: int) -> None:
        results[number] = work(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def own_call(service: LocalService, **event: Any) -> Answer:
    """A call on a connection of one's own."""
    with Endpoint(service.endpoint.port, service.endpoint.access_key) as endpoint:
        return endpoint.call(json.dumps(event).encode())


def test_a_warm_sandbox_serves_one_invocation_after_the_other(start: Callable[..., LocalService]) -> None:
    service = start("who", concurrency=3)
    seen = [call(service) for _ in range(20)]
    assert len({each["pid"] for each in seen}) == 1
    assert len({each["request"] for each in seen}) == 20
    state = service.endpoint.state()
    assert (state["cold"], state["invocations"], state["errors"]) == (1, 20, 0)


def test_an_invocation_knows_its_limits_and_its_environment(start: Callable[..., LocalService]) -> None:
    seen = call(start("who", timeout=7.0, memory=512, name="f", environment={"ONE": "1"}))
    assert 6000 < seen["left"] <= 7000
    assert (seen["memory"], seen["name"]) == ("512", "f")
    assert {"ONE", "AWS_LAMBDA_RUNTIME_API", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ACCESS_KEY_ID"} <= set(seen["variables"])


def test_a_function_does_not_see_its_clients_variables(
    start: Callable[..., LocalService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_PASSWORD", "secret")
    assert "SOMEBODYS_PASSWORD" not in call(start("who"))["variables"]


def test_the_last_that_worked_is_asked_first(start: Callable[..., LocalService]) -> None:
    service = start(concurrency=2)
    ends = in_parallel(2, lambda n: own_call(service, do="sleep", seconds=0.2 + 0.2 * n))
    last = json.loads(ends[1].body)
    for _ in range(4):
        time.sleep(0.05)  # until it waits again
        assert call(service, do="sleep", seconds=0) == last


@pytest.mark.parametrize(("asynchronous", "limit"), [(False, 2000), (True, 1000)])
def test_payloads_have_limits(start: Callable[..., LocalService], asynchronous: bool, limit: int) -> None:
    service = start("echo", synchronous_payload=2000, asynchronous_payload=1000)

    def status(nbytes: int) -> tuple[int, str]:
        payload = b'"' + b"x" * (nbytes - 2) + b'"'
        return kind(service.endpoint.send([payload])[0] if asynchronous else service.endpoint.call(payload))

    assert status(limit) == ((202 if asynchronous else 200), "")
    assert status(limit + 1) == (413, "RequestTooLargeException")


def test_a_response_has_a_limit(start: Callable[..., LocalService]) -> None:
    service = start(synchronous_payload=5000)
    assert call(service, do="big", bytes=4998) == "x" * 4998
    assert failure(service, do="big", bytes=4999)["errorType"] == "Function.ResponseSizeTooLarge"


def test_large_payloads_go_through(start: Callable[..., LocalService]) -> None:
    service = start("echo")
    text = "x" * (6 * 2**20 - 2)
    assert json.loads(service.endpoint.call(json.dumps(text).encode()).body) == text


def test_an_invocation_is_ended_at_its_time_limit(start: Callable[..., LocalService]) -> None:
    service = start(timeout=0.4, concurrency=1)
    before = call(service, do="sleep", seconds=0)
    began = time.monotonic()
    error = failure(service, do="sleep", seconds=5)
    assert 0.35 < time.monotonic() - began < 3
    assert "Task timed out after 0.40 seconds" in error["errorMessage"]
    assert call(service, do="sleep", seconds=0) != before


@pytest.mark.parametrize(
    ("event", "message"),
    [({"do": "exit", "status": 3}, "exit status 3"), ({"do": "kill"}, "signal: SIGKILL")],
    ids=["exits", "killed"],
)
def test_a_process_that_dies_fails_its_invocation(
    start: Callable[..., LocalService], event: dict[str, Any], message: str
) -> None:
    service = start(concurrency=1)
    error = failure(service, **event)
    assert error["errorType"] == "Runtime.ExitError"
    assert message in error["errorMessage"]
    assert call(service, do="sleep", seconds=0)


def test_an_exception_is_an_error_that_leaves_the_sandbox_warm(
    start: Callable[..., LocalService], tmp_path: Path
) -> None:
    service = start(concurrency=1)
    error = failure(service, do="note", file=str(tmp_path / "notes"), failures=1)
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "not yet")
    assert call(service, do="sleep", seconds=0)
    assert service.endpoint.state()["cold"] == 1


def test_memory_has_a_limit(start: Callable[..., LocalService]) -> None:
    service = start(concurrency=1, memory=256)
    assert call(service, do="take", bytes=50 << 20) == 50 << 20
    error = failure(service, do="take", bytes=400 << 20)
    assert error["errorType"] in ("MemoryError", "Runtime.ExitError")
    assert call(service, do="take", bytes=50 << 20) == 50 << 20


def test_calls_beyond_the_concurrency_are_throttled(start: Callable[..., LocalService]) -> None:
    service = start(concurrency=2)
    kinds = in_parallel(5, lambda number: kind(own_call(service, do="sleep", seconds=0.5)))
    assert sorted(kinds) == [(200, "")] * 2 + [(429, "TooManyRequestsException")] * 3
    assert call(service, do="sleep", seconds=0)


def test_events_wait_for_a_sandbox_and_are_throttled_when_too_many_do(start: Callable[..., LocalService]) -> None:
    service = start(concurrency=1, asynchronous_queue=3)
    event = json.dumps({"do": "sleep", "seconds": 0.3}).encode()
    assert [kind(answer) for answer in service.endpoint.send([event] * 2)] == [(202, "")] * 2
    until(lambda: service.endpoint.state()["busy"])
    kinds = [kind(answer) for answer in service.endpoint.send([event] * 4)]
    assert kinds == [(202, "")] * 2 + [(429, "TooManyRequestsException")] * 2
    until(service.endpoint.is_quiet)
    assert service.endpoint.state()["invocations"] == 4
    assert len(service.endpoint.state()["pids"]) == 1


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_events_that_fail_are_retried_twice_as_the_same_request(
    start: Callable[..., LocalService], tmp_path: Path, failures: int
) -> None:
    service = start(retry_seconds=0.05)
    notes = tmp_path / "notes"
    service.endpoint.send([json.dumps({"do": "note", "file": str(notes), "failures": failures}).encode()])
    until(lambda: service.endpoint.state()["invocations"] == min(3, failures + 1))
    state = until(lambda: (s := service.endpoint.state()) and not s["waiting"] and s)
    lines = [line.split() for line in notes.read_text().splitlines()]
    assert len(lines) == min(3, failures + 1)
    assert len({request for request, _, _ in lines}) == 1
    times = [float(at) for _, _, at in lines]
    assert all(later - earlier > 0.04 * 2**n for n, (earlier, later) in enumerate(pairwise(times)))
    assert (state["retried"], state["dropped"]) == (min(2, failures), int(failures > 2))


def test_an_event_whose_sandbox_is_killed_is_retried(start: Callable[..., LocalService]) -> None:
    service = start(retry_seconds=0.05)
    service.endpoint.send([json.dumps({"do": "kill"}).encode()])
    state = until(lambda: (s := service.endpoint.state()) and s["dropped"] and s)
    assert (state["invocations"], state["retried"], state["cold"]) == (3, 2, 3)


def test_sandboxes_without_work_end(start: Callable[..., LocalService]) -> None:
    service = start("who", idle_seconds=0.2, provisioned=2)
    pids = {call(service)["pid"], *until(lambda: len(s := service.endpoint.state()["pids"]) == 2 and s)}
    until(lambda: not service.endpoint.state()["pids"])
    until(lambda: not any(map(is_alive, pids)))
    assert call(service)["pid"] not in pids


def test_a_handler_that_cannot_be_imported_is_told(start: Callable[..., LocalService]) -> None:
    service = start("nothing")
    error = failure(service)
    assert error["errorType"] == "Runtime.HandlerNotFound"
    assert service.endpoint.state()["failed_starts"] == 1


def test_schedules_invoke_until_they_are_over(start: Callable[..., LocalService], tmp_path: Path) -> None:
    service, notes = start(), tmp_path / "notes"
    service.endpoint.schedule("s", 0.05, json.dumps({"do": "note", "file": str(notes), "failures": 0}).encode())
    until(lambda: notes.exists() and len(notes.read_text().splitlines()) >= 3)
    service.endpoint.unschedule("s")
    until(service.endpoint.is_quiet)
    count = len(notes.read_text().splitlines())
    time.sleep(0.2)
    assert len(notes.read_text().splitlines()) == count
    echo = start("echo")
    echo.endpoint.schedule("s", 0.02, b'"over"')
    until(lambda: echo.endpoint.state()["invocations"])
    time.sleep(0.1)
    assert echo.endpoint.state()["invocations"] == 1


def test_what_is_done_for_a_job_is_counted_apart(start: Callable[..., LocalService]) -> None:
    """All of its attempts, and nobody else's; for as long as somebody follows it."""
    service = start(concurrency=2, retry_seconds=0.001)
    endpoint = service.endpoint
    endpoint.follow("mine")
    sent = [("mine", "kill"), ("other", "kill"), ("mine", "sleep"), ("other", "sleep"), ("mine", "sleep")]
    endpoint.send([json.dumps({"job": job, "do": do, "seconds": 0.05}).encode() for job, do in sent])
    until(lambda: endpoint.state()["invocations"] == 9)
    mine, state = endpoint.followed("mine"), endpoint.state()
    assert (mine["attempts"], mine["failed"], mine["retried"]) == (5, 3, 2)
    assert (state["errors"], state["retried"]) == (6, 4)
    assert 0.1 + 0.003 <= mine["failed_seconds"] + 0.1 <= mine["attempt_seconds"] < state["busy_seconds"]
    endpoint.follow("mine")  # somebody else does so, too
    assert endpoint.followed("mine") == mine
    endpoint.forget("mine")
    endpoint.send([json.dumps({"job": "mine", "do": "sleep", "seconds": 0.0}).encode()])
    until(lambda: endpoint.state()["invocations"] == 10)
    assert set(endpoint.followed("mine").values()) == {0}


def test_the_seconds_of_a_job_are_those_of_the_service(start: Callable[..., LocalService]) -> None:
    """Where all is one job's; each is rounded up to milliseconds. What runs still counts, too."""
    service = start(concurrency=2, retry_seconds=0.001)
    endpoint = service.endpoint
    endpoint.follow("j")
    endpoint.schedule("j", 0.01, b'{"job": "j", "do": "sleep", "seconds": 0.001}')
    until(lambda: endpoint.followed("j")["watched"] >= 3)
    endpoint.unschedule("j")
    endpoint.send([b'{"job": "j", "do": "exit", "status": 3}', b'{"job": "j", "do": "sleep", "seconds": 0.02}'])
    until(lambda: endpoint.followed("j")["failed"] == 3 and endpoint.is_quiet())
    found, state = endpoint.followed("j"), endpoint.state()
    assert found["attempts"] == 4 and found["watched"] >= 3
    assert found["attempts"] + found["watched"] == state["invocations"]
    seconds = found["attempt_seconds"] + found["watched_seconds"]
    assert 0 <= seconds - state["busy_seconds"] <= 0.001 * state["invocations"]
    endpoint.send([b'{"job": "j", "do": "sleep", "seconds": 600}'])
    until(lambda: endpoint.followed("j")["attempt_seconds"] > found["attempt_seconds"] + 0.05)
    assert endpoint.followed("j")["attempts"] == 5
    assert endpoint.state()["invocations"] == state["invocations"]


def test_what_is_throttled_is_a_jobs_own(start: Callable[..., LocalService]) -> None:
    endpoint = start(concurrency=1, asynchronous_queue=1).endpoint
    for job in ("one", "two"):
        endpoint.follow(job)
    endpoint.send([b'{"job": "one", "do": "sleep", "seconds": 600}'])
    until(lambda: endpoint.state()["busy"])
    statuses = [answer.status for answer in endpoint.send([b'{"job": "two", "do": "sleep", "seconds": 0}'] * 4)]
    assert statuses == [202, 429, 429, 429]
    assert [endpoint.followed(job)["throttled"] for job in ("one", "two")] == [0, 3]


def test_only_who_has_the_key_may_ask(start: Callable[..., LocalService]) -> None:
    service = start("echo")
    with Endpoint(service.endpoint.port, "0" * 32) as stranger:
        assert kind(stranger.call(b"1")) == (403, "AccessDeniedException")
    assert service.endpoint.access_key not in repr(service.endpoint)


def test_nothing_listens_beyond_this_machine(start: Callable[..., LocalService]) -> None:
    service = start("who")
    seen = call(service)
    pids = [service.process.pid, seen["pid"], seen["parent"]]
    inodes = {os.readlink(link) for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.append(fields[1].split(":")[0])
    assert len(listening) == 2
    assert set(listening) == {"0100007F"}


def test_the_directory_is_its_owners_and_goes_with_the_service(start: Callable[..., LocalService]) -> None:
    service = start("who")
    assert stat.S_IMODE(service.directory.stat().st_mode) == 0o700
    pids = [service.process.pid, call(service)["pid"]]
    service.close()
    assert not service.directory.exists()
    assert not any(map(is_alive, pids))
    assert leftover_groups(service.process.pid) == []


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGKILL", "SIGINT"])
def test_sandboxes_end_with_their_service(start: Callable[..., LocalService], signal_name: str) -> None:
    service = start("who")
    pid = call(service)["pid"]
    os.kill(service.process.pid, getattr(signal, signal_name))
    if signal_name == "SIGINT":  # a terminal's Ctrl-C is for the client
        time.sleep(0.1)
        assert call(service)["pid"] == pid
        return
    until(lambda: not is_alive(pid))


def test_a_job_is_quiet_while_another_runs(start: Callable[..., LocalService]) -> None:
    endpoint = start(concurrency=2).endpoint
    endpoint.send([json.dumps({"job": "long", "do": "sleep", "seconds": 60}).encode()])
    endpoint.send([json.dumps({"way": "some", "job": "short", "do": "sleep", "seconds": 0.1}).encode()])
    assert not endpoint.is_quiet("short")
    until(lambda: endpoint.is_quiet("short"))
    assert not endpoint.is_quiet("long") and not endpoint.is_quiet()
    assert endpoint.is_quiet("unknown")


@pytest.mark.parametrize("how", ["killed", "timed out", "closed"])
def test_what_a_sandbox_has_started_ends_with_it(start: Callable[..., LocalService], how: str) -> None:
    """Also what began a session of its own, where there are control groups."""
    service = start(concurrency=1, timeout=1.0, retries=0)
    same, own = call(service, do="start")
    try:
        assert is_alive(same) and is_alive(own)
        if how == "closed":
            service.close()
        else:
            failure(service, do="kill" if how == "killed" else "sleep", seconds=60)
        until(lambda: not is_alive(same))
        if has_groups():
            until(lambda: not is_alive(own))
    finally:
        for pid in filter(is_alive, (same, own)):
            os.kill(pid, signal.SIGKILL)
