"""What each sandbox is doing, in a small file per process that the killer maps too.

The sandbox writes the phase that it is in; the killer may wish for one, and then the sandbox pauses there a moment, so
that moments of microseconds can be met. A phase that is read while the process is stopped is exact.
"""

from __future__ import annotations

import enum
import mmap
import os
import time
from pathlib import Path

SIZE = 16
PHASE, WISH = 0, 1
HOLD = 0.2
"""Seconds that a sandbox waits in a phase that the killer wishes for; far less than a lease."""
TICK = 0.0005
DIRECTORY = "phases"


class Phase(enum.IntEnum):
    """Where in an invocation a process is."""

    IDLE = 0
    WORKING = 1
    """Anything that is none of the following."""
    RUNNING = 2
    """In a task."""
    STORING = 3
    STORED = 4
    """Stored, and not yet committed."""
    COMMITTING = 5
    COMMITTED = 6
    """Committed, and what follows from it (invocations, deletions) not yet done."""


AT_WORK = frozenset({Phase.RUNNING, Phase.STORED})
"""Phases in which a kill costs most: a running task, and between a store and its commit."""
MOMENTS = frozenset({Phase.STORING, Phase.STORED, Phase.COMMITTING, Phase.COMMITTED})
"""Phases so short that they have to be wished for."""


class Record:
    """One process's file."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, SIZE)
            self._map = mmap.mmap(handle, SIZE)
        finally:
            os.close(handle)

    @property
    def phase(self) -> Phase:
        return Phase(self._map[PHASE])

    def wish(self, phase: Phase) -> None:
        """Let the process wait when it is there; for IDLE, nowhere."""
        self._map[WISH] = phase

    def enter(self, phase: Phase) -> None:
        """The process is in this phase from now on."""
        self._map[PHASE] = phase
        over = time.monotonic() + HOLD
        while phase in MOMENTS and self._map[WISH] == phase and time.monotonic() < over:
            time.sleep(TICK)

    def close(self) -> None:
        self._map.close()
