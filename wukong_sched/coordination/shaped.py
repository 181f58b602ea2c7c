"""Coordination behind a network: each request takes as long as it would there, and moves next to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wukong_sched.coordination.protocol import Coordination, Lease, Reply, State, View
from wukong_sched.messages import Commit, Give
from wukong_sched.program import Task, Tile
from wukong_sched.storage.shaped import Network


class ShapedCoordination:
    """One job's records, `seconds` away."""

    def __init__(self, coordination: Coordination, seconds: float, network: Network) -> None:
        self._coordination, self._seconds, self._network = coordination, seconds, network

    def create(self, epoch: int, roots: Sequence[Give], arrived: Mapping[Task, frozenset[Tile]]) -> bool:
        began = self._network.clock()
        created = self._coordination.create(epoch, roots, arrived)
        self._network.passed(began, self._seconds)
        return created

    def start(self, id: str, token: str) -> Lease | None:
        began = self._network.clock()
        lease = self._coordination.start(id, token)
        self._network.passed(began, self._seconds)
        return lease

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        began = self._network.clock()
        reply = self._coordination.commit(id, token, commit)
        self._network.passed(began, self._seconds)
        return reply

    def read(self, tasks: Sequence[Task] = ()) -> View:
        began = self._network.clock()
        view = self._coordination.read(tasks)
        self._network.passed(began, self._seconds)
        return view

    def sweep(self, leaves: State = State.MISSING) -> None:
        began = self._network.clock()
        self._coordination.sweep(leaves)
        self._network.passed(began, self._seconds)


_: type[Coordination] = ShapedCoordination
