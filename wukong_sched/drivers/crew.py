"""A crew: threads that stay, and work for many jobs at once, in the order in which there is something to do.

`wukong_sched.drivers.threads` lends threads to one job, to its end. A crew serves jobs that come one after
the other, or at the same time, and never runs more tasks at once than it has threads. A thread that finds no executor
waiting for its turn asks the `Source` whether there is work for a new job, and begins that job itself. A thread that
rests looks now and then whether a job is stuck behind one long task, so that somebody can `abandon` that job and give
what it has not begun to a new one.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.coordination.protocol import State
from wukong_sched.drivers.pump import Pump, Surroundings
from wukong_sched.drivers.threads import POLICY
from wukong_sched.errors import ProtocolError, raised
from wukong_sched.executor_state import ExecutorState
from wukong_sched.interrupts import LISTEN
from wukong_sched.messages import Give, identity
from wukong_sched.policy import Policy
from wukong_sched.program import Program
from wukong_sched.storage.protocol import Storage
from wukong_sched.trace import Trace

FIRST_LOOK, LAST_LOOK = 0.005, 0.08
"""Seconds of rest before the first look at jobs that may be stuck, and between two looks that found nothing."""

Turn = Callable[[], None]


class Source(Protocol):
    """Where a crew's work comes from. All but `begin` are called with the lock held."""

    changed: threading.Condition
    """The lock of the crew and its source."""

    def waits(self) -> bool:
        """Whether a job could begin."""

    def begin(self) -> None:
        """Begin a job, if there is still work for one."""

    def runs(self) -> bool:
        """Whether any job runs that may get stuck."""

    def look(self) -> None:
        """Free what is stuck."""

    def is_empty(self) -> bool:
        """Whether there is no work, nor will be."""


class Crew:
    """So many threads, started when they are needed."""

    def __init__(self, size: int, source: Source, name: str = "sarray-crew") -> None:
        self.size, self.changed = size, source.changed
        self._source, self._name = source, name
        self._turns: deque[Turn] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = self._resting = self._called = self._hired = 0
        self._closed = False

    def push(self, turns: Sequence[Turn]) -> None:
        """Let these turns be taken."""
        with self.changed:
            self._turns.extend(turns)
            self.changed.notify(len(turns))
            while len(self._threads) < min(self.size, self._busy + len(self._turns)):
                self._hire()

    def call(self) -> None:
        """Let somebody look for work; the lock may be held."""
        with self.changed:
            self._called = min(self._called, self._resting)
            if self._resting > self._called:
                self._called += 1
                self.changed.notify()
            elif len(self._threads) < self.size:
                self._hire()

    def reserve(self) -> None:
        """See that somebody rests, if not all are busy: who rests looks after jobs that are stuck."""
        with self.changed:
            if len(self._threads) <= self._busy and len(self._threads) < self.size:
                self._hire()

    def _hire(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}_{self._hired}", daemon=True)
        if not self._threads:
            atexit.register(self.finish)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end: whoever works already must do
            if not self._threads:
                raise
            self.size = len(self._threads)
        else:
            self._threads.append(thread)
            self._hired += 1

    def idle(self) -> int:
        """Threads that have nothing to do."""
        return max(0, self.size - self._busy - len(self._turns) - self._source.waits())

    def close(self) -> None:
        """Let the threads end when there is nothing left to do."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def join(self) -> None:
        """Wait until all threads, but the caller's own, have ended; several may wait at once."""
        while (thread := self._other()) is not None:
            thread.join(LISTEN)
            if not thread.is_alive():
                self._strike(thread)

    def _other(self) -> threading.Thread | None:
        own = threading.current_thread()
        with self.changed:
            return next((thread for thread in self._threads if thread is not own), None)

    def _strike(self, thread: threading.Thread) -> None:
        with self.changed, suppress(ValueError):  # somebody else who waited for it was quicker
            self._threads.remove(thread)

    def finish(self) -> None:
        """Do what is left to do, and end: at the interpreter's exit, whose threads would be lost otherwise."""
        self.close()
        self.join()

    def _work(self) -> None:
        try:
            while (turn := self._next()) is not None:
                try:
                    turn()
                finally:
                    del turn  # a thread that rests keeps nothing alive
                    with self.changed:
                        self._busy -= 1
                        if self._closed:
                            self.changed.notify_all()
        except BaseException:  # no turn should: it ends this thread, is shown, and costs the crew nothing
            self._replace()
            raise
        atexit.unregister(self.finish)

    def _replace(self) -> None:
        """Leave; somebody else takes one's place if there is anything to do, now or later."""
        with self.changed:
            self._strike(threading.current_thread())
            if self._turns or not self._source.is_empty():
                self._hire()

    def _next(self) -> Turn | None:
        """What to do next; None at the end."""
        pause = FIRST_LOOK
        with self.changed:
            while not self._turns and not self._source.waits():
                if self._closed and not self._busy and self._source.is_empty():
                    return None
                self._resting += 1
                woken = self.changed.wait(pause if self._source.runs() else None)
                self._resting -= 1
                self._called = max(0, self._called - 1) if woken else self._called
                if not woken:
                    pause = min(LAST_LOOK, 2 * pause)
                    self._source.look()
            self._busy += 1
            return self._turns.popleft() if self._turns else self._source.begin


