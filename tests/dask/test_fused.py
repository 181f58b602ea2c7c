"""Fused tasks: graphs of any shape give what Dask gives, however deep, and let go of what nobody reads any more."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("dask")
from dask._task_spec import DataNode, Task, TaskRef, execute_graph

import wukong_sched.dask
from wukong_sched.dask.fused import Fused, evaluated, unfused
from wukong_sched.dask.graph import Call


def listed(*parts: Any) -> list[Any]:
    return list(parts)


def task(key: Any, *needs: Any, function: Any = listed) -> Task:
    return Task(key, function, *map(TaskRef, needs))


def graph_of(edges: list[list[int]]) -> dict[int, Task]:
    """Each task reads some of those before it, the last one all that nobody reads, or else comes from outside."""
    read = {place % (number + 1) for number, row in enumerate(edges) for place in row}
    graph = {
        number + 1: task(number + 1, *dict.fromkeys(place % (number + 1) for place in row))
        for number, row in enumerate(edges)
    }
    last = len(edges) + 1
    return graph | {last: task(last, *(number for number in range(last) if number not in read))}


@given(edges=st.lists(st.lists(st.integers(0, 20), max_size=4), max_size=12))
def test_a_graph_gives_what_dask_gives(edges: list[list[int]]) -> None:
    graph = graph_of(edges)
    last = max(graph)
    whole: dict[Any, Any] = {0: DataNode(0, "outside"), **graph}
    expected = execute_graph(whole, keys=[last])[last]
    assert evaluated(graph, last, {0: "outside"}) == expected


def test_each_task_runs_once_and_what_it_made_goes_with_its_last_reader() -> None:
    ran: list[str] = []
    values: dict[Any, Any] = {"x": 1}

    def noting(name: str) -> Any:
        def call(*parts: int) -> int:
            ran.append(f"{name} of {sorted(map(str, values))}")
            return sum(parts)

        return call

    needs = {"a": ("x",), "b": ("a",), "c": ("b", "a"), "d": ("c",)}
    graph = {name: task(name, *parts, function=noting(name)) for name, parts in needs.items()}
    assert evaluated(graph, "d", values) == 2
    assert ran == ["a of ['x']", "b of ['a']", "c of ['a', 'b']", "d of ['c']"]


def test_a_deep_chain_needs_no_deep_stack() -> None:
    graph = {number: Task(number, operator.add, TaskRef(number - 1), 1) for number in range(1, 5001)}
    assert evaluated(graph, 5000, {0: 0}) == 5000


def test_only_fused_tasks_of_other_keys_are_run_so() -> None:
    fused = Task.fuse(task("a", "x"), task("b", "a"))
    assert type(unfused(Call(fused, ("x",)))) is Fused
    assert unfused(Call(fused, ("x",)))(7) == [[7]] == Call(fused, ("x",))(7)
    plain = Call(task("a", "x"), ("x",))
    assert unfused(plain) is plain


def test_an_array_of_fused_tasks_is_right() -> None:
    array = pytest.importorskip("dask.array")
    x = array.arange(24, chunks=5).reshape(4, 6)
    assert ((x + 1) @ x.T).sum().compute(scheduler=wukong_sched.dask.get) == ((x + 1) @ x.T).sum().compute()
