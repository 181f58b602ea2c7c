"""Instruction -> effect -> event: what every driver shares.

A pump carries out one executor's instructions against a store and a coordination store, and nothing else. How time
passes, and what an invoke means, is the driver's: it hands in a clock and an `invoke`. The simulator calls `perform`
itself, one instruction at a time; the others call `pump`.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wukong_sched.coordination.protocol import Coordination
from wukong_sched.errors import NestedComputeError, Story
from wukong_sched.executor_state import ExecutorState
from wukong_sched.messages import (
    Commit,
    Committed,
    Delete,
    Drop,
    Event,
    Fetch,
    Fetched,
    Finish,
    Gone,
    Instruction,
    Invoke,
    Peek,
    Peeked,
    Raised,
    Ran,
    Refused,
    Run,
    Started,
    Store,
    Stored,
    Wait,
    Woke,
)
from wukong_sched.program import Program, Task, Tile
from wukong_sched.storage.protocol import Storage
from wukong_sched.trace import Trace

_running = threading.local()


def inside_task() -> bool:
    """Whether the caller runs within a task of some job."""
    return getattr(_running, "depth", 0) > 0


def refuse_nested() -> None:
    """Raise NestedComputeError if the caller runs within a task."""
    if inside_task():
        raise NestedComputeError(
            "compute() was called inside a task; build one expression and compute it outside, or hand in NumPy arrays"
        )


def interrupts() -> tuple[type[BaseException], ...]:
    """What is the caller's while a task runs in this thread: Ctrl-C, which Python raises in the main thread alone."""
    return (KeyboardInterrupt,) if threading.current_thread() is threading.main_thread() else ()


@contextlib.contextmanager
def marked() -> Iterator[None]:
    """Mark this thread as one that runs tasks."""
    _running.depth = getattr(_running, "depth", 0) + 1
    try:
        yield
    finally:
        _running.depth -= 1


class TileMissing(Exception):
    """A stored tile is not there."""

    def __init__(self, tile: Tile) -> None:
        super().__init__(tile)
        self.tile = tile


@dataclass(frozen=True, slots=True)
class Selected(Mapping[Tile, Any]):
    """Some of the blocks in a memory; each is looked up, and perhaps loaded, when its turn comes."""

    memory: Mapping[Tile, Any]
    tiles: tuple[Tile, ...]

    def __getitem__(self, tile: Tile) -> Any:
        return self.memory[tile]

    def __iter__(self) -> Iterator[Tile]:
        return iter(self.tiles)

    def __len__(self) -> int:
        return len(self.tiles)


@dataclass(slots=True)
class Surroundings:
    """What a driver lends to the pumps of one job."""

    program: Program
    storage: Storage
    coordination: Coordination
    clock: Callable[[], float]
    invoke: Callable[[Sequence[str]], None]
    idle: Callable[[], int]
    """Executors that could start at once."""
    stopped: Callable[[], bool] = lambda: False
    """Whether the job is over, so that no further task needs to run."""
    sleep: Callable[[float], None] = lambda seconds: None
    ran: Callable[[int], None] = lambda tasks: None
    """Told how many tasks have run."""
    seen: Callable[[Tile, Any], None] = lambda tile, block: None
    """Told of each source tile, or cheap one, that was read."""
    expect: Callable[[Sequence[Tile], bool], None] = lambda tiles, meanwhile: None
    """Told of the tiles that will be fetched next, so that sources may be read beside each other; and whether the
    executor does something else meanwhile."""
    spent: Callable[[str, float], None] = lambda what, seconds: None
    """Told what so many seconds went to: one of the words of `SPENT`."""
    waited: float = 0.0
    """Seconds from the invocation of the executor until its start; 0 where nobody measures."""
    ends: tuple[type[BaseException], ...] = ()
    """Exceptions that are no task's, though they come while one runs: they end whoever runs it."""
    trace: Trace | None = None


