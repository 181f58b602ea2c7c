"""Invocations behind a network: an event is on its way when its caller has waited as long as Lambda would let him."""

from __future__ import annotations

from collections.abc import Sequence

from wukong_sched.functions.cloud import Invoker
from wukong_sched.links import Links
from wukong_sched.storage.shaped import Network


class ShapedInvoker:
    """Sends events by another invoker, so many beside each other; what is free is known at once, and costs nothing."""

    def __init__(self, invoker: Invoker, links: Links, network: Network) -> None:
        self._invoker, self._links, self._network = invoker, links, network

    @property
    def room(self) -> int:
        """Bytes that one event may have."""
        return self._invoker.room

    def invoke(self, events: Sequence[bytes]) -> None:
        """Send all, some at a time."""
        beside = self._links.invokes_beside
        for start in range(0, len(events), beside):
            wave = events[start : start + beside]
            self._network.passed(self._network.clock(), self._links.invoke, sum(map(len, wave)))
            self._invoker.invoke(wave)

    def free(self) -> int | None:
        """What the invoker says."""
        return self._invoker.free()


_: type[Invoker] = ShapedInvoker
