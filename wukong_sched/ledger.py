"""What ran here since it was last discharged, and the commits that will say so.

The discharged set D is closed (PROTOCOL rule 7): with a task it holds all undischarged tasks here that it reads from.
D is everything that ran, or a part of it: the makers of some tiles, their ancestors, and, since a tile that leaves D
must still be in memory, all readers of those tiles of D that were dropped when the last of them ran. What is not in D
is *retained*: its owner still owes it, or what it follows from, and runs it again if it must start anew.

Every tile of D with a consumer outside is stored first and announced in the commit that discharges its producer; tiles
all of whose consumers are in D leave no trace at all (rule 3). A consumer outside D that has run here is told like any
other, and settled when it is discharged itself; it may join our todo although it has run.

A tile may be announced before its producer is discharged: one with very many consumers in several commits, and one
whose producer is retained, because of another of its tiles, *alone*. How far they got stands in the record, so that a
retry goes on from there, and neither stores nor announces again what all consumers were told of. A consumer that was
told owes its producer nothing more: it is discharged without it. Whoever else ran such a producer would announce those
edges again. So as long as one has not run here, in this attempt, nothing is given away: it may be what we would give,
or follow from that. One that ran is neither, for only what did not run is given.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wukong_sched.messages import Commit, Give, Owed
from wukong_sched.program import SINK, Program, Range, Task, Tile

Cuts = Sequence[tuple[Range, tuple[Owed, ...]]]
LOOK, FEW = 5e-5, 256
"""Seconds between two looks at all tiles that are held, for each beyond a few: ten times what the look takes."""
WIDE = 64
"""Edges from which on it takes long to count them again for every commit."""
UNHURRIED = 4
"""How many times longer than others those tiles are held that the sink alone reads."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a commit discharges, and what it announces beside that."""

    tasks: Collection[Task]
    """Closed: what they need has been announced, or is among them."""
    alone: tuple[Tile, ...] = ()
    """Tiles whose makers ran here, but are retained."""

    def __bool__(self) -> bool:
        return bool(self.tasks or self.alone)


