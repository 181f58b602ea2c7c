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
SAME = "asks whether the very object that went in comes out; from a process comes one like it"
HERE = "counts, or catches warnings, where the calls are not"
LEFT_OUT_IN_PROCESSES = {
    ("test_delayed.py", "test_traverse_false"): SAME,
    ("test_delayed.py", "test_callable_obj"): SAME,
    ("test_bag.py", "test_repartition_partition_size_complex_dtypes"): SAME,
    ("test_bag.py", "test_bag_with_single_callable"): SAME,
    ("test_bag.py", "test_take_npartitions_warn"): HERE,
    ("test_bag.py", "test_to_delayed_optimize_graph"): HERE,
    ("test_text.py", "test_files_per_partition"): HERE,
    ("test_bag.py", "test_reductions_are_lazy"): "has a generator among its data, which cannot be pickled",
    ("test_routines.py", "test_average_raises"): HERE,
    ("test_routines.py", "test_tensordot_more_than_26_dims"): "takes more memory than a function here has",
}
"""Beside those, where calls run in processes."""
EXECUTOR = os.environ.get("DASK_SUITE_EXECUTOR", "threads")
EXCEPT = LEFT_OUT if EXECUTOR == "threads" else LEFT_OUT | LEFT_OUT_IN_PROCESSES
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
    left_out = [item for item in items if (item.path.name, getattr(item, "originalname", "")) in EXCEPT]
    CALLS["left out"] = len(left_out)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how often."""
    terminalreporter.write_line(f"schedulers called: {CALLS['ours']}, tests left out: {CALLS['left out']}")
