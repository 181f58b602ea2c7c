"""A pytest plugin for Dask's own suites: every scheduler that they name is this engine's, and Dask's own refuse.

Run as ``pytest -p tests.dask.replaced_schedulers --pyargs dask.array dask.bag``; with ``DASK_SUITE_EXECUTOR=functions``
in the environment they run in processes.
"""

from __future__ import annotations

import os
from typing import Any

import dask.bag
import dask.base
import dask.local
import dask.multiprocessing
import dask.threaded
import pytest
from dask.array.core import Array
from dask.delayed import Delayed

from wukong_sched.dask import Scheduler

CALLS = {"ours": 0, "left out": 0}
ALONE = "fails with Dask's own schedulers too, in this combination of versions"
LEFT_OUT = {
    ("test_bag.py", "test_temporary_directory"): "looks for files of the process pool that it hands to the scheduler",
    ("test_collection.py", "test_blockwise"): ALONE,
    ("test_collection.py", "test_is_dask_collection_doesnt_materialize"): ALONE,
    ("test_array_core.py", "test_zarr_risky_shards_warns"): ALONE,
    ("test_array_core.py", "test_binary_operator_delegation"): ALONE,
    ("test_reductions.py", "test_nanquantile_all_nan"): ALONE,
}
"""{(file, test): why}"""
EXECUTOR = os.environ.get("DASK_SUITE_EXECUTOR", "threads")
NAMES = ("sync", "synchronous", "single-threaded", "threads", "threading", "processes", "multiprocessing")


class Counted(Scheduler):
    """Counts its calls."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        CALLS["ours"] += 1
        return super().__call__(*arguments, **options)


def refused(*arguments: Any, **options: Any) -> Any:
    """Stands for what every scheduler of Dask's is built on."""
    raise AssertionError("one of Dask's own schedulers was called")


def pytest_configure(config: pytest.Config) -> None:
    """Replace what collections compute with."""
    ours = Counted(EXECUTOR, workers=2)
    for name in NAMES:
        dask.base.named_schedulers[name] = ours
    for module in (dask.threaded, dask.multiprocessing):
        module.get = ours
    dask.get = dask.local.get_sync = ours
    for module in (dask.local, dask.threaded, dask.multiprocessing):
        module.get_async = refused
    for collection in (Array, dask.bag.Bag, dask.bag.Item, Delayed):
        collection.__dask_scheduler__ = staticmethod(ours)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot pass."""
    left_out = [item for item in items if (item.path.name, getattr(item, "originalname", "")) in LEFT_OUT]
    CALLS["left out"] = len(left_out)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how often."""
    terminalreporter.write_line(f"schedulers called: {CALLS['ours']}, tests left out: {CALLS['left out']}")