@dataclass(slots=True, eq=False)
class CrewJob:
    """One job of a crew. `ended` is told once, with what went wrong or None, unless the job was abandoned."""

    crew: Crew
    program: Program
    storage: Storage
    ended: Callable[[CrewJob, BaseException | None], None]
    policy: Policy = POLICY
    trace: Trace | None = None
    executors: int = 0
    tasks: int = 0
    _coordination: MemoryCoordination = field(default_factory=MemoryCoordination)
    _open: int = 0
    """Turns that are under way or wait."""
    _over: bool = False

    def begin(self) -> None:
        """Run the job's first executor; others may join in."""
        leaves = tuple(self.program.leaves())
        root = identity(leaves[0])
        self._coordination.create(1, [Give(root, leaves)], {})
        self._open = 1
        self._turn(root)

    def abandon(self) -> None:
        """Let it stop after the tasks that run now."""
        self._over = True

    def _turn(self, id: str) -> None:
        with self.crew.changed:
            self.executors += 1
            token = f"{id}#{self.executors}"
        around = Surroundings(
            self.program,
            self.storage,
            self._coordination,
            time.perf_counter,
            self._invoke,
            self.crew.idle,
            lambda: self._over,
            ran=self._ran,
            trace=self.trace,
        )
        pump = Pump(around, ExecutorState(self.program, self.policy, id), token)
        try:
            pump.pump()
        except BaseException as error:  # the crew's thread must not swallow it: it is the job's
            self._end(error)
        self._turned(pump)

    def _invoke(self, ids: Sequence[str]) -> None:
        with self.crew.changed:
            self._open += len(ids)
            self.crew.push([lambda id=id: self._turn(id) for id in ids])  # type: ignore[misc]

    def _ran(self, tasks: int) -> None:
        with self.crew.changed:
            self.tasks += tasks

    def _turned(self, pump: Pump) -> None:
        """A turn has ended: is the job over?"""
        with self.crew.changed:
            self._open -= 1
            view, left = self._coordination.read(), self._open
        if view.state is State.DONE:
            self._end(None)
        elif view.state is State.FAILED and view.story is not None:
            if view.story == pump.story:
                self._end(raised(view.story, pump.error))
        elif not left:
            self._end(ProtocolError("no executor is left, but the job has not ended; please report this bug"))

    def _end(self, error: BaseException | None) -> None:
        with self.crew.changed:
            first, self._over = not self._over, True
        if first:
            self.ended(self, error)
