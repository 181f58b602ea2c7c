"""Three tiers in one store: within the invocation, in Redis, in the object store.

* **Inline.** Small values, when they are put, are remembered a while, so that the driver can send them along with an
  invocation; what came with this one's own is looked up first. That is a hint and no more: they are stored as well.
* **Middle.** What is cheaper, in money and in the executors' time, to hold in Redis than to request from S3.
* **Large.** The rest; whatever Redis has no room for; and what outlives the job.

A reader tries the tiers in this order, since it cannot know where there was room.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wukong_sched.links import AWS, FULL_PROCESSOR
from wukong_sched.prices import US_EAST_1
from wukong_sched.storage.codec import Buffer
from wukong_sched.storage.objects import Objects, Pieces, StoreFull, Tally, size


@dataclass(frozen=True, slots=True)
class Link:
    """What it costs to put one value into a store and to get it out again."""

    latency: float
    """Seconds, of one request."""
    bandwidth: float
    """Bytes a second, of one executor."""
    usd_per_value: float
    """One put and one get."""
    usd_per_byte: float
    """Holding it for as long as a tile usually lives."""

    def usd(self, nbytes: int, usd_per_second: float) -> float:
        """Price of one value, the executors' time included.

        >>> Link(0.5, 1e8, 5e-6, 0.0).usd(10**8, 1.0)
        3.000005
        """
        seconds = 2 * (self.latency + nbytes / self.bandwidth)
        return seconds * usd_per_second + self.usd_per_value + nbytes * self.usd_per_byte


LIVES = 60.0
"""Seconds that a tile usually lives."""
MEMORY = FULL_PROCESSOR << 20
"""Bytes of a function that has one processor."""
REDIS = Link(AWS.redis.latency, AWS.bandwidth, 0.0, US_EAST_1.cache_byte_seconds(LIVES))
"""ElastiCache: a tile takes its part of a node for as long as it lives."""
OBJECTS = Link(
    AWS.objects.latency, AWS.bandwidth, US_EAST_1.objects(puts=1, gets=1), US_EAST_1.objects(0, 0, byte_seconds=LIVES)
)
"""S3 standard: a tile takes a PUT and a GET."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which tier a value belongs to, by its encoded size."""

    inline: int = 32 << 10
    """Bytes up to which a value may travel within an invocation."""
    remembered: int = 4 << 20
    """Bytes of small values kept for invocations still to come."""
    middle: Link = REDIS
    large: Link = OBJECTS
    usd_per_second: float = US_EAST_1.function_second(MEMORY)
    """Of one executor."""
    durable: str = "tiles/"
    """Keys that begin so outlive the job, and belong to the object store."""

    def in_middle(self, key: str, nbytes: int) -> bool:
        """Whether a value goes to Redis.

        >>> Placement().in_middle("jobs/1/tiles/a[0]", 1 << 20), Placement().in_middle("jobs/1/tiles/a[0]", 1 << 26)
        (True, False)
        """
        if key.startswith(self.durable):
            return False
        return self.middle.usd(nbytes, self.usd_per_second) <= self.large.usd(nbytes, self.usd_per_second)


class TieredObjects:
    """Values in Redis or in the object store, small ones also in invocations.

    `hints` are the values, by key, that came with this invocation; each store has its own tally, and `tally` counts
    what the hints have saved.
    """

    def __init__(
        self,
        middle: Objects,
        large: Objects,
        hints: Mapping[str, Buffer] | None = None,
        placement: Placement | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.middle, self.large = middle, large
        self.hints = {} if hints is None else hints
        self.placement = Placement() if placement is None else placement
        self.tally = Tally() if tally is None else tally
        self._small: OrderedDict[str, bytes] = OrderedDict()
        self._small_bytes = 0
        self._lock = threading.Lock()

    def put(self, values: Mapping[str, Pieces]) -> None:
        middle = {key: v for key, v in values.items() if self.placement.in_middle(key, size(v))}
        large = {key: v for key, v in values.items() if key not in middle}
        try:
            if middle:
                self.middle.put(middle)
        except StoreFull as full:
            large.update((key, middle[key]) for key in full.keys)
        if large:
            self.large.put(large)
        self._remember(values)

    def _remember(self, values: Mapping[str, Pieces]) -> None:
        with self._lock:
            for key, pieces in values.items():
                if size(pieces) <= self.placement.inline and key not in self._small:
                    self._small[key] = b"".join(pieces)
                    self._small_bytes += len(self._small[key])
            while self._small_bytes > self.placement.remembered:
                self._small_bytes -= len(self._small.popitem(last=False)[1])

    def inline(self, keys: Iterable[str], limit: int) -> dict[str, bytes]:
        """Of these values the small ones at hand, for an invocation: together at most `limit` bytes, keys included."""
        taken: dict[str, bytes] = {}
        with self._lock:
            for key in keys:
                value = self._small.get(key) or bytes(self.hints.get(key, b""))
                if value and key not in taken and len(key) + len(value) <= limit:
                    taken[key] = value
                    limit -= len(key) + len(value)
        self.tally.add(written=sum(map(len, taken.values())), puts=len(taken))
        return taken

    def get(self, keys: Sequence[str]) -> dict[str, Buffer]:
        found: dict[str, Buffer] = {key: bytearray(self.hints[key]) for key in keys if key in self.hints}
        if found:
            self.tally.add(read=sum(map(len, found.values())), gets=len(found))
        for store in (self.middle, self.large):
            missing = [key for key in keys if key not in found]
            if missing:
                found |= store.get(missing)
        return found

    def delete(self, keys: Sequence[str]) -> Sequence[str]:
        with self._lock:
            for key in keys:
                self._small_bytes -= len(self._small.pop(key, b""))
        elsewhere = self.middle.delete(keys)
        return self.large.delete(elsewhere) if elsewhere else ()

    def keys(self, prefix: str) -> Iterable[str]:
        return {*self.middle.keys(prefix), *self.large.keys(prefix)}

    def sweep(self, prefix: str) -> None:
        with contextlib.ExitStack() as swept:  # the second as well, if the first cannot be
            swept.callback(self.large.sweep, prefix)
            self.middle.sweep(prefix)


_: type[Objects] = TieredObjects