@dataclass(slots=True)
class Pump:
    """Carries out the instructions of one executor."""

    around: Surroundings
    core: ExecutorState
    token: str
    memory: MutableMapping[Tile, Any] = field(default_factory=dict)
    error: BaseException | None = None
    """What a task or a source raised, if one did."""
    story: Story | None = None
    """The story of that."""
    refusal: Exception | None = None
    """What the store raised while a task read from it: no fault of the task, whatever that makes of it."""
    lost: bool = False
    """Whether the record was somebody else's, or the job over, before all was done here."""

    def start(self) -> Event:
        """Take the record over."""
        lease = self.around.coordination.start(self.core.id, self.token)
        if lease is None:
            return Refused()
        around = self.around
        return Started(lease.seq, lease.todo, lease.announced, around.idle(), around.waited, lease.attempts)

    def pump(self) -> None:
        """Run the executor to its end."""
        clock, spent = self.around.clock, self.around.spent
        event: Event | None = self.start()
        while event is not None:
            self.lost = isinstance(event, Gone)
            instructions = self.handle(event)
            event = None
            for instruction in instructions:
                began = clock()
                event = self.perform(instruction)
                spent(SPENT[type(instruction)], clock() - began)

    def handle(self, event: Event) -> list[Instruction]:
        """What the core says to an event now; recorded, if the driver traces."""
        now = self.around.clock()
        instructions = self.core.handle(event, now)
        if self.around.trace is not None:
            self.around.trace.record(self.core, self.token, event, now, instructions)
        return instructions

    def perform(self, instruction: Instruction) -> Event | None:
        """Carry one instruction out; its outcome, if the core waits for one."""
        return PERFORM[type(instruction)](self, instruction)

    def _fetch(self, instruction: Fetch) -> Event:
        program, stored = self.around.program, []
        self.around.expect(instruction.tiles, False)
        for tile in instruction.tiles:
            if self.around.stopped():
                return Gone()
            if program.is_task_array(tile[0]):
                stored.append(tile)
                continue
            try:
                self.memory[tile] = self._read(tile)
            except self.around.ends:
                raise
            except BaseException as error:  # what a source raises is its user's, as if a task had raised it
                return self._raised(Story("read", *tile, cause_of(error)), error)
        if not stored:
            return Fetched(())
        began = self.around.clock()
        found = self.around.storage.get(stored)
        for tile, block in found.items():
            self.memory[tile] = block
        return Fetched(tuple(tile for tile in stored if tile not in found), self.around.clock() - began)

    def _run(self, instruction: Run) -> Event:
        around, memory, block = self.around, self.memory, self._block
        run, stopped = around.program.run, around.stopped
        began, left, limit = around.clock(), len(instruction.steps), instruction.limit
        timed = limit < math.inf
        if instruction.ahead:
            around.expect(instruction.ahead, True)
        for task, outputs, drops in instruction.steps:
            if stopped():
                return Gone()
            if timed and left < len(instruction.steps) and around.clock() - began > limit:
                break
            try:
                for tile, made in zip(outputs, run(task, block), strict=True):
                    memory[tile] = made
            except TileMissing as missing:
                return Fetched((missing.tile,))
            except around.ends:
                raise
            except BaseException as error:  # whatever it is ends the job, with its story
                if self.refusal is None:
                    return self._raised(story_of(self.around.program, task, error), error)
            if self.refusal is not None:
                raise self.refusal
            for tile in drops:
                memory.pop(tile, None)
            left -= 1
        around.ran(len(instruction.steps) - left)
        return Ran(around.clock() - began, around.idle(), left)

    def _block(self, tile: Tile) -> Any:
        """The block of an input: from memory; made again if cheap; else, for the steps of a fold, fetched now."""
        try:
            return self.memory[tile]
        except KeyError:
            program = self.around.program
        if not program.is_task_array(tile[0]):
            return self._read(tile)
        try:
            found = self.around.storage.get((tile,))
        except Exception as error:
            self.refusal = error
            raise
        if tile not in found:
            raise TileMissing(tile)
        return found[tile]

    def _read(self, tile: Tile) -> Any:
        block = self.around.program.read(tile)
        self.around.seen(tile, block)
        return block

    def _raised(self, story: Story, error: BaseException) -> Event:
        self.story, self.error = story, error
        return Raised(story)

    def _store(self, instruction: Store) -> Event:
        if self.around.stopped():
            return Gone()
        began = self.around.clock()
        self.around.storage.put(Selected(self.memory, instruction.tiles))
        return Stored(self.around.clock() - began, self.around.idle())

    def _commit(self, instruction: Commit) -> Event:
        reply = self.around.coordination.commit(self.core.id, self.token, instruction)
        return Gone() if reply is None else Committed(reply.joined, reply.freed)

    def _peek(self, instruction: Peek) -> Event:
        return Peeked(self.around.coordination.read(instruction.tasks).arrived)

    def _wait(self, instruction: Wait) -> Event:
        self.around.sleep(instruction.seconds)
        return Woke()

    def _invoke(self, instruction: Invoke) -> None:
        self.around.invoke(instruction.ids)

    def _delete(self, instruction: Delete) -> None:
        self.around.storage.delete(instruction.tiles)

    def _drop(self, instruction: Drop) -> None:
        for tile in instruction.tiles:
            self.memory.pop(tile, None)

    def _finish(self, instruction: Finish) -> None:
        self.memory.clear()


def cause_of(error: BaseException) -> str:
    """An exception in one line.

    >>> cause_of(ValueError("too small"))
    'ValueError: too small'
    """
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException as again:  # its own text is code of the user's too
        return f"{type(error).__name__}, whose text raises {type(again).__name__}"


def story_of(program: Program, task: Task, error: BaseException) -> Story:
    """What a task was doing when it raised."""
    outputs = program.outputs(task)
    array, index = outputs[0] if outputs else task
    return Story(program.operation(task), array, index, cause_of(error))


PERFORM: dict[type, Callable[..., Event | None]] = {
    Fetch: Pump._fetch,
    Run: Pump._run,
    Store: Pump._store,
    Commit: Pump._commit,
    Peek: Pump._peek,
    Wait: Pump._wait,
    Invoke: Pump._invoke,
    Delete: Pump._delete,
    Drop: Pump._drop,
    Finish: Pump._finish,
}
SPENT: dict[type, str] = {
    Fetch: "fetch",
    Run: "compute",
    Store: "store",
    Commit: "commit",
    Peek: "commit",
    Wait: "wait",
    Invoke: "invoke",
    Delete: "store",
    Drop: "compute",
    Finish: "compute",
}
"""What the time of an instruction goes to."""
