"""Coordination in this process: dicts and one lock. The reference for every other store."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from wukong_sched.coordination.protocol import GIVEN_UP, GRAVES, Lease, Reply, State, View, invocation
from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Give, Owed
from wukong_sched.program import Task, Tile


@dataclass(slots=True)
class Record:
    """What one executor owes, and who may act for it."""

    todo: dict[Owed, None]
    expiry: float
    """Before this time nobody else may start it."""
    token: str = ""
    seq: int = 0
    attempts: int = 0
    announced: dict[Tile, int] = field(default_factory=dict)
    reply: Reply | None = None
    """Answer to the last commit, given again if that was lost."""


class MemoryCoordination:
    """One job's records, in memory.

    `clock` gives seconds; a lease lasts `lease` seconds from each start and commit, and a record that was not
    started within `grace` seconds counts as expired. More than `max_attempts` starts without a commit end the job.
    """

    def __init__(
        self,
        clock: Callable[[], float] = lambda: 0.0,
        *,
        lease: float = math.inf,
        grace: float = math.inf,
        max_attempts: float = math.inf,
    ) -> None:
        self._clock, self._lease, self._grace, self._max_attempts = clock, lease, grace, max_attempts
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._state, self._epoch = State.MISSING, 0
        self._story: Story | None = None
        self._records: dict[str, Record] = {}
        self._arrived: dict[Task, set[Tile]] = {}
        self._consumed: dict[Tile, set[Task]] = {}

    def create(self, epoch: int, roots: Sequence[Give], arrived: Mapping[Task, frozenset[Tile]]) -> bool:
        with self._lock:
            if self._state not in (State.MISSING, State.LOST) or epoch <= self._epoch:
                return False
            self._clear()
            self._state, self._epoch = State.RUNNING, epoch
            self._arrived = {task: set(tiles) for task, tiles in arrived.items()}
            self._register(roots)
            return True

    def _register(self, gives: Sequence[Give]) -> None:
        for give in gives:
            self._records[give.id] = Record(dict.fromkeys(give.todo), self._clock() + self._grace)

    def start(self, id: str, token: str) -> Lease | None:
        with self._lock:
            record = self._records.get(id)
            now = self._clock()
            if self._state is not State.RUNNING or record is None:
                return None
            if record.token and now < record.expiry and not _again(record.token, token):
                return None
            record.token, record.expiry = token, now + self._lease
            record.attempts += 1
            if record.attempts > self._max_attempts:
                cause = f"{record.attempts - 1} attempts ended without a commit"
                self._end(State.FAILED, Story(GIVEN_UP, id, (), cause))
                return None
            return Lease(record.seq, tuple(record.todo), dict(record.announced), record.attempts)

    def _end(self, state: State, story: Story | None = None) -> None:
        self._state, self._story = state, story

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        with self._lock:
            record = self._records.get(id)
            if self._state is not State.RUNNING or record is None or record.token != token:
                return None
            if record.seq == commit.seq + 1:
                return record.reply
            if record.seq != commit.seq:
                return None
            return self._carry_out(id, record, commit)

    def _carry_out(self, id: str, record: Record, commit: Commit) -> Reply:
        joined = self._announce(commit)
        todo = record.todo
        for whole, rest in commit.cuts:
            del todo[whole]
            todo.update(dict.fromkeys(rest))
        todo.update(dict.fromkeys(joined))
        for task in commit.discharged:
            todo.pop(task, None)
            self._arrived.pop(task, None)
        for give in commit.gives:
            for item in give.todo:
                todo.pop(item, None)
        self._register(commit.gives)
        reply = Reply(joined, self._consume(commit))
        self._renew(id, record, commit, reply)
        return reply

    def _announce(self, commit: Commit) -> tuple[Task, ...]:
        """Set the bits; the tasks that this completes."""
        joined, arrived = [], self._arrived
        for task, tile, total in commit.arrivals:
            if total == 1:
                arrived[task] = {tile}
                joined.append(task)
                continue
            tiles = arrived.setdefault(task, set())
            if tile not in tiles:
                tiles.add(tile)
                if len(tiles) == total:
                    joined.append(task)
        return tuple(joined)

    def _consume(self, commit: Commit) -> tuple[Tile, ...]:
        freed = []
        for tile, task, total in commit.consumed:
            tasks = self._consumed.setdefault(tile, set())
            tasks.add(task)
            if len(tasks) == total:
                freed.append(tile)
                del self._consumed[tile]
        return tuple(freed)

    def _renew(self, id: str, record: Record, commit: Commit, reply: Reply) -> None:
        record.seq += 1
        record.reply = reply
        record.attempts = 0 if commit.moves_on else record.attempts
        record.announced = dict(commit.announced)
        record.expiry = self._clock() + (0 if commit.yields else self._lease)
        if not record.todo:
            del self._records[id]
        if commit.done:
            self._end(State.DONE)
        elif commit.failure is not None:
            self._end(State.FAILED, commit.failure)
        elif commit.lost is not None:
            self._end(State.LOST)

    def read(self, tasks: Sequence[Task] = ()) -> View:
        with self._lock:
            now = self._clock()
            startable = tuple(id for id, record in self._records.items() if now >= record.expiry)
            arrived = {task: frozenset(self._arrived.get(task, ())) for task in tasks}
            return View(self._state, self._epoch, self._story, startable, arrived)

    def sweep(self, leaves: State = State.MISSING) -> None:
        with self._lock:
            state, story = self._state, self._story
            if leaves is State.LOST:
                self._state = State.LOST if state is State.DONE else state
                return
            self._clear()
            if leaves is not State.MISSING and state is not State.MISSING:
                self._state, self._story = (state, story) if state in GRAVES else (leaves, None)


def _again(held: str, token: str) -> bool:
    """Whether both tokens are of one invocation, which was delivered again."""
    return invocation(token) == invocation(held) != ""
