"""The Lambda driver, with real boto3, against the local service's endpoint."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.functions import programs
from tests.functions.conftest import HANDLER
from tests.functions.processes import keys, until
from wukong_sched.coordination.protocol import State
from wukong_sched.drivers import aws_lambda
from wukong_sched.drivers.aws_lambda import LambdaFunctions, LambdaInvoker
from wukong_sched.errors import InfrastructureError, TaskError
from wukong_sched.functions.carried import collect, finished
from wukong_sched.functions.local import LocalService, private_directory, start_service
from wukong_sched.functions.places import Addresses
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.memory import MemoryStorage

boto3 = pytest.importorskip("boto3")
botocore_exceptions = pytest.importorskip("botocore.exceptions")
KEY = b"a key of 32 bytes for these test"
POLICY = programs.steady(
    aws_lambda.POLICY, invoke_seconds=1e-6, latency=1e-9, bandwidth=math.inf, quantum=1e-3, hold_seconds=0.0
)


def lambda_client(service: LocalService, **config: Any) -> Any:
    """What a user's boto3 gives, pointed to the local service."""
    from botocore.config import Config

    return boto3.client(
        "lambda",
        region_name="us-east-1",
        endpoint_url=service.endpoint.url,
        aws_access_key_id=service.endpoint.access_key,
        aws_secret_access_key="unused",
        config=Config(**{"retries": {"total_max_attempts": 1}, **config}),
    )


@pytest.fixture(scope="module")
def deployed() -> Iterator[tuple[LocalService, Addresses]]:
    """A function that is invoked, and invokes, through boto3."""
    home = private_directory()
    with Valkey(home) as valkey:
        addresses = Addresses(valkey.url, f"file://{home / 'store'}", 2.0, 1.0)
        function = FunctionSettings(HANDLER, environment=addresses.environment(KEY), concurrency=3, provisioned=3)
        with start_service(function, home) as service:
            yield service, addresses


@pytest.fixture
def functions(deployed: tuple[LocalService, Addresses]) -> Iterator[LambdaFunctions]:
    service, addresses = deployed
    client = lambda_client(service)
    yield LambdaFunctions(addresses, KEY, LambdaInvoker("sarray", client), concurrency=2, watch=0.3)
    client.close()
    until(service.endpoint.is_quiet)


def test_whoever_attaches_may_use_as_many_functions_if_the_job_must_be_resumed(functions: LambdaFunctions) -> None:
    job = functions.submit(Plan(programs.tree(4), POLICY, 60.0))
    attached = functions.attach(job.name.job)
    assert attached.share == job.share == functions.concurrency == 2
    attached.wait()
    job.sweep()


def test_the_driver_runs_a_job(functions: LambdaFunctions, deployed: tuple[LocalService, Addresses]) -> None:

    def executors() -> int:
        storage = MemoryStorage()
        report, usage = aws_lambda.run(programs.tree(60, programs.slow), storage, functions, policy=POLICY)
        assert list(storage.get(list(storage.tiles())).values()) == [sum(range(60))]
        assert (report.tasks, usage.tasks) == (119, 119)
        return report.executors

    until(lambda: executors() >= 2, 60)  # whoever is still starting comes too late
    until(deployed[0].endpoint.is_quiet)
    assert list(Path(deployed[1].objects.removeprefix("file://")).rglob("jobs/*/*")) == []


def test_watchdogs_are_worked_out_from_the_time_a_job_took(functions: LambdaFunctions) -> None:
    """Nobody says when they ended; attempts that failed are those that executors found."""
    with finished(functions, functions.submit(Plan(programs.tree(4), POLICY, 60.0))) as job:
        report = collect(functions, job, MemoryStorage())
        long = functions.facts(job, 2000.0)
    assert (report.facts.watched, report.facts.attempts, report.facts.failed) == (1, 0, 0)
    assert report.facts.watched_seconds == report.seconds + functions.watch
    assert report.invocations == len(report.usages) + report.retries + 1
    assert (long.watched, long.watched_seconds) == (3, 2000.0 + functions.watch)


def test_small_tiles_travel_with_the_invocation(functions: LambdaFunctions) -> None:
    program, storage = programs.diamonds(20), MemoryStorage()
    _, usage = aws_lambda.run(program, storage, functions, policy=POLICY)
    assert usage.bytes_read["inline"] > 0
    assert sorted(storage.get(list(storage.tiles())).values()) == [2 * number + 3 for number in range(20)]


def test_an_error_comes_back(functions: LambdaFunctions) -> None:
    with pytest.raises(TaskError, match="three"):
        aws_lambda.run(programs.tree(8, programs.fail), MemoryStorage(), functions, policy=POLICY)


