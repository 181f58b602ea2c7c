"""Each decision of the cost model goes either way by bandwidth or latency alone, and the executor does otherwise."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.lower import lower
from sarray.lowering.builder import Limits, none_stay
from tests.scheduler.scripts import Script, a, graph, node, v
from wukong_sched.drivers.graphs import Graph
from wukong_sched.executor_state import EAGER, LOOKS, WEARY
from wukong_sched.functions.hints import needs
from wukong_sched.messages import (
    Commit,
    Fetch,
    Fetched,
    Finish,
    Give,
    Instruction,
    Invoke,
    Peek,
    Ran,
    Run,
    Started,
    Store,
    Stored,
    Wait,
    Woke,
)
from wukong_sched.policy import CostModel
from wukong_sched.program import SINK

MB = 10**6
MODEL = CostModel(invoke_seconds=1e-3, quantum=1e-9, waits=True, unknown_seconds=0.1)
NEAR = replace(MODEL, bandwidth=1e10, latency=1e-5)
FAR = replace(MODEL, bandwidth=1e10, latency=5.0)
NARROW = replace(MODEL, bandwidth=1e6, latency=1e-5)
FREE = replace(MODEL, bandwidth=math.inf, latency=0.0)
ONE = ("leaf", 0, 0, 1)


def megabyte(tile: Any) -> int:
    return MB


def scripted(policy: CostModel, *rows: list[int], wanted: list[int], **others: Any) -> Script:
    others.setdefault("sizes", megabyte)
    return Script(graph(*rows, wanted=wanted, **others), policy)  # type: ignore[arg-type]


def moving(s: Script, *tiles: Any) -> list[Instruction]:
    """The tiles asked for come over the policy's own link, while the clock runs."""
    s.now += s.core.policy.rates.transfer(MB * len(tiles))  # type: ignore[attr-defined]
    return s.fetched()


def only(said: list[Instruction], kind: type) -> Any:
    [found] = [instruction for instruction in said if isinstance(instruction, kind)]
    return found


@pytest.mark.parametrize(("policy", "gives"), [(NEAR, True), (FAR, False), (NARROW, False)])
def test_give(policy: CostModel, gives: bool) -> None:
    """Two consumers of one tile: one is given away if the tile moves faster than it runs."""
    s = scripted(policy, [], [0], [0], wanted=[1, 2])
    s.start(ONE)
    s.fetched()
    said = s.ran(0.1, idle=1)
    assert isinstance(said[0], Store if gives else Run)
    if gives:
        assert only(s.stored(), Commit).gives == (Give("node[2]", (node(2),)),)


@pytest.mark.parametrize(("policy", "fetched"), [(NARROW, ()), (FREE, (v(0),))])
def test_keep(policy: CostModel, fetched: tuple[Any, ...]) -> None:
    """A tile that was fetched stays for a reader that may come, where moving it costs something."""
    s = scripted(policy, [], [0], [], [0, 2], wanted=[1, 3])
    s.start(node(1), ("leaf", 1, 1, 2), seq=1)
    s.fetched()
    assert (v(0) in s.core.frontier.kept) is not bool(fetched)


@pytest.mark.parametrize(("policy", "held"), [(NEAR, True), (FAR, False), (NARROW, False)])
def test_hold(policy: CostModel, held: bool) -> None:
    """Results are announced when they are old, as those are that took long to fetch for."""
    s = scripted(policy, [], [], [0], [1], wanted=[2, 3])
    s.start(node(2), ("leaf", 1, 1, 2), seq=1)
    moving(s, v(0))
    assert s.ran(0.1) == [Fetch((a(1),)) if held else Store((v(2),))]


@pytest.mark.parametrize(("seconds", "held"), [(0.3, True), (0.5, False)])
def test_what_the_end_alone_waits_for_is_held_longer(seconds: float, held: bool) -> None:
    """Four times as long as what others may wait for."""
    s = scripted(replace(NEAR, hold_seconds=0.1), [], [], [], wanted=[0, 1, 2])
    s.start(("leaf", 0, 0, 3))
    s.fetched()
    assert s.ran(0.01) == [Fetch((a(1),))]
    s.now += seconds
    s.fetched()
    assert s.ran(0.01) == [Fetch((a(2),)) if held else Store((v(0), v(1)))]


