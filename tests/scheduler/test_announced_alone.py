"""A tile announced while its maker, which made another one, is retained: rules 3, 5 and 6 of the core.

The program is a small QR: leaves 0 and 1 make R and F, task 2 joins the Rs and makes two parts, and tasks 3 and 4 make
Q from an F and a part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.scheduler.scripts import Script, a, leaf, node, v
from wukong_sched.drivers.graphs import Graph
from wukong_sched.ledger import Ledger
from wukong_sched.messages import Commit, Delete, Drop, Fetch, Finish, Give, Invoke, Peek, Run, Store, Wait, Woke
from wukong_sched.policy import CostModel
from wukong_sched.program import SINK, Tile

MB = 10**6
NARROW = CostModel(bandwidth=1e6, latency=1e-5, invoke_seconds=1e-3, quantum=1e-9, waits=True, unknown_seconds=0.1)
SECOND = ("leaf", 0, 1, 2)
R, F, PART, Q = v(1), v(1, 1), v(2, 2), v(4)


def small_or_large(tile: Tile) -> int:
    """Only what makes Q is large."""
    return MB if tile[1][1:] == (1,) else 100


def qr() -> Graph:
    inputs = [[], [], [(0, 0), (1, 0)], [(0, 1), (2, 1)], [(1, 1), (2, 2)]]
    return Graph(inputs, [(2, 0), (3, 0), (4, 0)], [2, 2, 3, 1, 1], sizes=small_or_large)


def begun(policy: CostModel = NARROW, program: Graph | None = None) -> Script:
    """The executor of leaf 1, which has run it and looks for what others have sent."""
    s = Script(program or qr(), policy, id="leaf/0@1")  # type: ignore[arg-type]
    assert s.start(SECOND) == [Fetch((a(1),))]
    assert s.fetched() == [Run(((leaf(1), [R, F], [a(1)]),))]
    assert s.ran(0.1) == [Peek((node(2), node(4)))]
    return s


def told() -> Script:
    """Its R is announced, and nothing discharged."""
    s = begun()
    assert s.peeked() == [Store((R,))]
    cuts = ((SECOND, (leaf(1),)),)
    assert s.stored() == [Commit(0, arrivals=((node(2), R, 2),), cuts=cuts, announced=((R, 1),))]
    assert s.committed() == [Peek((node(4),))]
    return s


def waited(s: Script) -> Any:
    """What the core says when nothing comes."""
    said = s.peeked()
    while isinstance(said[-1], Wait):
        s.tell(Woke())
        said = s.peeked()
    return said


def test_what_was_made_beside_it_stays_until_it_is_used() -> None:
    """F is never stored; leaf and Q leave together, and what was announced before is not announced again."""
    s = told()
    [wait] = s.peeked()
    assert isinstance(wait, Wait)
    s.tell(Woke())
    assert s.peeked(n4=[PART]) == [Fetch((PART,))]
    assert s.fetched() == [Run(((node(4), [Q], [F, PART]),))]
    assert s.ran(0.1) == [Store((Q,))]
    assert s.stored() == [Commit(1, (leaf(1), node(4)), ((SINK, Q, 3),), ((PART, node(4), 1),))]
    assert s.committed(freed=(PART,)) == [Delete((PART,)), Drop((Q,)), Finish()]
    s.validate()


def test_the_wait_ends_and_everything_is_stored() -> None:
    s = told()
    assert waited(s) == [Store((F,))]
    assert s.stored() == [Commit(1, (leaf(1),), ((node(4), F, 2),))]
    s.committed()
    s.validate()


def test_a_retry_makes_both_again_and_announces_neither_twice() -> None:
    """R is dropped as soon as it is made: its reader may be discharged, and the tile deleted."""
    s = Script(qr(), NARROW, id="leaf/0@1")  # type: ignore[arg-type]
    assert s.start(leaf(1), seq=1, announced={R: 1}) == [Fetch((a(1),))]
    assert s.fetched() == [Run(((leaf(1), [R, F], [R, a(1)]),))]
    assert s.ran(0.1) == [Peek((node(4),))]
    assert waited(s) == [Store((F,))]
    assert s.stored() == [Commit(1, (leaf(1),), ((node(4), F, 2),))]
    s.committed()
    s.validate()


def test_what_others_wait_for_goes_before_what_is_large() -> None:
    """The other R has come first, so that the join is ours: the other's part is announced before our Q is made."""
    s = begun()
    s.peeked()
    s.stored()
    assert s.committed(node(2)) == [Fetch((v(0),))]
    assert s.fetched() == [Run(((node(2), [v(2), v(2, 1), PART], [R, v(0)]),))]
    assert s.ran(0.1) == [Store((v(2, 1),))]
    assert s.stored() == [Commit(1, arrivals=((node(3), v(2, 1), 2),), announced=((R, 1), (v(2, 1), 1)))]
    assert s.committed() == [Run(((node(4), [Q], [F, PART]),))]
    assert s.ran(0.1) == [Store((v(2), Q))]
    consumed = ((v(0), node(2), 1), (R, node(2), 1))
    assert s.stored() == [Commit(2, (leaf(1), node(2)), ((SINK, v(2), 3), (SINK, Q, 3)), consumed)]
    s.committed(freed=(R, v(0)))
    s.validate()


