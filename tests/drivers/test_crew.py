"""A crew stays whole, whatever its turns raise and whoever waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import pytest

from wukong_sched.drivers.crew import Crew

PATIENCE = 60.0
"""Seconds after which a test gives up."""


class Errands:
    """A source whose jobs are plain functions."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.errands: deque[Callable[[], object]] = deque()

    def waits(self) -> bool:
        return bool(self.errands)

    def begin(self) -> None:
        with self.changed:
            errand = self.errands.popleft() if self.errands else None
        if errand is not None:
            errand()

    def runs(self) -> bool:
        return False

    def look(self) -> None:
        raise AssertionError("nothing runs")

    def is_empty(self) -> bool:
        return not self.errands


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What threads died of."""
    names: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda died: names.append(died.exc_type.__name__))
    return names


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def fail() -> None:
    raise ArithmeticError("a turn that fails")


@pytest.mark.parametrize("size", [1, 2])
def test_deaths_in_a_row_cost_no_thread(shown: list[str], size: int) -> None:
    source = Errands()
    crew = Crew(size, source)
    for deaths in range(1, 3 * size + 1):
        crew.push([fail])
        until(lambda deaths=deaths: len(shown) == deaths)  # type: ignore[misc]
    assert crew.idle() == size
    both = threading.Barrier(size, timeout=PATIENCE)

    def meet() -> None:
        both.wait()

    crew.push([meet] * size)  # needs them all at once
    crew.finish()
    assert shown == ["ArithmeticError"] * (3 * size)


def test_what_waits_behind_a_turn_that_fails_is_done(shown: list[str]) -> None:
    source = Errands()
    crew = Crew(1, source)
    begun, told = threading.Event(), threading.Event()

    def late() -> None:
        begun.wait(PATIENCE)
        fail()

    crew.push([late, fail])
    with source.changed:
        source.errands.extend([fail, told.set])
    begun.set()
    assert told.wait(PATIENCE)
    crew.finish()
    until(lambda: len(shown) == 3)


def test_a_crew_whose_threads_all_died_ends(shown: list[str]) -> None:
    crew = Crew(2, Errands())
    crew.push([fail, fail])
    crew.finish()
    until(lambda: shown == ["ArithmeticError"] * 2)


def test_several_may_wait_for_the_end_at_once() -> None:
    for _ in range(5):
        crew, wrong = Crew(2, Errands()), list[BaseException]()
        crew.push([lambda: time.sleep(0.02)] * 4)

        def end(crew: Crew = crew, wrong: list[BaseException] = wrong) -> None:
            try:
                crew.finish()
            except BaseException as error:
                wrong.append(error)

        ending = [threading.Thread(target=end) for _ in range(3)]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join(PATIENCE)
        assert wrong == []
        assert not any(thread.is_alive() for thread in ending)
