"""What an executor's core is told (events), and what it says in return (instructions).

All are frozen and carry many tiles or tasks at once: one object per tile would cost more than the scheduling.
Whatever a core decides follows from the sequence of events and times that it was handed, so a recorded sequence
(`wukong_sched.trace`) replays to the same instructions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from wukong_sched.errors import Story
from wukong_sched.program import Range, Task, Tile

Owed = Task | Range
"""An entry of a record's todo: one task ``(rule, index)``, or the tasks of a range ``(rule, piece, start, stop)``."""


def identity(owed: Owed) -> str:
    """The executor id that a task, or a range by its first number, lends to its owner."""
    if len(owed) == 2:
        return f"{owed[0]}[{','.join(map(str, owed[1]))}]"
    return f"{owed[0]}/{owed[1]}@{owed[2]}"


# ---- events


@dataclass(frozen=True, slots=True)
class Started:
    """The record is ours: `todo` is what it owes, `seq` its number of commits so far."""

    seq: int
    todo: tuple[Owed, ...]
    announced: Mapping[Tile, int]
    """Tiles of which an earlier attempt has announced the first so many edges, their producer not discharged."""
    idle: int
    """Executors that could start at once if they were invoked now."""
    waited: float = 0.0
    """Seconds since this executor was invoked; 0 where nobody measures."""
    attempts: int = 1
    """Starts since the record last moved on, this one among them."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody else holds the record, or there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The tiles asked for are here, but for the missing ones."""

    missing: tuple[Tile, ...]
    seconds: float = 0.0
    """How long it took; 0 where nobody measures."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The steps of the last Run are done."""

    seconds: float
    """How long they took."""
    idle: int
    """Executors that could start at once if they were invoked now."""
    left: int = 0
    """How many of the steps, the last ones, did not begin because the time was up."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A task raised an exception; the job cannot go on."""

    story: Story


@dataclass(frozen=True, slots=True)
class Stored:
    """The tiles of the last Store are where others can read them."""

    seconds: float = 0.0
    """How long it took; 0 where nobody measures."""
    idle: int = 0
    """Executors that could start at once if they were invoked now."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit was carried out."""

    joined: tuple[Task, ...]
    """Tasks that it completed; they are ours, unless it gave them away."""
    freed: tuple[Tile, ...]
    """Stored tiles all of whose consumers are discharged now."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The record is not ours any more, or the job is over: stop at once, touch nothing."""


@dataclass(frozen=True, slots=True)
class Peeked:
    """What had arrived for the tasks peeked at."""

    arrived: Mapping[Task, frozenset[Tile]]


@dataclass(frozen=True, slots=True)
class Woke:
    """A Wait is over."""


Event = Started | Refused | Fetched | Ran | Raised | Stored | Committed | Gone | Peeked | Woke

# ---- instructions


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring these tiles into this executor's memory."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Run these tasks one after the other."""

    steps: tuple[tuple[Task, list[Tile], list[Tile]], ...]
    """For each task: itself, its outputs, and the tiles to drop from this executor's memory once it has run."""
    limit: float = math.inf
    """Seconds after which no further step shall begin; the first begins in any case."""
    ahead: tuple[Tile, ...] = ()
    """Sources that are to be fetched next, unless something comes between: whoever can reads them meanwhile."""


@dataclass(frozen=True, slots=True)
class Store:
    """Put these tiles, which are in this executor's memory, where others can read them; keep them here too."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Give:
    """A new record: the executor `id` will owe these."""

    id: str
    todo: tuple[Owed, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """The one atomic script (PROTOCOL rule 5)."""

    seq: int
    """The record's number of commits before this one."""
    discharged: tuple[Task, ...] = ()
    """Tasks that ran here and either were owed or have arrival records; purely local ones need no mention."""
    arrivals: tuple[tuple[Task, Tile, int], ...] = ()
    """(consumer, tile, number of distinct produced inputs of the consumer): edges that leave."""
    consumed: tuple[tuple[Tile, Task, int], ...] = ()
    """(stored tile, discharged consumer, number of consumers of the tile)."""
    cuts: tuple[tuple[Range, tuple[Owed, ...]], ...] = ()
    """A range of todo, and what remains of it."""
    gives: tuple[Give, ...] = ()
    announced: tuple[tuple[Tile, int], ...] = ()
    """Tiles of which the first so many edges, or all, are announced, their producer not yet discharged."""
    yields: bool = False
    """Hand-over: the lease ends with this commit."""
    done: bool = False
    """The sink ran: the job is done."""
    failure: Story | None = None
    """A task raised: the job ends."""
    lost: Tile | None = None
    """A stored tile is not there: the job needs a resume."""

    @property
    def moves_on(self) -> bool:
        """Whether a retry begins further on than it would have before: then earlier attempts count no more."""
        return bool(self.discharged or self.cuts or (self.yields and self.arrivals))


@dataclass(frozen=True, slots=True)
class Peek:
    """Read which inputs of these tasks have arrived."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so much time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Invoke:
    """Start these executors. Needs no answer: if it is lost, a watchdog makes up for it."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove these tiles from the store. Needs no answer: if it is lost, the sweep makes up for it."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget these tiles in this executor's memory."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """This executor is at its end."""


Instruction = Fetch | Run | Store | Commit | Peek | Wait | Invoke | Delete | Drop | Finish
