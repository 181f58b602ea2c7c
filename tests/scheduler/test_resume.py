"""The plan of a new epoch, against what it must be: enough, consistent, and no more than needed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scheduler.scripts import graph, leaf, node, v
from wukong_sched.drivers import graphs, serial, systems
from wukong_sched.messages import Give, Owed
from wukong_sched.program import SINK, Program, Task, Tile
from wukong_sched.resume import first_plan, needed, plan
from wukong_sched.storage.memory import MemoryStorage

ALL = ("leaf", 0, 0, 1)


def produced(program: Program, task: Task) -> set[Tile]:
    tiles = program.wanted() if task == SINK else program.inputs(task)
    return {tile for tile in tiles if program.is_task_array(tile[0])}


def singles(program: Program, todo: tuple[Owed, ...]) -> list[Task]:
    return [task for item in todo for task in (program.expand(item) if len(item) == 4 else [item])]


@st.composite
def halfway(draw: st.DrawFn) -> tuple[Program, set[Tile]]:
    """A program and some of its tiles, as if they were stored."""
    rng = random.Random(draw(st.integers(0, 10**6)))
    program = systems.draw(rng) if rng.random() < 0.3 else graphs.draw(rng, 20)
    tiles = {("v", (0, 0))}
    stack, seen = list(program.wanted()), set()
    while stack:
        tile = stack.pop()
        task = program.producer(tile)
        if task is not None and task not in seen:
            seen.add(task)
            stack += program.inputs(task)
            tiles.update(program.outputs(task))
    share = draw(st.sampled_from([0.0, 0.3, 0.7, 0.95, 1.0]))
    return program, {tile for tile in sorted(tiles) if rng.random() < share}


@given(halfway())
def test_a_plan_says_of_each_needed_task_what_is_there(case: tuple[Program, set[Tile]]) -> None:
    program, stored = case
    again, found = needed(program, stored), plan(program, stored)
    todo = singles(program, found.root.todo)
    assert len(todo) == len(set(todo)) and found.root.id
    assert set(todo).isdisjoint(found.arrived) and {*todo, *found.arrived} <= {*again, SINK}
    for task in [*again, SINK]:
        inputs = produced(program, task)
        there = {tile for tile in inputs & stored if program.producer(tile) not in again}
        if there == inputs:
            assert task in todo
        else:
            assert found.arrived.get(task, frozenset()) == there


@given(halfway())
def test_what_is_not_there_is_made_again_with_all_that_follows(case: tuple[Program, set[Tile]]) -> None:
    program, stored = case
    again = needed(program, stored)
    for task in [*again, SINK]:
        assert all(tile in stored or program.producer(tile) in again for tile in produced(program, task))
    for task in again:
        for tile in program.outputs(task):
            assert set(program.consumers(tile)) <= {*again, SINK}


@given(halfway())
def test_from_the_plan_the_wanted_tiles_follow(case: tuple[Program, set[Tile]]) -> None:
    """Run the plan with stored inputs and bits alone; each needed task comes to its turn once."""
    program, stored = case
    values = MemoryStorage()
    serial.run(program, values)
    found = plan(program, stored)
    missing = {task: produced(program, task) - found.arrived.get(task, frozenset()) for task in needed(program, stored)}
    missing[SINK] = produced(program, SINK) - found.arrived.get(SINK, frozenset())
    ready, order, there = singles(program, found.root.todo), [], set(stored)
    while ready:
        task = ready.pop()
        order.append(task)
        assert produced(program, task) <= there
        for tile in program.outputs(task) if task != SINK else []:
            there.add(tile)
            for consumer in program.consumers(tile):
                missing[consumer].discard(tile)
                if not missing[consumer] and consumer not in order and consumer not in ready:
                    ready.append(consumer)
    assert sorted(order) == sorted([*needed(program, stored), SINK])


@pytest.mark.parametrize("seed", range(20))
def test_the_first_plan_is_the_plan_of_an_empty_store(seed: int) -> None:
    program = systems.draw(random.Random(seed))
    assert plan(program, ()) == first_plan(program)


def test_if_all_is_there_only_the_end_is_owed() -> None:
    program = graph([], [0], [0], wanted=[1, 2])
    assert plan(program, {v(1), v(2)}).root == Give("(sink)[]", (SINK,))
    assert needed(program, {v(1), v(2)}) == {}


def test_a_stored_tile_whose_task_must_run_again_is_not_counted_on() -> None:
    """Task 0 has two outputs, one of which is lost: it will announce both, so nobody may begin with the other."""
    program = graphs.Graph([[], [(0, 0)], [(0, 1)]], [(1, 0), (2, 0)], [2, 1, 1])
    assert set(needed(program, {v(0, 0)})) == {leaf(0), node(1), node(2)}
    assert plan(program, {v(0, 0)}).root.todo == (ALL,)


def test_a_finished_consumer_runs_again_with_its_producer() -> None:
    program = graph([], [0], [0], wanted=[1, 2])
    assert set(needed(program, {v(1)})) == {leaf(0), node(1), node(2)}
    assert plan(program, {v(0), v(1)}).root.todo == (node(2),)
    assert plan(program, {v(0), v(1)}).arrived == {SINK: frozenset({v(1)})}


def test_needed_leaves_are_ranges() -> None:
    program = graph(*[[]] * 10, wanted=range(10))
    stored = {v(n) for n in (0, 3, 4, 9)}
    found = plan(program, stored)
    assert found.root.todo == (("leaf", 0, 1, 3), ("leaf", 1, 5, 9))
    assert found.root.id == "leaf/0@1"
