"""A function's inside, in this process: invocations are a queue, so that each can be looked at."""

from __future__ import annotations

import gc
import json
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.functions import programs
from wukong_sched.coordination.protocol import State
from wukong_sched.drivers.functions import POLICY
from wukong_sched.errors import InfrastructureError
from wukong_sched.functions.events import JobName
from wukong_sched.functions.metered import MeteredStorage
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.plan import Plan, fingerprint, program_key
from wukong_sched.functions.submitted import Submitted, submit
from wukong_sched.functions.worker import DONE, OVER, WATCHED, Worker
from wukong_sched.program import Program
from wukong_sched.services.valkey import Valkey

KEY = b"key"
SCATTER = programs.steady(POLICY, invoke_seconds=1e-9, latency=1e-9, bandwidth=math.inf, quantum=1e-9, hold_bytes=0)


@dataclass
class Queue:
    """Keeps events; `idle` is what it says of free functions."""

    idle: int | None = None
    room: int = 4000
    events: deque[bytes] = field(default_factory=deque)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, events: Sequence[bytes]) -> None:
        self.events.extend(events)
        self.sent += map(json.loads, events)

    def free(self) -> int | None:
        return self.idle


@dataclass
class Context:
    """So much time is left."""

    milliseconds: int = 10**6

    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


class Waning(Context):
    """Half of the time is gone whenever somebody asks."""

    def get_remaining_time_in_millis(self) -> int:
        self.milliseconds //= 2
        return self.milliseconds


@dataclass
class Running(Context):
    """There is time until then, by `time.monotonic`."""

    end: float = 0.0

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round(1000 * (self.end - time.monotonic())))


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def places(valkey: Valkey, queue: Queue, tmp_path: Path) -> Iterator[Places]:
    places = Places(Addresses(valkey.url, f"file://{tmp_path}"), queue)
    yield places
    places.close()


def drain(worker: Worker, queue: Queue, context: Context | None = None) -> list[str]:
    """Handle what is in the queue until nothing is."""
    answers = []
    while queue.events:
        answers.append(worker.handle(json.loads(queue.events.popleft()), context or Context()))
    return answers


def begun(places: Places, program: Program, policy: Any = POLICY, share: int = 1) -> Submitted:
    return submit(places, KEY, Plan(program, policy, 60.0), share=share)


def values(job: Submitted) -> list[Any]:
    assert job.coordination.read().state is State.DONE
    found = [value for blocks in job.blocks() for value in blocks.values()]
    job.sweep()
    return found


