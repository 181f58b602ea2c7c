"""What happened, executor by executor; and its replay, which must say the same again."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from wukong_sched.executor_state import ExecutorState
from wukong_sched.messages import Event, Instruction, Run, Store
from wukong_sched.policy import Policy
from wukong_sched.program import Program, Task, Tile


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


def ran(trace: Trace) -> dict[Task, set[str]]:
    """The executors that ran each task."""
    found: dict[Task, set[str]] = {}
    for id, instruction in _instructions(trace):
        for task, _, _ in instruction.steps if isinstance(instruction, Run) else ():
            found.setdefault(task, set()).add(id)
    return found


def stored(trace: Trace) -> list[tuple[str, Tile]]:
    """The tiles that were written, each with the executor that wrote it."""
    stores = ((id, said) for id, said in _instructions(trace) if isinstance(said, Store))
    return [(id, tile) for id, store in stores for tile in store.tiles]


def written_in_vain(trace: Trace, program: Program) -> list[Tile]:
    """The tiles that were written, though nobody wants them and nobody but who wrote them has run what reads them.

    >>> from wukong_sched.drivers.graphs import Graph
    >>> from wukong_sched.messages import Stored
    >>> program = Graph([[], [(0, 0)], [(0, 1)]], wanted=[(1, 0), (2, 0)], outputs=[2, 1, 1])
    >>> one, two = ("v", (0, 0)), ("v", (0, 1))
    >>> both = Run(((("leaf", (0,)), [one, two], []), (("node", (1,)), [("v", (1, 0))], [one])))
    >>> last = Run(((("node", (2,)), [("v", (2, 0))], []),))
    >>> said = {"a": (both, Store((one, two, ("v", (1, 0))))), "b": (last, Store((("v", (2, 0)),)))}
    >>> trace = Trace({(id, ""): History(id, [Entry(Stored(), 0.0, each)]) for id, each in said.items()})
    >>> written_in_vain(trace, program)
    [('v', (0, 0))]
    """
    by, nobody = ran(trace), set[str]()
    written = [(id, tile) for id, tile in stored(trace) if not program.is_wanted(tile)]
    return [tile for id, tile in written if nobody.union(*(by.get(t, nobody) for t in program.consumers(tile))) == {id}]


def _instructions(trace: Trace) -> Iterator[tuple[str, Instruction]]:
    for history in trace.histories.values():
        for entry in history.entries:
            for instruction in entry.instructions:
                yield history.id, instruction


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
