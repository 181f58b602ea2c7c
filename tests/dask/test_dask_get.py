"""Dask collections on this engine: the same values as Dask's own schedulers, whatever the graph looks like."""

from __future__ import annotations

import operator
import threading

import cloudpickle
import dask
import dask.array as da
import dask.bag as db
import dask.threaded
import numpy as np
import pandas as pd
import pytest
from dask._task_spec import DataNode, Dict, List, Task, TaskRef, _execute_subgraph
from dask.callbacks import Callback
from dask.local import get_sync
from hypothesis import given, settings
from hypothesis import strategies as st

import wukong_sched.dask
from wukong_sched.dask import Scheduler
from wukong_sched.dask.constants import LARGE, without_constants
from wukong_sched.dask.graph import nodes_of, program_of


@st.composite
def legacy_graphs(draw):
    """A graph of tuples, lists, aliases and data, whose keys are strings and tuples; some data look like keys."""
    count = draw(st.integers(1, 12))
    keys = [f"k{place}" if draw(st.booleans()) else ("k", place) for place in range(count)]
    graph = {}
    for place, key in enumerate(keys):
        earlier = keys[:place]
        leaf = st.one_of(st.integers(-9, 9), *([st.sampled_from(earlier)] if earlier else []))
        call = st.builds(lambda *parts: (_total, *parts), leaf, st.lists(leaf, max_size=3))
        nested = st.builds(lambda part, other: (_total, part, (_total, other, [])), leaf, leaf)
        graph[key] = draw(st.one_of(leaf, call, nested))
    wanted = draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4))
    return graph, draw(st.sampled_from([wanted, [wanted, wanted[:1]], wanted[0]]))


def _total(value, others):
    if isinstance(others, list):
        return value + sum(others)
    return value + others


@settings(deadline=None, max_examples=60)
@given(legacy_graphs(), st.sampled_from(["threads", "serial"]))
def test_a_graph_gives_what_dask_gives(drawn, executor):
    graph, keys = drawn
    assert Scheduler(executor, 2)(graph, keys) == get_sync(graph, keys)


def test_data_that_looks_like_keys_stays_data():
    graph = nodes_of({"a": [1, 2], "b": (len, "a")})
    graph["c"] = type(graph["a"])("c", ["a", "b"])
    assert wukong_sched.dask.get(graph, ["a", "b", "c"]) == ([1, 2], 2, ["a", "b"])


def test_only_what_the_keys_need_runs():
    ran = []
    graph = {"a": (ran.append, 1), "b": (ran.append, 2), "c": (operator.is_, "a", None)}
    assert wukong_sched.dask.get(graph, "c") is True
    assert ran == [1]


def test_a_node_is_one_task():
    x = da.ones((8, 8), chunks=4) + 1
    (x,) = dask.optimize(x)
    assert len(program_of(nodes_of(x.__dask_graph__()), x.__dask_keys__())) == 4


@pytest.mark.parametrize("executor", ["threads", "serial", "simulate"])
def test_collections(executor):
    get = Scheduler(executor, 2)
    x = da.arange(40, chunks=7).reshape((8, 5))
    np.testing.assert_array_equal(
        (x @ x.T).compute(scheduler=get), np.arange(40).reshape(8, 5) @ np.arange(40).reshape(8, 5).T
    )
    assert db.from_sequence(range(20), npartitions=4).map(str).fold(operator.add).compute(scheduler=get) == "".join(
        map(str, range(20))
    )
    a, b = dask.delayed(divmod, nout=2)(17, 5)
    assert dask.compute(a, b, {"c": [a]}, scheduler=get) == (3, 2, {"c": [3]})


def test_collections_on_functions():
    get = Scheduler("functions", workers=2)
    x = da.from_array(np.arange(400_000.0).reshape(400, 1000), chunks=(100, 1000))
    expected = (np.arange(400_000.0).reshape(400, 1000) * 2).sum(axis=0)
    np.testing.assert_array_equal((x * 2).sum(axis=0).compute(scheduler=get), expected)


def test_the_scheduler_can_be_set_for_all():
    with dask.config.set(scheduler=wukong_sched.dask.get):
        assert dask.delayed(threading.current_thread)().compute() is not None
        assert da.ones(10, chunks=3).sum().compute() == 10


def test_options_of_one_call_come_first():
    names = dask.delayed(lambda: threading.current_thread().name)
    assert names().compute(scheduler=wukong_sched.dask.get, executor="serial") == threading.current_thread().name


def test_an_exception_is_raised_as_itself_and_says_where():
    with pytest.raises(ZeroDivisionError) as caught:
        dask.delayed(operator.truediv)(1, 0).compute(scheduler=wukong_sched.dask.get)
    assert "truediv" in caught.value.__notes__[0]


def test_an_unknown_executor_is_refused():
    with pytest.raises(ValueError, match="known: threads"):
        Scheduler("cluster")({"a": (abs, 1)}, "a")


