"""Where a computation runs that does not say so itself.

Whoever opens a place to compute says so for the whole process with `chosen`; Dask's configuration says so too, if Dask
is there and names one of this engine's schedulers, or one of its own that has a like here.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

LIKE: Mapping[str, str] = {
    "threading": "threads",
    "sync": "serial",
    "synchronous": "serial",
    "single-threaded": "serial",
    "processes": "functions",
    "multiprocessing": "functions",
}
"""Executors here by Dask's names for what is alike."""


class Choice(NamedTuple):
    """An executor, and how many workers; None: as many as there are processors."""

    executor: str
    workers: int | None = None


USUAL = Choice("threads")
_chosen: list[Callable[[], Choice]] = []


@contextlib.contextmanager
def chosen(choice: Callable[[], Choice]) -> Iterator[None]:
    """Ask this for a choice, in every thread, while the block lasts; blocks may end in any order.

    >>> with chosen(lambda: Choice("serial")):
    ...     choice()
    Choice(executor='serial', workers=None)
    """
    mine = partial(choice)  # one of a kind, whoever else gives the same
    _chosen.append(mine)
    try:
        yield
    finally:
        _chosen.remove(mine)


def choice(executor: str | None = None, workers: int | None = None, scheduler: Any = None) -> Choice:
    """What was asked for, or else what was chosen for all: where to run, and with how many workers.

    `scheduler` is an executor's name, or Dask's name for a like one, or a scheduler of this engine. Raises TypeError
    for any other, and if both it and `executor` are given.

    >>> choice("functions", 2), choice(scheduler="sync")
    (Choice(executor='functions', workers=2), Choice(executor='serial', workers=None))
    """
    if scheduler is not None and executor is not None:
        raise TypeError("executor= and scheduler= both say where to run; give one of them")
    if executor is not None:
        return Choice(executor, workers)
    found = _named(scheduler) if scheduler is not None else _usual()
    if found is None:
        raise TypeError(f"scheduler={scheduler!r} is none of this engine's; give executor='threads' or 'functions'")
    return found if workers is None else Choice(found.executor, workers)


def _named(scheduler: Any) -> Choice | None:
    """What a scheduler stands for; None if it is none of this engine's."""
    if isinstance(scheduler, str):
        return Choice(LIKE.get(scheduler, scheduler))
    executor, workers = getattr(scheduler, "executor", None), getattr(scheduler, "workers", None)
    return Choice(executor, workers) if isinstance(executor, str) else None


def _usual() -> Choice:
    configured = sys.modules.get("dask.config")
    scheduler = configured.get("scheduler", None) if configured is not None else None
    known = None if scheduler in (None, "distributed") else _named(scheduler)
    return known or (_chosen[-1]() if _chosen else USUAL)