@pytest.mark.parametrize("share", [1, 2, 5, 40])
def test_executors_divide_what_they_may_count_on(places: Places, queue: Queue, share: int) -> None:
    """Those that begin the job, what it may have; each of them, its part."""
    job = begun(places, programs.tree(64), SCATTER, share)
    first = list(queue.sent)
    drain(Worker(places, KEY), queue)
    assert values(job) == [sum(range(64))]
    assert len(first) == min(share, SCATTER.fan)
    assert sum(event["share"] for event in first) == share
    assert {event["share"] for event in first} <= {share // len(first), share // len(first) + 1}
    assert all(1 <= event["share"] <= max(1, share // 2) for event in queue.sent[len(first) :])


def test_an_executor_hands_over_when_time_is_up(places: Places, queue: Queue) -> None:
    job = begun(places, programs.crowd(6), replace(SCATTER, quantum=1e-6, fan=1), 8)
    drain(Worker(places, KEY), queue, Context(20))  # a task takes as long
    assert len(queue.sent) >= 3
    assert {event["share"] for event in queue.sent} == {8}  # to its successor it leaves all
    assert sorted(values(job)) == list(range(6))


def test_a_warm_process_holds_no_block_of_a_job_that_is_over(places: Places, queue: Queue) -> None:
    """What it keeps for the next executor of a job ends with the job; the collector of cycles has nothing to do."""
    worker = Worker(places, KEY)
    programs.NOTED.clear()
    gc.disable()
    try:
        for _ in range(3):
            job = begun(places, programs.noted_blocks(2))
            drain(worker, queue)
            assert len(values(job)) == 2
        assert [each() for each in programs.NOTED] == [None] * 6
    finally:
        gc.enable()


@pytest.mark.parametrize("is_swept", [False, True])
def test_what_is_made_of_a_job_that_is_over_is_not_stored(places: Places, queue: Queue, is_swept: bool) -> None:
    """Its task ends when the lease is gone already; nothing would ever sweep what it leaves."""
    worker = Worker(places, KEY)
    job = submit(places, KEY, Plan(programs.meanwhile(), POLICY, 0.001))

    def over() -> None:
        lease = worker.process.renewer.lease
        assert lease is not None
        if is_swept:
            job.cancel()
            job.sweep()
            assert lease.gone.wait(60)

    programs.MEANWHILE.append(over)
    try:
        drain(worker, queue)
    finally:
        programs.MEANWHILE.clear()
    assert len(list(job.storage.tiles())) == (not is_swept)
    job.sweep()


@pytest.mark.parametrize(("room", "travels"), [(4000, True), (2000, False)])
def test_tiles_travel_as_far_as_there_is_room(places: Places, queue: Queue, room: int, travels: bool) -> None:
    queue.room = room
    job = begun(places, programs.diamonds(8), SCATTER, 4)
    drain(Worker(places, KEY), queue)
    assert sorted(values(job)) == [2 * number + 3 for number in range(8)]
    assert any("tiles" in event for event in queue.sent) == travels
    assert all(len(json.dumps(event)) <= max(room, 2000) for event in queue.sent)


def test_a_watchdog_starts_who_should_run(places: Places, queue: Queue) -> None:
    job = begun(places, programs.tree(4))
    lost = queue.events.popleft()
    worker = Worker(places, KEY)
    watch = {**json.loads(lost), "id": ""}
    job.coordination.sweep()
    assert worker.handle(watch, Context()) == OVER
    places.addresses = replace(places.addresses, grace=0.0)
    job = begun(places, programs.tree(4))
    queue.events.clear()
    watch = {**json.loads(lost), "job": job.name.job, "id": ""}
    assert worker.handle(watch, Context()) == WATCHED
    drain(worker, queue)
    assert values(job) == [6]


def test_a_lost_root_that_is_started_again_counts_on_many(places: Places, queue: Queue) -> None:
    places.addresses = replace(places.addresses, grace=0.0)
    job = begun(places, programs.crowd(12), replace(SCATTER, fan=1), 8)
    lost = json.loads(queue.events.popleft())
    Worker(places, KEY).handle({**lost, "id": "", "share": 8}, Context())
    assert [json.loads(event)["share"] for event in queue.events] == [4]
    job.sweep()


@pytest.mark.parametrize("idle", [None, 0, 5])
def test_a_watchdog_floods_nobody(places: Places, queue: Queue, idle: int | None) -> None:
    places.addresses = replace(places.addresses, grace=0.0)
    job = begun(places, programs.crowd(12), SCATTER, 8)
    worker = Worker(places, KEY)
    worker.handle(json.loads(queue.events.popleft()), Context())
    waiting = len(job.coordination.read().startable)
    queue.events.clear()
    queue.idle = idle
    worker.handle({**queue.sent[0], "id": ""}, Context())
    assert len(queue.events) == (waiting if idle is None else min(waiting, idle + 1))
    assert waiting > 1
    job.sweep()


def test_a_function_that_has_less_time_than_the_margin_works_before_it_hands_over(places: Places, queue: Queue) -> None:
    """The policy is made for functions of minutes, the function was given seconds."""
    job = begun(places, programs.tree(16), replace(POLICY, margin=10.0))
    assert drain(Worker(places, KEY), queue, Context(9000)) == [DONE]
    assert values(job) == [sum(range(16))]


def test_a_watchdog_whose_time_is_up_has_a_successor(places: Places, queue: Queue) -> None:
    job = begun(places, programs.tree(4))
    queue.events.clear()
    event = {**queue.sent[0], "id": "", "every": 0.01}
    assert Worker(places, KEY).handle(event, Waning(1000)) == WATCHED
    assert list(map(json.loads, queue.events)) == [event]
    job.sweep()


@pytest.mark.parametrize("every", [0.1, 60.0])
def test_a_watchdog_pauses_before_it_calls_a_successor(places: Places, queue: Queue, every: float) -> None:
    """Although it has no time for another look."""
    job = begun(places, programs.tree(4))
    queue.events.clear()
    event = {**queue.sent[0], "id": "", "every": every}
    began = time.monotonic()
    assert Worker(places, KEY).handle(event, Running(end=began + 0.15)) == WATCHED
    assert time.monotonic() - began >= 0.1
    assert list(map(json.loads, queue.events)) == [event]
    job.sweep()


def test_a_function_of_another_version_says_so(places: Places, queue: Queue) -> None:
    job = begun(places, programs.tree(4))
    event = {**queue.sent[0], "fingerprint": "python 2.7, numpy 1.0"}
    assert Worker(places, KEY).handle(event, Context()) == OVER
    story = job.coordination.read().story
    assert story is not None
    assert f"the client has python 2.7, numpy 1.0, the function {fingerprint()}" in story.cause
    job.sweep()


@pytest.mark.parametrize(
    ("leaf", "cause"), [(programs.Unloadable(), "KeyError: 'not here'"), (programs.Ending(), "SystemExit: 3")]
)
def test_a_program_whose_loading_fails_ends_its_job(places: Places, queue: Queue, leaf: Any, cause: str) -> None:
    job = begun(places, programs.tree(2, leaf))
    assert drain(Worker(places, KEY), queue) == [OVER]
    story = job.coordination.read().story
    assert story is not None
    assert cause in story.cause
    job.sweep()


def test_processes_that_end_while_they_load_a_program_are_counted(
    places: Places, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(worker: Worker, name: JobName) -> Plan:
        raise SystemExit(3)  # as good as killed: nobody within takes it for an error

    monkeypatch.setattr(Worker, "_load", end)
    job = begun(places, programs.tree(2))
    event = json.loads(queue.events[0])
    for _ in range(8):
        assert job.coordination.read().state is State.RUNNING
        with pytest.raises(SystemExit):
            Worker(places, KEY).handle(event, Context())
    assert Worker(places, KEY).handle(event, Context()) == OVER
    words = r"8 attempts ended without a commit; the last tried to load the program of the job.*functions\.memory"
    with pytest.raises(InfrastructureError, match=words):
        job.wait()
    job.sweep()


def test_a_program_that_is_lost_is_brought_again(places: Places, queue: Queue) -> None:
    """A server was emptied between two steps of a submission."""
    job = begun(places, programs.tree(2))
    places.objects().delete([program_key(job.name.job)])
    assert Worker(places, KEY).handle(json.loads(queue.events.popleft()), Context()) == OVER
    assert job.coordination.read().state is State.LOST
    answers = []
    job.wait(lambda: answers.extend(drain(Worker(places, KEY), queue)) or "", check=0.0)  # type: ignore[func-returns-value]
    assert (answers, job.resumed) == ([DONE], 1)
    assert values(job) == [1]


def test_a_store_that_fails_fails_the_invocation_alone(places: Places, queue: Queue) -> None:
    job = begun(places, programs.tree(2))
    worker, get, broken = Worker(places, KEY), places.objects().get, iter([True])

    def fail_once(keys: Sequence[str]) -> Any:
        if next(broken, False):
            raise InfrastructureError("the store does not answer")
        return get(keys)

    places.objects().get = fail_once  # type: ignore[method-assign]
    event = json.loads(queue.events[0])
    with pytest.raises(InfrastructureError):
        worker.handle(event, Context())
    drain(worker, queue)
    assert values(job) == [1]


def test_an_attempt_that_ends_with_an_exception_is_counted_as_one_that_was_killed(
    places: Places, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a retry of its successor's, and not as an executor of its own."""
    job = begun(places, programs.tree(4))
    worker = Worker(places, KEY)

    def fail_once(self: MeteredStorage, blocks: Any) -> None:
        monkeypatch.undo()
        raise InfrastructureError("the store failed once")

    monkeypatch.setattr(MeteredStorage, "put", fail_once)
    with pytest.raises(InfrastructureError, match="failed once"):
        worker.handle(json.loads(queue.events[0]), Context())
    drain(worker, queue)
    usage = job.usage()
    assert (usage.tasks, usage.retries, len(job.usages())) == (7, 1, 1)
    assert values(job) == [6]


def test_an_invocation_of_a_job_that_is_over_does_nothing(places: Places, queue: Queue) -> None:
    job = begun(places, programs.tree(4))
    event = json.loads(queue.events[0])
    worker = Worker(places, KEY)
    drain(worker, queue)
    assert values(job) == [6]
    left = set(places.objects().keys(""))
    for late in (worker, Worker(places, KEY)):
        late.handle(event, Context())
    assert set(places.objects().keys("")) == left
    assert not queue.events


def test_programs_are_fetched_once(places: Places, queue: Queue) -> None:
    job = begun(places, programs.tree(4))
    worker, fetched = Worker(places, KEY), []
    get = places.objects().get
    places.objects().get = lambda keys: fetched.append(keys) or get(keys)  # type: ignore[method-assign,func-returns-value]
    queue.events.extend([queue.events[0]] * 3)
    drain(worker, queue)
    assert [keys for keys in fetched if any(key.endswith("/program") for key in keys)] == [fetched[0]]
    assert values(job) == [6]
    assert (list(worker._plans), worker._job) == ([job.name.program], None)
