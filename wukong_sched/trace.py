"""What happened, executor by executor; and its replay, which must say the same again."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from wukong_sched.executor_state import ExecutorState
from wukong_sched.messages import Event, Instruction
from wukong_sched.policy import Policy
from wukong_sched.program import Program


@dataclass(frozen=True, slots=True)
class Entry:
    """One call of a core."""

    event: Event
    now: float
    """Seconds."""
    instructions: tuple[Instruction, ...]
    deadline: float = math.inf
    """The core's; it is over once memory is nearly full."""


@dataclass(slots=True)
class History:
    """All calls of one executor's core."""

    id: str
    entries: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Trace:
    """The histories of all attempts of all executors of a job, by (id, token)."""

    histories: dict[tuple[str, str], History] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(
        self, core: ExecutorState, token: str, event: Event, now: float, instructions: list[Instruction]
    ) -> None:
        """Note one call of a core."""
        with self._lock:
            history = self.histories.setdefault((core.id, token), History(core.id))
        history.entries.append(Entry(event, now, tuple(instructions), core.deadline))


def replay(trace: Trace, program: Program, policy: Policy) -> list[str]:
    """Hand every recorded event to a fresh core; the first thing that each says otherwise than was recorded.

    What was recorded after that answers what was said then, and need not make sense to it any more.
    """
    differences = []
    for history in trace.histories.values():
        core = ExecutorState(program, policy, history.id)
        for number, entry in enumerate(history.entries):
            core.deadline = entry.deadline
            said = tuple(core.handle(entry.event, entry.now))
            if said != entry.instructions:
                differences.append(f"{history.id}, call {number}: recorded {entry.instructions}, replayed {said}")
                break
    return differences
