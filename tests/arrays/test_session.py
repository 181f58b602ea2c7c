from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

import sarray as sa
from sarray.session_blas import arithmetic, single_threaded
from tests.arrays.drawn import chunked
from wukong_sched.machine import processors


class Pair(NamedTuple):
    first: Any
    second: Any


def test_arrays_in_anything_are_computed_together() -> None:
    x = sa.ones((4, 4), chunks=2)
    found = sa.compute(x.sum(), Pair(x[0], 5), {"a": [x.mean(), "text"]}, None)
    assert found[0] == 16 and isinstance(found[1], Pair) and found[1].second == 5
    np.testing.assert_array_equal(found[1].first, np.ones(4))
    assert found[2]["a"][0] == 1 and found[2]["a"][1] == "text" and found[3] is None
    assert sa.compute() == () and sa.compute(3) == (3,)


@given(chunked((0, 2), finite=True), st.booleans())
def test_results_are_their_owners(pair: tuple[NDArray[Any], sa.Array], persisted: bool) -> None:
    values, x = pair
    x = x.persist(executor="serial") if persisted else x
    results = [
        *sa.compute(x, x, x.T, x[...], x[..., None], executor="serial"),
        x.compute(),
        np.asarray(x),
        x.T.compute(),
    ]
    for number, result in enumerate(results):
        assert result.flags.writeable
        assert not np.shares_memory(result, values)
        assert not any(np.shares_memory(result, other) for other in results[:number])
    before = values.copy()
    for result in results:
        result[...] = -99
    np.testing.assert_array_equal(x.compute(), before)


