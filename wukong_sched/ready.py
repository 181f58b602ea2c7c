"""Tasks that could run, and which of them goes first.

Of a recurrence's tasks the one enabled last goes first: its inputs are here, and it frees them. An explicit program
has numbered its tasks by a depth-first walk from what is wanted: there the lowest goes first, so that what one wanted
value needs is made before anything that only the next one needs, and fewer values are held at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from wukong_sched.program import Task


class Stack(list[Task]):
    """The task added last goes first."""

    __slots__ = ()

    add = list.append
    """One more task."""

    def first(self) -> Task:
        """The task that goes first; there must be one."""
        return self[-1]

    def take(self) -> Task:
        """Remove the first task."""
        return self.pop()

    def refill(self, tasks: Iterable[Task]) -> None:
        """Hold these instead, given with the last that goes first."""
        self[:] = tasks

    def soon(self, count: int) -> list[Task]:
        """So many of those that go first."""
        return self[-count:]

    def from_last(self) -> list[Task]:
        """All, the one that goes last first."""
        return list(self)


class InOrder(list[Task]):
    """The lowest task goes first: a heap.

    >>> ready = InOrder()
    >>> ready.refill([("t", (3,)), ("t", (7,)), ("t", (2,))])
    >>> ready.take(), ready.first(), ready.from_last()
    (('t', (2,)), ('t', (3,)), [('t', (7,)), ('t', (3,))])
    """

    __slots__ = ()

    def add(self, task: Task) -> None:
        """One more task."""
        heappush(self, task)

    def first(self) -> Task:
        """The task that goes first; there must be one."""
        return self[0]

    def take(self) -> Task:
        """Remove the first task."""
        return heappop(self)

    def refill(self, tasks: Iterable[Task]) -> None:
        """Hold these instead."""
        self[:] = tasks
        heapify(self)

    def soon(self, count: int) -> list[Task]:
        """About so many of those that go first: the top of the heap."""
        return self[:count]

    def from_last(self) -> list[Task]:
        """All, the one that goes last first."""
        return sorted(self, reverse=True)


Ready = Stack | InOrder
