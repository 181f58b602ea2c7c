"""A cache of things rather than of answers: whoever asks, in whichever thread, gets the same one.

`functools.cache` may call its function twice if two threads ask at once, and hand each its own result. For a number
that is only a waste; for functions of this machine the one that is not kept ends, with all its processes, as soon as
the thread that got it looks away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing")


class Shared(Generic[Thing]):
    """A function's results, kept by arguments, and by process: a forked child makes its own.

    What is made must cost nothing before it is used: of two that are made at once, one is forgotten.

    >>> lists = Shared(lambda *items: list(items))
    >>> lists(1, 2) is lists(1, 2)
    True
    """

    def __init__(self, make: Callable[..., Thing]) -> None:
        self._make = make
        self._made: dict[Hashable, Thing] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Thing:
        key = os.getpid(), args, tuple(sorted(kwargs.items()))
        if key not in self._made:
            self._made.setdefault(key, self._make(*args, **kwargs))
        return self._made[key]

    def clear(self) -> None:
        """Forget all."""
        self._made.clear()
