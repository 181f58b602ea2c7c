"""What an executor does with its own work: run, keep, peek, wait, flush (rules 3, 4, 5, 7 and 10 of the core)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scheduler.scripts import Fixed, Script, a, graph, leaf, node, v
from wukong_sched.errors import ProtocolError
from wukong_sched.executor_state import LOOKS
from wukong_sched.messages import (
    Commit,
    Committed,
    Delete,
    Drop,
    Fetch,
    Finish,
    Peek,
    Refused,
    Run,
    Store,
    Stored,
    Wait,
    Woke,
)
from wukong_sched.program import SINK

Make = Callable[..., Script]
ONE = ("leaf", 0, 0, 1)
DONE = Commit(1, (SINK,), done=True)


def test_a_chain_reads_nothing_and_writes_its_end(script: Make) -> None:
    s = script(graph([], [0], [1], [2], [3], wanted=[4]))
    assert s.start(ONE) == [Fetch((a(0),))]
    assert s.fetched() == [Run(((leaf(0), [v(0)], [a(0)]),))]
    assert s.ran() == [Run(((node(1), [v(1)], [v(0)]),))]
    rest = [(node(2), [v(2)], [v(1)]), (node(3), [v(3)], [v(2)]), (node(4), [v(4)], [v(3)])]
    assert s.ran() == [Run(tuple(rest))]
    assert s.ran() == [Store((v(4),))]
    assert s.stored() == [Commit(0, arrivals=((SINK, v(4), 1),), cuts=((ONE, ()),))]
    assert s.committed(SINK) == [Drop((v(4),)), DONE]
    assert s.committed() == [Finish()]


def test_a_diamond_is_local(script: Make) -> None:
    s = script(graph([], [0], [0], [1, 2], wanted=[3]))
    s.start(ONE)
    s.fetched()
    assert s.ran() == [Run(((node(1), [v(1)], []),))]
    last = [(node(2), [v(2)], [v(0)]), (node(3), [v(3)], [v(1), v(2)])]
    assert s.ran() == [Run(tuple(last))]
    assert s.ran() == [Store((v(3),))]
    assert s.stored() == [Commit(0, arrivals=((SINK, v(3), 1),), cuts=((ONE, ()),))]


def test_the_most_recently_enabled_task_runs_first(script: Make) -> None:
    """Depth first: a tile is used up before another subtree begins."""
    s = script(graph([], [], [0], [1], wanted=[2, 3]))
    s.start(("leaf", 0, 0, 1), ("leaf", 1, 1, 2))
    s.fetched()
    assert s.ran() == [Run(((node(2), [v(2)], [v(0)]),))]
    assert s.ran() == [Fetch((a(1),))]
    assert s.fetched() == [Run(((leaf(1), [v(1)], [a(1)]), (node(3), [v(3)], [v(1)])))]


def test_a_tile_that_nobody_reads_is_dropped(script: Make) -> None:
    s = script(graph([], [0], wanted=[0]))
    s.start(ONE)
    s.fetched()
    assert s.ran() == [Run(((node(1), [v(1)], [v(1)]),))]
    assert s.ran() == [Store((v(0),))]
    assert s.stored() == [Commit(0, arrivals=((SINK, v(0), 1),), consumed=((v(0), node(1), 2),), cuts=((ONE, ()),))]


# ---- fan-ins


def test_a_fan_in_whose_other_inputs_have_arrived_runs_here(script: Make) -> None:
    """Our own input is never stored: nobody else can complete the task."""
    s = script(graph([], [], [0, 1], wanted=[2]))
    s.start(ONE)
    s.fetched()
    assert s.ran() == [Peek((node(2),))]
    assert s.peeked(n2=[v(1)]) == [Fetch((v(1),))]
    assert s.fetched() == [Run(((node(2), [v(2)], [v(0), v(1)]),))]
    assert s.ran() == [Store((v(2),))]
    assert s.stored() == [Commit(0, (node(2),), ((SINK, v(2), 1),), consumed=((v(1), node(2), 1),), cuts=((ONE, ()),))]


def test_an_idle_executor_flushes(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]))
    s.start(ONE)
    s.fetched()
    assert s.ran() == [Peek((node(2),))]
    assert s.peeked() == [Store((v(0),))]
    assert s.stored() == [Commit(0, arrivals=((node(2), v(0), 2),), cuts=((ONE, ()),))]
    assert s.committed() == [Drop((v(0),)), Finish()]


def test_the_last_to_arrive_goes_on(script: Make) -> None:
    """Between the peek and the commit the other input has come: the commit's answer makes the task ours."""
    s = script(graph([], [], [0, 1], wanted=[2]))
    s.start(ONE)
    s.fetched()
    s.ran()
    s.peeked()
    s.stored()
    assert s.committed(node(2)) == [Fetch((v(1),))]
    assert s.fetched() == [Run(((node(2), [v(2)], [v(0), v(1)]),))]
    assert s.ran() == [Store((v(2),))]
    consumed = ((v(0), node(2), 1), (v(1), node(2), 1))
    assert s.stored() == [Commit(1, (node(2),), ((SINK, v(2), 1),), consumed)]
    freed = (v(0), v(1))
    assert s.committed(SINK, freed=freed) == [Delete(freed), Drop((v(2),)), Commit(2, (SINK,), done=True)]


