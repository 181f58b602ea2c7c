"""What an executor does with others: give, yield, retry, stop, report (rules 1, 2, 6, 8, 9 and 11 of the core)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scheduler.scripts import Fixed, Script, a, graph, node, v
from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Delete, Drop, Fetch, Fetched, Finish, Give, Invoke, Peek, Raised, Run, Store
from wukong_sched.program import SINK

Make = Callable[..., Script]
ONE = ("leaf", 0, 0, 1)
STORY = Story("leaf 0", "v", (0, 0), "ArithmeticError: no")


# ---- giving


def test_a_fan_out_is_shared_with_idle_executors(script: Make) -> None:
    """We become the first, and invoke the others once their records are written."""
    s = script(graph([], [0], [0], [0], [0], wanted=[1, 2, 3, 4]), Fixed(split=3))
    s.start(ONE)
    s.fetched()
    assert s.ran(idle=2) == [Store((v(0),))]
    edges = tuple((node(n), v(0), 1) for n in (1, 2, 3, 4))
    gives = (Give("node[4]", (node(4),)), Give("node[3]", (node(3),)))
    assert s.stored() == [Commit(0, arrivals=edges, cuts=((ONE, ()),), gives=gives)]
    said = s.committed(node(1), node(2), node(3), node(4))
    assert said == [Invoke(("node[4]", "node[3]")), Run(((node(1), [v(1)], []),))]
    assert s.core.backlog.owed == {node(1), node(2)}


def test_nothing_is_shared_with_nobody(script: Make) -> None:
    s = script(graph([], [0], [0], wanted=[1, 2]), Fixed(split=2))
    s.start(ONE)
    s.fetched()
    assert s.ran(idle=0) == [Run(((node(1), [v(1)], []),))]


def test_a_range_is_split_into_even_parts_and_keeps_its_first(script: Make) -> None:
    whole = ("leaf", 0, 0, 10)
    s = script(graph(*[[]] * 20, wanted=range(20)), Fixed(split=3), id="leaf/0@0")
    gives = (Give("leaf/0@4", (("leaf", 0, 4, 7),)), Give("leaf/0@7", (("leaf", 0, 7, 10),)))
    assert s.start(whole, idle=2) == [Commit(0, cuts=((whole, (("leaf", 0, 0, 4),)),), gives=gives)]
    assert s.committed() == [Invoke(("leaf/0@4", "leaf/0@7")), Fetch((a(0),))]


def test_a_range_is_split_behind_what_has_run(script: Make) -> None:
    whole, kept = ("leaf", 0, 0, 4), ("leaf", 0, 0, 3)
    s = script(graph(*[[]] * 8, wanted=range(8)), Fixed(split=2, quantum=1.0), id="leaf/0@0")
    s.start(whole)
    s.fetched()
    assert s.ran(idle=1) == [Commit(0, cuts=((whole, (kept,)),), gives=(Give("leaf/0@3", (("leaf", 0, 3, 4),)),))]
    assert s.committed() == [Invoke(("leaf/0@3",)), Fetch((a(1),))]
    s.fetched()
    assert s.ran() == [Fetch((a(2),))]
    s.fetched()
    assert s.ran() == [Store((v(0), v(1), v(2)))]
    edges = tuple((SINK, v(n), 8) for n in (0, 1, 2))
    assert s.stored() == [Commit(1, arrivals=edges, cuts=((kept, ()),))]


def test_two_ranges_are_split_as_one(script: Make) -> None:
    s = script(graph(*[[]] * 6, wanted=range(6)), Fixed(split=3))
    one, two = ("leaf", 0, 0, 3), ("leaf", 1, 3, 6)
    cuts = ((one, (("leaf", 0, 0, 2),)), (two, ()))
    gives = (Give("leaf/0@2", (("leaf", 0, 2, 3), ("leaf", 1, 3, 4))), Give("leaf/1@4", (("leaf", 1, 4, 6),)))
    assert s.start(one, two, idle=2) == [Commit(0, cuts=cuts, gives=gives)]
    assert s.committed() == [Invoke(("leaf/0@2", "leaf/1@4")), Fetch((a(0),))]


def test_a_retry_keeps_the_range_that_it_is_named_after(script: Make) -> None:
    """Whatever the order of its todo."""
    s = script(graph(*[[]] * 6, wanted=range(6)), Fixed(split=2), id="leaf/1@3")
    one, two = ("leaf", 0, 0, 3), ("leaf", 1, 3, 6)
    assert s.start(one, two, idle=1) == [Commit(0, cuts=((one, ()),), gives=(Give("leaf/0@0", (one,)),))]


@pytest.mark.parametrize("own", [1, 2, 3])
def test_an_executor_never_gives_away_its_own_name(script: Make, own: int) -> None:
    s = script(graph([], [0], [0], [0], wanted=[1, 2, 3]), Fixed(split=3), id=f"node[{own}]")
    [commit] = s.start(node(1), node(2), node(3), idle=2)
    given = [task for give in commit.gives for task in give.todo]
    assert len(given) == 1 and node(own) not in given


def test_results_are_exposed_to_idle_executors(script: Make) -> None:
    """What is ready stays here, but what waits for others is announced early."""
    s = script(graph([], [], [], [0, 2], [0], [4], wanted=[3, 5]), Fixed(expose=True))
    s.start(ONE)
    s.fetched()
    assert s.ran(idle=1) == [Store((v(0),))]
    edges = ((node(3), v(0), 2), (node(4), v(0), 1))
    assert s.stored() == [Commit(0, arrivals=edges, cuts=((ONE, ()),))]
    assert s.committed(node(4)) == [Run(((node(4), [v(4)], [v(0)]),))]


def test_freed_tiles_are_deleted_after_the_reply(script: Make) -> None:
    s = script(graph([], [0], wanted=[1]))
    s.start(node(1), seq=3)
    s.fetched()
    assert s.ran() == [Store((v(1),))]
    assert s.stored() == [Commit(3, (node(1),), ((SINK, v(1), 1),), ((v(0), node(1), 1),))]
    assert s.committed(SINK, freed=(v(0),)) == [Delete((v(0),)), Drop((v(1),)), Commit(4, (SINK,), done=True)]


# ---- time


def test_a_hand_over_commits_everything_and_invokes_the_same_id(script: Make) -> None:
    s = script(graph([], [], [0], [1], wanted=[2, 3]), Fixed(quantum=1.0, stop=50.0), id="leaf/0@0")
    todo = (("leaf", 0, 0, 1), ("leaf", 1, 1, 2))
    s.start(*todo)
    s.fetched()
    s.now = 50.0
    assert s.ran() == [Store((v(0),))]
    assert s.stored() == [Commit(0, arrivals=((node(2), v(0), 1),), cuts=((ONE, ()),), yields=True)]
    assert s.committed(node(2)) == [Invoke(("leaf/0@0",)), Finish()]


def test_a_hand_over_of_nothing_is_an_end(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(stop=50.0))
    s.start(ONE)
    s.fetched()
    s.now = 50.0
    s.ran()
    assert s.stored() == [Commit(0, arrivals=((node(2), v(0), 2),), cuts=((ONE, ()),), yields=True)]
    assert s.committed() == [Drop((v(0),)), Finish()]


def test_a_lease_is_renewed_by_an_empty_commit(script: Make) -> None:
    s = script(graph([], [0], [1], [2], wanted=[3]), Fixed(quantum=1.0, renewal=10.0))
    s.start(ONE)
    s.fetched()
    s.now = 9.9
    assert s.ran() == [Run(((node(1), [v(1)], [v(0)]),))]
    s.now = 10.0
    assert s.ran() == [Commit(0)]
    s.now = 10.5
    assert s.committed() == [Run(((node(2), [v(2)], [v(1)]),))]
    s.now = 20.4
    assert s.ran() == [Run(((node(3), [v(3)], [v(2)]),))]


# ---- retries


def test_a_retry_begins_with_the_records_todo_and_number(script: Make) -> None:
    s = script(graph([], [], [0, 1], [0], wanted=[2, 3]), id="leaf/0@0")
    assert s.start(node(2), node(3), seq=5) == [Fetch((v(0), v(1)))]
    s.fetched()
    assert s.ran() == [Fetch((v(0),))]
    s.fetched()
    assert s.ran() == [Store((v(2), v(3)))]
    edges = ((SINK, v(2), 2), (SINK, v(3), 2))
    consumed = ((v(0), node(2), 2), (v(1), node(2), 1), (v(0), node(3), 2))
    assert s.stored() == [Commit(5, (node(2), node(3)), edges, consumed)]


def test_many_edges_are_announced_in_parts(script: Make) -> None:
    """The task that ran here is told too: what was announced is a number, and must leave out nobody."""
    s = script(graph([], *[[0]] * 5, wanted=[1]), Fixed(edges=2, quantum=1.0, hold=True))
    s.start(ONE)
    s.fetched()
    assert s.ran() == [Run(((node(1), [v(1)], []),))]
    s.policy.hold = False
    assert s.ran() == [Store((v(0), v(1)))]
    edges = [(node(n), v(0), 1) for n in range(1, 6)] + [(SINK, v(1), 1)]
    assert s.stored() == [Commit(0, arrivals=tuple(edges[:2]), announced=((v(0), 2),))]
    assert s.committed(node(1), node(2)) == [Commit(1, arrivals=tuple(edges[2:4]), announced=((v(0), 4),))]
    assert s.committed(node(3), node(4)) == [
        Commit(2, (node(1),), tuple(edges[4:]), ((v(0), node(1), 5),), cuts=((ONE, ()),))
    ]
    assert s.committed(node(5), SINK)[-1] == Commit(3, (SINK,), done=True)
    assert s.core.backlog.owed == {SINK, node(2), node(3), node(4), node(5)}
    assert set(s.core.backlog.ready) == {node(2), node(3), node(4), node(5)}


def test_a_retry_goes_on_announcing_where_it_stopped(script: Make) -> None:
    """The first two of six were told, so they are owed; they read what is stored, also when it is made again here."""
    s = script(graph([], *[[0]] * 6, wanted=[6]), Fixed(edges=10, quantum=1.0))
    said = s.start(ONE, node(1), node(2), seq=1, announced={v(0): 2})
    assert said == [Fetch((v(0),))]
    s.fetched()
    assert s.ran() == [Fetch((v(0),))]
    s.fetched()
    assert s.ran() == [Fetch((a(0),))]
    s.fetched()
    s.policy.hold = False
    assert s.ran() == [Store((v(0),))]
    edges = tuple((node(n), v(0), 1) for n in (3, 4, 5, 6))
    consumed = ((v(0), node(1), 6), (v(0), node(2), 6))
    assert s.stored() == [Commit(1, (node(1), node(2)), edges, consumed, cuts=((ONE, ()),))]


def test_nothing_is_given_away_while_a_tile_is_announced_in_part(script: Make) -> None:
    s = script(graph([], *[[0]] * 6, wanted=[6]), Fixed(split=3))
    assert s.start(ONE, node(1), node(2), seq=1, announced={v(0): 2}, idle=9) == [Fetch((v(0),))]


def test_how_far_it_announced_is_kept_until_the_producer_is_discharged(script: Make) -> None:
    s = script(graph([], *[[0]] * 3, wanted=[1, 2]), Fixed(quantum=1.0, hold=False))
    s.start(ONE, node(1), seq=1, announced={v(0): 1})
    s.fetched()
    s.ran()
    kept = ((v(0), 1),)
    assert s.stored() == [Commit(1, (node(1),), ((SINK, v(1), 2),), ((v(0), node(1), 3),), announced=kept)]
    assert s.committed()[-1] == Fetch((a(0),))
    s.fetched()
    s.ran()
    assert s.stored() == [Commit(2, arrivals=((node(2), v(0), 1), (node(3), v(0), 1)), cuts=((ONE, ()),))]


# ---- the bad ends


def _fetching(s: Script) -> None:
    s.start(ONE)


def _running(s: Script) -> None:
    s.start(ONE)
    s.fetched()


def _peeking(s: Script) -> None:
    _running(s)
    s.ran()


def _waiting(s: Script) -> None:
    _peeking(s)
    s.peeked()


def _storing(s: Script) -> None:
    s.policy.wait = 0.0
    _waiting(s)


def _committing(s: Script) -> None:
    _storing(s)
    s.stored()


@pytest.mark.parametrize("reach", [_fetching, _running, _peeking, _waiting, _storing, _committing])
def test_gone_means_stop_at_once(script: Make, reach: Callable[[Script], None]) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(wait=0.5))
    reach(s)
    assert s.gone() == [Finish()]


def test_gone_forgets_the_commits_that_were_to_follow(script: Make) -> None:
    s = script(graph([], *[[0]] * 5, wanted=[1]), Fixed(edges=2, hold=False))
    s.start(ONE)
    s.fetched()
    s.ran()
    s.stored()
    assert s.gone() == [Finish()]


def test_a_missing_input_is_reported_if_the_record_is_still_ours(script: Make) -> None:
    s = script(graph([], [0], wanted=[1]))
    s.start(node(1), seq=2)
    assert s.fetched(v(0)) == [Commit(2)]
    assert s.committed() == [Commit(3, lost=v(0))]
    assert s.committed() == [Finish()]


def test_a_missing_input_is_no_matter_if_we_are_gone(script: Make) -> None:
    s = script(graph([], [0], wanted=[1]))
    s.start(node(1), seq=2)
    assert s.fetched(v(0)) == [Commit(2)]
    assert s.gone() == [Finish()]


def test_a_fold_may_miss_an_input_while_it_runs(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2], folds=frozenset({2})))
    s.start(node(2), seq=1, announced={v(9): 3})
    assert s.tell(Fetched((v(1),))) == [Commit(1, announced=((v(9), 3),))]
    assert s.committed() == [Commit(2, lost=v(1))]


def test_an_exception_ends_the_job_with_its_story(script: Make) -> None:
    s = script(graph([], [0], wanted=[1]))
    s.start(ONE)
    s.fetched()
    assert s.tell(Raised(STORY)) == [Commit(0, failure=STORY)]
    assert s.committed() == [Finish()]


def test_a_wide_fan_in_is_peeked_at_in_one_go(script: Make) -> None:
    s = script(graph([], [], [], [0, 1], [0, 2], wanted=[3, 4]))
    s.start(ONE)
    s.fetched()
    assert s.ran() == [Peek((node(4), node(3)))]
    assert s.peeked(n4=[v(2)]) == [Fetch((v(2),))]
    s.fetched()
    assert s.ran() == [Peek((node(3),))]
