"""What an executor, or all executors of a job together, did and used."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wukong_sched.program import Program, Tile
from wukong_sched.storage.blocks import nbytes_of
from wukong_sched.storage.objects import Tally

Counts = dict[str, int]
SUMS = ("tasks", "executors", "billed_seconds", "cold", "retries", "saved_codec", "saved_locality")
MAXIMA = ("peak_memory", "memory", "ended")
BY_KEY = ("seconds", "bytes_read", "bytes_written", "requests", "puts", "gets")


@dataclass(slots=True)
class Usage:
    """Sums; `peak_memory`, `memory` and `ended` are maxima."""

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
    memory: int = 0
    """Bytes that a process may have; 0: nobody says."""
    cold: int = 0
    """Executors that were their process's first work."""
    retries: int = 0
    """Attempts before these executors' that ended without a word."""
    saved_codec: int = 0
    """Bytes that blocks take in memory beyond what was moved of them."""
    saved_locality: int = 0
    """Bytes of inputs that were not fetched, since they were here, and of results that were never stored."""
    puts: Counts = field(default_factory=dict)
    """Requests that are priced as writes, by tier."""
    gets: Counts = field(default_factory=dict)
    """Requests that are priced as reads, by tier."""
    ended: float = 0.0
    """When, in seconds since 1970 by the clock of its machine; 0: nobody says."""

    def add(self, other: Usage) -> None:
        """Take another's sums in."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in MAXIMA:
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name in BY_KEY:
            sums = getattr(self, name)
            for key, value in getattr(other, name).items():
                sums[key] = sums.get(key, 0) + value

    def spent(self, what: str, seconds: float) -> None:
        """So many more seconds went to something."""
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def read(self, tier: str, nbytes: int) -> None:
        """One more request to a tier that read so many bytes."""
        for counts, count in ((self.bytes_read, nbytes), (self.requests, 1), (self.gets, 1)):
            counts[tier] = counts.get(tier, 0) + count

    def moved(self, before: Mapping[str, Tally], after: Mapping[str, Tally]) -> None:
        """Take in what the tiers counted in between."""
        nothing = Tally()
        for name in BY_KEY[1:]:
            counts = getattr(self, name)
            for tier, tally in after.items():
                moved = getattr(tally, name) - getattr(before.get(tier, nothing), name)
                counts[tier] = counts.get(tier, 0) + moved

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


def source_counter(program: Program, usage: Usage) -> Callable[[Tile, Any], None]:
    """What counts the source tiles that are read; those that are made again are none."""
    is_cheap, read = program.is_cheap, usage.read

    def seen(tile: Tile, block: Any) -> None:
        if not is_cheap(tile[0]):
            read("source", nbytes_of(block))

    return seen


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
    """Most bytes that this process had in memory since it began."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    """Let `recent_peak` count from now on, where the system can; a process of one's own alone should do that."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def recent_peak() -> int:
    """Most bytes that this process had in memory for itself since `forget_peak`, or since it began.

    The system knows the most only of all that is resident. Of this, pages of files are left out, as many as there are
    now (see `private_bytes`). So those that were given up meanwhile count, and it may be too many; if files were mapped
    later than that most was reached it may be too few.
    """
    try:
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file if line.startswith(("VmHWM", "RssFile", "RssShmem")))
        high, *files = (int(lines[name].split()[0]) * 1024 for name in ("VmHWM", "RssFile", "RssShmem"))
        return high - sum(files)
    except (OSError, KeyError, ValueError):
        return peak_memory()