def test_a_wait_is_bounded_and_looks_again(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(wait=0.25))
    s.start(ONE)
    s.fetched()
    assert s.ran() == [Peek((node(2),))]
    longest = 0.25 / LOOKS
    for look in [longest / 16, longest / 16, longest / 8, longest / 4, longest / 2, *[longest] * (LOOKS - 1)]:
        assert s.peeked() == [Wait(look)]
        assert s.tell(Woke()) == [Peek((node(2),))]
    assert s.peeked() == [Store((v(0),))]


def test_the_next_leaf_is_read_while_one_runs(script: Make) -> None:
    """Where reading takes time; never more than one ahead, which is ours whoever is given others."""
    s = script(graph([], [], [], [0, 1, 2], wanted=[3]), Fixed(quantum=1.0, link=1.0))
    s.start(("leaf", 0, 0, 3))
    assert s.fetched()[0].ahead == (a(1),)
    assert s.ran() == [Fetch((a(1),))]
    assert s.fetched()[0].ahead == (a(2),)
    s.ran()
    assert s.fetched()[0].ahead == ()


def test_no_leaf_is_read_while_another_task_comes_first(script: Make) -> None:
    s = script(graph([], [0], [], [1, 2], wanted=[3]), Fixed(quantum=1.0, link=1.0))
    s.start(("leaf", 0, 0, 1), ("leaf", 1, 1, 2))
    assert s.fetched()[0].ahead == ()
    (second,) = s.ran()
    assert second.steps[0][0] == node(1) and second.ahead == (a(2),)


def test_nothing_is_read_ahead_where_moving_takes_no_time(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(quantum=1.0))
    s.start(("leaf", 0, 0, 2))
    assert s.fetched()[0].ahead == ()


def test_nothing_is_read_ahead_for_which_there_is_no_room(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(quantum=1.0, link=1.0, batch_bytes=1))
    s.start(("leaf", 0, 0, 2))
    assert s.fetched()[0].ahead == ()


def test_nothing_is_read_ahead_for_a_successor(script: Make) -> None:
    """By an executor that will have handed over when this Run, of a second a task, has ended."""
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(quantum=1.0, link=1.0, stop=5.0))
    s.now = 4.5
    s.start(("leaf", 0, 0, 2))
    assert s.fetched()[0].ahead == ()


def test_nobody_waits_beyond_the_time_limit(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(wait=8.0, stop=5.0))
    s.start(ONE)
    s.fetched()
    s.ran()
    s.now = 4.9
    assert s.peeked() == [Wait(8.0 / LOOKS / 16)]
    s.now = 4.99
    assert s.tell(Woke()) == [Peek((node(2),))]
    assert s.peeked() == [Store((v(0),))]


def test_what_comes_during_the_wait_is_used(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2]), Fixed(wait=0.25))
    s.start(ONE)
    s.fetched()
    s.ran()
    s.peeked()
    s.tell(Woke())
    assert s.peeked(n2=[v(1)]) == [Fetch((v(1),))]


