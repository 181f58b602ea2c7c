"""Worker threads that rest between jobs, since what a new one costs is not its start but its memory.

The C library keeps a heap for each thread that allocates. When a thread ends, what it had set aside goes, and with
that most of its heap: the next job's threads get their memory from the system again, cleared page by page. Threads
that rest keep it. One that has rested for `REST` seconds ends, so nothing stays for good.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

REST = 10.0
"""Seconds."""

Work = Callable[[], None]
Inbox = queue.SimpleQueue[tuple[Work, threading.Event]]


@dataclass(slots=True, eq=False)
class WorkerThreads:
    """As many threads as were needed at once lately.

    >>> threads, done = WorkerThreads(), []
    >>> threads.start(lambda: done.append("work")).wait(60), done
    (True, ['work'])
    """

    rest: float = REST
    """Seconds after which one that has nothing to do ends."""
    busy: int = 0
    """How many work."""
    _resting: list[Inbox] = field(default_factory=list)
    """Where each of the others waits for work; who has rested least comes last, and is asked first."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _names: count[int] = field(default_factory=count)
    _owner: int = field(default_factory=os.getpid)

    def start(self, work: Work) -> threading.Event:
        """Let a thread do this, in the caller's context; the event is set when it is over, however it ended.

        A forked child has threads of its own.
        """
        if self._owner != os.getpid():
            self._lock, self._resting, self.busy = threading.Lock(), [], 0
            self._owner = os.getpid()
        over, within = threading.Event(), partial(contextvars.copy_context().run, work)
        with self._lock:
            inbox = self._resting.pop() if self._resting else self._hire()
            inbox.put((within, over))
        return over

    def _hire(self) -> Inbox:
        inbox: Inbox = queue.SimpleQueue()
        name = f"sarray-worker-{next(self._names)}"
        threading.Thread(target=self._serve, args=(inbox,), name=name, daemon=True).start()
        return inbox

    def _serve(self, inbox: Inbox) -> None:
        """One thread: until it has rested long enough, or an exception ends it, which is shown."""
        while (asked := self._next(inbox)) is not None:
            work, over = asked
            try:
                with self._lock:
                    self.busy += 1
                work()
                del work, asked  # who rests keeps nothing alive
                with self._lock:
                    self._resting.append(inbox)
            finally:
                with self._lock:
                    self.busy -= 1
                over.set()

    def _next(self, inbox: Inbox) -> tuple[Work, threading.Event] | None:
        """What to do next; None for a thread that has rested long enough, or that an interrupted caller has called."""
        with contextlib.suppress(queue.Empty):
            return inbox.get(timeout=self.rest)
        with self._lock, contextlib.suppress(queue.Empty):
            if inbox not in self._resting:
                return inbox.get_nowait()
            self._resting.remove(inbox)
        return None