@dataclass(slots=True)
class Ledger:
    """Undischarged tasks of one executor, and their tiles."""

    program: Program
    announced: dict[Tile, int] = field(default_factory=dict)
    """Tiles of which the first so many edges have been announced, their producer not discharged."""
    ran: set[Task] = field(default_factory=set)
    settled: list[Task] = field(default_factory=list)
    """Those that ran and were owed, or read a stored tile, or were told of one."""
    consumed: list[tuple[Tile, Task, int]] = field(default_factory=list)
    open: dict[Tile, int] = field(default_factory=dict)
    """Tiles made here -> consumers that have not run here."""
    nbytes: int = 0
    """Bytes of the open tiles."""
    since: float = 0.0
    """When the first of the open tiles was made, or something was last discharged."""
    urgent: float = math.inf
    """The same of those tiles that not only the sink reads."""
    seen: float = -math.inf
    """When all open tiles were last looked at."""
    fan_out: dict[Tile, int] = field(default_factory=dict)
    """Stored tiles -> number of their consumers."""
    fan_ins: dict[Task, int] = field(default_factory=dict)
    """Tasks of many inputs -> number of those that tasks write."""
    _places: dict[Tile, dict[Task, int]] = field(default_factory=dict)
    """Of the consumers of announced tiles."""

    def __bool__(self) -> bool:
        return bool(self.ran)

    def edges(self, tile: Tile) -> list[Task]:
        """Consumers of a tile that nobody has been told of."""
        consumers = self.program.consumers(tile)
        return consumers[self.announced[tile] :] if tile in self.announced else consumers

    def is_told(self, tile: Tile, task: Task) -> bool:
        """Whether a commit has told the task of a tile whose producer is not discharged."""
        if tile not in self.announced:
            return False
        places = self._places.get(tile)
        if places is None:
            consumers = self.program.consumers(tile)
            places = self._places[tile] = dict(zip(consumers, range(len(consumers)), strict=True))
        return places.get(task, -1) < self.announced[tile]

    def will_repeat(self) -> bool:
        """Whether something that an earlier attempt announced has not been made again here."""
        return any(self.maker(tile) not in self.ran for tile in self.announced)

    def is_local(self, tile: Tile, task: Task) -> bool:
        """Whether the task gets the tile from here and nowhere else: no commit has told it of the tile."""
        return tile in self.open and not self.is_told(tile, task)

    def total(self, tile: Tile) -> int:
        """Number of consumers of a stored tile."""
        count = self.fan_out.get(tile)
        if count is None:
            count = self.fan_out[tile] = len(self.program.consumers(tile))
        return count

    def fan_in(self, task: Task) -> int:
        """Number of inputs of a task that tasks write."""
        if task == SINK:
            return self.program.wanted_count
        count = self.fan_ins.get(task)
        if count is None:
            count = produced(self.program, self.program.inputs(task))
            if count > WIDE:
                self.fan_ins[task] = count
        return count

    def made(self, tile: Tile, consumers: int, now: float) -> None:
        """A task that ran here made a tile with so many consumers."""
        if not self.open:
            self.since, self.urgent = now, math.inf
        if consumers > 1 or not self.program.is_wanted(tile):
            self.urgent = min(self.urgent, now)
        self.open[tile] = consumers
        self.nbytes += self.program.nbytes(tile)

    def age(self, now: float) -> float:
        """Seconds for which somebody may have waited for what is held here, those for the end alone in part."""
        return max(now - self.urgent, self.patience(now))

    def may_look(self, now: float) -> bool:
        """Whether all open tiles may be looked at: the more there are, the more seldom."""
        return now - self.seen >= self.pause

    @property
    def pause(self) -> float:
        """Seconds between two looks at all open tiles."""
        return LOOK * max(0, len(self.open) - FEW)

    def patience(self, now: float) -> float:
        """Seconds for which the end may have waited, as many as count: nobody else waits for what the sink reads."""
        return (now - self.since) / UNHURRIED

    def looked(self, now: float) -> None:
        """What others may wait for was looked at: it is as if it were made now."""
        self.urgent, self.seen = max(now, self.urgent), now

    def used(self, tile: Tile) -> bool:
        """One more consumer of an open tile ran here; whether it was the last."""
        left = self.open[tile] - 1
        if left:
            self.open[tile] = left
            return False
        if tile in self.announced:
            self.consumed += [(tile, task, self.total(tile)) for task in self.edges(tile)]
        del self.open[tile]
        self.nbytes -= self.program.nbytes(tile)
        return True

    def unmake(self, tasks: Collection[Task]) -> Part:
        """These, the last that were counted as run, have not begun: all else may be discharged, and they are retained.

        What they would have read is still in memory, and open.
        """
        part = self.ran.difference(tasks)
        for task in tasks:
            for tile in self.program.outputs(task):
                if self.open.pop(tile, 0):
                    self.nbytes -= self.program.nbytes(tile)
            for tile in self.program.inputs(task):
                if self.maker(tile) in part and not self.is_told(tile, task):
                    self.nbytes += 0 if tile in self.open else self.program.nbytes(tile)
                    self.open[tile] = self.open.get(tile, 0) + 1
        return Part(part)

    # ---- what to discharge

    def closure(self, tiles: Iterable[Tile]) -> set[Task]:
        """The least D that holds the makers of these tiles; linear in its edges."""
        found: set[Task] = set()
        stack = [self.maker(tile) for tile in tiles]
        while stack:
            task = stack.pop()
            if task not in found and task in self.ran:
                found.add(task)
                stack += self._bound(task)
        return found

    def _bound(self, task: Task) -> list[Task]:
        """Who must be discharged with a task, if they ran here.

        The makers of its inputs, but for those that it was told of; the readers of what it made and is not in memory.
        """
        program = self.program
        makers = [self.maker(tile) for tile in program.inputs(task) if not self.is_told(tile, task)]
        gone = [tile for tile in program.outputs(task) if tile not in self.open]
        return makers + [reader for tile in gone for reader in self.edges(tile)]

    def without(self, part: Collection[Task], tiles: Iterable[Tile]) -> set[Task]:
        """What can be discharged of a closed part while the makers of these tiles are retained; linear in its edges."""
        bound: dict[Task, list[Task]] = {}
        for task in part:
            for other in self._bound(task):
                bound.setdefault(other, []).append(task)
        retained, stack = set[Task](), [self.maker(tile) for tile in tiles]
        while stack:
            task = stack.pop()
            if task not in retained:
                retained.add(task)
                stack += bound.get(task, ())
        return {task for task in part if task not in retained}

    def maker(self, tile: Tile) -> Task:
        """The task that writes a tile; the sink if none does."""
        return self.program.producer(tile) or SINK

    def leaving(self, part: Collection[Task]) -> tuple[Tile, ...]:
        """The open tiles that these tasks made."""
        if part is self.ran:
            return tuple(self.open)
        return tuple(tile for tile in self.open if self.maker(tile) in part)

    def commits(
        self, seq: int, limit: int, cuts: Cuts, gives: Sequence[Give], yields: bool, whole: Part
    ) -> list[Commit]:
        """The commits that discharge and announce a part of what ran: but for wide tiles just one."""
        part = whole.tasks
        tiles = (*self.leaving(part), *whole.alone)
        arrivals, consumed = self._split(tiles, part)
        parts = self._parts(seq, limit, tiles) if len(arrivals) > limit else []
        settled = [task for task in self.settled if task in part]
        if parts:
            told = {(task, tile) for each in parts for task, tile, _ in each.arrivals}
            arrivals = [edge for edge in arrivals if edge[:2] not in told]
            settled += dict.fromkeys(task for each in parts for task, _, _ in each.arrivals if task in part)
        consumed += [each for each in self.consumed if each[1] in part]
        last = Commit(seq + len(parts), tuple(dict.fromkeys(settled)), tuple(arrivals), tuple(consumed))
        waiting = {**self._waiting(part), **{tile: self.total(tile) for tile in whole.alone}}
        announced = tuple(waiting.items())
        return [*parts, replace(last, cuts=tuple(cuts), gives=tuple(gives), yields=yields, announced=announced)]

    def renewal(self, seq: int, cuts: Cuts = (), gives: tuple[Give, ...] = ()) -> Commit:
        """A commit that discharges nothing."""
        return Commit(seq, cuts=tuple(cuts), gives=gives, announced=tuple(self.announced.items()))

    def _waiting(self, part: Collection[Task]) -> dict[Tile, int]:
        """What stays announced, its producer not discharged."""
        return {tile: count for tile, count in self.announced.items() if self.maker(tile) not in part}

    def _split(
        self, tiles: Iterable[Tile], part: Collection[Task]
    ) -> tuple[list[tuple[Task, Tile, int]], list[tuple[Tile, Task, int]]]:
        """Edges that leave D, and those consumers of the same tiles that are in it."""
        arrivals, consumed = [], []
        for tile in tiles:
            for task in self.edges(tile):
                if task in part:
                    consumed.append((tile, task, self.total(tile)))
                else:
                    arrivals.append((task, tile, self.fan_in(task)))
        return arrivals, consumed

    def _parts(self, seq: int, limit: int, tiles: Iterable[Tile]) -> list[Commit]:
        """Commits that announce all edges but the last few, in the order of each tile's consumers.

        How far they got is a number for each tile, so they leave out none: a consumer that ran here is told too, and
        settled by the commit that discharges everything. If that never comes, somebody owes it.
        """
        edges = [(task, tile, self.fan_in(task)) for tile in tiles for task in self.edges(tile)]
        announced, parts = dict(self.announced), list[Commit]()
        for start in range(0, len(edges) - limit, limit):
            part = tuple(edges[start : start + limit])
            for _, tile, _ in part:
                announced[tile] = announced.get(tile, 0) + 1
            parts.append(Commit(seq + len(parts), arrivals=part, announced=tuple(announced.items())))
        return parts

    # ---- what was discharged

    def discharge(self, whole: Part, announced: Mapping[Tile, int], now: float) -> None:
        """These tasks are discharged; the edges that leave them, and those of tiles alone, are announced."""
        part = whole.tasks
        if len(part) == len(self.ran):
            self.clear(announced)
            return
        self.settled = [task for task in self.settled if task not in part]
        self.consumed = [each for each in self.consumed if each[1] not in part]
        told = dict.fromkeys(self.settled)
        for tile in (*self.leaving(part), *whole.alone):
            for task in self.edges(tile):
                if task in self.ran and task not in part:
                    self.consumed.append((tile, task, self.total(tile)))
                    told[task] = None
            del self.open[tile]
            self.nbytes -= self.program.nbytes(tile)
        self.settled = list(told)
        self.announced = dict(announced)
        self.ran = {task for task in self.ran if task not in part}
        if whole:
            self.since = now
            self.looked(now)

    def clear(self, announced: Mapping[Tile, int]) -> None:
        """Everything is discharged."""
        self.announced = dict(announced)
        self.ran = set()
        self.settled, self.consumed = [], []
        self.open = {}
        self.fan_out = {tile: count for tile, count in self.fan_out.items() if count > WIDE}
        self._places = {}
        self.nbytes = 0


def produced(program: Program, tiles: Sequence[Tile]) -> int:
    """How many of these tiles are written by tasks."""
    return sum(map(program.is_task_array, [array for array, _ in tiles]))
