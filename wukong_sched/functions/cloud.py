"""What client and functions have in common: where tiles, records and functions are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wukong_sched.coordination.protocol import Coordination
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import Objects, Tally
from wukong_sched.storage.protocol import Storage


class JobStorage(Storage, Protocol):
    """One job's tiles."""

    def sweep(self) -> None:
        """Forget all but the wanted tiles."""


class Invoker(Protocol):
    """Starts functions."""

    @property
    def room(self) -> int:
        """Bytes that one event may have."""

    def invoke(self, events: Sequence[bytes]) -> None:
        """Invoke with these events, and wait for none. What cannot be sent is lost, and a watchdog's matter."""

    def free(self) -> int | None:
        """How many functions could start at once; None if nobody can say."""


class Cloud(Protocol):
    """Tiles, records and functions of one place."""

    def storage(self, keys: Keys, key: bytes) -> JobStorage:
        """The tiles of one job; `key` signs what is pickled."""

    def objects(self) -> Objects:
        """Where programs are kept, and what executors report."""

    def inline(self, keys: Sequence[str], limit: int) -> Mapping[str, bytes]:
        """Small values, of those asked for, that this process has at hand: together at most `limit` bytes."""

    def receive(self, values: Mapping[str, bytes]) -> None:
        """Values that came with an invocation, to be found before any store is asked."""

    def coordination(self, job: str) -> Coordination:
        """The records of one job."""

    def invoker(self) -> Invoker:
        """The functions."""

    def tallies(self) -> Mapping[str, Tally]:
        """What went into and out of each tier, by this process."""