@pytest.mark.parametrize(("policy", "stored"), [(NARROW, (v(1),)), (FREE, (v(0), v(1)))])
def test_store(policy: CostModel, stored: tuple[Any, ...]) -> None:
    """With nothing to run, what is wanted is stored; what one task is still to read, only if that costs nothing."""
    s = scripted(replace(policy, quantum=1.0), [], [], [], [0, 2], wanted=[1, 3])
    s.start(("leaf", 0, 0, 2))
    said = s.fetched()
    while not isinstance(said[-1], Peek):
        said = s.fetched() if isinstance(said[-1], Fetch) else s.ran(0.1)
    assert s.peeked() == [Store(stored)]
    s.stored()


@pytest.mark.parametrize(("policy", "waits"), [(NARROW, True), (FAR, True), (FREE, False)])
def test_wait(policy: CostModel, waits: bool) -> None:
    """At a fan-in it waits as long as storing and fetching would take."""
    s = scripted(policy, [], [], [0, 1], wanted=[2])
    s.start(ONE)
    s.fetched()
    s.ran(0.1)
    said = s.peeked()
    assert said == ([Wait(policy.patience(MB) / 8 / 16)] if waits else [Store((v(0),))])


@pytest.mark.parametrize(("worked", "longest"), [(0.001, 0.1), (0.299, 0.299), (0.599, 0.599), (99.0, 1.0)])
def test_whoever_worked_long_waits_longer_by_the_clock(worked: float, longest: float) -> None:
    """As long as its work took, but a tenth of a second to a second; looks included, which take 30 ms each here."""
    s = scripted(NEAR, [], [], [0, 1], wanted=[2])
    s.start(ONE)
    s.fetched()
    s.now += worked
    s.ran(0.1)
    said, rests, usual = s.peeked(), s.now, NEAR.patience(MB) / LOOKS / EAGER
    while said != [Store((v(0),))]:
        assert said == [Wait(pytest.approx(max(usual, min((s.now - rests) / WEARY, longest - s.now + rests))))]
        s.tell(Woke())
        s.now += said[0].seconds + 0.03
        said, usual = s.peeked(), min(NEAR.patience(MB) / LOOKS, max(0.0, longest - s.now + rests))
    assert max(longest, 0.03) <= s.now - rests <= longest + 0.03 + NEAR.patience(MB)


def test_looks_come_the_more_seldom_the_longer_one_waits() -> None:
    """A second is waited, in 200 looks at most, though the first comes after a tenth of a millisecond or two."""
    s = scripted(NEAR, [], [], [0, 1], wanted=[2])
    s.start(ONE)
    s.fetched()
    s.now += 99.0
    s.ran(0.1)
    [said], waits = s.peeked(), list[float]()
    while isinstance(said, Wait):
        waits.append(said.seconds)
        s.now += said.seconds
        s.tell(Woke())
        [said] = s.peeked()
    assert sum(waits) == pytest.approx(1.0) and waits[0] < 2e-4 and len(waits) < 200
    assert all(after < 8.1 * before for before, after in pairwise(waits))


@pytest.mark.parametrize(("link", "reads"), [(NARROW, "source"), (FREE, "/F")])
def test_recompute(link: CostModel, reads: str) -> None:
    """Q[i] comes from A[i], factored once more, where reflectors would move slowly."""
    q, r = sa.linalg.tsqr(sa.from_array(np.ones((12, 2)), chunks=(4, 2)))
    limits = Limits(1 << 30, 2, recomputes=link.recomputes)
    program = lower([q.expression, r.expression], limits).program
    task = program.producer((q.expression.name, (1, 0)))
    assert task is not None
    arrays = [array for array, _ in program.inputs(task)]
    assert sum(reads in array for array in arrays) == 1 and len(arrays) == 2


