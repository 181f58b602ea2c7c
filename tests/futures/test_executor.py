"""`FunctionExecutor` as an executor of `concurrent.futures`, and what it does beyond that."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wukong_sched.drivers.threads import POLICY
from wukong_sched.futures import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    CallFuture,
    FunctionExecutor,
    as_completed,
    default_executor,
    get_all_results,
    wait,
)
from wukong_sched.trace import replay

PATIENCE = 60.0
"""Seconds after which a test gives up."""


def add(*values: int) -> int:
    return sum(values)


def fail(text: str) -> None:
    raise ArithmeticError(text)


class Unloadable:
    """Can be pickled, not loaded."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return fail, ("cannot be loaded",)


# ---- calls


def test_a_call_returns_what_the_function_returns(pool: FunctionExecutor) -> None:
    assert pool.submit(divmod, 17, 5).result(PATIENCE) == (3, 2)
    assert pool.submit(dict, a=1, b=[2]).result(PATIENCE) == {"a": 1, "b": [2]}


def test_closures_lambdas_and_local_classes_travel(pool: FunctionExecutor) -> None:
    offset = 5

    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

    point = pool.submit(lambda x: Point(x + offset), 2).result(PATIENCE)
    assert isinstance(point, Point)
    assert point.x == 7


def test_map_keeps_the_order_and_ends_with_the_shortest(pool: FunctionExecutor) -> None:
    assert list(pool.map(pow, range(50), [2] * 40, chunksize=7)) == [x**2 for x in range(40)]


def test_arrays_come_back_as_they_are(pool: FunctionExecutor) -> None:
    block = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    found = pool.submit(lambda x: 2 * x, block).result(PATIENCE)
    np.testing.assert_array_equal(found, 2 * block)
    assert found.flags.f_contiguous


def test_threads_hand_objects_on_as_they_are(threads: FunctionExecutor) -> None:
    thing = [object(), {"a": [object()]}]
    assert threads.submit(lambda x: x, thing).result(PATIENCE) is thing


@pytest.mark.parametrize("executor", ["serial", "simulate"])
def test_other_drivers_run_calls_too(executor: str) -> None:
    with FunctionExecutor(executor) as pool:
        one = pool.submit(add, 1, 2)
        assert pool.submit(add, one, 3).result(PATIENCE) == 6


# ---- futures as arguments


def test_futures_in_arguments_stand_for_their_results(pool: FunctionExecutor) -> None:
    one, two = pool.submit(add, 1), pool.submit(add, 2)
    found = pool.submit(lambda *args, **kwargs: (args, kwargs), one, [two, (one, 7)], a={"b": two})
    assert found.result(PATIENCE) == ((1, [2, (1, 7)]), {"a": {"b": 2}})


def test_a_fan_in_of_a_thousand(pool: FunctionExecutor) -> None:
    parts = pool.submit_all(add, range(1000))
    assert pool.submit(sum, parts).result(PATIENCE) == sum(range(1000))


def test_a_chain_of_a_thousand(pool: FunctionExecutor) -> None:
    last = reduce(lambda before, number: pool.submit(add, before, number), range(1, 1000), pool.submit(add, 0))
    assert last.result(PATIENCE) == sum(range(1000))


def test_what_is_submitted_together_is_one_program() -> None:
    with FunctionExecutor("functions", workers=2, record=True) as pool:
        parts = pool.submit_all(add, range(8))
        assert pool.submit(sum, parts).result(PATIENCE) == 28
    (record,) = pool.records
    assert len(record.program) == 9
    assert len(record.program.inputs(("task", (8,)))) == 8


def test_a_future_of_another_executor_is_waited_for(threads: FunctionExecutor) -> None:
    gate = threading.Event()
    with FunctionExecutor(workers=1) as other:
        late = other.submit(lambda: gate.wait(PATIENCE) and 5)
        found = threads.submit(add, late, 1)
        assert not found.done()
        gate.set()
        assert found.result(PATIENCE) == 6


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 10**6), max_size=4), min_size=1, max_size=30))
def test_any_dag_computes_what_it_says(rows: list[list[int]]) -> None:
    with FunctionExecutor(workers=3) as pool:
        futures: list[CallFuture] = []
        expected: list[int] = []
        for number, row in enumerate(rows):
            needs = [place % number for place in row] if number else []
            futures.append(pool.submit(add, number, *(futures[need] for need in needs)))
            expected.append(number + sum(expected[need] for need in needs))
        assert [future.result(PATIENCE) for future in futures] == expected


