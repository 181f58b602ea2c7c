"""A call on its way to another process, and what comes back.

The function travels pickled, once for all calls that share it, with what it uses of modules that functions do not
find; a process that gets it keeps it loaded. What cannot be pickled, or loaded again, is the exception of that one
call.

Calls may change what they are given in place, and functions keep what they return, a work array, say, and change that:
a result is what it was when it was returned, wherever whoever takes it runs. So what is neither plain nor an array is
pickled there and then, and everybody who takes it loads an own one. Arrays go from task to task as they are, but for a
copy wherever two would have the same: of one that something of the function's may still hold, when it is returned; of
one that is **shared**, because more than one call is given it, or a call and whoever holds the future, by each who
takes it. What cannot be pickled is the same for all that are in its process. Delayed calls, which change nothing that
they are given or returned, hand on other values too as they are (`wukong_sched.noted`).
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from wukong_sched.futures.arguments import PLAIN, filled
from wukong_sched.futures.tickets import Ticket
from wukong_sched.storage import pickled
from wukong_sched.storage.exceptions import portable

TRAVELS = (
    "what is called in functions, what it is given and what it returns travels pickled; give list(...) of a generator"
)
LOADED = 16
"""Functions that a process keeps."""
ONCE = 2
"""References to what is held once, by a list or an array: one more is `sys.getrefcount`'s own."""


class Returned:
    """What a call returned; opened when somebody asks for it."""

    __slots__ = ("_data", "_value")

    def __init__(self, value: Any = None, data: bytes | None = None) -> None:
        self._value, self._data = value, data

    def open(self) -> Any:
        """The value; raises what loading it raises."""
        return self._value if self._data is None else pickled.loads(self._data)

    def detached(self) -> Returned:
        """The same as it is now, whoever holds the value and changes it, if it can be pickled."""
        if type(self._value) in PLAIN:
            return self
        try:
            return Returned(None, pickled.dumps(self._value))
        except BaseException:  # whatever the value's own pickling raises, again when it leaves its process
            return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self._data is not None:
            return Returned, (None, self._data)
        if type(self._value) in PLAIN:
            return Returned, (self._value,)
        try:
            return Returned, (None, pickled.dumps(self._value))
        except BaseException as error:  # whatever the value's own pickling raises
            error.add_note(TRAVELS)
            return Failed(error).__reduce__()


class Lent:
    """An array that many calls have among their arguments: each gets a copy, as if it had travelled alone."""

    __slots__ = ("_array", "nbytes")

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array, self.nbytes = array, array.nbytes

    def open(self) -> npt.NDArray[Any]:
        """The caller's own copy, in the same memory order."""
        return self._array.copy(order="K")

    def __reduce__(self) -> tuple[type[Lent], tuple[npt.NDArray[Any]]]:
        return Lent, (self._array,)


class Failed:
    """What a call raised, with the traceback there as text."""

    __slots__ = ("_data", "text")

    def __init__(self, error: BaseException | None, text: str = "", data: bytes = b"") -> None:
        self.text = text or "".join(traceback.format_exception(error))
        self._data = data or pickled.dumps(portable(error) if error is not None else None)

    def open(self) -> BaseException:
        """The exception; its cause is the traceback."""
        from concurrent.futures.process import _RemoteTraceback

        error: BaseException = pickled.loads(self._data)
        text: Any = f'\n"""\n{self.text}"""'
        error.__cause__ = _RemoteTraceback(text)
        return error

    def __reduce__(self) -> tuple[type[Failed], tuple[None, str, bytes]]:
        return Failed, (None, self.text, self._data)