@pytest.mark.parametrize(("room", "reads"), [(1 << 25, "/F"), (1 << 10, "source")])
def test_reflectors_that_can_stay_are_not_made_again(room: int, reads: str) -> None:
    """Blocks of 5.4 KB for each of two workers: where there is no room for their reflectors they are factored again."""
    link = replace(NARROW, hold_bytes=room)
    q, r = sa.linalg.tsqr(sa.from_array(np.ones((1200, 2)), chunks=(400, 2)))
    limits = Limits(1 << 30, 2, recomputes=link.recomputes, stays=link.stays)
    program = lower([q.expression, r.expression], limits).program
    task = program.producer((q.expression.name, (1, 0)))
    assert task is not None
    assert sum(reads in array for array, _ in program.inputs(task)) == 1


@pytest.mark.parametrize(("policy", "stored"), [(NARROW, (v(0),)), (FAR, (v(0), v(0, 1))), (FREE, (v(0), v(0, 1)))])
def test_announce(policy: CostModel, stored: tuple[Any, ...]) -> None:
    """What others wait for is announced alone, if what was made beside it would move slowly."""
    inputs: list[list[tuple[int, int]]] = [[], [], [(1, 0), (0, 0)], [(0, 1), (1, 0)]]
    s = Script(Graph(inputs, [(2, 0), (3, 0)], [2, 1, 1, 1], sizes=megabyte), policy)  # type: ignore[arg-type]
    s.start(ONE)
    s.fetched()
    s.ran(0.1)
    assert s.peeked() == [Store(stored)]
    commit = only(s.stored(), Commit)
    assert commit.announced == (((v(0), 1),) if len(stored) == 1 else ())


@pytest.mark.parametrize(("policy", "yields"), [(NEAR, False), (FAR, True), (replace(NARROW, bandwidth=2e5), True)])
def test_yield(policy: CostModel, yields: bool) -> None:
    """It hands over before the end of its time, much of which a slow link may have taken."""
    s = scripted(policy, [], [0], wanted=[1])
    s.core.deadline = 6.0
    s.start(ONE)
    moving(s, a(0))
    said = s.ran(0.1)
    assert isinstance(said[0], Store if yields else Run)
    if yields:
        assert only(s.stored(), Commit).yields


@pytest.mark.parametrize(("took", "begins"), [(1.4, True), (1.6, False)])
def test_a_task_that_would_not_end_in_time_is_left_to_a_successor(took: float, begins: bool) -> None:
    """Three seconds, 0.1 of them to spare: of 1.4 s two tasks fit, of 1.6 s one does, as the first has shown."""
    s = scripted(replace(NEAR, margin=0.1, hold_seconds=99.0), [], [], wanted=[0, 1])
    s.core.deadline = 3.0
    s.start(("leaf", 0, 0, 1), ("leaf", 1, 1, 2))
    moving(s, a(0))
    s.now = took
    said = s.tell(Ran(took, 0))
    assert isinstance(said[0], Fetch if begins else Store)
    if not begins:
        assert only(s.stored(), Commit).yields


@pytest.mark.parametrize(("deadline", "together"), [(math.inf, 3), (5.0, 3), (3.0, 2), (1.5, 1)])
def test_what_runs_together_takes_half_of_the_time_that_is_left(deadline: float, together: int) -> None:
    """Three tasks of half a second and a bit that are known, which a long quantum would run in one go."""
    s = scripted(replace(NEAR, quantum=100.0, margin=0.1), [], [0], [1], wanted=[2])
    s.core.estimates.corrections = dict.fromkeys(("leaf", "node"), 5.1)
    s.core.deadline = deadline
    s.start(ONE)
    run = s.fetched()[0]
    assert isinstance(run, Run) and len(run.steps) == together


@pytest.mark.parametrize(("policy", "travels"), [(FAR, True), (NEAR, False), (NARROW, False)])
def test_inline(policy: CostModel, travels: bool) -> None:
    """A stored tile of 1 MB travels with the task that reads it, if a request takes longer than its bytes."""
    program = graph([], [0], wanted=[1], sizes=lambda tile: MB)
    assert list(needs(program, (node(1), ONE), policy)) == [v(0)] * travels