def test_results_are_held_while_there_is_work(script: Make) -> None:
    program = graph([], [], [], [0, 2], wanted=[3])
    held = script(program, Fixed(quantum=1.0))
    held.start(("leaf", 0, 0, 2))
    held.fetched()
    assert held.ran() == [Fetch((a(1),))]
    eager = script(program, Fixed(quantum=1.0, hold=False))
    eager.start(("leaf", 0, 0, 2))
    eager.fetched()
    assert eager.ran() == [Store((v(0),))]
    assert eager.stored() == [
        Commit(0, arrivals=((node(3), v(0), 2),), cuts=((("leaf", 0, 0, 2), (("leaf", 0, 1, 2),)),))
    ]


def test_a_stored_tile_stays_in_memory_for_the_tasks_that_are_ready(script: Make) -> None:
    s = script(graph([], [0], [0], wanted=[1, 2]), Fixed(hold=False))
    s.start(ONE)
    s.fetched()
    s.ran()
    s.stored()
    assert s.committed(node(1), node(2)) == [Run(((node(1), [v(1)], []),))]
    assert s.ran() == [Store((v(1),))]
    s.stored()
    assert s.committed() == [Drop((v(1),)), Run(((node(2), [v(2)], [v(0)]),))]


# ---- how much runs in one go


def test_the_first_task_of_a_rule_runs_alone_then_as_many_as_fit(script: Make) -> None:
    s = script(graph(*[[]] * 9, wanted=range(9)), Fixed(quantum=4.0))
    s.start(("leaf", 0, 0, 9))
    s.fetched()
    assert s.ran(seconds=2.0) == [Fetch((a(1), a(2)))]
    s.fetched()
    assert s.ran(seconds=0.5) == [Fetch((a(3), a(4), a(5), a(6)))], "estimates: 2, then (2 + 0.5) / 2 seconds"


def test_no_more_bytes_are_fetched_at_once_than_allowed(script: Make) -> None:
    s = script(graph(*[[]] * 9, wanted=range(9)), Fixed(batch_bytes=200))
    s.start(("leaf", 0, 0, 9))
    s.fetched()
    assert s.ran() == [Fetch((a(1), a(2)))]


def test_a_fold_is_not_fetched_for(script: Make) -> None:
    s = script(graph([], [], [0, 1], wanted=[2], folds=frozenset({2})))
    assert s.start(node(2)) == [Run(((node(2), [v(2)], []),))]
    assert s.ran() == [Store((v(2),))]
    assert s.stored() == [Commit(0, (node(2),), ((SINK, v(2), 1),), ((v(0), node(2), 1), (v(1), node(2), 1)))]


# ---- the end


def test_the_sink_runs_from_todo_only(script: Make) -> None:
    """All wanted tiles are here, but it is the commit's answer that says so."""
    s = script(graph([], wanted=[0]))
    s.start(ONE)
    s.fetched()
    s.ran()
    s.stored()
    assert s.committed() == [Drop((v(0),)), Finish()]


def test_a_retry_may_owe_the_sink(script: Make) -> None:
    s = script(graph([], wanted=[0]))
    assert s.start(SINK, seq=7) == [Commit(7, (SINK,), done=True)]
    assert s.committed() == [Finish()]


def test_whoever_is_refused_ends(script: Make) -> None:
    assert script(graph([], wanted=[0])).tell(Refused()) == [Finish()]


def test_nothing_to_do_is_an_end(script: Make) -> None:
    assert script(graph([], wanted=[0])).start() == [Finish()]


@pytest.mark.parametrize("event", [Stored(), Committed((), ()), Woke()])
def test_an_event_out_of_place_is_a_bug(script: Make, event: Stored | Committed | Woke) -> None:
    s = script(graph([], wanted=[0]), id="leaf/0@0")
    s.start(ONE)
    with pytest.raises(ProtocolError, match=rf"leaf/0@0 in phase FETCHING cannot take {type(event).__name__}"):
        s.tell(event)