def test_callbacks_see_every_task_once():
    seen = {"start": [], "finish": []}
    before, after = [], []
    watch = Callback(
        start=lambda graph: seen["start"].append(len(graph)),
        pretask=lambda key, graph, state: before.append((key, key in state["running"])),
        posttask=lambda key, result, graph, state, worker: after.append((key, result, key in state["finished"])),
        finish=lambda graph, state, failed: seen["finish"].append(failed),
    )
    with watch:
        assert wukong_sched.dask.get({"a": 1, "b": (abs, -2), "c": (operator.add, "a", "b")}, "c") == 3
        with pytest.raises(TypeError):
            wukong_sched.dask.get({"a": (abs, "x")}, "a")
    assert before[:2] == [("b", True), ("c", True)]
    assert after == [("b", 2, True), ("c", 3, True)]
    assert seen == {"start": [3, 1], "finish": [False, True]}


def test_a_task_may_compute_a_graph_of_its_own():
    inner = dask.delayed(lambda: dask.delayed(abs)(-3).compute(scheduler=wukong_sched.dask.get))
    assert inner().compute(scheduler=wukong_sched.dask.get) == 3


@pytest.mark.parametrize("optimized", [True, False])
def test_large_constants_stay_out_of_the_program(optimized):
    data = np.arange(50_000.0)
    x = da.from_array(data, chunks=10_000) + 1
    call = dask.delayed(np.dot)(data, data)
    graph = dask.base.collections_to_expr((x, call), optimize_graph=optimized).__dask_graph__()
    keys = [x.__dask_keys__(), call.__dask_keys__()]
    program = program_of(without_constants(nodes_of(graph)), keys)
    moved = program.with_data(lambda value, nbytes: None if nbytes > LARGE else value)
    assert len(cloudpickle.dumps(moved)) < 20_000
    assert sum(program.nbytes(tile) > LARGE for task in program.tasks() for tile in program.inputs(task)) > 0


DATA = np.arange(50_000.0)
HOLD_DATA = {
    "list": lambda: {"a": (len, [DATA, 1])},
    "dict": lambda: {"a": (len, {"k": DATA, "l": [DATA]})},
    "nested task": lambda: {"a": (len, (list, [DATA, 1]))},
    "plain list": lambda: {"a": Task("a", len, [DATA, 1])},
    "plain dict": lambda: {"a": Task("a", len, {"k": (1, [DATA])})},
    "nodes": lambda: {"a": Task("a", len, Dict({("k", 1): (DATA, 1), "l": List(DataNode(None, DATA), 2)}))},
    "keyword": lambda: {"a": Task("a", dict, k=List(DATA))},
    "bytes": lambda: {"a": (len, DATA.tobytes())},
    "text": lambda: {"a": (len, "ab" * 50_000)},
    "frame": lambda: {"a": (len, pd.DataFrame({"x": DATA, "y": DATA}))},
    "floats": lambda: {"a": Task("a", len, DATA.tolist())},
    "given to fused": lambda: {
        "a": Task("a", _execute_subgraph, {"b": Task("b", len, TaskRef("c"))}, "b", ("c",), DataNode(None, DATA))
    },
    "bag": lambda: db.from_sequence([DATA, DATA + 1], npartitions=2).map(np.sum).sum(),
    "delayed list": lambda: dask.delayed(len)([DATA, 1]),
    "delayed dict": lambda: dask.delayed(len)({"k": DATA}),
}


@pytest.mark.parametrize("kind", HOLD_DATA)
def test_large_constants_are_found_wherever_tasks_hold_them(kind):
    given = HOLD_DATA[kind]()
    graph = nodes_of(given)
    keys = ["a"] if isinstance(given, dict) else given.__dask_keys__()
    program = program_of(without_constants(graph), keys)
    moved = program.with_data(lambda value, nbytes: None if nbytes > LARGE else value)
    assert len(cloudpickle.dumps(moved)) < 5_000
    found = get_sync({**without_constants(graph), "again": List(*map(TaskRef, keys))}, "again")
    assert found == get_sync({**graph, "again": List(*map(TaskRef, keys))}, "again")
    assert Scheduler("functions", 2)(graph, keys) is not None


def raised_by_one(x):
    x += 1
    return float(x[0])


@pytest.mark.parametrize("size", [10, LARGE])
def test_tasks_share_what_they_are_given_as_in_dasks_threads(size):
    def graph(data):
        return {number: Task(number, raised_by_one, data) for number in range(6)}

    ours, theirs, kept = np.zeros(size), np.zeros(size), np.zeros(size)
    assert sorted(Scheduler("threads", 1)(graph(ours), list(range(6)))) == [1, 2, 3, 4, 5, 6]
    assert sorted(dask.threaded.get(graph(theirs), list(range(6)), num_workers=1)) == [1, 2, 3, 4, 5, 6]
    assert ours[0] == theirs[0] == 6
    found = Scheduler("functions", 2)(graph(kept), list(range(6)))
    assert set(found) <= {1, 2, 3, 4, 5, 6}
    assert not kept.any()


def test_a_constant_of_many_lists_is_kept_once():
    nodes = nodes_of({("x", n): (len, [DATA, n]) for n in range(20)})
    assert len(without_constants(nodes)) == 20 + 1


def test_small_constants_stay_where_they_are():
    holds_itself = [1]
    holds_itself.append(holds_itself)
    graph = nodes_of({"a": (len, [b"abc", {"k": [1.0] * 10}, np.zeros(10)]), "b": Task("b", abs, holds_itself[0])})
    graph["c"] = Task("c", len, [holds_itself, *range(100)])
    kept = without_constants(graph)
    assert kept["a"] is graph["a"] and kept["b"] is graph["b"]
    assert get_sync(kept, "c") == 101
