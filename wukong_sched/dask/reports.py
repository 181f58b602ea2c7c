"""The last report of each thread that computed a Dask collection."""

from __future__ import annotations

import threading
from dataclasses import replace

from wukong_sched.report import Report, Summary

_LAST = threading.local()


def remember(found: Summary, executor: str) -> None:
    """Keep what a computation did for `last_report`, with the executor's name."""
    report = found if isinstance(found, Report) else Report(found.tasks, found.executors, found.seconds)
    _LAST.report = replace(report, facts=replace(report.facts, executor=executor))


def last_report() -> Report:
    """What the last computation of a Dask collection by this thread did and cost; LookupError if there was none.

    ``print(last_report())`` is readable, ``.to_dict()`` has all numbers: bytes, requests, invocations, dollars.

    >>> import dask
    >>> from wukong_sched.dask import get
    >>> dask.delayed(sum)([1, 2]).compute(scheduler=get)
    3
    >>> last_report().tasks, last_report().to_dict()["invocations"]
    (1, 0)
    """
    found = latest()
    if found is None:
        raise LookupError("no Dask collection was computed here yet; call x.compute(scheduler=wukong_sched.dask.get)")
    return found


def latest() -> Report | None:
    """The same; None if there was none."""
    found: Report | None = getattr(_LAST, "report", None)
    return found
