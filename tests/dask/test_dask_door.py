"""What a user of Dask relies on beside values: reports, callbacks, errors from elsewhere, other schedulers at hand."""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask._task_spec import Alias, DataNode, Task, TaskRef
from dask.callbacks import Callback
from dask.diagnostics import Profiler, ProgressBar

import wukong_sched.dask
from wukong_sched.dask import Scheduler, last_report
from wukong_sched.dask.lost_writes import is_shared
from wukong_sched.errors import ProgramError

EXECUTORS = ["threads", "serial", "functions"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_last_computation_has_a_report(executor: str) -> None:
    x = da.from_array(np.arange(40.0), chunks=10)
    assert (x + 1).sum(split_every=2).compute(scheduler=Scheduler(executor, 2)) == 820.0
    found = last_report()
    assert found.facts.executor == executor
    assert found.tasks == 4 + 2 + 1
    assert (found.invocations > 0) == (executor == "functions")
    assert f"{executor}" in str(found) and "read" in str(found)


def test_reports_are_those_of_ones_own_thread() -> None:
    dask.delayed(abs)(-1).compute(scheduler=wukong_sched.dask.get)
    raised: list[str] = []

    def other() -> None:
        try:
            last_report()
        except LookupError as error:
            raised.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(60)
    assert "scheduler=wukong_sched.dask.get" in raised[0]


class Awkward(Exception):
    """Takes more than it hands on: pickled as exceptions are, it would be called with one argument."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__("awkward")


def fails_awkwardly() -> None:
    raise Awkward(1, 2)


def interrupts() -> None:
    raise KeyboardInterrupt


def exits() -> None:
    raise SystemExit(3)


def divides() -> float:
    return 1 / int("0")


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (fails_awkwardly, Awkward),
        (interrupts, KeyboardInterrupt),
        (exits, SystemExit),
        (divides, ZeroDivisionError),
    ],
)
def test_what_a_function_raises_comes_back_as_itself(function: Any, kind: type[BaseException]) -> None:
    with pytest.raises(kind) as caught:
        dask.delayed(function)().compute(scheduler=Scheduler("functions", 2))
    assert caught.value.__notes__[0].startswith(f"{function.__name__}: task '{function.__name__}-")
    assert f"in {function.__name__}" in str(caught.value.__cause__), "where it was raised, over there"


def test_results_that_cannot_leave_their_process_say_so() -> None:
    get = Scheduler("functions", 2)
    lock = dask.delayed(threading.Lock)()
    assert dask.delayed(lambda each: each.locked())(lock).compute(scheduler=get) is False
    with pytest.raises(TypeError, match="pickle"):
        lock.compute(scheduler=get)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_objects_of_all_kinds_go_from_task_to_task(executor: str) -> None:
    class Local:
        def __init__(self, value: int) -> None:
            self.value = value

    factor = 3
    made = dask.delayed(Local)(2)
    scaled = dask.delayed(lambda each: Local(each.value * factor))(made)
    odd = dask.delayed(lambda: np.array(["a", None], dtype=object))()
    masked = da.ma.masked_greater(da.arange(6, chunks=2), 3).sum()
    get = Scheduler(executor, 2)
    found, objects, total, plain = dask.compute(scaled, odd, masked, 5, scheduler=get)
    assert (found.value, objects.tolist(), int(total), plain) == (6, ["a", None], 6, 5)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_progress_bars_reach_their_end(executor: str) -> None:
    out = io.StringIO()
    with ProgressBar(out=out, dt=0.01):
        da.ones(12, chunks=3).sum().compute(scheduler=Scheduler(executor, 2))
    assert "100% Completed" in out.getvalue()


@pytest.mark.parametrize("executor", ["threads", "serial"])
def test_profiles_have_every_task(executor: str) -> None:
    with Profiler() as profile:
        da.ones(12, chunks=3).sum(split_every=2).compute(scheduler=Scheduler(executor, 2))
    assert len(profile.results) == 4 + 2 + 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_callbacks_may_put_known_values_into_the_graph(executor: str) -> None:
    """As Dask's opportunistic `Cache` does, which also looks at what depends on what."""
    seen: dict[Any, Any] = {}
    watch = Callback(
        start=lambda graph: graph.__setitem__("a", DataNode("a", 40)),
        posttask=lambda key, value, graph, state, worker: seen.update({key: state["dependencies"][key]}),
    )
    given = {"a": (interrupts,), "b": (int.__add__, "a", 2)}
    with watch:
        assert Scheduler(executor, 2)(given, "b") == 42
    assert seen == ({} if executor == "functions" else {"b": {"a"}})
    assert given["a"] == (interrupts,), "the user's graph is the user's"


@pytest.mark.parametrize("executor", ["threads", "serial"])
def test_persisted_collections_go_on_here(executor: str) -> None:
    get = Scheduler(executor, 2)
    x, y = dask.persist(da.arange(10, chunks=3), dask.delayed(sum)([1, 2]), scheduler=get)
    assert (int(x.sum().compute(scheduler=get)), y.compute(scheduler=get)) == (45, 3)


def test_wide_fan_ins_take_time_in_proportion() -> None:
    """Each input of the sum is looked at a few times, not once for every other one."""
    count = 3000
    graph: dict[Any, Any] = {("x", i): (abs, -i) for i in range(count)}
    graph["total"] = (sum, [("x", i) for i in range(count)])
    assert Scheduler("serial")(graph, "total") == count * (count - 1) // 2
    assert last_report().tasks == count + 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_more_tasks_at_once_than_workers_are_asked_for(count: int) -> None:
    running: list[None] = []
    most: list[int] = []

    def call(number: int) -> int:
        running.append(None)
        most.append(len(running))
        gate.wait(0.001)
        running.pop()
        return number

    gate = threading.Event()
    calls = [dask.delayed(call)(number) for number in range(30)]
    assert dask.compute(*calls, scheduler=wukong_sched.dask.get, num_workers=count) == tuple(range(30))
    assert max(most) <= count
    with dask.config.set(scheduler=wukong_sched.dask.get, num_workers=count):
        assert dask.compute(*calls) == tuple(range(30))
    assert max(most) <= count


@pytest.mark.parametrize(
    ("wrong", "kind", "said"),
    [
        (0, ValueError, "must be greater than 0, got 0; leave it out"),
        (1.5, TypeError, r"must be an integer, got 1\.5; give int"),
        ("2", TypeError, "must be an integer, got '2'; give int"),
    ],
)
@pytest.mark.parametrize("executor", ["threads", "functions"])
def test_workers_are_counted(executor: str, wrong: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=f"^workers {said}"):
        Scheduler(executor, wrong)
    with pytest.raises(kind, match=f"^num_workers {said}"):
        dask.delayed(abs)(-1).compute(scheduler=Scheduler(executor), num_workers=wrong)
    with dask.config.set(num_workers=wrong), pytest.raises(kind, match=f"^num_workers {said}"):
        dask.delayed(abs)(-1).compute(scheduler=Scheduler(executor))


def test_numpys_integers_count_workers() -> None:
    assert repr(Scheduler("threads", np.int64(2)).workers) == "2"  # type: ignore[arg-type]
    assert dask.delayed(abs)(-1).compute(scheduler=wukong_sched.dask.get, num_workers=np.int64(2)) == 1


def test_executors_that_there_are_not_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no executor 'bogus'; known: threads, serial, functions"):
        Scheduler("bogus")
    x, target = da.ones(4, chunks=2), np.zeros(4)
    with pytest.raises(ValueError, match="no executor 'bogus'; known: threads, serial, functions"):
        da.store(x, target, scheduler=wukong_sched.dask.get, executor="bogus")


def test_pools_are_refused() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(TypeError, match="num_workers="):
        dask.delayed(abs)(-1).compute(scheduler=wukong_sched.dask.get, pool=pool)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_notes_name_the_task_by_its_key(executor: str) -> None:
    graph = {"a": 0, ("b", 1): (divmod, 1, "a"), "c": ("b", 1), "d": (sum, ["c"])}
    with pytest.raises(ZeroDivisionError) as caught:
        Scheduler(executor, 2)(graph, ["d", "c"])
    assert len(caught.value.__notes__) == 1
    assert caught.value.__notes__[0].startswith("b: task ('b', 1) failed: ZeroDivisionError: ")


@pytest.mark.long
def test_it_is_the_default_beside_a_client_of_distributed() -> None:
    distributed = pytest.importorskip("distributed")
    from sarray.cluster import Client, LocalCluster

    with (
        distributed.LocalCluster(1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as theirs,
    ):
        ident = dask.delayed(threading.get_ident)
        with Client(LocalCluster(executor="serial")):
            assert ident().compute() == threading.get_ident()
        assert ident().compute() != threading.get_ident(), "distributed's, once ours is closed"
        assert theirs.status == "running"


@pytest.mark.parametrize("executor", ["serial", "threads", "functions"])
def test_a_class_that_knows_of_nbytes_is_no_array(executor):
    """`np.int64.nbytes` is a descriptor, not a number."""
    made, given = dask.delayed(lambda: np.int64)(), dask.delayed(lambda kind: kind(3))
    assert dask.compute(given(made), given(np.float32), scheduler=Scheduler(executor, 2)) == (3, 3.0)


@pytest.mark.parametrize("optimized", [True, False])
def test_what_would_be_written_into_a_copy_is_refused(optimized: bool) -> None:
    x, functions = da.arange(10, chunks=5) + 1, Scheduler("functions", 2)
    target, other = np.zeros(10), np.ones(10)
    with pytest.raises(TypeError, match=r"x\.compute\(\)"):
        da.store(x, target, scheduler=functions, optimize_graph=optimized)
    assert not target.any()
    da.store([x, x], [target, other], scheduler=wukong_sched.dask.get, optimize_graph=optimized)
    assert target.tolist() == other.tolist() == list(range(1, 11))
    within = dask.delayed(_stores)(functions)
    assert within.compute(scheduler=functions) == 10.0
    assert _stores(Scheduler("simulate")) == 10.0


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("load_stored", [True, False])
def test_it_is_refused_whatever_is_returned(optimized: bool, load_stored: bool) -> None:
    x, target, functions = da.arange(10, chunks=5) + 1, np.zeros(10), Scheduler("functions", 2)
    options: dict[str, Any] = {"return_stored": True, "load_stored": load_stored}
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        da.store(x, target, compute=True, scheduler=functions, optimize_graph=optimized, **options)
    stored = da.store(x, target, compute=False, **options)
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        stored.compute(scheduler=functions, optimize_graph=optimized)
    assert not target.any()
    stored.compute(scheduler=wukong_sched.dask.get, optimize_graph=optimized)
    assert target.tolist() == list(range(1, 11))


class Rows:
    """A target as `da.store` asks for one."""

    shape = (10,)

    def __init__(self, file: Path) -> None:
        self.file, self.rows = file, [0.0] * 10

    def __setitem__(self, index: tuple[slice], value: Any) -> None:
        self.rows[index[0]] = value.tolist()
        self.file.with_suffix(f".{index[0].start}").write_text(repr(value.tolist()))


def test_targets_of_any_class_are_refused_unless_tasks_open_them(tmp_path: Path) -> None:
    x, functions, target = da.arange(10, chunks=5), Scheduler("functions", 2), Rows(tmp_path / "rows")
    with pytest.raises(TypeError, match=r"Rows.*dask\.delayed"):
        da.store(x, target, scheduler=functions)
    assert target.rows == [0.0] * 10
    da.store(x, dask.delayed(Rows)(tmp_path / "rows"), scheduler=functions)
    assert {file.suffix: file.read_text() for file in tmp_path.iterdir()} == {
        ".0": "[0, 1, 2, 3, 4]", ".5": "[5, 6, 7, 8, 9]",
    }  # fmt: skip


def test_open_hdf5_files_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    x, functions = da.arange(10, chunks=5), Scheduler("functions", 2)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        target = file.create_dataset("x", shape=(10,), dtype="i8")
        with pytest.raises(TypeError, match=r"Dataset.*to_zarr"):
            da.store(x, target, scheduler=functions)
        da.store(x, target, scheduler=wukong_sched.dask.get)
        with pytest.raises(TypeError, match="h5py") as caught:
            da.from_array(target, chunks=5).sum().compute(scheduler=functions)
        assert "wukong_sched.dask.get" in caught.value.__notes__[0]
        assert da.from_array(target, chunks=5).sum().compute(scheduler=wukong_sched.dask.get) == 45


@pytest.mark.parametrize(
    ("store", "shared"),
    [
        (lambda storage, path: storage.LocalStore(path), True),
        (lambda storage, path: storage.WrapperStore(storage.LocalStore(path)), True),
        (lambda storage, path: storage.MemoryStore(), False),
        (lambda storage, path: storage.WrapperStore(storage.MemoryStore()), False),
    ],
)
def test_zarr_arrays_are_shared_unless_they_are_in_memory(
    store: Callable[[Any, Path], Any], shared: bool, tmp_path: Path
) -> None:
    zarr = pytest.importorskip("zarr")
    target = zarr.create_array(store(zarr.storage, tmp_path), shape=(4,), chunks=(2,), dtype="f8")
    pickle.loads(pickle.dumps(target))[:] = 1
    assert (target[:].sum() == 4) == shared, "what another process would write"
    if shared:
        da.store(da.full(4, 2.0, chunks=2), target, scheduler=Scheduler("functions", 2))
        assert target[:].tolist() == [2.0] * 4
    else:
        with pytest.raises(TypeError, match=r"zarr.*to_zarr"):
            da.store(da.full(4, 2.0, chunks=2), target, scheduler=Scheduler("functions", 2))


def test_files_of_this_machine_are_not_stored_into_from_another(tmp_path: Path) -> None:
    pytest.importorskip("zarr")

    def carrier(*given: Any) -> Any:
        raise AssertionError("nothing should run")

    with pytest.raises(TypeError, match=r"on another machine.*object storage"):
        da.ones(4, chunks=2).to_zarr(str(tmp_path / "x"), compute=False).compute(scheduler=Scheduler("far", 2, carrier))


def test_zarr_arrays_of_file_systems_in_memory_are_not_shared() -> None:
    zarr, _ = pytest.importorskip("zarr"), pytest.importorskip("fsspec")
    target = zarr.create_array(
        zarr.storage.FsspecStore.from_url("memory://lost-writes"), shape=(4,), chunks=(2,), dtype="f8", overwrite=True
    )
    assert not is_shared(target)


def _stores(scheduler: Scheduler) -> float:
    """A task of its own stores where it is."""
    target = np.zeros(10)
    da.store(da.ones(10, chunks=5), target, scheduler=scheduler)
    return float(target.sum())


def test_files_are_written_from_functions(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    with dask.config.set(scheduler=Scheduler("functions", 2)):
        da.arange(100, chunks=30).to_zarr(str(tmp_path / "x"))
    assert zarr.open(str(tmp_path / "x"), mode="r")[:].sum() == 4950


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("graph", [{"a": 1}, {"zz": Task("zz", abs, TaskRef("y"))}, {"zz": Alias("zz", "y")}])
def test_a_missing_key_is_a_key_error(executor: str, graph: dict[str, Any]) -> None:
    with pytest.raises(KeyError) as caught:
        Scheduler(executor, 2)(graph, ["zz"])
    assert isinstance(caught.value, ProgramError)
    assert str(caught.value).startswith("key 'zz'" if "a" in graph else "key 'y'")


def test_a_cycle_is_no_missing_key() -> None:
    with pytest.raises(ProgramError, match="wait for each other") as caught:
        Scheduler()({"a": (abs, "b"), "b": (abs, "a")}, "a")
    assert not isinstance(caught.value, KeyError)