class Dropped(Failed):
    """Stands for the result of a call that was cancelled before it began, or that needs such a one."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(CancelledError())

    def __reduce__(self) -> Any:
        return Dropped, ()


class Parcel:
    """The body of a call's task; results of other calls are handed in, those at the places `shared` not to it alone."""

    __slots__ = ("__name__", "_arguments", "_function", "_shared", "_ticket")

    def __init__(
        self,
        name: str,
        function: bytes,
        arguments: Any,
        ticket: Ticket | None = None,
        shared: frozenset[int] = frozenset(),
    ) -> None:
        self.__name__, self._function, self._arguments, self._ticket = name, function, arguments, ticket
        self._shared = shared

    def __reduce__(self) -> tuple[type[Parcel], tuple[Any, ...]]:
        sharing = (self._shared,) if self._shared else ()
        return type(self), (self.__name__, self._function, self._arguments, self._ticket, *sharing)

    def sharing(self, shared: frozenset[int]) -> Parcel:
        """The same call, among others that share these results with it."""
        return Parcel(self.__name__, self._function, self._arguments, self._ticket, shared)

    def __call__(self, *results: Any) -> Any:
        """Call the function: its result, `Returned` or an array as it is, `Failed`, or `Dropped` if cancelled."""
        failed = [result for result in results if isinstance(result, Failed)]
        if any(isinstance(each, Dropped) for each in failed) or not self._begins():
            return Dropped()
        found = failed[0] if failed else self._called(results)
        if self._ticket is not None:
            self._ticket.end()
        return found

    def _begins(self) -> bool:
        """Whether nobody has cancelled it."""
        return self._ticket is None or self._ticket.begin()

    def _called(self, results: tuple[Any, ...]) -> Any:
        try:
            function, arguments = loaded(self._function), self._arguments
            args, kwargs = pickled.loads(arguments) if isinstance(arguments, bytes) else (arguments, {})
            if results:
                args, kwargs = filled((args, kwargs), self._opened(results))
            returned = [function(*args, **kwargs)]
        except BaseException as error:  # whatever it is, it is for whoever asks for the result
            return Failed(error)
        del args, kwargs  # they may hold what was returned
        if type(returned[0]) is not np.ndarray or returned[0].dtype.hasobject:
            return self.leaves(returned[0])
        return returned[0] if is_held_nowhere_else(returned) else returned[0].copy(order="K")

    def leaves(self, value: Any) -> Returned:
        """What there is of a result that is no array."""
        return Returned(value).detached()

    def _opened(self, results: tuple[Any, ...]) -> list[Any]:
        opened = [each.open() if isinstance(each, (Returned, Lent)) else each for each in results]
        for place in self._shared:
            if type(results[place]) is np.ndarray:
                opened[place] = results[place].copy(order="K")
        return opened


def is_held_nowhere_else(only: list[npt.NDArray[Any]]) -> bool:
    """Whether nobody but this list of one array holds it, or the array whose memory it shows.

    >>> array = np.zeros(4)
    >>> is_held_nowhere_else([array]), is_held_nowhere_else([np.zeros(4)]), is_held_nowhere_else([np.zeros(4)[1:]])
    (False, True, True)
    """
    if sys.getrefcount(only[0]) > ONCE:
        return False
    if only[0].base is None:
        return only[0].flags.owndata
    return sys.getrefcount(only[0].base) == ONCE and type(only[0].base) is np.ndarray and only[0].base.flags.owndata


@lru_cache(maxsize=LOADED)
def loaded(data: bytes) -> Callable[..., Any]:
    """The function, loaded once in each process."""
    function: Callable[..., Any] = pickled.loads(data)
    return function


def no_future(part: Any) -> Any:
    """The argument, or part of one; TypeError if it is a future of another library, which means nothing elsewhere.

    >>> from concurrent.futures import Future
    >>> no_future("argument"), no_future(Future())
    Traceback (most recent call last):
        ...
    TypeError: a concurrent.futures._base.Future cannot travel to functions; give its result(), or submit ...
    """
    kind = type(part)
    if hasattr(kind, "add_done_callback") and hasattr(kind, "result"):
        raise TypeError(
            f"a {kind.__module__}.{kind.__qualname__} cannot travel to functions; give its result(), or submit what it "
            "stands for to an executor of wukong_sched.futures, whose futures stand for their results"
        )
    return part


def packed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Arguments for a parcel: as they are if that means the same everywhere, pickled otherwise."""
    if not kwargs and PLAIN.issuperset(map(type, args)):
        return args
    return pickled.dumps_by_value((args, kwargs))
