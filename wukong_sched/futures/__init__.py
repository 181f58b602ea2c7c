"""Functions and futures: the interface of `concurrent.futures`, and PyWren's, on this scheduler.

`FunctionExecutor` is an executor of `concurrent.futures`; `wait` and `as_completed` are that module's own.
`default_executor` gives PyWren's interface, in which ``map(fn, data)`` returns futures.
"""

from __future__ import annotations

from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, as_completed, wait

from wukong_sched.futures.calls import CallFuture
from wukong_sched.futures.executor import FunctionExecutor
from wukong_sched.futures.pywren import Runner, default_executor, get_all_results

__all__ = [
    "FunctionExecutor",
    "CallFuture",
    "as_completed",
    "wait",
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "Runner",
    "default_executor",
    "get_all_results",
]
