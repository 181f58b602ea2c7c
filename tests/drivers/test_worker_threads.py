"""Threads that rest between jobs."""

import contextvars
import os
import threading
import time
import weakref

import pytest

from wukong_sched.drivers.worker_threads import WorkerThreads

PATIENCE = 60


def who(threads):
    """The thread that does the next errand."""
    found = []
    assert threads.start(lambda: found.append(threading.current_thread())).wait(PATIENCE)
    return found[0]


def test_one_after_the_other_has_the_same_thread():
    threads = WorkerThreads()
    assert len({who(threads) for _ in range(5)}) == 1
    assert threads.busy == 0


def test_at_the_same_time_each_has_its_own():
    threads, together = WorkerThreads(), threading.Barrier(3)
    found = []

    def meet():
        together.wait(PATIENCE)
        found.append(threading.get_ident())

    for over in [threads.start(meet) for _ in range(3)]:
        assert over.wait(PATIENCE)
    assert len(set(found)) == 3


def test_who_has_rested_long_enough_ends_and_another_takes_its_place():
    threads = WorkerThreads(rest=0.01)
    first = who(threads)
    first.join(PATIENCE)
    assert not first.is_alive()
    assert who(threads) is not first


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_exception_ends_its_thread_alone():
    threads = WorkerThreads()
    first = who(threads)
    assert threads.start(lambda: 1 / 0).wait(PATIENCE)
    first.join(PATIENCE)
    assert who(threads) is not first
    assert threads.busy == 0


def test_who_rests_keeps_nothing_alive():
    class Thing:
        pass

    threads, thing = WorkerThreads(), Thing()
    seen = weakref.ref(thing)
    assert threads.start(lambda thing=thing: None).wait(PATIENCE)
    del thing
    over = time.monotonic() + PATIENCE
    while seen() is not None and time.monotonic() < over:
        time.sleep(0.001)
    assert seen() is None


def test_work_sees_the_callers_context():
    variable, found = contextvars.ContextVar("variable", default=0), []
    threads = WorkerThreads()
    for value in (1, 2):
        variable.set(value)
        assert threads.start(lambda: found.append(variable.get())).wait(PATIENCE)
    assert found == [1, 2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking beside threads, which is what is tested
def test_a_forked_child_has_its_own():
    threads = WorkerThreads()
    who(threads)
    child = os.fork()
    if not child:
        os._exit(0 if threads.start(lambda: None).wait(PATIENCE) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_thread_that_is_called_for_nothing_ends():
    """As when Ctrl-C comes between the call and what is to be done."""
    threads = WorkerThreads(rest=0.01)
    called = who(threads)
    threads._resting.clear()
    called.join(PATIENCE)
    assert not called.is_alive()
    assert who(threads) is not called
