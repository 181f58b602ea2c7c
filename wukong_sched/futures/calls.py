"""One call, and its future."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Future
from typing import Any

from wukong_sched.futures.arguments import PLAIN, Slot, filled, slotted

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class CallFuture(Future[Any]):
    """The future of one call; among the arguments of another call it stands for its result."""


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called in a trace; the name of its type if it has none: its text may be long, or an error.

    >>> from functools import partial
    >>> name_of(abs), name_of(partial(abs, 1))
    ('abs', 'partial')
    """
    return str(getattr(function, "__name__", type(function).__name__))


class Call:
    """A function with its arguments; results of other calls among them are `needs`."""

    __slots__ = ("arguments", "function", "future", "needs", "number")

    def __init__(
        self, number: int, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.number, self.function, self.future = number, function, CallFuture()
        if not kwargs and PLAIN.issuperset(map(type, args)):
            self.arguments: Arguments = (args, kwargs)
            self.needs: tuple[CallFuture, ...] = ()
            return
        needs: dict[CallFuture, Slot] = {}

        def found(value: Any) -> Slot | None:
            return needs.setdefault(value, Slot(len(needs))) if isinstance(value, CallFuture) else None

        self.arguments = (slotted(args, found), slotted(kwargs, found))
        self.needs = tuple(needs)

    def is_ready(self) -> bool:
        """Whether all that it needs is there."""
        return all(map(CallFuture.done, self.needs))

    def starts(self) -> bool:
        """Mark the future as running; False if it is cancelled, or failed because something that it needs did."""
        for need in self.needs:
            if need.cancelled():
                self.future.cancel()
        if not self.future.set_running_or_notify_cancel():
            return False
        for need in self.needs:
            if error := need.exception():
                self.future.set_exception(error)
                return False
        return True

    def given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, all results filled in."""
        if not self.needs:
            return self.arguments
        args, kwargs = filled(self.arguments, [need.result() for need in self.needs])
        return args, kwargs

    def starts_away(self, here: Container[CallFuture]) -> bool:
        """As `starts`, for a call whose other needs are in the same job."""
        self.needs, needs = tuple(need for need in self.needs if need not in here), self.needs
        started = self.starts()
        self.needs = needs
        return started

    def partly_given(self, numbers: Mapping[CallFuture, int]) -> tuple[Arguments, list[int]]:
        """The arguments with what is there filled in, and the numbers of the calls that the slots left stand for."""
        inner = [need for need in self.needs if need in numbers]
        slots = {need: Slot(place) for place, need in enumerate(inner)}
        if not self.needs:
            return self.arguments, []
        args, kwargs = filled(self.arguments, [slots[n] if n in slots else n.result() for n in self.needs])
        return (args, kwargs), [numbers[need] for need in inner]

    def run(self) -> None:
        """Call the function here; what it returns, or raises, is the future's."""
        if not self.starts():
            return
        try:
            args, kwargs = self.given()
            result = self.function(*args, **kwargs)
        except BaseException as error:  # whatever it is, it is for whoever asks for the result
            self.future.set_exception(error)
            del self  # the exception's traceback must not keep the call, and with it the future, alive
        else:
            self.future.set_result(result)


def numbering() -> Callable[[], int]:
    """Gives each call the next number."""
    return itertools.count().__next__
