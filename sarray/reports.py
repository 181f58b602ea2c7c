"""The last report of each thread that computed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wukong_sched.report import Report

_LAST = threading.local()


def remember(report: Report) -> Report:
    """Keep a report for `last_report`."""
    _LAST.report = report
    return report


def last_report() -> Report:
    """What the last computation of this thread did and cost; LookupError if there was none.

    ``print(sa.last_report())`` is readable, ``.to_dict()`` has all numbers, ``.lines()`` all records as JSON.

    >>> import sarray as sa
    >>> value = (sa.ones((4, 4), chunks=2) + 1).compute()
    >>> sa.last_report().tasks, sa.last_report().to_dict()["invocations"]
    (4, 0)
    """
    found: Report | None = getattr(_LAST, "report", None)
    if found is None:
        raise LookupError("nothing was computed in this thread yet; call x.compute() first")
    return found
