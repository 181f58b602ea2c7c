"""What ran here since the last commit, and the commit that will say so.

The discharged set D is everything that ran here, so it is closed (PROTOCOL rule 7). Every tile of D with a consumer
outside is stored first and announced in the commit that discharges its producer; tiles all of whose consumers ran
here leave no trace at all (rule 3). A tile with very many consumers is announced in several commits, all before the
one that discharges its producer; how far they got stands in the record, so that a retry goes on from there. Until
that producer is discharged its executor gives nothing away: whoever else ran it would announce those edges again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from wukong_sched.messages import Commit, Give, Owed
from wukong_sched.program import SINK, Program, Range, Task, Tile

Cuts = Sequence[tuple[Range, tuple[Owed, ...]]]


@dataclass(slots=True)
class Ledger:
    """Undischarged tasks of one executor, and their tiles."""

    program: Program
    announced: dict[Tile, int] = field(default_factory=dict)
    """Wide tiles of which the first so many edges have been announced, their producer not discharged."""
    ran: set[Task] = field(default_factory=set)
    settled: list[Task] = field(default_factory=list)
    """Those that ran and were owed, or read a stored tile."""
    consumed: list[tuple[Tile, Task, int]] = field(default_factory=list)
    open: dict[Tile, int] = field(default_factory=dict)
    """Tiles made here -> consumers that have not run here."""
    nbytes: int = 0
    """Bytes of the open tiles."""
    since: float = 0.0
    """When the first of the open tiles was made."""
    fan_out: dict[Tile, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ran)

    def edges(self, tile: Tile) -> list[Task]:
        """Consumers of a tile that nobody has been told of."""
        consumers = self.program.consumers(tile)
        return consumers[self.announced[tile] :] if tile in self.announced else consumers

    def is_local(self, tile: Tile, task: Task) -> bool:
        """Whether the task gets the tile from here and nowhere else: no commit has told it of the tile."""
        return tile in self.open and (tile not in self.announced or task in self.edges(tile))

    def total(self, tile: Tile) -> int:
        """Number of consumers of a stored tile."""
        count = self.fan_out.get(tile)
        if count is None:
            count = self.fan_out[tile] = len(self.program.consumers(tile))
        return count

    def made(self, tile: Tile, consumers: int, now: float) -> None:
        """A task that ran here made a tile with so many consumers."""
        if not self.open:
            self.since = now
        self.open[tile] = consumers
        self.nbytes += self.program.nbytes(tile)

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

    def commits(self, seq: int, limit: int, cuts: Cuts, gives: Sequence[Give], yields: bool) -> list[Commit]:
        """The commits that discharge everything: but for wide tiles just one."""
        arrivals, consumed = self._leaving()
        parts = self._parts(seq, limit) if len(arrivals) > limit else []
        settled = list(self.settled)
        if parts:
            told = {(task, tile) for part in parts for task, tile, _ in part.arrivals}
            arrivals = [edge for edge in arrivals if edge[:2] not in told]
            settled += dict.fromkeys(task for part in parts for task, _, _ in part.arrivals if task in self.ran)
        waiting = tuple((tile, count) for tile, count in self.announced.items() if not self._has_run(tile))
        last = Commit(seq + len(parts), tuple(settled), tuple(arrivals), tuple(self.consumed + consumed))
        return [*parts, replace(last, cuts=tuple(cuts), gives=tuple(gives), yields=yields, announced=waiting)]

    def renewal(self, seq: int, cuts: Cuts = (), gives: tuple[Give, ...] = ()) -> Commit:
        """A commit that discharges nothing."""
        return Commit(seq, cuts=tuple(cuts), gives=gives, announced=tuple(self.announced.items()))

    def _has_run(self, tile: Tile) -> bool:
        return self.program.producer(tile) in self.ran

    def _leaving(self) -> tuple[list[tuple[Task, Tile, int]], list[tuple[Tile, Task, int]]]:
        """Edges from here to elsewhere, and those consumers of the same tiles that ran here."""
        arrivals, consumed, totals = [], [], {SINK: self.program.wanted_count}
        for tile in self.open:
            for task in self.edges(tile):
                if task in self.ran:
                    consumed.append((tile, task, self.total(tile)))
                else:
                    arrivals.append((task, tile, self._fan_in(task, totals)))
        return arrivals, consumed

    def _parts(self, seq: int, limit: int) -> list[Commit]:
        """Commits that announce all edges but the last few, in the order of each tile's consumers.

        How far they got is a number for each tile, so they leave out none: a consumer that ran here is told too, and
        settled by the commit that discharges everything. If that never comes, somebody owes it.
        """
        totals = {SINK: self.program.wanted_count}
        edges = [(task, tile, self._fan_in(task, totals)) for tile in self.open for task in self.edges(tile)]
        announced, parts = dict(self.announced), list[Commit]()
        for start in range(0, len(edges) - limit, limit):
            part = tuple(edges[start : start + limit])
            for _, tile, _ in part:
                announced[tile] = announced.get(tile, 0) + 1
            parts.append(Commit(seq + len(parts), arrivals=part, announced=tuple(announced.items())))
        return parts

    def _fan_in(self, task: Task, totals: dict[Task, int]) -> int:
        total = totals.get(task)
        if total is None:
            total = totals[task] = produced(self.program, self.program.inputs(task))
        return total

    def clear(self, announced: Mapping[Tile, int]) -> None:
        """Everything is discharged."""
        self.announced = dict(announced)
        self.ran = set()
        self.settled, self.consumed = [], []
        self.open = {}
        self.fan_out = {}
        self.nbytes = 0


def produced(program: Program, tiles: Sequence[Tile]) -> int:
    """How many of these tiles are written by tasks."""
    return sum(map(program.is_task_array, [array for array, _ in tiles]))