def test_a_function_that_is_not_there(functions: LambdaFunctions) -> None:
    nobody = replace(functions, invoker=LambdaInvoker("nobody", functions.invoker._client))
    with pytest.raises(InfrastructureError, match=r"nobody cannot be invoked.*ResourceNotFoundException"):
        aws_lambda.run(programs.tree(2), MemoryStorage(), nobody)


class Interrupting:
    """Invokes, and is interrupted before it says so; or cannot invoke."""

    room = 1 << 17

    def __init__(self, inner: LambdaInvoker, error: type[BaseException]) -> None:
        self._inner, self._error = inner, error

    def free(self) -> int | None:
        return self._inner.free()

    def invoke(self, events: Sequence[bytes]) -> None:
        if self._error is KeyboardInterrupt:
            self._inner.invoke(events)
        raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt, InfrastructureError])
def test_of_a_job_that_cannot_begin_nothing_is_left(functions: LambdaFunctions, error: type[BaseException]) -> None:
    invoker: Any = Interrupting(functions.invoker, error)
    broken = replace(functions, invoker=invoker)
    with pytest.raises(error):
        aws_lambda.run(programs.tree(4), MemoryStorage(), broken)
    server = functions.places.server()
    until(lambda: not list(functions.places.objects().keys("jobs/")) and not keys(server))
    server.close()


class Gone:
    """Records that nobody can reach."""

    def sweep(self, leaves: State) -> None:
        raise InfrastructureError("gone")


@pytest.mark.parametrize("over", [True, False])
def test_what_is_stored_goes_though_the_records_cannot_be_reached(functions: LambdaFunctions, over: bool) -> None:
    job = functions.submit(Plan(programs.tree(4), POLICY, functions.renewal))
    job.wait()
    objects = functions.places.objects()
    before = set(objects.keys(f"jobs/{job.name.job}/"))
    gone: Any = Gone()
    with pytest.raises(InfrastructureError, match="gone"):
        functions.finish(replace(job, coordination=gone), over=over)
    assert before and not before.intersection(objects.keys("jobs/"))
    functions.finish(job, over=True)


def test_boto3_understands_every_answer() -> None:
    function = FunctionSettings(
        "tests.functions.handlers.act", concurrency=1, synchronous_payload=2000, asynchronous_payload=1000
    )
    with start_service(function) as service:
        client = lambda_client(service)
        answer = client.invoke(FunctionName="sarray", Payload=b'{"do": "big", "bytes": 3}')
        assert (answer["StatusCode"], answer["Payload"].read()) == (200, b'"xxx"')
        answer = client.invoke(FunctionName="sarray", Payload=b'{"do": "exit", "status": 1}')
        assert answer["FunctionError"] == "Unhandled"
        assert b"exit status 1" in answer["Payload"].read()
        assert client.invoke(FunctionName="sarray", InvocationType="DryRun")["StatusCode"] == 204
        event = b'{"do": "sleep", "seconds": 0.5}'
        assert client.invoke(FunctionName="sarray", InvocationType="Event", Payload=event)["StatusCode"] == 202
        until(lambda: not service.endpoint.free())
        with pytest.raises(client.exceptions.TooManyRequestsException):
            client.invoke(FunctionName="sarray", Payload=event)
        with pytest.raises(client.exceptions.RequestTooLargeException):
            client.invoke(FunctionName="sarray", InvocationType="Event", Payload=b'"' + b"x" * 1000 + b'"')
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.invoke(FunctionName="nobody", Payload=b"1")
        client.close()


def test_throttled_requests_are_tried_again() -> None:
    function = FunctionSettings("tests.functions.handlers.act", concurrency=1, asynchronous_queue=1)
    with start_service(function) as service:
        client = lambda_client(service, retries={"mode": "adaptive", "max_attempts": 8})
        LambdaInvoker("sarray", client).invoke([b'{"do": "sleep", "seconds": 0.1}'] * 6)
        until(lambda: service.endpoint.state()["invocations"] == 6)
        assert service.endpoint.state()["throttled"] > 0
        client.close()


def test_the_watchdog_is_a_function(functions: LambdaFunctions, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = threading.Event()
    send = LambdaInvoker.invoke

    def invoke(self: LambdaInvoker, events: Any) -> None:
        if lost.is_set():  # all but the first, which is the root's
            send(self, events)
        lost.set()

    monkeypatch.setattr(LambdaInvoker, "invoke", invoke)
    monkeypatch.setattr(LambdaFunctions, "help", lambda self, job: lambda: "")
    storage = MemoryStorage()
    aws_lambda.run(programs.tree(4), storage, functions)
    assert list(storage.get(list(storage.tiles())).values()) == [6]
