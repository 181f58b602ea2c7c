"""Renewals change nothing but the lease: commits of the core come out as they would without them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.coordination.protocol import Reply, State
from wukong_sched.errors import InfrastructureError, Story
from wukong_sched.functions.lease import KeptLease, Renewer
from wukong_sched.messages import Commit, Give
from wukong_sched.program import SINK

ROOT = ("task", (0,))
NEXT = ("task", (1,))
WIDE = ("value", (9,))


class Flaky:
    """A coordination store that carries a commit out, or not, and then does not answer."""

    def __init__(self, inner: MemoryCoordination, failures: Sequence[str]) -> None:
        self._inner, self._failures = inner, list(failures)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        how = self._failures.pop(0) if self._failures else "fine"
        reply = self._inner.commit(id, token, commit) if how != "lost" else None
        if how != "fine":
            raise InfrastructureError(how)
        return reply


def begun(clock: Any = lambda: 0.0, failures: Sequence[str] = (), lease: float = 10.0) -> tuple[Any, KeptLease]:
    inner = MemoryCoordination(clock, lease=lease)
    inner.create(1, [Give("x", (ROOT,))], {})
    kept = KeptLease(Flaky(inner, failures))
    assert kept.start("x", "token") is not None
    return inner, kept


@given(renewals=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_commits_come_out_as_they_would_without_renewals(renewals: list[int]) -> None:
    inner, kept = begun()
    tile = ("value", (0,))
    commits = [
        Commit(0, announced=((WIDE, 5),)),
        Commit(1, (ROOT,), arrivals=((NEXT, tile, 1),)),
        Commit(2, (NEXT,), arrivals=((SINK, ("value", (1,)), 1),), consumed=((tile, NEXT, 1),)),
        Commit(3, (SINK,), done=True),
    ]
    replies = []
    for commit, count in zip(commits, renewals, strict=True):
        for _ in range(count):
            kept.renew()
        replies.append(kept.commit("x", "token", commit))
    assert replies == [Reply((), ()), Reply((NEXT,), ()), Reply((SINK,), (tile,)), Reply((), ())]
    assert inner.read().state is State.DONE
    assert not kept.gone.is_set()


@given(failures=st.lists(st.sampled_from(["fine", "lost", "answer lost"]), max_size=4))
def test_a_renewal_without_an_answer_costs_no_commit(failures: list[str]) -> None:
    _, kept = begun(failures=failures)
    for _ in range(len(failures)):
        try:
            kept.renew()
        except InfrastructureError:
            continue
    reply = kept.commit("x", "token", Commit(0, (ROOT,), arrivals=((NEXT, ("value", (0,)), 1),)))
    assert reply == Reply((NEXT,), ())


def test_a_renewal_says_again_what_was_announced_in_part() -> None:
    inner, kept = begun()
    kept.commit("x", "token", Commit(0, announced=((WIDE, 5),)))
    kept.renew()
    assert inner._records["x"].announced == {WIDE: 5}


def test_a_renewed_lease_does_not_run_out() -> None:
    now = 0.0
    inner, kept = begun(lambda: now)
    for seconds in (6.0, 12.0, 18.0):
        now = seconds
        kept.renew()
        assert inner.start("x", "thief") is None
    now = 29.0
    assert inner.start("x", "thief") is not None
    kept.renew()
    assert kept.gone.is_set()
    assert kept.commit("x", "token", Commit(0, (ROOT,))) is None


@pytest.mark.parametrize(("commit", "told"), [({"done": True}, 1), ({"failure": Story("", "", (), "")}, 1), ({}, 0)])
def test_who_ends_the_job_is_told_before(commit: dict[str, Any], told: int) -> None:
    states: list[State] = []
    inner = MemoryCoordination()
    inner.create(1, [Give("x", (ROOT,))], {})
    kept = KeptLease(inner, lambda commit: states.append(inner.read().state))
    kept.start("x", "token")
    kept.commit("x", "token", Commit(0, (ROOT,), **commit))
    assert states == [State.RUNNING] * told


def test_a_renewer_renews_whichever_lease_it_holds() -> None:
    renewed = threading.Event()

    class Lease(KeptLease):
        def renew(self) -> None:
            renewed.set()

    renewer = Renewer(0.005)
    for _ in range(2):
        renewed.clear()
        renewer.hold(Lease(MemoryCoordination()))
        assert renewed.wait(5)
        renewer.drop()
    renewed.clear()
    assert not renewed.wait(0.05)
