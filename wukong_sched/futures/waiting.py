"""Calls that wait for a job.

Whatever was submitted since the last job began becomes the next job: one program with a task for each call. Where a
call needs the result of another one in the same job, that is an edge of the program. A result that is there is a
constant. A call that needs a result of a job that still runs is parked until that is there; a call
that needs a parked one is parked behind the same result, so that both wake together and are one job.

Calls that were taken for a job and are not the job's yet, because it is still being made of them, are remembered here:
so every call that has not begun is found in one of two places, among these or with a job, at any moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from wukong_sched.futures.calls import Call, CallFuture


class Waiting:
    """The calls of one executor that are in no job. `wake` is called, under the lock, when one is parked no longer."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.wake: Callable[[], None] = self.changed.notify
        self.calls: list[Call] = []
        self._parked: dict[Future[Any], list[Call]] = {}
        """What waits for a result."""
        self._behind: dict[Future[Any], Future[Any]] = {}
        """The result that a parked call waits for."""
        self._taken: list[list[Call]] = []
        """What jobs are being made of."""

    def __bool__(self) -> bool:
        return bool(self.calls)

    def is_empty(self) -> bool:
        """Whether there is none, not even a parked one."""
        return not self.calls and not self._parked

    def add(self, calls: Sequence[Call]) -> None:
        """Put calls at the end."""
        with self.changed:
            self.calls.extend(calls)

    def put_back(self, calls: Iterable[Call]) -> None:
        """Put calls, which a job had taken, before those that were submitted later."""
        with self.changed:
            self.calls = sorted([*calls, *self.calls], key=lambda call: call.number)

    def take(self) -> list[Call]:
        """All calls that the next job can run, in an order in which needs come first; the cancelled ones end here."""
        with self.changed:
            calls, self.calls = self.calls, []
            batch: dict[Future[Any], Call] = {}
            for call in calls:
                if call.future.cancelled():
                    call.future.drop()
                    continue
                missing = call.missing(batch) if call.needs else None
                if missing is None:
                    batch[call.future] = call
                else:
                    self._park(call, self._behind.get(missing, missing))
            return list(batch.values())

    @contextmanager
    def taken(self) -> Iterator[list[Call]]:
        """What `take` gives, to make a job of; `futures` has them until the job does, when the block ends."""
        with self.changed:
            calls = self.take()
            self._taken.append(calls)
        try:
            yield calls
        finally:
            with self.changed:
                self._taken = [other for other in self._taken if other is not calls]
            calls.clear()  # whoever made a job of them keeps no call alive, however long the job runs

    def _park(self, call: Call, need: Future[Any]) -> None:
        self._behind[call.future] = need
        group = self._parked.setdefault(need, [])
        group.append(call)
        if len(group) == 1:
            need.add_done_callback(self._unpark)

    def _unpark(self, need: Future[Any]) -> None:
        with self.changed:
            group = self._parked.pop(need)
            for call in group:
                del self._behind[call.future]
            self.put_back(group)
            self.wake()

    def futures(self) -> list[CallFuture]:
        """Those of all calls that wait, are parked, or were taken for jobs that do not know them yet."""
        with self.changed:
            calls = chain(self.calls, *self._parked.values(), *self._taken)
            return [call.future for call in calls]


class Job(Protocol):
    """Calls that were made a job."""

    def cancel(self) -> None:
        """Cancel those that have not begun."""


class Unattended:
    """A crew's source (`wukong_sched.drivers.crew`) whose jobs nobody looks after while they run."""

    def __init__(self, waiting: Waiting) -> None:
        self.changed, self._waiting = waiting.changed, waiting
        self._jobs: list[Job] = []

    @property
    def log(self) -> Path | None:
        """None: calls print in this process."""
        return None

    def waits(self) -> bool:
        """Whether calls wait."""
        return bool(self._waiting)

    def is_empty(self) -> bool:
        """Whether no calls wait or are parked."""
        return self._waiting.is_empty()

    def runs(self) -> bool:
        """Never: what has begun is left alone."""
        return False

    def look(self) -> None:
        """Nothing to do."""

    def cancel(self) -> None:
        """Cancel what has not begun, in jobs that run too."""
        with self.changed:
            futures, jobs = self._waiting.futures(), self._jobs[:]
        for future in futures:  # without the lock: callbacks are called
            future.cancel()
        for job in jobs:
            job.cancel()
