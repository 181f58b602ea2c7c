"""The bar that `progress=True` draws: every line of it, how often, and where."""

from __future__ import annotations

import io
import re
import sys
from itertools import pairwise

import pytest

from wukong_sched.futures import FunctionExecutor, bar, wait
from wukong_sched.futures.bar import EVERY, WIDTH, Bar

PATIENCE = 60.0
"""Seconds after which a test gives up."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and counts how often it was flushed."""

    flushed = 0

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.flushed += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, that the bar sees."""
    now = [100.0]
    monkeypatch.setattr(bar.time, "monotonic", lambda: now[0])
    return now


def drawn(full: int, done: int, total: int) -> str:
    return f"\r[{'#' * full}{'.' * (WIDTH - full)}] {done}/{total} calls"


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "none"])
def test_a_bar_grows_in_place_and_ends_its_line(stream: io.StringIO, clock: list[float]) -> None:
    shows = Bar(stream)
    for done in range(5):
        shows(done, 4)
        clock[0] += 2 * EVERY
    lengths = [0, WIDTH // 4, WIDTH // 2, 3 * WIDTH // 4, WIDTH]
    assert stream.getvalue() == "".join(drawn(full, done, 4) for done, full in enumerate(lengths)) + "\n"


def test_whoever_looks_sees_each_drawing_at_once(clock: list[float]) -> None:
    terminal = Terminal()
    shows = Bar(terminal)
    for done in range(3):
        shows(done, 2)
        assert terminal.flushed == done + 1
        clock[0] += 2 * EVERY


def test_a_bar_is_drawn_now_and_then_and_at_the_end(clock: list[float]) -> None:
    terminal = Terminal()
    shows = Bar(terminal)
    for done in range(1, 1001):
        shows(done, 1000)
        clock[0] += EVERY / 250
    found = [int(count) for count in re.findall(r"(\d+)/1000 calls", terminal.getvalue())]
    assert len(found) == 5 and found[0] == 1 and found[-1] == 1000
    assert all(250 <= after - before <= 251 for before, after in pairwise(found[:-1]))


def test_a_bar_of_no_calls_is_none_yet_and_ends(clock: list[float]) -> None:
    terminal = Terminal()
    Bar(terminal)(0, 0)
    assert terminal.getvalue() == drawn(0, 0, 0) + "\n"


def test_a_program_without_a_console_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with FunctionExecutor(workers=1, progress=True) as executor:
        assert list(executor.map(abs, [-1, -2])) == [1, 2]


@pytest.mark.parametrize("kind", ["threads", "functions"])
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_progress_draws_what_is_done_of_all_calls(
    kind: str, stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    with FunctionExecutor(kind, workers=2, progress=True) as executor:
        futures = executor.submit_all(divmod, range(20), [0, *range(1, 20)])  # one fails: it is done as well
        assert len(wait(futures, PATIENCE).done) == 20
    drawings = shown.getvalue().removesuffix("\n").split("\r")
    assert drawings[0] == "" and "\n" not in "".join(drawings)
    assert drawings[-1] == f"[{'#' * WIDTH}] 20/20 calls"
    counts = [int(re.fullmatch(r"\[#*\.*\] (\d+)/20 calls", each)[1]) for each in drawings[1:]]  # type: ignore[index]
    assert counts == sorted(set(counts))