# ---- exceptions


def test_an_exception_is_of_its_call_alone(pool: FunctionExecutor) -> None:
    good, bad = pool.submit(add, 1), pool.submit(fail, "no luck")
    with pytest.raises(ArithmeticError, match="no luck"):
        bad.result(PATIENCE)
    assert good.result(PATIENCE) == 1
    assert pool.submit(add, 2).result(PATIENCE) == 2


def test_the_remote_traceback_is_the_cause() -> None:
    with FunctionExecutor("functions", workers=2) as pool:
        error = pool.submit(fail, "far away").exception(PATIENCE)
    assert isinstance(error, ArithmeticError)
    assert "raise ArithmeticError(text)" in str(error.__cause__)


def test_an_exception_passes_along_a_chain(pool: FunctionExecutor) -> None:
    last = pool.submit(fail, "first")
    for _ in range(5):
        last = pool.submit(add, last, 1)
    assert str(last.exception(PATIENCE)) == "first"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_exceptions_that_end_programs_do_not_end_workers(pool: FunctionExecutor, error: type[BaseException]) -> None:
    def end() -> None:
        raise error

    assert isinstance(pool.submit(end).exception(PATIENCE), error)
    assert pool.submit(add, 3).result(PATIENCE) == 3


def test_what_cannot_be_pickled_fails_alone() -> None:
    with FunctionExecutor("functions", workers=2) as pool:
        argument, result = pool.submit(id, threading.Lock()), pool.submit(threading.Lock)
        loaded, good = pool.submit(Unloadable), pool.submit(add, 4)
        assert "pickle" in str(argument.exception(PATIENCE))
        assert "pickle" in str(result.exception(PATIENCE))
        assert str(loaded.exception(PATIENCE)) == "cannot be loaded"
        assert good.result(PATIENCE) == 4


# ---- waiting


def test_results_are_waited_for_as_concurrent_futures_says(pool: FunctionExecutor) -> None:
    slow, quick = pool.submit(time.sleep, 1.5), pool.submit(add, 1)
    with pytest.raises(TimeoutError):
        slow.result(0)
    assert wait([slow, quick], PATIENCE, FIRST_COMPLETED).done == {quick}
    assert set(as_completed([slow, quick], PATIENCE)) == {slow, quick}
    failed = pool.submit(fail, "x")
    assert failed in wait([failed], PATIENCE, FIRST_EXCEPTION).done


def test_callbacks_are_called_though_nobody_holds_the_future(pool: FunctionExecutor) -> None:
    told: list[Any] = []
    called = threading.Event()
    pool.submit(add, 5).add_done_callback(lambda future: (told.append(future.result()), called.set()))
    assert called.wait(PATIENCE)
    assert told == [5]


def test_map_gives_up_in_time(pool: FunctionExecutor) -> None:
    results = pool.map(time.sleep, [0, 1.5], timeout=0.01)
    with pytest.raises(TimeoutError):
        list(results)


def test_no_call_waits_for_another_while_a_thread_is_free(threads: FunctionExecutor) -> None:
    list(threads.map(abs, range(2000)))  # calls that look short are taken many at a time
    both = threading.Barrier(2)
    futures = [*threads.submit_all(abs, range(500)), *(threads.submit(both.wait, PATIENCE) for _ in range(2))]
    assert sorted(future.result(PATIENCE) for future in futures[-2:]) == [0, 1]


def test_a_call_may_submit_and_wait(threads: FunctionExecutor) -> None:
    assert threads.submit(lambda: threads.submit(add, 1, 2).result(PATIENCE)).result(PATIENCE) == 3


def test_never_more_calls_at_once_than_workers() -> None:
    running: list[None] = []
    most: list[int] = []

    def call(_: int) -> None:
        running.append(None)
        most.append(len(running))
        time.sleep(0.001)
        running.pop()

    with FunctionExecutor(workers=3) as pool:
        futures = [pool.submit(call, number) for number in range(100)]
        wait([*futures, *pool.submit_all(call, range(100))], PATIENCE)
    assert max(most) <= 3


# ---- cancel and shut down


def test_what_waits_is_cancelled_and_what_runs_is_not() -> None:
    gate, begun = threading.Event(), threading.Event()
    ran: list[int] = []
    with FunctionExecutor(workers=1) as pool:
        first = pool.submit(lambda: (begun.set(), gate.wait(PATIENCE)))
        assert begun.wait(PATIENCE)
        second = pool.submit(ran.append, 2)
        third = pool.submit(ran.append, second)
        assert not first.cancel()
        assert second.cancel()
        gate.set()
        with pytest.raises(CancelledError):
            third.result(PATIENCE)
    assert ran == []
    assert first.done()


