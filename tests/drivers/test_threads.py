"""The threads driver: it agrees with the serial one, and ends well however it ends."""

import _thread
import operator
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.cost import Cost
from wukong_sched.drivers import serial, threads
from wukong_sched.errors import NestedComputeError, TaskError
from wukong_sched.explicit import Explicit
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.trace import Trace, replay


def combine(number, *values):
    return hash((number, values))


@st.composite
def mappings(draw):
    """A random DAG as {key: (function, *args)}, and the keys wanted of it."""
    size = draw(st.integers(1, 40))
    some = [st.lists(st.integers(0, key - 1), max_size=4, unique=True) for key in range(1, size)]
    earlier = [st.just([]), *some]
    mapping = {f"t{key}": (combine, key, *[f"t{x}" for x in draw(args)]) for key, args in enumerate(earlier)}
    wanted = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5, unique=True))
    return mapping, [f"t{key}" for key in wanted]


def many(function, count):
    """A program of so many independent calls, all wanted."""
    keys = [f"t{number}" for number in range(count)]
    return Explicit.from_mapping({key: (function, number) for number, key in enumerate(keys)}, keys)


def results(program, storage):
    return {tile: storage.get([tile])[tile] for tile in program.wanted()}


def workers_alive():
    return threads.WORKERS.busy


@settings(deadline=None, max_examples=150)
@given(mappings(), st.integers(1, 4))
def test_agrees_with_the_serial_driver_and_replays(dag, workers):
    program = Explicit.from_mapping(*dag)
    expected, found, trace = MemoryStorage(), MemoryStorage(), Trace()
    serial.run(program, expected)
    threads.run(program, found, workers=workers, trace=trace)
    assert results(program, found) == results(program, expected)
    assert set(found.tiles()) >= set(program.wanted())
    assert replay(trace, program, threads.POLICY) == []
    assert not workers_alive()


def test_the_replay_notices_another_policy():
    program = many(combine, 500)
    trace = Trace()
    threads.run(program, MemoryStorage(), workers=1, trace=trace)
    assert replay(trace, program, threads.CostModel(edges=7)) != []
    for policy in (threads.CostModel(hold_seconds=0.0), threads.CostModel(quantum=0.0, waits=True, latency=1.0)):
        assert len(replay(trace, program, policy)) <= len(trace.histories)


def test_two_workers_share_the_work_of_one_root():
    both = threading.Barrier(2)

    def meet(number):
        both.wait(30)
        return number

    program = many(meet, 8)
    storage = MemoryStorage()
    threads.run(program, storage, workers=2)
    assert sorted(results(program, storage).values()) == list(range(8))


def test_idle_workers_are_given_tasks_that_become_ready_later():
    both = threading.Barrier(2)

    def meet(number, root):
        both.wait(30)
        return number + root

    keys = [f"t{number}" for number in range(8)]
    mapping = {"root": (int, 0)} | {key: (meet, number, "root") for number, key in enumerate(keys)}
    program = Explicit.from_mapping(mapping, keys)
    storage = MemoryStorage()
    threads.run(program, storage, workers=2)
    assert sorted(results(program, storage).values()) == list(range(8))


def test_an_exception_names_the_task_and_ends_the_job():
    ran = []

    def work(number):
        ran.append(number)
        if number == 3:
            raise ZeroDivisionError("three")
        time.sleep(0.01)

    program = many(work, 500)
    with pytest.raises(TaskError, match=r"\(3,\).*ZeroDivisionError: three") as caught:
        threads.run(program, MemoryStorage(), workers=2)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert len(ran) < 500
    assert not workers_alive()


def test_an_error_of_the_store_is_the_jobs():
    class Full(MemoryStorage):
        def put(self, blocks):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        threads.run(Explicit.from_mapping({"a": (int, 1)}, ["a"]), Full(), workers=2)


def test_a_task_cannot_compute():
    program = Explicit.from_mapping({"a": (operator.neg, 1)}, ["a"])

    def nested():
        threads.run(program, MemoryStorage(), workers=1)

    with pytest.raises(TaskError) as caught:
        threads.run(Explicit.from_mapping({"b": (nested,)}, ["b"]), MemoryStorage(), workers=1)
    assert isinstance(caught.value.__cause__, NestedComputeError)
    assert "inside a task" in str(caught.value)


def test_two_jobs_at_once():
    meeting, found = threading.Barrier(2), {}

    def work(name):
        return meeting.wait(30) >= 0 and name

    def job(name):
        storage = MemoryStorage()
        program = Explicit.from_mapping({"key": (work, name)}, ["key"])
        threads.run(program, storage, workers=1)
        found[name] = list(results(program, storage).values())

    callers = [threading.Thread(target=job, args=(name,)) for name in ("a", "b")]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert found == {"a": ["a"], "b": ["b"]}


