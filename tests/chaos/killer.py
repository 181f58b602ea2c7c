"""Ends sandboxes, each at a moment that it has chosen: it stops the process, reads its phase, and kills it then."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.phases import AT_WORK, DIRECTORY, Phase, Record

OTHER = 7
"""Each so manieth kill comes at any other moment: counted, since a coin would sometimes fall too often on one side."""
STOPPED = "T"
TICK = 0.0005


@dataclass
class Killer:
    """Kills one of the processes that `busy` names every so many seconds, from `start` until `stop`."""

    home: Path
    busy: Callable[[], list[int]]
    rng: random.Random
    interval: float = 0.5
    kills: Counter[Phase] = field(default_factory=Counter)
    _records: dict[int, Record] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="killer")
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._wish(Phase.IDLE)
        for record in self._records.values():
            record.close()
        self._records.clear()

    @property
    def at_work(self) -> float:
        """Part of the kills that came within a task, or between a store and its commit."""
        total = sum(self.kills.values())
        return sum(self.kills[phase] for phase in AT_WORK) / total if total else 0.0

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._strike()
            due += self.interval

    def _strike(self) -> None:
        """One kill, as soon as some process is where it is wished to be."""
        is_other = (self.kills.total() + 1) % OTHER == 0
        phases = sorted(set(Phase) - AT_WORK if is_other else AT_WORK)
        wished = self.rng.choice(phases)
        while not self._over.is_set():
            self._wish(wished)
            candidates = [pid for pid, record in self._seen().items() if record.phase == wished]
            if candidates and self._killed(self.rng.choice(candidates), wished):
                break
            self._over.wait(TICK)
        self._wish(Phase.IDLE)

    def _seen(self) -> dict[int, Record]:
        """Records of the processes that live."""
        busy = set(self.busy())
        for pid in busy - self._records.keys():
            path = self.home / DIRECTORY / str(pid)
            if path.exists():
                self._records[pid] = Record(path)
        for pid in self._records.keys() - busy:
            self._records.pop(pid).close()
        return self._records

    def _wish(self, phase: Phase) -> None:
        for record in self._records.values():
            record.wish(phase)

    def _killed(self, pid: int, wished: Phase) -> bool:
        """Stop the process, look, and kill it if it still is where it was; else let it go on."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(pid, signal.SIGSTOP)
            while not is_stopped(pid):
                time.sleep(TICK)
            phase = self._records[pid].phase
            if phase == wished:
                os.kill(pid, signal.SIGKILL)
                self.kills[phase] += 1
                return True
            os.kill(pid, signal.SIGCONT)
        return False


def is_stopped(pid: int) -> bool:
    """Whether no thread of a process runs; raises FileNotFoundError for one that has ended."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    if not states or states[0] in "ZX":
        raise FileNotFoundError(pid)
    return set(states) == {STOPPED}