@pytest.mark.parametrize(("waited", "gives"), [(0.0, True), (0.1, True), (0.2, False), (10.0, False)])
def test_a_measured_start_changes_what_is_given(waited: float, gives: bool) -> None:
    """Whoever waited long for its own start does not let others wait for short tasks."""
    s = scripted(replace(NEAR, bandwidth=math.inf, invoke_seconds=0.09), [], [0], [1], [1], wanted=[2, 3])
    s.tell(Started(1, (node(1),), {}, 0, waited))
    s.fetched()
    assert isinstance(s.ran(0.1, idle=1)[0], Store if gives else Run)


def test_whoever_is_idle_after_a_store_gets_a_share_before_anything_else_runs() -> None:
    """The commit that completes ready tasks is followed by one that gives some of them away."""
    s = scripted(replace(NEAR, hold_bytes=MB), [], [0], [0], wanted=[1, 2])
    s.start(ONE)
    s.fetched()
    assert s.ran(0.1) == [Store((v(0),))]
    s.tell(Stored(0.0, idle=1))
    [give] = s.committed(node(1), node(2))
    assert isinstance(give, Commit) and give.gives == (Give("node[2]", (node(2),)),) and not give.discharged
    assert s.committed()[0] == Invoke(("node[2]",))
    s.validate()


def test_what_others_need_not_is_not_stored_before_they_are_given_work() -> None:
    """A result is held while owed tasks are given away; those that came last go first."""
    s = scripted(replace(NEAR, worth=0.1), [], [], [0], [1], [1], wanted=[2, 3, 4])
    s.start(node(3), node(2), node(4), seq=1)
    s.fetched()
    give = only(s.ran(0.1, idle=1), Commit)
    assert [each.todo for each in give.gives] == [(node(4),)] and not give.arrivals and not give.discharged
    s.committed()
    assert s.core.ledger.open and s.core.ledger.since == 0.0


def test_the_holder_of_a_first_input_keeps_all_it_has_for_that_fan_in() -> None:
    """Of six inputs it holds three, the first of them among these; the holder of the others stores them."""
    rows: list[list[int]] = [*([] for _ in range(6)), [0, 1, 2, 3, 4, 5]]
    for owed, kind in [(("leaf", 0, 0, 3), Wait), (("leaf", 0, 3, 6), Store)]:
        s = scripted(replace(NARROW, quantum=100.0), *rows, wanted=[6])
        s.core.estimates.corrections = {"leaf": 1.0}
        said = s.start(owed)
        while not isinstance(said[-1], Peek):
            said = s.fetched() if isinstance(said[-1], Fetch) else s.ran(0.1)
        [answer] = s.peeked()
        assert isinstance(answer, kind)
        if isinstance(answer, Store):
            assert answer.tiles == (v(3), v(4), v(5))


def test_fetching_counts_in_a_run() -> None:
    """On a slow link a Run takes in what comes in a quantum, so that idle executors are heard of in between."""
    for bandwidth, steps in [(1e10, 3), (4e6, 2), (2e6, 1)]:
        policy = replace(NEAR, bandwidth=bandwidth, quantum=0.5, unknown_seconds=0.05)
        s = scripted(policy, [], [], [], [0], [1], [2], wanted=[3, 4, 5])
        s.core.estimates.corrections = {"node": 1.0}
        s.start(node(3), node(4), node(5), seq=1)
        assert len(s.core.batch.steps) == steps


def test_measured_rates_change_what_is_given() -> None:
    """The link turns out to be slow: what was worth giving away is not any more."""
    for seconds, kind in [(1e-4, Store), (10.0, Run)]:
        s = scripted(NEAR, [], [0], [1], [1], wanted=[2, 3])
        s.start(node(1), seq=1)
        for _ in range(12):
            s.core.policy = s.core.policy.observed(MB, seconds)
        s.tell(Fetched((), seconds))
        assert isinstance(s.ran(0.1, idle=1)[0], kind)


