"""Calls of jobs that run in functions: cancelled exactly if they have not begun; failing alone if they end them."""

from __future__ import annotations

import os
import time
from concurrent.futures import CancelledError, as_completed, wait
from multiprocessing import Process, SimpleQueue
from pathlib import Path

import pytest

from wukong_sched.errors import InfrastructureError
from wukong_sched.futures import CallFuture, FunctionExecutor
from wukong_sched.futures.tickets import MOST, Tickets

PATIENCE = 120.0
"""Seconds after which a test gives up."""


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
