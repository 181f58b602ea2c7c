"""What one executor's tasks take in and give out, and what of that is moved: counted where it passes by.

Against a scheduler that fetches each input and stores each result, locality saves the inputs that were here already,
and the results that nobody else needed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from wukong_sched.functions.cloud import JobStorage
from wukong_sched.functions.readahead import ReadAhead
from wukong_sched.functions.usage import Usage
from wukong_sched.program import BlockReader, Program, Task, Tile
from wukong_sched.storage.blocks import nbytes_of


class Meter:
    """One executor's counts; seconds are those of the thread that made it, what others do beside it costs none."""

    def __init__(self) -> None:
        self.usage = Usage(executors=1)
        self.taken = self.made = self.fetched = self.stored = 0
        """Bytes, as they are in memory."""
        self._thread = threading.get_ident()
        self._within = 0.0
        self.lock = threading.Lock()
        """Seconds of fetching within the instruction that is carried out."""

    def spent(self, what: str, seconds: float) -> None:
        """So many seconds went to an instruction; what a task waited for its tiles is no computing."""
        within, self._within = self._within, 0.0
        if what == "compute":
            self.usage.spent("fetch", within)
            seconds -= within
        self.usage.spent(what, seconds)

    def timed(self, fetch: Callable[[], Any]) -> Any:
        """What `fetch` gives, its time counted."""
        began = time.monotonic()
        try:
            return fetch()
        finally:
            if threading.get_ident() == self._thread:
                self._within += time.monotonic() - began

    def awaited(self, future: Future[Any]) -> Any:
        """What a helper thread fetches."""
        return self.timed(future.result)

    def source(self, read: Callable[[Tile], Any], tile: Tile) -> Any:
        """A source tile that is read."""
        block = self.timed(lambda: read(tile))
        with self.lock:
            self.usage.read("source", nbytes_of(block))
        return block

    @property
    def saved(self) -> int:
        """Bytes that locality has saved."""
        return max(0, self.taken - self.fetched) + max(0, self.made - self.stored)


class MeteredProgram(ReadAhead):
    """A program whose tasks are measured at their inputs and results.

    `starting` is told of each task before it runs, `made` of its results.
    """

    def __init__(
        self,
        program: Program,
        helper: Executor,
        limit: int,
        read: Callable[[Tile], Any],
        meter: Meter,
        starting: Callable[[Task], None] = lambda task: None,
        made: Callable[[Task, Sequence[Any]], None] = lambda task, results: None,
    ) -> None:
        super().__init__(program, helper, limit, read, meter.awaited)
        self._meter, self._starting, self._made = meter, starting, made

    def run(self, task: Task, block: BlockReader) -> Sequence[Any]:
        """Run the task."""
        meter, is_made = self._meter, self.is_task_array
        self._starting(task)

        def taken(tile: Tile) -> Any:
            found = block(tile)
            if is_made(tile[0]):
                meter.taken += nbytes_of(found)
            return found

        results = super().run(task, taken)
        meter.made += sum(map(nbytes_of, results))
        self._made(task, results)
        return results


class MeteredStorage:
    """A job's tiles, of which those that go in and out are measured."""

    def __init__(self, storage: JobStorage, meter: Meter) -> None:
        self._storage, self._meter = storage, meter

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        self._storage.put(blocks)
        with self._meter.lock:
            self._meter.stored += sum(map(nbytes_of, blocks.values()))

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        found: dict[Tile, Any] = self._meter.timed(lambda: self._storage.get(tiles))
        with self._meter.lock:
            self._meter.fetched += sum(map(nbytes_of, found.values()))
        return found

    def delete(self, tiles: Iterable[Tile]) -> None:
        self._storage.delete(tiles)

    def tiles(self) -> Iterable[Tile]:
        return self._storage.tiles()