def test_a_wanted_array_that_others_use_is_computed_once() -> None:
    calls: list[int] = []

    def counted(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        calls.append(1)
        return a + b

    x = sa.tree_reduce(sa.ones((8, 3), chunks=(1, 3)), counted)
    total, double, kept = sa.compute(x, x * 2, x.sum())
    assert (len(calls), total[0, 0], double[0, 0], kept) == (7, 8, 16, 24)


def test_persisted_arrays_are_read_not_computed() -> None:
    x = (sa.random.default_rng(0).random((9, 9), chunks=4) + 1).persist()
    assert x.expression.op == "source" and x.chunks == ((4, 4, 1),) * 2
    assert (x + 1).plan().tasks == 9
    np.testing.assert_array_equal(x[1:, ::2].rechunk(3).compute(), x.compute()[1:, ::2])
    first, second = sa.persist(x.sum(axis=0), x.sum(axis=1))
    assert float(first.sum()) == pytest.approx(float(second.sum()))


def test_persisting_copies_what_is_somebody_elses() -> None:
    values = np.zeros(4)
    x = sa.from_array(values, 2).persist()
    values[:] = 1
    assert not x.compute().any()


def test_store_writes_into_targets() -> None:
    x = sa.arange(10.0, chunks=3)
    first, second, third = np.zeros(10), np.zeros(10), np.zeros(10)
    sa.store([x, x, x * 2], [first, second, third])
    np.testing.assert_array_equal([first, second, third], [np.arange(10), np.arange(10), np.arange(10) * 2])
    x[1:].store(third[:-1])
    np.testing.assert_array_equal(third, [*range(1, 10), 18])


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (np.zeros(4), ValueError, r"shape \(3,\) does not fit a target of shape \(4,\)"),
        (np.zeros(3, "f4"), TypeError, r"x\.astype\('float32'\)"),
        ([0, 0, 0], TypeError, "shape and slice assignment"),
    ],
)
def test_targets_that_do_not_fit_are_refused(target: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sa.ones(3).store(target)
    with pytest.raises(ValueError, match="1 arrays need as many targets, got 2"):
        sa.store([sa.ones(3)], [target, target])


@pytest.mark.parametrize("chunks", [2, 4])
@pytest.mark.parametrize("executor", ["threads"])
def test_what_a_task_raises_names_operation_array_and_block(chunks: int, executor: str) -> None:
    class Broken:
        shape, dtype = (8,), np.dtype("f8")

        def __getitem__(self, index: Any) -> Any:
            raise OSError("disk on fire")

    x = sa.from_array(Broken(), chunks) * 2
    with pytest.raises(
        sa.TaskError, match=r"(read|multiply): block \(\d,\) of array '(source|elementwise)-.*OSError: disk on fire"
    ) as info:
        x.compute(executor=executor)
    assert isinstance(info.value.__cause__, OSError)


@pytest.mark.parametrize("executor", ["threads", "serial"])
@pytest.mark.parametrize("count", [2, 9])
def test_computing_within_a_task_is_refused(count: int, executor: str) -> None:
    def nested(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return a + sa.ones(3).sum().compute()

    with pytest.raises((sa.TaskError, sa.NestedComputeError), match="build one expression"):
        sa.tree_reduce(sa.ones(count, chunks=1), nested).compute(executor=executor)


def test_two_threads_compute_at_once() -> None:
    results: dict[int, float] = {}

    def work(number: int) -> None:
        x = sa.random.default_rng(number).normal(size=(60, 60), chunks=20)
        results[number] = float((x @ x.T).sum())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, found in results.items():
        x = sa.random.default_rng(number).normal(size=(60, 60)).compute()
        assert found == pytest.approx((x @ x.T).sum())
    assert len(results) == 4


def blas_threads() -> list[int]:
    return sorted(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")


def test_blas_is_held_to_one_thread_and_restored_whatever_happens() -> None:
    (sa.ones((2, 2)) @ sa.ones((2, 2))).compute()
    before = blas_threads()
    inside: list[list[int]] = []

    def look(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        inside.append(blas_threads())
        raise KeyError("enough")

    x = sa.tree_reduce(sa.ones((4, 4), chunks=2) @ sa.ones((4, 4), chunks=2), look)
    with pytest.raises(sa.TaskError, match="enough"):
        x.compute()
    assert inside and set(inside[0]) == {1}
    assert blas_threads() == before
    with single_threaded():
        with pytest.raises(ZeroDivisionError), single_threaded():
            raise ZeroDivisionError
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_a_task_that_cannot_fit_is_refused_before_anything_runs() -> None:
    read: list[Any] = []

    class Watched:
        shape, dtype = (1000, 1000), np.dtype("f8")

        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return np.zeros((1000, 1000))[index]

    x = sa.from_array(Watched(), -1) + 1
    with pytest.raises(sa.MemoryLimitError, match=r"add: a task needs 15\.3 MiB .*10\.0 MiB; .*rechunk\({0: 655}\)"):
        x.compute(memory_limit="10MiB", workers=2)
    assert read == []


def test_a_job_larger_than_its_memory_limit_finishes() -> None:
    x = sa.random.default_rng(0).random((1000, 1000), chunks=100)
    expected = x.compute()
    y = (x.T + x).rechunk(250)
    np.testing.assert_array_equal(y.compute(memory_limit="3MiB", workers=2), expected.T + expected)


@settings(max_examples=20)
@given(chunked(2, ("f8",), finite=True), st.sampled_from([1, 2, 5]))
def test_executors_agree(pair: tuple[NDArray[Any], sa.Array], workers: int) -> None:
    _, x = pair
    build = [(x * 2).sum(axis=0), x.T[1:] + 1, x.rechunk(2), x]
    for serial, threaded in zip(
        sa.compute(*build, executor="serial"), sa.compute(*build, workers=workers), strict=True
    ):
        np.testing.assert_array_equal(serial, threaded)


def test_numpy_arrays_are_taken_everywhere() -> None:
    values = np.arange(6.0).reshape(3, 2)
    assert sa.sum(values).compute() == 15
    assert sa.plan(sa.add(values, values)).tasks == 1
    assert sa.matmul(values.T, values).compute().tolist() == (values.T @ values).tolist()


def test_workers_default_to_processors() -> None:
    assert 1 <= processors() <= 4096


def test_another_package_called_kernels_is_named(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import sarray"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: sarray needs its own package 'kernels'" in run.stderr
    assert str(tmp_path) in run.stderr


@pytest.mark.parametrize("executor", ["threads", "serial"])
def test_a_function_cannot_write_into_blocks_that_others_read(executor: str) -> None:
    def in_place(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        a += b
        return a

    y = sa.ones(16, chunks=2) + 1
    with pytest.raises(sa.TaskError, match="read-only"):
        sa.compute(y, sa.tree_reduce(y, in_place), executor=executor)


def test_blas_is_held_to_one_thread_from_any_thread() -> None:
    def product() -> str:
        with single_threaded():
            return arithmetic()

    assert product().endswith(" x1")
    with ThreadPoolExecutor(1) as other, ThreadPoolExecutor(1) as third:
        assert other.submit(product).result().endswith(" x1")
        assert third.submit(product).result().endswith(" x1")
    assert product().endswith(" x1")
