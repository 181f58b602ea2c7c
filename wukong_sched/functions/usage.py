"""What an executor, or all executors of a job together, did and used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from wukong_sched.storage.objects import Tally

Counts = dict[str, int]
PAGE = 4096
"""Bytes, where /proc is."""


@dataclass(slots=True)
class Usage:
    """Sums; `peak_memory` is a maximum."""

    tasks: int = 0
    executors: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """By what they went to: compute, fetch, store, invoke, wait."""
    bytes_read: Counts = field(default_factory=dict)
    """By tier."""
    bytes_written: Counts = field(default_factory=dict)
    requests: Counts = field(default_factory=dict)
    billed_seconds: float = 0.0
    peak_memory: int = 0
    """Bytes."""

    def add(self, other: Usage) -> None:
        """Take another's sums in."""
        self.tasks += other.tasks
        self.executors += other.executors
        self.billed_seconds += other.billed_seconds
        self.peak_memory = max(self.peak_memory, other.peak_memory)
        for name in ("bytes_read", "bytes_written", "requests", "seconds"):
            sums = getattr(self, name)
            for key, value in getattr(other, name).items():
                sums[key] = sums.get(key, 0) + value

    def spent(self, what: str, seconds: float) -> None:
        """So many more seconds went to something."""
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def read(self, tier: str, nbytes: int) -> None:
        """One more request to a tier that read so many bytes."""
        self.bytes_read[tier] = self.bytes_read.get(tier, 0) + nbytes
        self.requests[tier] = self.requests.get(tier, 0) + 1

    def moved(self, before: Mapping[str, Tally], after: Mapping[str, Tally]) -> None:
        """Take in what the tiers counted in between."""
        nothing = Tally()
        for tier, tally in after.items():
            was = before.get(tier, nothing)
            self.bytes_read[tier] = self.bytes_read.get(tier, 0) + tally.bytes_read - was.bytes_read
            self.bytes_written[tier] = self.bytes_written.get(tier, 0) + tally.bytes_written - was.bytes_written
            self.requests[tier] = self.requests.get(tier, 0) + tally.requests - was.requests

    def to_json(self) -> bytes:
        """As an object."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def from_json(data: bytes) -> Usage:
        """What `to_json` wrote.

        >>> Usage.from_json(Usage(tasks=3).to_json()).tasks
        3
        """
        return Usage(**json.loads(data))


def total(usages: Iterable[Usage]) -> Usage:
    """All together."""
    found = Usage()
    for usage in usages:
        found.add(usage)
    return found


def copied(tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    """Tallies as they are now."""
    names = ("bytes_read", "bytes_written", "puts", "gets", "deletes", "retries")
    return {tier: Tally(*(getattr(tally, name) for name in names)) for tier, tally in tallies.items()}


def peak_memory() -> int:
    """Most bytes that this process had in memory."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def resident_memory() -> int:
    """Bytes that this process has in memory now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        return 0