def test_shutdown_refuses_calls_and_can_cancel_them() -> None:
    gate, begun = threading.Event(), threading.Event()
    pool = FunctionExecutor(workers=1)
    first = pool.submit(lambda: (begun.set(), gate.wait(PATIENCE)))
    assert begun.wait(PATIENCE)
    rest = pool.submit_all(add, range(10))
    pool.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(add)
    gate.set()
    pool.shutdown()
    assert all(future.cancelled() for future in rest)
    assert first.result() == (None, True)


def test_an_executor_that_is_dropped_ends_its_threads() -> None:
    pool = FunctionExecutor(workers=2)
    results = pool.map(abs, range(-5, 0))
    crew = weakref.ref(pool)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("sarray-crew")]
    del pool
    gc.collect()
    assert crew() is None
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert list(results) == [5, 4, 3, 2, 1]


def in_a_child(code: str) -> str:
    """What a script prints."""
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def test_the_interpreter_ends_after_the_last_call() -> None:
    code = """
import time
from wukong_sched.futures import FunctionExecutor
executor = FunctionExecutor(workers=2)
executor.submit(lambda: (time.sleep(0.5), print("done")))
print("end")
"""
    assert in_a_child(code).split() == ["end", "done"]


def test_an_interrupt_reaches_whoever_waits() -> None:
    code = """
import os, signal, threading
from wukong_sched.futures import FunctionExecutor
gate = threading.Event()
with FunctionExecutor(workers=1) as executor:
    waits, after = executor.submit(gate.wait), executor.submit(print, "after")
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        waits.result()
    except KeyboardInterrupt:
        print("interrupted", after.cancel())
        gate.set()
print(waits.result())
"""
    assert in_a_child(code).split() == ["interrupted", "True", "True"]


def test_results_are_forgotten_when_nobody_holds_them(pool: FunctionExecutor) -> None:
    class Thing:
        pass

    thing = pool.submit(Thing).result(PATIENCE)
    alive, deadline = weakref.ref(thing), time.monotonic() + PATIENCE
    del thing
    while alive() is not None and time.monotonic() < deadline:
        pool.submit(add).result(PATIENCE)
        gc.collect()
    assert alive() is None


# ---- what was asked for, and what happened


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"max_workers": -1}, {"executor": "cloud"}])
def test_wrong_arguments_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"0|cloud"):
        FunctionExecutor(**wrong)
    with FunctionExecutor() as pool, pytest.raises(ValueError, match="chunksize"):
        pool.map(abs, [1], chunksize=0)


@pytest.mark.parametrize("executor", ["threads", "functions"])
def test_every_call_is_a_task_of_a_trace_that_replays(executor: str) -> None:
    with FunctionExecutor(executor, workers=2, record=True) as pool:
        assert sum(pool.map(add, range(300))) == sum(range(300))
        last = reduce(lambda before, _: pool.submit(add, before, 1), range(20), pool.submit(add, 1))
        assert last.result(PATIENCE) == 21
    assert sum(record.ran() for record in pool.records) >= 321
    assert max(len(record.program) for record in pool.records) >= 300 // 2
    if executor == "threads":
        assert [replay(r.trace, r.program, POLICY) for r in pool.records if r.trace] == [[]] * len(pool.records)


def test_progress_is_told_up_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    with FunctionExecutor(workers=2, progress=lambda done, total: told.append((done, total))) as pool:
        list(pool.map(add, range(10)))
    assert [done for done, _ in told] == list(range(1, 11))
    assert told[-1] == (10, 10)


def test_data_is_read_before_anything_runs(threads: FunctionExecutor) -> None:
    def data() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError):
        threads.map(add, data())


# ---- PyWren's interface


def test_pywren_programs_run(pool: FunctionExecutor) -> None:
    with default_executor(pool.executor, 2) as runner:
        futures = runner.map(lambda x: x + 7, range(10))
        done, not_done = wait(futures)
        assert (len(done), len(not_done)) == (10, 0)
        assert get_all_results(futures) == list(range(7, 17))
        assert runner.reduce(sum, futures).result(PATIENCE) == sum(range(7, 17))
        assert runner.call_async(abs, -3).result(PATIENCE) == 3
