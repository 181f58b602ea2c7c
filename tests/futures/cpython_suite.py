"""CPython's own tests of `concurrent.futures`, run on `FunctionExecutor`.

``python cpython_suite.py <file> <executor> <report>``.

The file is `test_concurrent_futures.py` of Python 3.11, which is not part of this project. What its tests look at
beyond the documented interface (names of threads and workers) is shown to them under CPython's names. The report
is JSON: {test: "ok", "left out: reason" or what went wrong}.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
import unittest
from concurrent import futures
from pathlib import Path
from typing import Any

from wukong_sched.futures import CallFuture, FunctionExecutor

CHILD = "its child process imports an executor from concurrent.futures by name; test_executor.py has the same of ours"
FORKS = "it is about forking a process pool's workers"
LEFT_OUT = {
    "test_interpreter_shutdown": CHILD,
    "test_submit_after_interpreter_shutdown": CHILD,
    "test_hang_gh83386": CHILD,
    "test_cancel_futures_wait_false": CHILD,
    "test_cancel_futures": "it wants a call to have begun when fifty are submitted; here a job begins a moment later, "
    "and all that has not begun is cancelled: test_cancel.py has the same with a call that is known to run",
    "test_thread_names_assigned": "threads are named by the executor alone; there is no thread_name_prefix",
    "test_thread_names_default": "it asks for the class's name in the threads' names",
    "test_default_workers": "as many workers as processors, not 4 more",
    "test_threads_terminate": "a thread may take two calls at once; how many have started at a moment is not promised",
    "test_idle_thread_reuse": "a thread closes its job's record after the result is there; a call may come before",
    "test_repr": "it asks for the class's name",
    "test_multiple_set_result": "it asks for the class's name in the error",
    "test_multiple_set_exception": "it asks for the class's name in the error",
}
"""Tests that do not apply, whatever the executor, with the reason."""
LEFT_OUT_OF_FUNCTIONS = {
    "test_map_submits_without_iteration": "it appends to a list of the caller's process",
    "test_executor_map_current_future_cancel": "it waits for an event of the caller's process",
    "test_saturation": "it waits for a semaphore of the caller's process",
    "test_pending_calls_race": "it waits for an event of the caller's process",
    "test_hang_global_shutdown_lock": "a call cannot submit to the executor that it came from",
}


def load(path: Path) -> Any:
    """The module of tests, with our futures in place of CPython's."""
    spec = importlib.util.spec_from_file_location("test_concurrent_futures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["test_concurrent_futures"] = module
    spec.loader.exec_module(module)
    return module


def executor_type(name: str) -> type[FunctionExecutor]:
    """The executor as CPython's tests make it."""

    class Shown(FunctionExecutor):
        def __init__(self, max_workers: int | None = None) -> None:
            super().__init__(name, max_workers=max_workers)

        @property
        def _max_workers(self) -> int:
            return self.workers

        @property
        def _threads(self) -> Any:
            return self._crew._threads

    return Shown


def cases(module: Any, kind: type[FunctionExecutor]) -> list[type[unittest.TestCase]]:
    """CPython's classes of tests for threads, on our executor; those of futures, on ours."""
    names = ("ThreadPoolShutdownTest", "ThreadPoolWaitTests", "ThreadPoolAsCompletedTests", "ThreadPoolExecutorTest")
    module.futures = types.SimpleNamespace(**{**vars(futures), "ThreadPoolExecutor": kind})
    module.futures.ProcessPoolExecutor = futures.ProcessPoolExecutor
    module.Future = CallFuture
    own = {"executor_type": kind}
    pairs = [(name, getattr(module, name, None)) for name in names]
    found = [type(name, (base,), own) for name, base in pairs if base is not None]
    if len(found) < len(names):  # classes that are made from mixins
        mixin = (module.ThreadPoolMixin,)
        tests = (module.AsCompletedTests, module.BaseTestCase)
        found.append(type("ThreadPoolAsCompletedTests", (*mixin, *tests), own))
    return [*found, module.FutureTests]


def main(path: str, name: str, report: str) -> None:
    """Run all tests that apply, and write what became of each into a file."""
    module = load(Path(path))
    left_out = LEFT_OUT | (LEFT_OUT_OF_FUNCTIONS if name == "functions" else {})
    results: dict[str, str] = {}
    for case in cases(module, executor_type(name)):
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(case):
            method = test.id().rpartition(".")[2]
            title = f"{case.__name__}.{method}"
            if method in left_out:
                results[title] = f"left out: {left_out[method]}"
                continue
            result = unittest.TestResult()
            test.run(result)
            wrong = [text for _, text in (*result.failures, *result.errors)]
            results[title] = wrong[0] if wrong else "ok"
    Path(report).write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
