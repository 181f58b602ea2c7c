"""What wide fan-ins cost: each future is asked a few times, however many there are and in whatever order they end."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from wukong_sched.futures import CallFuture, FunctionExecutor, wait
from wukong_sched.futures.calls import Call
from wukong_sched.futures.here import Bodies
from wukong_sched.futures.signal import Signal
from wukong_sched.futures.waiting import Waiting

PATIENCE = 60.0
"""Seconds after which a test gives up."""
WIDE = 2000


class Asked(CallFuture):
    """Counts how often it is asked whether it is done."""

    def __init__(self, asked: list[None]) -> None:
        super().__init__()
        self.asked = asked

    def done(self) -> bool:
        self.asked.append(None)
        return super().done()


Order = Callable[[Sequence[Any]], Sequence[Any]]


@pytest.mark.parametrize("order", [list, lambda needs: needs[::-1], lambda needs: [*needs[::2], *needs[1::2]]])
def test_a_call_asks_each_of_its_needs_a_few_times(order: Order) -> None:
    asked: list[None] = []
    needs = [Asked(asked) for _ in range(WIDE)]
    waiting = Waiting()
    waiting.add([call := Call(0, sum, (needs,), {})])
    for need in order(needs):
        assert waiting.take() == []
        need.set_result(1)
    assert waiting.take() == [call]
    assert call.given() == (([1] * WIDE,), {})
    assert len(asked) <= 4 * WIDE


class Watched(Signal):
    """Counts how often it is taken."""

    def __enter__(self) -> bool:
        taken.append(None)
        return super().__enter__()


taken: list[None] = []


def test_a_call_takes_no_lock_of_what_it_is_given() -> None:
    needs = [CallFuture() for _ in range(WIDE)]
    for need in needs:
        watched: Any = Watched()
        need._condition = watched
        need.set_result(1)
    call = Call(0, sum, (needs,), {})
    before = len(taken)
    assert call.starts()
    assert call.given() == (([1] * WIDE,), {})
    assert len(taken) == before > 0


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_need_that_was_cancelled_decides_whatever_others_raised(order: tuple[int, ...]) -> None:
    good, failed, cancelled = needs = CallFuture(), CallFuture(), CallFuture()
    good.set_result(1)
    failed.set_exception(KeyError("lost"))
    cancelled.cancel()
    call = Call(0, max, ([needs[place] for place in order],), {})
    assert not call.starts()
    assert call.future.cancelled()


def test_the_first_need_that_failed_decides() -> None:
    good, *failed = needs = CallFuture(), CallFuture(), CallFuture()
    good.set_result(1)
    for number, need in enumerate(failed):
        need.set_exception(KeyError(number))
    call = Call(0, max, (needs,), {})
    assert not call.starts()
    assert call.future.exception() is failed[0].exception()


def test_a_need_that_raised_that_it_was_cancelled_has_failed() -> None:
    need = CallFuture()
    need.set_exception(CancelledError("mine"))
    call = Call(0, abs, (need,), {})
    assert not call.starts()
    assert not call.future.cancelled() and isinstance(call.future.exception(), CancelledError)


def test_a_call_is_taken_once_however_many_ask() -> None:
    bodies = Bodies([Call(number, abs, (number,), {}) for number in range(WIDE)]).bodies
    found: list[list[Call]] = [[] for _ in range(4)]
    begin = threading.Barrier(len(found))

    def take(mine: list[Call]) -> None:
        begin.wait(PATIENCE)
        mine.extend(call for body in bodies if (call := body.take()) is not None)

    threads = [threading.Thread(target=take, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(call.number for mine in found for call in mine) == list(range(WIDE))


def test_whether_a_call_could_begin_is_asked_often_at_no_cost() -> None:
    asked: list[None] = []
    needs = [Asked(asked) for _ in range(WIDE)]
    for need in needs[:-1]:
        need.set_result(1)
    bodies = Bodies([Call(0, sum, (needs,), {})])
    for _ in range(100):
        assert not bodies.could_go_on()
    needs[-1].set_result(1)
    assert all(bodies.could_go_on() for _ in range(100))
    assert len(asked) <= 2 * WIDE


def test_the_program_of_calls_numbers_leaves_first_and_has_every_edge() -> None:
    one = Call(0, abs, (-1,), {})
    two = Call(1, abs, (one.future,), {})
    three = Call(2, abs, (-3,), {})
    four = Call(3, max, (two.future, three.future, two.future), {})
    program = Bodies([one, two, three, four]).program
    assert [program.operation(task) for task in program.tasks()] == ["abs", "abs", "abs", "max"]
    assert [program.inputs(task) for task in program.tasks()] == [
        [],
        [],
        [("value", (0,))],
        [("value", (2,)), ("value", (1,))],
    ]
    assert list(program.wanted()) == [("value", (3,))]


@pytest.mark.parametrize("apart", [True, False])
def test_a_fan_in_of_a_hundred_thousand(threads: FunctionExecutor, apart: bool) -> None:
    parts = threads.submit_all(abs, range(100_000))
    last = threads.submit(lambda *values: sum(values), *parts) if apart else threads.submit(sum, parts)
    assert last.result(PATIENCE) == sum(range(100_000))


def test_a_chain_behind_a_running_call_is_one_job() -> None:
    waiting = Waiting()
    waiting.add([first := Call(0, abs, (-1,), {})])
    jobs, links = [waiting.take()], [first]
    for number in range(1, 301):
        links.append(Call(number, abs, (links[-1].future,), {}))
        waiting.add(links[-1:])
        assert waiting.take() == []
    assert not waiting and not waiting.is_empty()
    first.future.set_result(1)
    while waiting:
        jobs.append(waiting.take())
    assert jobs == [[first], links[1:]]
    assert waiting.is_empty()


def test_what_waits_for_two_jobs_wakes_when_both_are_done() -> None:
    waiting = Waiting()
    one, two = Call(0, abs, (-1,), {}), Call(1, abs, (-2,), {})
    waiting.add([one, two])
    assert waiting.take() == [one, two]
    three = Call(2, abs, (one.future,), {})
    four = Call(3, max, (three.future, two.future), {})
    waiting.add([three, four, five := Call(4, abs, (four.future,), {})])
    assert waiting.take() == []
    one.future.set_result(1)
    assert waiting.take() == [three]
    three.future.set_result(1)
    two.future.set_result(2)
    assert waiting.take() == [four, five]
    assert waiting.is_empty()


def test_what_is_parked_is_known_to_whoever_cancels_and_what_is_a_jobs_is_not() -> None:
    waiting = Waiting()
    waiting.add([first := Call(0, abs, (-1,), {})])
    with waiting.taken() as calls:
        assert calls == [first]
        assert waiting.futures() == [first.future]
    second = Call(1, abs, (first.future,), {})
    waiting.add([second, third := Call(2, abs, (second.future,), {})])
    assert waiting.take() == []
    assert waiting.futures() == [second.future, third.future]
    assert calls == []


def test_a_chain_submitted_while_its_first_call_runs_comes_to_its_end(pool: FunctionExecutor, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def hold() -> int:
        while not gate.exists():
            time.sleep(0.01)
        return 0

    last = pool.submit(hold)
    while not last.running():
        time.sleep(0.01)
    for _ in range(300):
        last = pool.submit(lambda x: x + 1, last)
    gate.touch()
    assert last.result(PATIENCE) == 300


# ---- the lock of a future


def test_a_future_of_a_call_has_all_that_a_future_has() -> None:
    mine, theirs = vars(CallFuture()), vars(Future())
    assert {name: value for name, value in mine.items() if name != "_condition"} == {
        name: value for name, value in theirs.items() if name != "_condition"
    }


def test_a_signal_wakes_all_that_wait_and_may_be_taken_twice() -> None:
    signal = Signal()
    woken: list[bool] = []

    def wait_for() -> None:
        with signal, signal:
            woken.append(signal.wait(PATIENCE))

    with signal:
        assert not signal.wait(0.001)
    waiters = [threading.Thread(target=wait_for) for _ in range(3)]
    for thread in waiters:
        thread.start()
    while any(thread.is_alive() for thread in waiters):
        with signal:
            signal.notify_all()
    assert woken == [True] * 3


@pytest.mark.parametrize(
    "waits", [lambda pool, future: future.result(), lambda pool, future: pool.shutdown()], ids=["result", "shutdown"]
)
def test_an_interrupt_that_wakes_nobody_is_heard(waits: Callable[[FunctionExecutor, Future[bool]], object]) -> None:
    """The signal came when the caller was about to wait: the note is made, but nothing ends the wait."""
    heard = threading.Event()

    def work() -> bool:
        time.sleep(0.1)  # the caller waits by now
        _thread.interrupt_main()
        return heard.wait(PATIENCE / 2)

    with FunctionExecutor(executor="threads", workers=1) as pool:
        future = pool.submit(work)
        with pytest.raises(KeyboardInterrupt):
            waits(pool, future)
        heard.set()
        assert future.result(PATIENCE), "the call ended first"


def test_futures_are_waited_for_in_several_threads() -> None:
    gate = threading.Event()
    found: list[Any] = []
    with FunctionExecutor(workers=1) as pool:
        future = pool.submit(gate.wait, PATIENCE)
        waiters = [threading.Thread(target=lambda: found.append(future.result(PATIENCE))) for _ in range(3)]
        for thread in waiters:
            thread.start()
        gate.set()
        assert wait([future], PATIENCE).done == {future}
        for thread in waiters:
            thread.join(PATIENCE)
    assert found == [True] * 3
