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


TINY = 1e-9
"""Seconds that do not matter."""


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


@dataclass(slots=True)
class Processors:
    """Processors that all who compute share alike, as an operating system lets them: nobody waits for his turn.

    As long as n compute on c processors, each progresses at the rate min(1, c / n).
    """

    timeline: Timeline
    count: int
    _progress: float = 0.0
    """Processor seconds that somebody who had computed since the beginning would have got."""
    _seen: float = 0.0
    """Time until which that is known."""
    _goals: dict[int, float] = field(default_factory=dict)
    """The progress at which each one is done."""
    _begun: int = 0

    def use(self, seconds: float) -> Process:
        """Compute for so many processor seconds.

        >>> timeline = Timeline()
        >>> processors = Processors(timeline, 1)
        >>> for seconds in (1.0, 3.0):
        ...     timeline.spawn(processors.use(seconds))
        >>> timeline.run()
        >>> timeline.now
        4.0
        """
        self._advance()
        self._begun += 1
        me, goal = self._begun, self._progress + seconds
        self._goals[me] = goal
        while goal - self._progress > TINY:
            yield max(TINY, (min(self._goals.values()) - self._progress) / self._rate())
            self._advance()
        del self._goals[me]

    def _rate(self) -> float:
        return min(1.0, self.count / len(self._goals))

    def _advance(self) -> None:
        now = self.timeline.now
        if self._goals:
            self._progress += (now - self._seen) * self._rate()
        self._seen = now
