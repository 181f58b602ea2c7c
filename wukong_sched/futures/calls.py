"""One call, and its future."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container
from concurrent.futures import Future
from concurrent.futures._base import CANCELLED, FINISHED, LOGGER, PENDING, RUNNING
from itertools import islice
from typing import Any, NoReturn

from wukong_sched.futures.arguments import CONTAINERS, PLAIN, Slot, filled, slotted
from wukong_sched.futures.signal import Signal
from wukong_sched.futures.tickets import Ticket

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class CallFuture(Future[Any]):
    """The future of one call; among the arguments of another call it stands for its result."""

    def __init__(self) -> None:
        # What `Future.__init__` sets, but for the lock: a test compares the two.
        signal: Any = Signal()
        self._condition, self._state = signal, PENDING
        self._result = self._exception = None
        self._waiters: list[Any] = []
        self._done_callbacks: list[Callable[[Future[Any]], Any]] = []

    ticket: Ticket | None = None
    """Says whether a call of a job in functions has begun there; such a one is pending until somebody asks."""
    _stays = False
    """Whether somebody cancelled the call before it had a ticket; it is given none any more."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a future cannot travel to functions; it stands for its result as an argument of submit, or within "
            f"{CONTAINERS} among those; elsewhere give its result()"
        )

    def cancel(self) -> bool:
        """Cancel the call; False if it runs, or has ended. What is cancelled never begins."""
        if self._state == PENDING:
            with self._condition:
                self._stays = self.ticket is None
        if self.ticket is None:
            return super().cancel()
        if self._state == PENDING and not self.ticket.cancel():
            return False
        return self.drop()

    def goes_away(self, ticket: Ticket) -> bool:
        """Be pending until the ticket says more; False if the call was cancelled before."""
        with self._condition:
            if not self._stays:
                self.ticket = ticket
            return not self._stays

    def running(self) -> bool:
        """Whether the call has begun, and has not ended."""
        if self.ticket is not None and self._state == PENDING and self.ticket.begun():
            self.starts()
        return super().running()

    def drop(self) -> bool:
        """Be cancelled, and tell whoever waits; False if it runs or has ended."""
        cancelled = super().cancel()
        if cancelled:
            self.starts()
        return cancelled

    def _invoke_callbacks(self) -> None:
        # A `ThreadPoolExecutor` logs whatever callbacks raise: an `Exception` at this place, and what is meant to end a
        # program (`sys.exit()`) in its worker, which ends. Our threads work for other calls too, so none ends.
        for callback in self._done_callbacks:
            try:
                callback(self)
            except BaseException:
                LOGGER.exception("exception calling callback for %r", self)

    def succeeded(self) -> bool:
        """Whether there is a result. Nothing changes after that, so it is looked up without the lock."""
        return self._state == FINISHED and self._exception is None

    @property
    def value(self) -> Any:
        """The result of one that has succeeded."""
        return self._result

    def starts(self) -> bool:
        """Be running, if it may: False if it is cancelled, of which whoever waits is told, or has ended."""
        with self._condition:
            if self._state in (PENDING, CANCELLED):
                return self.set_running_or_notify_cancel()
            return self._state == RUNNING


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called in a trace; the name of its type if it has none: its text may be long, or an error.

    >>> from functools import partial
    >>> name_of(abs), name_of(partial(abs, 1))
    ('abs', 'partial')
    """
    return str(getattr(function, "__name__", type(function).__name__))


class Call:
    """A function with its arguments; results of other calls among them are `needs`."""

    __slots__ = ("_open", "arguments", "function", "future", "needs", "number")

    def __init__(
        self, number: int, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.number, self.function, self.future = number, function, CallFuture()
        if not kwargs and PLAIN.issuperset(map(type, args)):
            self.arguments: Arguments = (args, kwargs)
            self.needs: tuple[CallFuture, ...] = ()
            self._open = 0
            return
        needs: dict[CallFuture, Slot] = {}

        def found(value: Any) -> Slot | None:
            return needs.setdefault(value, Slot(len(needs))) if isinstance(value, CallFuture) else None

        self.arguments = (slotted(args, found), slotted(kwargs, found))
        self.needs = tuple(needs)
        self._open = len(self.needs)
        """Needs after the first so many are known to be done: each is asked once, however often it is looked at."""

    def missing(self, batch: Container[Future[Any]] = ()) -> CallFuture | None:
        """The last of its needs that is not there, nor in the batch; what was submitted last is likely to end last."""
        left = self._open
        while left and self.needs[left - 1].done():
            left -= 1
        self._open = left
        open_ = islice(reversed(self.needs), len(self.needs) - left, None)
        return next((need for need in open_ if need not in batch and not need.done()), None)

    def is_ready(self) -> bool:
        """Whether all that it needs is there."""
        return self.missing() is None

    def starts(self) -> bool:
        """Mark the future as running; False if it, or something that it needs, is cancelled, or failed."""
        failed = [need for need in self.needs if not need.succeeded()]
        if any(need.cancelled() for need in failed):
            self.future.cancel()
        if not self.future.set_running_or_notify_cancel():
            return False
        if failed:
            self.future.set_exception(failed[0].exception())
        return not failed

    def given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, all results filled in."""
        if not self.needs:
            return self.arguments
        args, kwargs = filled(self.arguments, [need.value for need in self.needs])
        return args, kwargs

    def starts_away(self, here: Container[CallFuture], ticket: Ticket) -> bool:
        """As `starts`, for a call whose other needs are in the same job; it is pending until its ticket says more.

        If a need failed before and others are in the job, one of those may still be cancelled, and then the call is.
        """
        outside = [need for need in self.needs if need not in here]
        if not self.future.goes_away(ticket) or any(need.cancelled() for need in outside):
            self.future.drop()
            return False
        failed = next((error for need in outside if (error := need.exception())), None)
        if failed is None or len(outside) < len(self.needs):
            return True
        if self.future.starts():
            self.future.set_exception(failed)
        return False

    def partly_given(self) -> tuple[Arguments, list[CallFuture]]:
        """The arguments with all results that are there filled in, and the needs that the slots left stand for."""
        if not self.needs:
            return self.arguments, []
        left = [need for need in self.needs if not need.succeeded()]
        slots = {need: Slot(place) for place, need in enumerate(left)}
        args, kwargs = filled(self.arguments, [slots.get(need, need.value) for need in self.needs])
        return (args, kwargs), left

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
