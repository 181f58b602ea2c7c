"""While a step of a fold runs, the next steps' tiles are fetched; sources that are read together, beside each other.

A fold asks for its tiles in the order of `Program.inputs`. Whenever it asks for one, helper threads are sent for those
that come next, up to a number of bytes; what they bring is handed over when the fold asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from typing import Any

from wukong_sched.program import BlockReader, Program, Task, Tile

READERS = 4
"""Threads that read ahead: the latency of one request passes while another's bytes do."""
MOST = 16
"""Tiles that are fetched ahead, however small."""


class Reader:
    """Reads the tiles of one fold, some of them ahead."""

    def __init__(
        self,
        block: BlockReader,
        tiles: Sequence[Tile],
        size: Callable[[Tile], int],
        helper: Executor,
        limit: int,
        awaited: Callable[[Future[Any]], Any] = Future.result,
    ) -> None:
        self._block, self._tiles, self._size, self._awaited = block, tiles, size, awaited
        self._helper, self._limit = helper, limit
        self._next = self._nbytes = 0
        self._ahead: dict[Tile, Future[Any]] = {}
        self._places = {tile: place for place, tile in enumerate(tiles)}

    def __call__(self, tile: Tile) -> Any:
        """The block of a tile, fetched before or now."""
        place = self._places.get(tile, -1)
        self._next = max(self._next, place + 1)
        future = self._ahead.pop(tile, None)
        if future is not None:
            self._nbytes -= self._size(tile)
        self._send()
        return self._block(tile) if future is None else self._awaited(future)

    def _send(self) -> None:
        while self._next < len(self._tiles) and len(self._ahead) < MOST:
            tile = self._tiles[self._next]
            size = self._size(tile)
            if self._ahead and self._nbytes + size > self._limit:
                return
            self._ahead[tile] = self._helper.submit(self._block, tile)
            self._nbytes += size
            self._next += 1

    def close(self) -> None:
        """Give up what was not asked for."""
        for future in self._ahead.values():
            future.cancel()
        self._ahead.clear()


class ReadAhead:
    """A program whose folds find their tiles fetched; everything else is the program's own.

    `awaited` waits for what a helper fetches.
    """

    def __init__(
        self,
        program: Program,
        helper: Executor,
        limit: int,
        read: Callable[[Tile], Any] | None = None,
        awaited: Callable[[Future[Any]], Any] = Future.result,
    ) -> None:
        self._program, self._helper, self._limit, self._awaited = program, helper, limit, awaited
        self.inputs, self.outputs = program.inputs, program.outputs
        self.producer, self.consumers = program.producer, program.consumers
        self.is_task_array, self.is_cheap = program.is_task_array, program.is_cheap
        self.wanted, self.is_wanted = program.wanted, program.is_wanted
        self.leaves, self.expand, self.in_order = program.leaves, program.expand, program.in_order
        self.nbytes, self.cost, self.operation = program.nbytes, program.cost, program.operation
        self.streams = program.streams
        self._read = program.read if read is None else read
        self._coming: dict[Tile, Future[Any]] = {}
        self._ahead: dict[Tile, Future[Any]] = {}
        """What is read while something else is done; other reads come between."""

    def expect(self, tiles: Sequence[Tile], meanwhile: bool = False) -> None:
        """Read those of these tiles that are sources beside each other; `read` hands them over.

        A single one is left to whoever asks for it, unless he does something else `meanwhile`.
        """
        sources = [tile for tile in tiles if not (self.is_task_array(tile[0]) or self.is_cheap(tile[0]))]
        there, other = (self._ahead, self._coming) if meanwhile else (self._coming, self._ahead)
        kept = {tile: future for tile in sources if (future := there.pop(tile, None)) is not None}
        self._give_up(there)
        if meanwhile or len(sources) > 1:
            new = [tile for tile in sources if tile not in kept and tile not in other]
            kept |= {tile: self._helper.submit(self._read, tile) for tile in new}
        there.update(kept)

    def close(self) -> None:
        """Give up what was expected and not asked for; nothing is read any more afterwards."""
        running = [*self._coming.values(), *self._ahead.values()]
        for expected in (self._coming, self._ahead):
            self._give_up(expected)
        wait(running)

    def _give_up(self, expected: dict[Tile, Future[Any]]) -> None:
        for future in expected.values():
            future.cancel()
        expected.clear()

    def read(self, tile: Tile) -> Any:
        """The block of a source, or of a cheap tile."""
        future = self._coming.pop(tile, None) or self._ahead.pop(tile, None)
        return self._read(tile) if future is None else self._awaited(future)

    def __len__(self) -> int:
        return len(self._program)

    @property
    def wanted_count(self) -> int:
        """How many tiles are wanted."""
        return self._program.wanted_count

    def run(self, task: Task, block: BlockReader) -> Sequence[Any]:
        """Run the task, a fold with its tiles fetched ahead."""
        if not self._program.streams(task):
            return self._program.run(task, block)
        program = self._program
        reader = Reader(block, program.inputs(task), program.nbytes, self._helper, self._limit, self._awaited)
        try:
            return self._program.run(task, reader)
        finally:
            reader.close()
