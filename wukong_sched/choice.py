"""Where a computation runs that does not say so itself, and with how many workers.

Whoever opens a place to compute says so for the whole process with `chosen`; Dask's configuration says so too, if Dask
is there and names one of this engine's schedulers, or one of its own that has a like here.
"""

from __future__ import annotations

import contextlib
import operator
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


def whole(option: str, asked: object) -> int | None:
    """The number that was asked for, if any; TypeError if it is no integer.

    >>> import numpy as np
    >>> whole("workers", np.int64(2)), whole("workers", None)
    (2, None)
    """
    if asked is None:
        return None
    if not hasattr(asked, "__index__"):
        raise TypeError(f"{option} must be an integer, got {asked!r}; give int(...) of it")
    return operator.index(asked)


def counted(option: str, asked: object) -> int | None:
    """As `whole`; ValueError if it is less than 1."""
    count = whole(option, asked)
    if count is not None and count < 1:
        raise ValueError(f"{option} must be greater than 0, got {count}; leave it out for one a processor")
    return count


def choice(executor: str | None = None, workers: int | None = None, scheduler: Any = None) -> Choice:
    """What was asked for, or else what was chosen for all: where to run, and with how many workers.

    `scheduler` is an executor's name, or Dask's name for a like one, or a scheduler of this engine. Raises TypeError
    for any other, and if both it and `executor` are given; and as `counted` for `workers`.

    >>> choice("functions", 2), choice(scheduler="sync")
    (Choice(executor='functions', workers=2), Choice(executor='serial', workers=None))
    """
    if scheduler is not None and executor is not None:
        raise TypeError("executor= and scheduler= both say where to run; give one of them")
    workers = counted("workers", workers)
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
    return Choice(executor, counted("workers", workers)) if isinstance(executor, str) else None


def _usual() -> Choice:
    configured = sys.modules.get("dask.config")
    scheduler = configured.get("scheduler", None) if configured is not None else None
    known = None if scheduler in (None, "distributed") else _named(scheduler)
    return known or (_chosen[-1]() if _chosen else USUAL)
