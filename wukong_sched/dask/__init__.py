"""The door for Dask: any Dask collection, run by this engine (extra ``sarray[dask]``).

``x.compute(scheduler=wukong_sched.dask.get)`` for one computation, ``dask.config.set(scheduler=wukong_sched.dask.get)``
for all; `Scheduler` chooses the executor: ``Scheduler("functions", workers=8)``. `last_report` says what happened.
"""

from __future__ import annotations

from wukong_sched.dask.reports import last_report
from wukong_sched.dask.scheduler import Scheduler, get

__all__ = ["Scheduler", "get", "last_report"]