def test_a_measured_event_replays() -> None:
    s = scripted(NEAR, [], [0], wanted=[1])
    s.start(node(1), seq=1)
    s.tell(Fetched((), 0.5))
    s.ran(0.1)
    s.tell(Stored(0.25))
    again = scripted(NEAR, [], [0], wanted=[1])
    assert [again.tell(event) for event, _ in s.said] == [said for _, said in s.said]
    assert again.core.policy == s.core.policy != NEAR


# ---- selective discharge


def test_a_retained_leaf_is_owed_by_itself_and_discharged_later() -> None:
    s = scripted(replace(NARROW, quantum=1.0), [], [], [], [0, 2], wanted=[1, 3])
    said = s.start(("leaf", 0, 0, 2))
    while not isinstance(said[-1], Peek):
        said = s.fetched() if isinstance(said[-1], Fetch) else s.ran(0.1)
    s.peeked()
    first = only(s.stored(), Commit)
    assert first.arrivals == ((SINK, v(1), 2),) and first.cuts == ((("leaf", 0, 0, 2), (("leaf", (0,)),)),)
    s.committed()
    said = s.peeked()
    while isinstance(said[-1], Wait):
        s.tell(Woke())
        said = s.peeked()
    assert said == [Store((v(0),))]
    assert only(s.stored(), Commit).discharged == (("leaf", (0,)),)
    s.committed()
    s.validate()


def test_a_run_that_was_cut_short_goes_on() -> None:
    s = scripted(replace(NEAR, quantum=100.0), [], [0], [1], [2], wanted=[3])
    s.core.estimates.corrections = dict.fromkeys(("leaf", "node"), 1.0)
    s.start(ONE)
    [run] = s.fetched()
    assert isinstance(run, Run) and len(run.steps) == 4
    [rest] = s.tell(Ran(5.0, 0, left=2))
    assert isinstance(rest, Run) and rest.steps == run.steps[2:]


def test_of_a_run_that_was_cut_short_at_the_end_of_the_time_what_ran_is_handed_over() -> None:
    """A chain of four, of which two have run: the second's result leaves, and the third is owed."""
    s = scripted(replace(NEAR, quantum=100.0), [], [0], [1], [2], wanted=[3])
    s.core.estimates.corrections = dict.fromkeys(("leaf", "node"), 1.0)
    s.core.deadline = 10.0
    s.start(ONE)
    [run] = s.fetched()
    assert isinstance(run, Run) and run.limit == 5.0 and len(run.steps) == 4
    s.now = 9.5
    assert s.tell(Ran(9.5, 0, left=2)) == [Store((v(1),))]
    [commit] = s.stored()
    assert commit == Commit(0, arrivals=((node(2), v(1), 1),), cuts=((ONE, ()),), yields=True)
    assert s.committed(node(2))[-2:] == [Invoke(("e",)), Finish()]


def test_a_quantum_of_nothing_is_one_task_at_a_time() -> None:
    s = scripted(replace(NEAR, quantum=0.0), [], [0], [1], wanted=[2])
    s.start(ONE)
    assert s.core.batch.needs == {a(0): 0}
    assert [len(run.steps) for run in (*s.fetched(), *s.ran(0.1), *s.ran(0.1))] == [1, 1, 1]


def test_q_of_blocks_that_are_factored_again_is_the_same() -> None:
    """To the last bit: the reflectors are made from the same block by the same kernel."""
    from wukong_sched.drivers import serial
    from wukong_sched.storage.memory import MemoryStorage

    q, r = sa.linalg.tsqr(sa.from_array(np.random.default_rng(1).standard_normal((90, 6)), chunks=(20, 6)))
    values = []
    for link, stays in [(NARROW, none_stay), (NARROW, NARROW.stays), (FREE, FREE.stays)]:
        limits, storage = Limits(1 << 30, 2, recomputes=link.recomputes, stays=stays), MemoryStorage()
        program = lower([q.expression, r.expression], limits).program
        serial.run(program, storage)
        values.append(storage.get(list(program.wanted())))
    assert values[0].keys() == values[1].keys() == values[2].keys()
    for tile, value in values[0].items():
        assert np.array_equal(value, values[1][tile]) and np.array_equal(value, values[2][tile])
