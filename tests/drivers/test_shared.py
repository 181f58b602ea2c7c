"""What is shared is one thing, whoever asks, and when."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from wukong_sched.drivers.named import local_functions
from wukong_sched.shared import Shared


def test_two_threads_that_make_it_at_once_get_the_same() -> None:
    both = threading.Barrier(2, timeout=60)
    made: list[object] = []

    def make() -> object:
        both.wait()
        made.append(object())
        return made[-1]

    shared = Shared(make)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: shared(), range(2))
    assert len(made) == 2
    assert first is second


def test_arguments_tell_things_apart_until_they_are_forgotten() -> None:
    shared = Shared(lambda *args, **kwargs: [args, kwargs])
    one = shared(1, b=2)
    assert shared(1, b=2) is one
    assert shared(2, b=2) is not one
    shared.clear()
    assert shared(1, b=2) is not one


def test_functions_are_the_same_in_every_thread() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(local_functions, [77] * 64)))) == 1


def test_a_call_of_some_hours_is_not_ended_in_the_middle() -> None:
    assert local_functions(77).function.timeout >= 24 * 3600
