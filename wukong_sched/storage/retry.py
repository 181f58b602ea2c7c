"""Trying again: exponential backoff with full jitter.

Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015: among the ways to spread retries,
waiting a uniformly random part of an exponentially growing time makes the fewest calls and ends soonest.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and after how long."""

    attempts: int = 8
    base: float = 0.02
    """Seconds, the longest wait before the second attempt."""
    cap: float = 5.0
    """Seconds, the longest wait of all."""
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random
    """A number between 0 and 1."""

    def wait(self, failures: int) -> None:
        """Wait after so many failures in a row."""
        self.sleep(self.draw() * min(self.cap, self.base * 2 ** (failures - 1)))

    def __call__(
        self, call: Callable[[int], T], passes: Callable[[Exception], bool], noticed: Callable[[], None] = lambda: None
    ) -> T:
        """The outcome of `call(number of failures so far)`, tried again while the exception is one that passes.

        The last attempt's exception comes through. `noticed` is told of every further attempt.

        >>> Retry(sleep=lambda seconds: None)(lambda failures: 1 // failures, lambda e: isinstance(e, ArithmeticError))
        1
        """
        failures = 0
        while True:
            try:
                return call(failures)
            except Exception as error:
                failures += 1
                if failures >= self.attempts or not passes(error):
                    raise
            noticed()
            self.wait(failures)
