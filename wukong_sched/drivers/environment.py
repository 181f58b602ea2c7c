"""The process of one simulated function: what it holds, and what happens when that is too much.

A block counts with the bytes that the program plans for it, and once, however many refer to it: the executor's memory,
the tiles that the process remembers for later executors, what a running task reads and makes. Whoever would hold more
than the limit is ended there and then, in the middle of a task or of a fetch, and tells nobody. What is nearly too much
when a Run is over makes the executor hand over, and the process forget, as in `wukong_sched.functions.execution`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from wukong_sched.drivers.pump import Surroundings
from wukong_sched.executor_state import ExecutorState
from wukong_sched.functions.execution import FULL
from wukong_sched.functions.readahead import ReadAhead
from wukong_sched.functions.warm import Recent, WarmStorage
from wukong_sched.functions.worker import SHARE
from wukong_sched.program import BlockReader, Program, Task, Tile
from wukong_sched.storage.protocol import Storage

STEPS = 4
"""Tiles of two steps of a fold, which is what it has at hand, where each step reads two."""


class OutOfMemory(BaseException):
    """The process is ended: nothing within it can take this for an error of a task's or of a store's."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A block that takes as many bytes as planned."""

    block: Any
    nbytes: int


class Remembered(Recent):
    """What a process remembers; bytes are those planned."""

    def __init__(self, size: Callable[[Tile], int], limit: int) -> None:
        super().__init__(limit)
        self._size = size

    def find(self, tile: Tile) -> Any | None:
        found = super().find(tile)
        return None if found is None else found.block

    def keep(self, tile: Tile, block: Any) -> None:
        super().keep(tile, Sized(block, self._size(tile)))

    def tiles(self) -> Iterable[Tile]:
        """Whatever is remembered."""
        return self._blocks


class Weighed(ReadAhead):
    """A program that shows what its tasks have at hand while they run."""

    def __init__(self, program: Program, weigh: Callable[[Collection[Tile]], None]) -> None:
        super().__init__(program, Executor(), 0)
        self._weigh = weigh

    def run(self, task: Task, block: BlockReader) -> Sequence[Any]:
        """Run the task; a fold lets go of what earlier steps have read."""
        hand: dict[Tile, None] = {}
        most = STEPS if self.streams(task) else math.inf

        def read(tile: Tile) -> Any:
            hand[tile] = None
            if len(hand) > most:
                del hand[next(iter(hand))]
            self._weigh(hand)
            return block(tile)

        made = self._program.run(task, read)
        self._weigh([*hand, *self.outputs(task)])
        return made


class Environment:
    """One process, from its cold start to its end; `limit` in bytes, infinite where nobody counts them."""

    def __init__(self, program: Program, storage: Storage, limit: float = math.inf) -> None:
        self._size, self.limit = program.nbytes, limit
        self.memory: dict[Tile, Any] = {}
        """The blocks of the executor that works here."""
        if limit < math.inf:
            self._recent = Remembered(program.nbytes, int(limit) // SHARE)
            self._storage, self._program = WarmStorage(storage, self._recent), Weighed(program, self.weigh)

    def lend(self, around: Surroundings) -> Surroundings:
        """What an executor works with here; nothing is left of the one before but what the process remembers."""
        self.memory = {}
        return around if self.limit == math.inf else replace(around, program=self._program, storage=self._storage)

    def weigh(self, hand: Collection[Tile] = ()) -> None:
        """Raise OutOfMemory if what is here and at hand is more than there may be."""
        if self.limit < math.inf and (held := self.resident(hand)) > self.limit:
            raise OutOfMemory(f"{held} bytes, of {self.limit:.0f}")

    def resident(self, hand: Collection[Tile] = ()) -> int:
        """Bytes that are held, with what is at hand."""
        return sum(map(self._size, {*self.memory, *self._recent.tiles(), *hand}))

    def relieve(self, core: ExecutorState) -> bool:
        """Whether memory is nearly full; then the process forgets, and its executor is to hand over."""
        if self.limit == math.inf or self.resident() <= FULL * self.limit:
            return False
        self._recent.clear()
        core.deadline = 0.0
        return True
