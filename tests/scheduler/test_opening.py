"""The records that a job begins with: what the root's executor would have made of its own before all else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.serial import run as run_serially
from wukong_sched.drivers.simulate import run
from wukong_sched.links import AWS
from wukong_sched.messages import Give
from wukong_sched.opening import opening
from wukong_sched.policy import CostModel, Wukong
from wukong_sched.program import SINK, Program, Task
from wukong_sched.resume import first_plan, plan
from wukong_sched.storage.memory import MemoryStorage

FAST = CostModel(invoke_seconds=0.0)


def fan_in(leaves: int) -> Graph:
    """Many leaves of a second each, and one task that reads all."""
    return Graph([*[[] for _ in range(leaves)], [(leaf, 0) for leaf in range(leaves)]], [(leaves, 0)], bare=True)


def owed(program: Program, roots: tuple[Give, ...]) -> list[Task]:
    """The tasks that the records owe, ranges expanded."""
    items = [item for root in roots for item in root.todo]
    return [task for item in items for task in (program.expand(item) if len(item) == 4 else (item,))]


@given(leaves=st.integers(1, 200), idle=st.integers(-1, 100))
@settings(max_examples=60, deadline=None)
def test_every_leaf_is_owed_once(leaves: int, idle: int) -> None:
    """By as many executors as could start, each with as many leaves as the others, one more or less."""
    program = fan_in(leaves)
    root = first_plan(program).root
    roots = opening(program, replace(FAST, fan=1000), root, idle)
    assert sorted(owed(program, roots)) == sorted(owed(program, (root,)))
    assert roots[0].id == root.id and len({each.id for each in roots}) == len(roots)
    assert len(roots) == min(leaves, max(1, idle + 1))
    sizes = [len(owed(program, (each,))) for each in roots]
    assert max(sizes) - min(sizes) <= 1


@given(stored=st.sets(st.integers(0, 7)), idle=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_what_is_left_after_a_loss_is_owed_once(stored: set[int], idle: int) -> None:
    """Single tasks, too, are owed by one record each, in an epoch that goes on from what is stored."""
    leaves = 8
    inputs = [[] for _ in range(leaves)] + [[(leaf, 0)] for leaf in range(leaves)]
    program = Graph(inputs, [(leaves + leaf, 0) for leaf in range(leaves)], bare=True)
    root = plan(program, {("v", (leaf, 0)) for leaf in stored}).root
    roots = opening(program, FAST, root, idle)
    assert sorted(owed(program, roots)) == sorted(owed(program, (root,)))


def test_a_launch_tree_has_the_policys_arity() -> None:
    program = fan_in(10_000)
    assert len(opening(program, replace(FAST, fan=64), first_plan(program).root, 5000)) == 64


def test_one_leaf_is_one_record() -> None:
    program = Graph([[], [(0, 0)]], [(1, 0)], bare=True)
    root = first_plan(program).root
    assert opening(program, Wukong(), root, 63) == (root,)


def test_a_job_that_is_done_owes_its_sink_alone() -> None:
    program = fan_in(3)
    root = plan(program, {("v", (3, 0))}).root
    assert root.todo == (SINK,)
    assert opening(program, FAST, root, 5) == (root,)


def test_what_begins_together_is_split_finer() -> None:
    """Work that is not worth another wait for an invocation is worth an invocation beside the first."""
    policy = AWS.policy()
    leaves = 8
    program = Graph(
        [*[[] for _ in range(leaves)], [(leaf, 0) for leaf in range(leaves)]],
        [(leaves, 0)],
        costs=[0.01 * policy.flops_per_second] * (leaves + 1),
        bare=True,
    )
    assert policy.parts(leaves * 0.01, 0, leaves, leaves) == 2
    assert len(opening(program, policy, first_plan(program).root, leaves)) == leaves


def test_the_simulator_begins_so() -> None:
    """All executors of a fan-in start at the same time; the result is that of the serial driver."""
    program = fan_in(16)
    storage, oracle = MemoryStorage(), MemoryStorage()
    forecast = run(program, storage, policy=FAST)
    run_serially(program, oracle)
    wanted = list(program.wanted())
    assert storage.get(wanted) == oracle.get(wanted)
    assert forecast.invocations == 16
