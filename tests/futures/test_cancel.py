"""Calls are cancelled exactly if they have not begun, whatever runs them; those that end functions fail alone."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, as_completed, wait
from multiprocessing import Process, SimpleQueue
from pathlib import Path
from typing import Any

import pytest

from wukong_sched.drivers import serial
from wukong_sched.errors import InfrastructureError
from wukong_sched.futures import CallFuture, FunctionExecutor, away, here
from wukong_sched.futures.away import Deliveries, Parcels
from wukong_sched.futures.calls import Call
from wukong_sched.futures.tickets import MOST, Tickets
from wukong_sched.futures.waiting import Waiting
from wukong_sched.storage.memory import MemoryStorage

PATIENCE = 120.0
"""Seconds after which a test gives up."""
HERE = ("threads", "serial", "simulate")
"""Executors whose calls run in this process."""


def hold(gate: Path, *needs: object) -> str:
    """Say that the call runs, and wait until the gate is there."""
    gate.with_suffix(".begun").write_text("begun")
    while not gate.exists():
        time.sleep(0.01)
    return "held"


def leave(path: Path, *needs: object) -> None:
    path.write_text("called")


def until(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE
    assert callable(condition)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_has_not_begun_is_cancelled_and_never_begins(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with FunctionExecutor("functions", workers=1) as pool:
        first = pool.submit(hold, gate)
        second = pool.submit(leave, tmp_path / "second", first)
        third = pool.submit(leave, tmp_path / "third", second)
        until(gate.with_suffix(".begun").exists)
        assert not second.running()
        assert second.cancel() and second.cancel()
        assert second.cancelled() and second in wait([second], PATIENCE).done
        assert not first.cancel()
        assert first.running()
        gate.touch()
        assert first.result(PATIENCE) == "held"
        with pytest.raises(CancelledError):
            third.result(PATIENCE)
        assert third.cancelled()
    assert sorted(tmp_path.iterdir()) == [gate, gate.with_suffix(".begun")]


@pytest.mark.parametrize("kind", ["threads", "functions"])
@pytest.mark.parametrize("cancelled_first", [True, False])
def test_what_needs_a_cancelled_and_a_failed_call_is_cancelled(
    kind: str, cancelled_first: bool, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with FunctionExecutor(kind, workers=1) as pool:
        first = pool.submit(hold, gate)
        failed, cancelled = pool.submit(divmod, 1, 0), pool.submit(leave, tmp_path / "left", first)
        needs = [cancelled, failed] if cancelled_first else [failed, cancelled]
        last = pool.submit(leave, tmp_path / "last", *needs)
        until(gate.with_suffix(".begun").exists)
        assert cancelled.cancel()
        gate.touch()
        assert isinstance(failed.exception(PATIENCE), ZeroDivisionError)
        assert last in wait([last], PATIENCE).done and last.cancelled()
    assert sorted(tmp_path.iterdir()) == [gate, gate.with_suffix(".begun")]


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_what_failed_before_waits_for_the_other_needs_of_a_job(is_cancelled: bool, tmp_path: Path) -> None:
    failed, other = CallFuture(), Call(0, abs, (-1,), {})
    failed.set_exception(ZeroDivisionError("before"))
    last = [Call(number, max, (failed, other.future), {}) for number in (1, 2)]
    futures = [call.future for call in last]
    parcels, storage = Parcels([other, *last], tmp_path), MemoryStorage()
    assert not any(future.done() for future in futures)
    assert not is_cancelled or other.future.cancel()
    program = parcels.program()
    assert program is not None
    assert len(program.inputs(program.task_of(1))) == 2
    serial.run(program, storage)
    Deliveries(parcels).put(storage.get(list(program.wanted())))
    expected = (True, None) if is_cancelled else (False, "before")
    assert [(f.cancelled(), None if f.cancelled() else str(f.exception(0))) for f in futures] == [expected] * 2


@pytest.mark.parametrize("kind", ["threads", "functions"])
def test_of_what_failed_before_and_now_the_first_is_raised(kind: str) -> None:
    with FunctionExecutor(kind, workers=1) as pool:
        before = pool.submit(divmod, 1, 0)
        assert isinstance(before.exception(PATIENCE), ZeroDivisionError)
        now = pool.submit(int, "no number")
        both = pool.submit(max, before, now), pool.submit(max, now, before)
        assert [type(each.exception(PATIENCE)) for each in both] == [ZeroDivisionError, ValueError]


@contextlib.contextmanager
def busy_after_a_failure(kind: str, gate: Path) -> Iterator[tuple[FunctionExecutor, Any, Path]]:
    """A pool whose one worker waits for the gate, and a call that it has failed to do before."""
    with FunctionExecutor(kind, workers=1) as pool:
        failed = pool.submit(divmod, 1, 0)
        assert isinstance(failed.exception(PATIENCE), ZeroDivisionError)
        pool.submit(hold, gate)
        until(gate.with_suffix(".begun").exists)
        yield pool, failed, gate


@pytest.mark.parametrize("kind", ["threads", "functions"])
def test_what_failed_before_hides_no_cancelled_call(kind: str, tmp_path: Path) -> None:
    with busy_after_a_failure(kind, tmp_path / "gate") as (pool, failed, gate):
        cancelled = pool.submit(leave, tmp_path / "left")
        both = pool.submit(max, failed, cancelled)
        assert cancelled.cancel()
        gate.touch()
        assert both in wait([both], PATIENCE).done and both.cancelled()


@pytest.mark.parametrize("kind", ["threads", "functions"])
def test_what_needs_a_cancelled_call_is_cancelled_though_that_could_only_have_failed(kind: str, tmp_path: Path) -> None:
    with busy_after_a_failure(kind, tmp_path / "gate") as (pool, failed, gate):
        both = pool.submit(max, failed, pool.submit(abs, -1))
        last = pool.submit(abs, both)
        assert both.cancel()
        gate.touch()
        assert last in wait([last], PATIENCE).done and last.cancelled()


def test_shutdown_can_cancel_what_a_running_job_has_not_begun(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    pool = FunctionExecutor("functions", workers=1)
    first = pool.submit(hold, gate)
    others = [pool.submit(leave, tmp_path / f"{number}", first) for number in range(5)]
    until(gate.with_suffix(".begun").exists)
    others += [pool.submit(leave, tmp_path / f"{number}", first) for number in range(5, 10)]
    pool.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in others)
    gate.touch()
    pool.shutdown()
    assert first.result() == "held"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", [*HERE, "functions"])
def test_shutdown_can_cancel_the_calls_that_a_job_is_being_made_of(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, gate = threading.Event(), threading.Event()

    def named(function: object) -> str:
        making.set()
        assert gate.wait(PATIENCE)
        return "leave"

    for engine in (here, away):
        monkeypatch.setattr(engine, "name_of", named)
    pool = FunctionExecutor(kind, workers=1)
    futures = pool.submit_all(leave, [tmp_path / f"{number}" for number in range(10)])
    try:
        assert making.wait(PATIENCE)
        pool.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in futures)
    finally:
        gate.set()
    assert wait(futures, PATIENCE).not_done == set()
    pool.shutdown()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", HERE)
def test_shutdown_can_cancel_what_a_job_that_runs_here_has_not_begun(kind: str) -> None:
    begun, gate = threading.Event(), threading.Event()
    ran: list[int] = []

    def call(number: int) -> None:
        ran.append(number)
        begun.set()
        assert gate.wait(PATIENCE)

    pool = FunctionExecutor(kind, workers=1)
    futures = pool.submit_all(call, range(10))
    assert begun.wait(PATIENCE)
    futures.append(pool.submit(call, futures[-1]))
    pool.shutdown(wait=False, cancel_futures=True)
    gate.set()
    pool.shutdown()
    assert ran == [number for number, future in enumerate(futures) if not future.cancelled()]
    assert len(ran) == 1


def test_shutdown_cancels_calls_in_functions_whose_futures_nobody_holds(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    pool = FunctionExecutor("functions", workers=1)
    first = pool.submit(hold, gate)
    last = pool.submit(abs, pool.submit(leave, tmp_path / "inner", first))
    until(gate.with_suffix(".begun").exists)
    pool.shutdown(wait=False, cancel_futures=True)
    gate.touch()
    pool.shutdown()
    assert first.result() == "held" and last.cancelled()
    assert not (tmp_path / "inner").exists()


def test_what_was_cancelled_while_it_waited_is_in_no_job() -> None:
    waiting, calls = Waiting(), [Call(number, abs, (number,), {}) for number in range(3)]
    waiting.add(calls)
    assert calls[1].future.cancel()
    assert waiting.take() == [calls[0], calls[2]]
    assert wait([calls[1].future], 0).done == {calls[1].future}


def test_a_call_that_is_cancelled_just_before_it_gets_its_ticket_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, ticket = Call(0, abs, (-1,), {}), Tickets(1, tmp_path).ticket(0)
    packed: list[bool] = []
    cancel = Future.cancel

    def late(future: CallFuture) -> bool:
        if not packed:
            packed.append(False)
            packed[0] = call.starts_away({}, ticket)
        return cancel(future)

    monkeypatch.setattr(Future, "cancel", late)
    assert call.future.cancel() and call.future.cancel() and call.future.cancelled()
    assert packed == [False]
    assert call.future.ticket is None and not call.future.running()


def end(code: int) -> None:
    os._exit(code)


@pytest.mark.long
@pytest.mark.parametrize("chained", [False, True])
def test_only_the_call_that_ends_its_function_fails(chained: bool) -> None:
    with FunctionExecutor("functions", workers=2) as pool:
        good = [pool.submit(abs, -number) for number in range(20)]
        poison = pool.submit(end, 3)
        needs: list[CallFuture] = [poison] if chained else []
        after = pool.submit(lambda *values: values, *needs)
        more = pool.submit_all(abs, range(20))
        total = pool.submit(sum, [*good, *more])
        assert isinstance(poison.exception(PATIENCE), InfrastructureError)
        assert sorted(future.result() for future in as_completed(good, PATIENCE)) == list(range(20))
        assert total.result(PATIENCE) == 2 * sum(range(20))
        assert (after.exception(PATIENCE) is not None) == chained
        assert pool.submit(abs, -1).result(PATIENCE) == 1


# ---- tickets


def claim(ticket: object, found: SimpleQueue[int]) -> None:
    found.put(sum(each.begin() for each in ticket))  # type: ignore[attr-defined]


def test_of_client_and_function_exactly_one_has_its_way(tmp_path: Path) -> None:
    tickets = Tickets(2000, tmp_path)
    all_ = [tickets.ticket(place) for place in range(2000)]
    found: SimpleQueue[int] = SimpleQueue()
    process = Process(target=claim, args=(all_, found))
    process.start()
    cancelled = sum(each.cancel() for each in reversed(all_))
    begun = found.get()
    process.join(PATIENCE)
    assert cancelled + begun == 2000
    assert sum(each.begun() for each in all_) == begun


def test_a_ticket_counts_and_ends(tmp_path: Path) -> None:
    tickets = Tickets(1, tmp_path)
    ticket = tickets.ticket(0)
    assert [(ticket.begin(), ticket.times()) for _ in range(300)][-1] == (True, MOST)
    assert not ticket.cancel()
    ticket.end()
    assert (ticket.times(), ticket.begun(), ticket.cancel(), ticket.begin()) == (0, True, False, True)


def test_nothing_begins_when_the_job_is_over(tmp_path: Path) -> None:
    tickets = Tickets(2, tmp_path)
    used, new = tickets.ticket(0), tickets.ticket(1)
    assert used.begin()
    tickets.close()
    assert (used.begin(), new.begin(), used.begun()) == (False, False, False)
    assert list(tmp_path.iterdir()) == []
