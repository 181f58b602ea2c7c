"""Virtual time: processes over one heap of events.

A process is a generator that yields the seconds until it goes on; between two of its steps anything else may happen.
Events at the same time happen in the order in which they were planned: what happens follows from the processes alone.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Generator
from dataclasses import dataclass, field

Process = Generator[float, None, None]


class Hung(Exception):
    """What should have ended long ago has not."""


@dataclass(slots=True)
class Timeline:
    """A clock, and what will happen."""

    now: float = 0.0
    """Seconds since the beginning."""
    events: int = 0
    """How many steps of processes there have been."""
    _heap: list[tuple[float, int, Process]] = field(default_factory=list)
    _planned: int = 0

    def clock(self) -> float:
        """The time now."""
        return self.now

    def spawn(self, process: Process) -> None:
        """Let a process begin now."""
        self._plan(self.now, process)

    def _plan(self, time: float, process: Process) -> None:
        self._planned += 1
        heapq.heappush(self._heap, (time, self._planned, process))

    def run(self, most_seconds: float = math.inf, most_events: float = math.inf) -> None:
        """Let time pass until all processes have ended; raises `Hung` if that takes more than is allowed."""
        heap = self._heap
        while heap:
            self.now, _, process = heapq.heappop(heap)
            self.events += 1
            if self.now > most_seconds or self.events > most_events:
                raise Hung(f"still at work after {self.now:g} virtual seconds and {self.events} events")
            delay = next(process, None)
            if delay is not None:
                self._plan(self.now + delay, process)
