"""What an executor believes its tasks take, and what it therefore gives away."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.scheduler.scripts import Script, graph, leaf, node
from wukong_sched.drivers.graphs import Graph
from wukong_sched.estimates import FOLLOWERS, REMEMBERED, Estimates
from wukong_sched.messages import Commit, Fetch, Give, Run, Store
from wukong_sched.policy import CostModel

LINK = CostModel(bandwidth=1e8, latency=1e-4, unknown_seconds=0.01, quantum=1e-9, flops_per_second=1e9)
TEN_MB = 10**7


def nothing_here(tile: object) -> bool:
    return False


def estimates(program: Graph) -> Estimates:
    return Estimates(program, nothing_here)


def test_followers_are_a_chain_up_to_where_others_meet_it() -> None:
    """Two chains of two that end in one task; what has two readers has no follower."""
    program = graph([], [0], [1], [], [3], [2, 4], [], [6], [6], wanted=[5, 7, 8])
    found = estimates(program)
    tasks = [leaf(0), node(1), node(2), leaf(3), node(4), node(5), leaf(6)]
    assert [found.followers(task) for task in tasks] == [(node(1), node(2)), (node(2),), (), (node(4),), (), (), ()]


def test_a_wanted_tile_may_have_a_follower() -> None:
    assert estimates(graph([], [0], wanted=[0, 1])).followers(leaf(0)) == (node(1),)


def test_of_a_long_chain_a_few_count() -> None:
    length = 3 * FOLLOWERS
    program = graph([], *([number] for number in range(length)), wanted=[length])
    assert estimates(program).followers(leaf(0)) == tuple(node(1 + k) for k in range(FOLLOWERS))


def test_what_is_remembered_of_many_tasks_is_bounded() -> None:
    found = estimates(graph(*([] for _ in range(REMEMBERED + 10)), wanted=[0]))
    for number in range(REMEMBERED + 10):
        assert found.followers(leaf(number)) == ()
    assert len(found._followers) == 10


def test_load_is_what_a_task_takes_and_fetches_and_what_follows_takes() -> None:
    """A reader of 10 MB that takes a tenth of a second to fetch, and a follower of 2 Gflop."""
    program = graph([], [0], [1], wanted=[2], costs=[None, 1e8, 2e9], sizes=lambda tile: TEN_MB)
    policy = replace(LINK, task_overhead=0.0)
    assert math.isclose(estimates(program).load(policy, node(1)), 0.1 + 0.1 + 2.0)
    assert math.isclose(estimates(program).load(policy, node(2)), 0.1 + 2.0)


def test_a_rule_of_unknown_cost_is_believed_to_take_what_another_took() -> None:
    program = graph([], [0], wanted=[1], costs=[None, None])
    found = estimates(program)
    found.learn([leaf(0)], 0.01, 0.4)
    assert math.isclose(found.seconds(LINK, node(1)), 0.4)
    found.learn([node(1)], 0.4, 0.1)
    assert math.isclose(found.seconds(LINK, node(1)), 0.4 * (0.5 + 0.5 / 4))
    assert math.isclose(found.seconds(LINK, leaf(0)), 0.4)


def test_a_rule_of_known_cost_is_believed_whatever_others_took() -> None:
    program = graph([], [0], wanted=[1], costs=[None, 1e9])
    found, policy = estimates(program), replace(LINK, task_overhead=0.0)
    found.learn([leaf(0)], 0.01, 0.4)
    assert math.isclose(found.seconds(policy, node(1)), 1.0)
    found.learn([node(1)], 1.0, 3.0)
    assert math.isclose(found.unknown, 40.0) and math.isclose(found.seconds(policy, node(1)), 3.0)


@pytest.mark.parametrize(("seconds", "gives"), [(5e9, True), (1e6, False)])
def test_short_tasks_are_given_away_for_what_follows_from_them(seconds: float, gives: bool) -> None:
    """Three short readers of a block of 10 MB that is here, each with one long or one short task behind it."""
    rows = [[], [0], [0], [0], [1], [2], [3]]
    costs = [1e6] * 4 + [seconds] * 3
    s = Script(graph(*rows, wanted=[4, 5, 6], costs=costs, sizes=lambda tile: TEN_MB), LINK)
    said = s.start(("leaf", 0, 0, 1))
    assert isinstance(said[0], Fetch)
    s.fetched()
    [answer] = s.ran(1e-3, idle=1)
    if not gives:
        assert isinstance(answer, Run)
        return
    assert isinstance(answer, Store)
    [commit] = s.stored()
    assert isinstance(commit, Commit) and commit.gives == (Give("node[3]", (node(3),)),)
