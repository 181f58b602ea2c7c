"""What client and functions have in common: where tiles, records and functions are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from wukong_sched.coordination.protocol import Coordination
from wukong_sched.program import Tile
from wukong_sched.storage.cluster import Deployment
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import Objects, Tally
from wukong_sched.storage.protocol import Storage

T = TypeVar("T")


class JobStorage(Storage, Protocol):
    """One job's tiles."""

    @property
    def saved(self) -> Tally:
        """Bytes of blocks in memory beyond those of their encodings."""

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

    def object_storage(self, keys: Keys, key: bytes) -> JobStorage:
        """The tiles of one job, all of them in the object store."""

    @property
    def object_store(self) -> Objects:
        """Where large values are."""

    def server(self) -> Deployment:
        """Connections to the server of the records, for whoever keeps others there; to be closed by him."""

    def round_trip(self, request: Callable[[], T]) -> T:
        """What a request to that server answers, after as long as it takes at this place."""

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

    def source(self, read: Callable[[Tile], Any], tile: Tile) -> Any:
        """The block of a source tile, which `read` finds; it takes as long as it would at this place."""

    def tallies(self) -> Mapping[str, Tally]:
        """What went into and out of each tier, by this process."""
