"""The lock of a future, at the price of a lock.

A `threading.Condition` is a dozen objects, and whoever holds one of a hundred thousand futures pays for all of them:
most of what a submission takes, and of what the collector has to look at. Hardly any future is waited for one by one.
So this is the lock itself, and a condition only from the moment when somebody waits.
"""

from __future__ import annotations

import threading
from _thread import RLock
from typing import Any

from wukong_sched.interrupts import LISTEN


class _Waited(threading.Condition):
    told = 0
    """How often it was notified: what comes between two parts of a wait is not lost."""

    def notify_all(self) -> None:
        self.told += 1
        super().notify_all()


class Signal(RLock):  # type: ignore[misc]  # typeshed calls it final, no Python does
    """A `threading.Condition` as `concurrent.futures.Future` uses it: a lock that can be waited for.

    >>> signal = Signal()
    >>> with signal:
    ...     signal.notify_all()
    ...     signal.wait(0.001)
    False
    """

    __slots__ = ("_waited",)

    def __init__(self) -> None:
        self._waited: _Waited | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock until somebody notifies, or so many seconds; False if nobody did."""
        if self._waited is None:
            itself: Any = self
            self._waited = _Waited(itself)
        if timeout is not None:
            return self._waited.wait(timeout)
        told = self._waited.told
        while told == self._waited.told:
            self._waited.wait(LISTEN)
        return True

    def notify_all(self) -> None:
        """Wake whoever waits; the lock must be held."""
        if self._waited is not None:
            self._waited.notify_all()