def test_the_callers_errstate_reaches_the_tasks():
    program = Explicit.from_mapping({"a": (np.divide, 1.0, 0.0)}, ["a"])
    with np.errstate(divide="raise"), pytest.raises(TaskError, match="FloatingPointError"):
        threads.run(program, MemoryStorage(), workers=1)
    storage = MemoryStorage()
    with np.errstate(divide="ignore"):
        threads.run(program, storage, workers=1)
    assert list(results(program, storage).values()) == [np.inf]


def test_only_few_short_tasks_run_in_the_callers_thread():
    threads_seen = set()

    def kernel(index):
        threads_seen.add(threading.current_thread() is threading.main_thread())
        return 0

    def run(count, flops):
        rule = Rule("task", "for i in range(n)", ("X[i]",), (), kernel, {}, {"n": count}, cost=Cost(flops, 0, 0))
        program = Recurrences([rule], {"X": ArrayInfo(8)}, {}, [("X", (count,))])
        threads_seen.clear()
        threads.run(program, MemoryStorage(), workers=2)
        return threads_seen

    assert run(4, 1e3) == {True}
    assert run(4, 1e9) == {False}
    assert run(100, 1e3) == {False}


def test_progress_ends_at_the_number_of_tasks():
    told = []
    program = many(lambda number: time.sleep(0.05), 10)
    threads.run(program, MemoryStorage(), workers=2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (10, 10)
    assert told == sorted(told)


def test_nothing_wanted_is_done_at_once():
    report = threads.run(Explicit.from_mapping({"a": (int, 1)}, []), MemoryStorage(), workers=2)
    assert report.tasks == 0


INTERRUPTED = """
    import threading, time
    from wukong_sched.drivers import threads
    from wukong_sched.explicit import Explicit
    from wukong_sched.storage.memory import MemoryStorage

    ran = []

    def work(number):
        ran.append(number)
        if number == 0:
            print("started", flush=True)
        time.sleep(0.05)

    keys = [f"t{n}" for n in range(10_000)]
    program = Explicit.from_mapping({key: (work, n) for n, key in enumerate(keys)}, keys)
    try:
        threads.run(program, MemoryStorage(), workers=2)
    except KeyboardInterrupt:
        after = len(ran)
        left = threads.WORKERS.busy
        time.sleep(0.2)
        print("interrupted", left, len(ran) - after, flush=True)
"""


def test_control_c_ends_the_job_and_its_threads():
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "interrupted 0 0\n"
        assert process.returncode == 0
    finally:
        process.kill()


def test_an_interrupt_that_wakes_nobody_is_heard():
    """The signal came when the caller was about to wait: the note is made, but nothing ends the wait."""
    heard, ended = threading.Event(), queue.SimpleQueue()

    def work(number):
        time.sleep(0.1)  # the caller waits by now
        _thread.interrupt_main()
        ended.put(heard.wait(30))

    program = Explicit.from_mapping({key: (work, n) for n, key in enumerate("ab")}, ["a", "b"])
    with pytest.raises(KeyboardInterrupt):
        try:
            threads.run(program, MemoryStorage(), workers=1)
        finally:
            heard.set()
    assert ended.get(timeout=30), "the task ended first"


def test_a_failure_is_never_taken_for_a_stall():
    """Workers end their turns in any order: whoever comes last must not see an idle job that has not ended."""

    def fail(number):
        raise ValueError(number)

    keys = [f"t{n}" for n in range(6)]
    fine = Explicit.from_mapping({key: (int, n) for n, key in enumerate(keys)}, keys)
    failing = Explicit.from_mapping({key: (fail if n == 3 else int, n) for n, key in enumerate(keys)}, keys)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(150):
            threads.run(fine, MemoryStorage(), workers=4)
            with pytest.raises(TaskError, match="ValueError: 3"):
                threads.run(failing, MemoryStorage(), workers=4)
    finally:
        sys.setswitchinterval(before)


def test_nothing_is_stored_after_the_job_has_failed():
    begun, failed = threading.Event(), threading.Event()
    stored = []

    class Noting(MemoryStorage):
        def put(self, blocks):
            stored.extend(blocks)
            super().put(blocks)

    def slow(number):
        begun.set()
        failed.wait(30)
        return number

    def fail(number):
        begun.wait(30)
        raise ValueError(number)

    mapping = {"a": (fail, 0), "b": (slow, 1)}
    with pytest.raises(TaskError, match="ValueError"):
        threads.run(Explicit.from_mapping(mapping, ["a", "b"]), Noting(), workers=2)
    failed.set()
    while workers_alive():
        time.sleep(0.01)
    assert stored == []
