"""A progress bar for computations that take their time."""

from __future__ import annotations

import sys
import time
import warnings
from types import TracebackType
from typing import Any

from sarray.config import Settings


class Bar:
    """Called with (tasks done, tasks); shows a bar once `delay` seconds have passed, and removes it at the end.

    >>> with Bar(delay=60) as bar:
    ...     bar(1, 2)
    """

    def __init__(self, delay: float) -> None:
        self._due = time.perf_counter() + delay
        self._bar: Any = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        """So much is done."""
        if self._bar is None and (time.perf_counter() < self._due or done >= total):
            return
        if self._bar is None:
            self._bar = _tqdm(total)
        self._bar.total = total
        self._bar.update(done - self._bar.n)


def _tqdm(total: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns where notebook widgets are missing, and shows text instead
        from tqdm.auto import tqdm
    return tqdm(total=total, unit="task", desc="sarray", leave=False, mininterval=0)


def is_watched() -> bool:
    """Whether somebody looks: a terminal or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def bar(settings: Settings, asked: bool | None) -> Bar | None:
    """A bar, if one is asked for or somebody looks."""
    shown = settings.progress if asked is None else asked
    return Bar(settings.progress_delay) if shown or (shown is None and is_watched()) else None
