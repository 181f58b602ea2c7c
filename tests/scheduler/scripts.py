"""Scripts of events for one executor core, and what must hold of everything it says.

Programs are small `Graph`s: tile `v(i)` is the output of task `i`, which is a leaf or a node.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from wukong_sched.drivers.graphs import Graph
from wukong_sched.executor_state import ExecutorState, Phase
from wukong_sched.messages import (
    Commit,
    Committed,
    Event,
    Fetched,
    Finish,
    Gone,
    Instruction,
    Invoke,
    Owed,
    Peeked,
    Ran,
    Run,
    Started,
    Store,
    Stored,
)
from wukong_sched.program import SINK, Task, Tile


def leaf(number: int) -> Task:
    return "leaf", (number,)


def node(number: int) -> Task:
    return "node", (number,)


def v(number: int, output: int = 0) -> Tile:
    return "v", (number, output)


def a(number: int) -> Tile:
    return "a", (number,)


def graph(*inputs: Iterable[int], wanted: Iterable[int], **others: Any) -> Graph:
    """Each task's inputs are the first outputs of earlier tasks."""
    return Graph([[(j, 0) for j in row] for row in inputs], [(i, 0) for i in wanted], **others)


@dataclass
class Fixed:
    """A policy that always gives the same answers."""

    quantum: float = 100.0
    batch_bytes: int = 1 << 30
    edges: int = 1000
    renewal: float = math.inf
    split: int = 1
    expose: bool = False
    hold: bool = True
    wait: float = 0.0
    link: float = 0.0
    """Seconds to move a byte."""
    stop: float = math.inf
    """When to hand over."""
    retain: int = -1
    """Bytes that stay here while others are stored."""
    stay: bool = False
    """Whether what was made with a tile that others wait for stays here."""
    keep: int = -1
    """Bytes of stored tiles that stay in memory."""

    def seconds(self, cost: Any) -> float:
        return 1.0

    def fetches(self, nbytes: int) -> float:
        return self.link * nbytes

    def parts(self, work: float, nbytes: int, tasks: int, idle: int) -> int:
        return min(self.split, tasks)

    def opening(self) -> Fixed:
        return self

    def exposes(self, work: float) -> bool:
        return self.expose

    def holds(self, nbytes: int, seconds: float) -> bool:
        return self.hold

    def retains(self, nbytes: int) -> bool:
        return nbytes <= self.retain

    def stays(self, nbytes: int) -> bool:
        return self.stay

    def keeps(self, nbytes: int) -> bool:
        return nbytes <= self.keep

    def patience(self, nbytes: int, worked: float = 0.0, alone: bool = False) -> float:
        return self.wait

    def inlines(self, nbytes: int) -> bool:
        return False

    def yields(self, now: float, deadline: float) -> bool:
        return now >= self.stop

    def observed(self, nbytes: int, seconds: float) -> Fixed:
        return self

    def started(self, seconds: float) -> Fixed:
        return self

    def attempted(self, attempts: int) -> Fixed:
        return self


@dataclass
class Script:
    """One executor, its events and what it said."""

    program: Graph
    policy: Fixed = field(default_factory=Fixed)
    id: str = "e"
    now: float = 0.0
    said: list[tuple[Event, list[Instruction]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.core = ExecutorState(self.program, self.policy, self.id)

    def tell(self, event: Event) -> list[Instruction]:
        """What the core says to this event."""
        instructions = self.core.handle(event, self.now)
        self.said.append((event, instructions))
        return instructions

    def start(self, *todo: Owed, seq: int = 0, idle: int = 0, announced: dict[Tile, int] | None = None) -> Any:
        return self.tell(Started(seq, todo, announced or {}, idle))

    def fetched(self, *missing: Tile) -> Any:
        return self.tell(Fetched(missing))

    def ran(self, seconds: float = 1.0, idle: int = 0) -> Any:
        """The last Run took so long for each task."""
        return self.tell(Ran(seconds * len(self.core.batch.steps), idle))

    def stored(self) -> Any:
        return self.tell(Stored())

    def committed(self, *joined: Task, freed: tuple[Tile, ...] = ()) -> Any:
        return self.tell(Committed(joined, freed))

    def peeked(self, **arrived: Any) -> Any:
        """What has arrived, by task number: ``n2=[v(1)]``."""
        tasks = self.core.frontier.pending
        return self.tell(Peeked({task: frozenset(arrived.get(f"n{task[1][0]}", ())) for task in tasks}))

    def gone(self) -> Any:
        return self.tell(Gone())

    # ---- what must hold at the end

    def validate(self) -> None:
        """The invariants of everything that was said."""
        instructions = [instruction for _, said in self.said for instruction in said]
        for number, (event, said) in enumerate(self.said):
            assert said, f"no answer to {event}"
            if isinstance(event, Gone):
                assert said == [Finish()], f"after GONE: {said}"
                assert number == len(self.said) - 1
        self._validate_order(instructions)
        self._validate_commits([i for i in instructions if isinstance(i, Commit)])
        if self.core.phase is not Phase.ENDED:
            self._validate_state()

    def _validate_order(self, instructions: list[Instruction]) -> None:
        """Tiles are made before they are stored, stored before they are announced; records written before invoked."""
        made: set[Tile] = set()
        stored: set[Tile] = set()
        registered = {self.id}
        for instruction in instructions:
            if isinstance(instruction, Run):
                made.update(tile for _, outputs, _ in instruction.steps for tile in outputs)
            elif isinstance(instruction, Store):
                assert made.issuperset(instruction.tiles), f"stored but never made: {instruction}"
                stored.update(instruction.tiles)
            elif isinstance(instruction, Commit):
                assert stored.issuperset(tile for _, tile, _ in instruction.arrivals), f"announced first: {instruction}"
                assert len(instruction.arrivals) <= self.policy.edges
                registered.update(give.id for give in instruction.gives)
                assert self.id not in {give.id for give in instruction.gives}
            elif isinstance(instruction, Invoke):
                assert registered.issuperset(instruction.ids), f"invoked without a record: {instruction}"

    def _validate_commits(self, commits: list[Commit]) -> None:
        first = commits[0].seq if commits else 0
        assert [commit.seq for commit in commits] == list(range(first, first + len(commits)))
        for commit in commits:
            leaving = [(task, tile) for task, tile, _ in commit.arrivals]
            assert len(leaving) == len(set(leaving)), f"an edge is announced twice: {commit}"
            assert not commit.done or commit.discharged == (SINK,)

    def _validate_state(self) -> None:
        core = self.core
        ready = core.backlog.ready
        assert len(ready) == len(set(ready)), f"a task is ready twice: {ready}"
        assert not set(ready) & core.ledger.ran, "a task that ran is ready again"
        assert not set(ready) & set(core.frontier.pending), "a task is ready and pending"
        counts = (core.frontier.pending, core.ledger.open, core.frontier.kept)
        assert all(count > 0 for counted in counts for count in counted.values())
        sizes = sum(map(self.program.nbytes, core.ledger.open))
        assert core.ledger.nbytes == sizes, f"{core.ledger.nbytes} bytes held, counted {sizes}"
