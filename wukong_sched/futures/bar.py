"""Progress of calls: a line of text that grows, or a function that is told."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, TextIO

from wukong_sched.drivers.named import Progress

WIDTH = 40
"""Characters of a bar."""
EVERY = 0.1
"""Seconds between two drawings of a bar that is not at its end."""


class Bar:
    """A progress bar in text, on any stream: whoever asks for it has one that is no terminal, as in a notebook, too.

    >>> import io
    >>> shown = io.StringIO()
    >>> Bar(shown)(4, 4)
    >>> shown.getvalue().strip()
    '[########################################] 4/4 calls'
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._due = 0.0

    def __call__(self, done: int, total: int) -> None:
        """So much is done."""
        now = time.monotonic()
        if now < self._due and done < total:
            return
        self._due = now + EVERY
        full = WIDTH * done // max(1, total)
        stream = sys.stderr if self._stream is None else self._stream
        if stream is None:  # a program without a console has none
            return
        end = "\n" if done == total else ""
        stream.write(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {done}/{total} calls{end}")
        stream.flush()


def progress_of(asked: bool | Progress) -> Progress:
    """What to tell: the function that was given, or else a bar."""
    return asked if callable(asked) else Bar()


class Counter:
    """Counts calls, and those that are done, and tells."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._lock = progress, threading.RLock()
        self._done = self._total = 0

    def expect(self, futures: Sequence[Future[Any]]) -> None:
        """These belong to it."""
        with self._lock:
            self._total += len(futures)
        for future in futures:
            future.add_done_callback(self._finished)

    def _finished(self, future: Future[Any]) -> None:
        with self._lock:
            self._done += 1
            self._progress(self._done, self._total)