def root(policy: CostModel) -> Script:
    """Who has made the parts, having read leaf 0's R and announced nothing itself."""
    s = Script(qr(), policy, id="leaf/0@1")  # type: ignore[arg-type]
    assert s.start(SECOND) == [Fetch((a(1),))]
    assert s.fetched() == [Run(((leaf(1), [R, F], [a(1)]),))]
    assert s.ran(0.1) == [Peek((node(2), node(4)))]
    assert s.peeked(n2=[v(0)]) == [Fetch((v(0),))]
    assert s.fetched() == [Run(((node(2), [v(2), v(2, 1), PART], [R, v(0)]),))]
    return s


def test_what_comes_back_to_whoever_was_read_from_goes_at_once() -> None:
    """Leaf 0 has left its F where it is, and waits for the other part; ours is still to be used here."""
    s = root(NARROW)
    assert s.ran(1e-6) == [Store((v(2, 1),))]
    [commit] = s.stored()
    assert isinstance(commit, Commit)
    assert [edge[:2] for edge in commit.arrivals] == [(node(3), v(2, 1))]
    assert s.committed() == [Run(((node(4), [Q], [F, PART]),))]


def test_where_it_left_nothing_behind_there_is_no_hurry() -> None:
    s = root(replace(NARROW, bandwidth=1e12))
    assert s.ran(1e-6) == [Run(((node(4), [Q], [F, PART]),))]


def test_a_reader_that_was_told_is_discharged_without_its_maker() -> None:
    """And what follows from the maker's other tile is not."""
    ledger = Ledger(qr(), ran={leaf(1), node(2), node(4)}, open={v(2): 1, v(2, 1): 1, Q: 1})
    assert ledger.closure([v(2)]) == {leaf(1), node(2), node(4)}
    ledger.announced = {R: 1, PART: 1}
    assert ledger.closure([v(2)]) == {node(2)}
    assert ledger.closure([v(2), Q]) == {leaf(1), node(2), node(4)}
    assert ledger.without({leaf(1), node(2), node(4)}, [F]) == {node(2)}


def test_where_moving_takes_no_longer_than_a_request_everything_leaves() -> None:
    for policy in [replace(NARROW, latency=2.0), replace(NARROW, waits=False)]:
        s = begun(policy)
        assert s.peeked() == [Store((R, F))]
        assert s.stored() == [Commit(0, arrivals=((node(2), R, 2), (node(4), F, 2)), cuts=((SECOND, ()),))]


def fan() -> Graph:
    """Three tasks read the first output of leaf 1; the second one is read together with leaf 0's."""
    inputs = [[], [], [(1, 0)], [(1, 0)], [(1, 0)], [(1, 1), (0, 0)]]
    return Graph(inputs, [(2, 0), (3, 0), (4, 0), (5, 0)], [1, 2, 1, 1, 1, 1], sizes=small_or_large, costs=[2e10] * 6)


def test_its_readers_are_given_away_while_its_maker_is_retained() -> None:
    """Who made it has run, so nobody whom we give anything can make it again."""
    s = Script(fan(), NARROW, id="leaf/0@1")  # type: ignore[arg-type]
    s.start(SECOND)
    s.fetched()
    assert s.ran(1.0, idle=2) == [Store((R,))]
    [commit] = s.stored()
    assert isinstance(commit, Commit)
    assert commit.gives == (Give("node[4]", (node(4),)), Give("node[3]", (node(3),)))
    assert commit.announced == ((R, 3),) and commit.discharged == () and commit.cuts == ((SECOND, (leaf(1),)),)
    said = s.committed(node(2), node(3), node(4))
    assert said == [Invoke(("node[4]", "node[3]")), Run(((node(2), [v(2)], [R]),))]
    s.validate()


def test_nothing_is_given_away_until_it_is_made_again() -> None:
    """What we would give may be its maker, or what that follows from."""
    s = Script(fan(), NARROW, id="node[2]")  # type: ignore[arg-type]
    todo = (node(2), node(3), node(4), leaf(1))
    assert s.start(*todo, seq=1, announced={R: 3}, idle=3) == [Fetch((R,))]
