"""Which calls of a job in functions have begun: one byte of a file for each call, which client and functions share.

A call that has not begun can be cancelled; then no function begins it. Both look at the call's byte and change it
while they hold that byte's lock, so that one of them comes first, and each knows which. The byte says:

    0             nobody has begun the call
    1 ... MOST    how often it was begun, and not ended: more than once if a function died in the middle
    ENDED         it has returned, or raised
    CANCELLED     it will never begin

From the same bytes a client sees which call was begun again and again when its job is given up: the one that ends its
functions. The file is on the machine that client and functions share; it is gone when the job is over, and a function
that finds none begins nothing, since nobody waits any more.

The system's locks are those of a process: threads of one do not keep each other out, and whichever of them closes a
file drops all locks on it. So one thread of a process at a time opens, changes and closes such files.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

MOST, ENDED, CANCELLED = 253, 254, 255
KEPT = 16
"""Files that a function keeps open: one of each job that it works for, and of some that are over."""


class Ticket:
    """One call's byte; pickled, it is the name of the file and the byte's place.

    >>> tickets = Tickets(2)
    >>> first, second = tickets.ticket(0), tickets.ticket(1)
    >>> first.begin(), second.cancel(), first.cancel(), second.begin()
    (True, True, False, False)
    >>> tickets.close()
    """

    __slots__ = ("path", "place")

    def __init__(self, path: str, place: int) -> None:
        self.path, self.place = path, place

    def __reduce__(self) -> tuple[type[Ticket], tuple[str, int]]:
        return Ticket, (self.path, self.place)

    def begin(self) -> bool:
        """Say that the call begins; False if it must not."""
        return self._changed(lambda state: min(MOST, state + 1) if state < MOST else state) not in (CANCELLED, None)

    def end(self) -> None:
        """Say that the call has ended."""
        self._changed(lambda state: ENDED)

    def cancel(self) -> bool:
        """Cancel the call; False if it has begun."""
        return self._changed(lambda state: state or CANCELLED) in (0, CANCELLED, None)

    def begun(self) -> bool:
        """Whether the call has begun."""
        return self._state() not in (0, CANCELLED, None)

    def times(self) -> int:
        """How often the call was begun without coming to its end; 0 once it has."""
        state = self._state()
        return state if state is not None and state <= MOST else 0

    def _state(self) -> int | None:
        return self._changed(lambda state: state)

    def _changed(self, change: Callable[[int], int]) -> int | None:
        """What the byte was before the change; None if there is no file any more."""
        with _turns.setdefault(os.getpid(), threading.Lock()):
            try:
                return _opened(self.path, os.getpid()).changed(self.place, change)
            except FileNotFoundError:
                return None


_turns: dict[int, threading.Lock] = {}
"""Who has it opens, changes and closes files; a forked child has its own, since nobody lets go of its parent's."""


class Book:
    """An open file of tickets, for whoever has the turn in this process."""

    _file = -1
    """As long as nothing is open."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    def changed(self, place: int, change: Callable[[int], int]) -> int | None:
        """What a byte was before the change; None if the file has been removed."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, place)
        try:
            found = os.pread(self._file, 1, place)
            if not found:
                return None
            if (after := change(found[0])) != found[0]:
                os.pwrite(self._file, bytes((after,)), place)
            return found[0]
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


@lru_cache(maxsize=KEPT)
def _opened(path: str, process: int) -> Book:
    """The file of this name, opened once in each process."""
    return Book(path)


class Tickets:
    """The tickets of so many calls of one job, as long as it runs."""

    def __init__(self, count: int, directory: Path | None = None) -> None:
        file, self.path = tempfile.mkstemp(prefix="calls-", dir=directory)
        os.truncate(file, count)
        os.close(file)

    def ticket(self, place: int) -> Ticket:
        """The ticket of one call."""
        return Ticket(self.path, place)

    def close(self) -> None:
        """Nobody begins anything any more: an emptied file says so to whoever has it open.

        The file may be gone already, with the functions' whole directory.
        """
        with suppress(FileNotFoundError):
            os.truncate(self.path, 0)
            os.unlink(self.path)
