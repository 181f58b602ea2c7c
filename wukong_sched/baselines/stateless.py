"""A task without a past: every input is read from the object store, every result is written there.

All inputs of a task are read at once, beside each other; those of a fold a few steps ahead. Nothing is kept: what a
task names twice is read twice (numpywren's update of a diagonal block reads L[i, k] as either factor, and its measured
bytes count both), and what two tasks of one process need is read by both. Source tiles count whenever they are read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from wukong_sched.drivers.pump import cause_of, marked, story_of
from wukong_sched.errors import InfrastructureError, Story
from wukong_sched.functions.cloud import JobStorage
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.readahead import Reader
from wukong_sched.functions.usage import Usage, copied, forget_peak, recent_peak
from wukong_sched.functions.worker import Worker
from wukong_sched.program import BlockReader, Task, Tile
from wukong_sched.storage.blocks import nbytes_of
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import Tally

READERS = 16
"""Tiles that one process reads at once: as many requests as a function has beside each other to S3."""
AHEAD = 1 << 27
"""Bytes that a fold reads ahead."""


class TaskFailed(Exception):
    """A task raised, or a source that it reads did: `story` says which, `__cause__` what."""

    def __init__(self, story: Story) -> None:
        super().__init__(str(story))
        self.story = story


class Unreadable(Exception):
    """A source tile that raised when it was read."""

    def __init__(self, tile: Tile) -> None:
        super().__init__(tile)
        self.tile = tile


@dataclass(slots=True)
class Stateless:
    """Runs tasks of one job in one invocation; threads may, one computing while others move blocks."""

    worker: Worker
    job: str
    plan: Plan
    usage: Usage = field(default_factory=lambda: Usage(executors=1))
    _storage: JobStorage = field(init=False)
    _before: dict[str, Tally] = field(init=False)
    _began: float = field(default_factory=time.monotonic)
    _spent: dict[str, float] = field(default_factory=dict)
    """Seconds of all threads together."""
    _readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(READERS, "read"))
    _computing: threading.Lock = field(default_factory=threading.Lock)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        process = self.worker.process
        self._storage = process.cloud.object_storage(Keys(self.job), process.key)
        self._before = copied(process.cloud.tallies())
        self.usage.cold, process.is_fresh = int(process.is_fresh), False
        forget_peak()

    def close(self) -> None:
        """End the threads that read."""
        self._readers.shutdown()

    def run(self, task: Task) -> dict[Tile, Any]:
        """Read and compute: the task's results. Raises TaskFailed."""
        try:
            return self._streamed(task) if self.plan.program.streams(task) else self._whole(task)
        except InfrastructureError:
            raise
        except Unreadable as error:
            cause = error.__cause__ or error
            raise TaskFailed(Story("read", *error.tile, cause_of(cause))) from cause
        except BaseException as error:  # whatever a task raises ends the job, with its story
            raise TaskFailed(story_of(self.plan.program, task, error)) from error

    def write(self, results: dict[Tile, Any]) -> None:
        """Store a task's results."""
        began = time.monotonic()
        self._storage.put(results)
        self._spend("store", began)
        with self._counting:
            self.usage.tasks += 1

    def _whole(self, task: Task) -> dict[Tile, Any]:
        """Run a task that needs all its inputs at once."""
        began = time.monotonic()
        tiles = self.plan.program.inputs(task)
        blocks = dict(zip(tiles, self._each(tiles), strict=True))
        began = self._spend("fetch", began)
        return self._compute(task, lambda tile: blocks.pop(tile) if tile in blocks else self._read(tile), began)

    def _each(self, tiles: Sequence[Tile]) -> list[Any]:
        return list(self._readers.map(self._read, tiles) if len(tiles) > 1 else map(self._read, tiles))

    def _streamed(self, task: Task) -> dict[Tile, Any]:
        """Run a fold, whose inputs are read while it runs."""
        program, began = self.plan.program, time.monotonic()
        reader = Reader(self._read, program.inputs(task), program.nbytes, self._readers, AHEAD, self._awaited)
        with closing(reader):
            return self._compute(task, reader, began)

    def _compute(self, task: Task, block: BlockReader, began: float) -> dict[Tile, Any]:
        with self._computing, marked():
            began = self._spend("wait", began)
            results = self.plan.program.run(task, block)
            self._spend("compute", began)
        return dict(zip(self.plan.program.outputs(task), results, strict=True))

    def _awaited(self, future: Future[Any]) -> Any:
        """What a fold waits for is no computing."""
        began = time.monotonic()
        block = future.result()
        self._spend("compute", self._spend("fetch", began), began)
        return block

    def _read(self, tile: Tile) -> Any:
        program = self.plan.program
        if program.is_task_array(tile[0]):
            found = self._storage.get([tile])
            if tile not in found:
                raise InfrastructureError(f"job {self.job}: tile {tile} is not in the object store")
            return found[tile]
        try:
            with marked():
                return program.read(tile) if program.is_cheap(tile[0]) else self._source(tile)
        except BaseException as error:  # a source is its user's, as a task is
            raise Unreadable(tile) from error

    def _source(self, tile: Tile) -> Any:
        block = self.worker.process.cloud.source(self.plan.program.read, tile)
        with self._counting:
            self.usage.read("source", nbytes_of(block))
        return block

    def waited(self, began: float) -> None:
        """Since then, a thread had nothing to do."""
        self._spend("wait", began)

    def _spend(self, what: str, began: float, now: float = 0.0) -> float:
        """Count the seconds since then: when they ended."""
        now = now or time.monotonic()
        with self._counting:
            self._spent[what] = self._spent.get(what, 0.0) + now - began
        return now

    def measured(self) -> Usage:
        """What this invocation did and used, but for saying so.

        Several threads wait at once, so the time in which nothing was computed is dealt out among what they waited for.
        """
        process, usage, saved = self.worker.process, self.usage, self._storage.saved
        usage.billed_seconds = time.monotonic() - self._began
        usage.peak_memory, usage.memory = recent_peak(), process.memory
        usage.moved(self._before, process.cloud.tallies())
        usage.saved_codec = max(0, saved.bytes_read + saved.bytes_written)
        compute = self._spent.pop("compute", 0.0)
        share = min(1.0, max(0.0, usage.billed_seconds - compute) / (sum(self._spent.values()) or 1.0))
        usage.seconds = {"compute": compute, **{what: share * each for what, each in self._spent.items()}}
        return usage
