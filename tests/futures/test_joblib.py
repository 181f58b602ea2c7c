"""`joblib.parallel_backend("sarray")`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

joblib = pytest.importorskip("joblib")

import sarray.joblib  # noqa: E402 (registers the backend)


def square(x: int) -> int:
    return x * x


def threads_within(_: int) -> set[str]:
    """Names of the threads in which a nested computation runs."""
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(lambda: threading.current_thread().name)() for _ in range(4))
    return set(found)


def fail(x: int) -> int:
    raise ArithmeticError(x)


@pytest.fixture(params=["threads", "functions"])
def backend(request: pytest.FixtureRequest) -> Any:
    """The backend on an executor."""
    return joblib.parallel_backend("sarray", executor=request.param, n_jobs=2)


def test_calls_are_computed_in_order(backend: Any) -> None:
    with backend:
        assert joblib.Parallel()(joblib.delayed(square)(x) for x in range(100)) == [x * x for x in range(100)]
        assert list(joblib.Parallel(return_as="generator")(joblib.delayed(square)(x) for x in range(5))) == [
            0, 1, 4, 9, 16,
        ]  # fmt: skip


def test_an_exception_arrives(backend: Any) -> None:
    with backend, pytest.raises(ArithmeticError):
        joblib.Parallel()(joblib.delayed(fail)(x) for x in range(10))


def test_nested_calls_run_where_they_are() -> None:
    with joblib.parallel_backend("sarray", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(threads_within)(x) for x in range(6))
    assert all(len(names) == 1 for names in found)
    assert {name.startswith("sarray-crew") for names in found for name in names} == {True}


def place() -> tuple[int, int]:
    """The process, and the thread in it."""
    return os.getpid(), threading.get_ident()


def nested(count: int, **options: Any) -> tuple[int, set[tuple[int, int]]]:
    """A sum of squares by a nested `Parallel` of the backend's own name, and in which threads of which process."""
    parallel = joblib.Parallel(n_jobs=2, backend="sarray", **options)
    found = parallel(joblib.delayed(place)() for _ in range(4))
    return sum(parallel(joblib.delayed(square)(x) for x in range(count))), {*found, place()}


@pytest.mark.parametrize("options", [{}, {"executor": "functions"}])
def test_the_backend_is_known_where_calls_run(backend: Any, options: dict[str, Any]) -> None:
    with backend:
        found = joblib.Parallel()(joblib.delayed(nested)(count, **options) for count in range(6))
    assert [total for total, _ in found] == [0, 0, 1, 5, 14, 30]
    assert {len(where) for _, where in found} == {1}, "one after the other, where the outer call is"


def test_how_many_jobs() -> None:
    backend = sarray.joblib.SarrayBackend()
    assert backend.effective_n_jobs(3) == 3
    assert backend.effective_n_jobs(-1) >= backend.effective_n_jobs(-2) >= 1
    assert sarray.joblib.SarrayBackend(nesting_level=1).effective_n_jobs(3) == 1
    with pytest.raises(ValueError, match="n_jobs"):
        backend.effective_n_jobs(0)


def test_shared_memory_is_offered_by_threads_alone() -> None:
    with joblib.parallel_backend("sarray", n_jobs=2):
        total: list[int] = []
        joblib.Parallel(require="sharedmem")(joblib.delayed(total.append)(x) for x in range(20))
        assert sorted(total) == list(range(20))
    assert not sarray.joblib.SarrayBackend(executor="functions").supports_sharedmem


def in_this_process(**options: Any) -> bool:
    """Whether calls run in this process."""
    found = joblib.Parallel(n_jobs=2, **options)(joblib.delayed(os.getpid)() for _ in range(4))
    return set(found) == {os.getpid()}


def test_the_executor_may_be_given_to_parallel_itself() -> None:
    assert in_this_process(backend="sarray")
    assert not in_this_process(backend="sarray", executor="functions")
    with joblib.parallel_backend("sarray", executor="functions"):
        assert not in_this_process()
        assert in_this_process(executor="threads")
        assert not in_this_process()
    with pytest.raises(ValueError, match=r"sharedmem.*functions"):
        in_this_process(backend="sarray", executor="functions", require="sharedmem")


def test_a_parallel_that_is_kept_open_is_no_other_ones() -> None:
    with joblib.parallel_backend("sarray"), joblib.Parallel(n_jobs=2) as kept:
        seen: list[int] = []
        kept(joblib.delayed(seen.append)(x) for x in range(3))
        assert not in_this_process(executor="functions")
        kept(joblib.delayed(seen.append)(x) for x in range(3, 6))
        joblib.Parallel(n_jobs=2, require="sharedmem")(joblib.delayed(seen.append)(x) for x in range(6, 8))
        assert sorted(seen) == list(range(8))


def test_an_executor_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nope.*threads, functions"):
        joblib.parallel_config(backend="sarray", n_jobs=2, executor="nope")
    with pytest.raises(ValueError, match=r"nope.*threads, functions"):
        in_this_process(backend="sarray", executor="nope")


def test_a_grid_search_finds_what_it_finds_alone() -> None:
    selection, svm = pytest.importorskip("sklearn.model_selection"), pytest.importorskip("sklearn.svm")
    data, labels = pytest.importorskip("sklearn.datasets").load_iris(return_X_y=True)
    alone = selection.GridSearchCV(svm.SVC(), {"C": [0.1, 1, 10]}).fit(data, labels)
    with joblib.parallel_backend("sarray", n_jobs=2):
        ours = selection.GridSearchCV(svm.SVC(), {"C": [0.1, 1, 10]}).fit(data, labels)
    assert ours.best_params_ == alone.best_params_
    assert ours.cv_results_["mean_test_score"].tolist() == alone.cv_results_["mean_test_score"].tolist()


def test_the_import_that_registers_is_needed_and_enough() -> None:
    code = """
import joblib
import sarray
before = "sarray" in joblib.parallel.BACKENDS
import sarray.joblib
print(before, joblib.parallel.BACKENDS["sarray"] is sarray.joblib.SarrayBackend)
"""
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    assert run.stdout.split() == ["False", "True"]
