"""The body of a delayed call: how it runs here, what it is called if it is pure, and how it gets to other processes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from wukong_sched.causes import Left
from wukong_sched.futures.arguments import filled, replaced
from wukong_sched.futures.parcel import TRAVELS, Failed, Parcel, Returned, packed
from wukong_sched.storage import pickled


class Noted:
    """The body of one task: a function with its arguments, in which slots stand for other tasks' values."""

    __slots__ = ("__name__", "_arguments", "_function")

    def __init__(self, function: Callable[..., Any], arguments: Any) -> None:
        self.__name__ = str(getattr(function, "__name__", type(function).__name__))
        self._function, self._arguments = function, arguments

    def __call__(self, *values: Any) -> Any:
        args, kwargs = filled(self._arguments, values) if values else self._arguments
        return self._function(*args, **kwargs)

    def token(self, keys: list[str]) -> str:
        """A name that only the same call of the same values has; a random one if the call cannot be pickled.

        Two calls that are the same may be named differently, if their arguments are pickled differently.
        """
        args, kwargs = self._arguments
        try:
            data = pickled.dumps((self._function, replaced((args, sorted(kwargs.items())), _in_order), keys))
        except Exception:  # whatever an argument's own pickling raises
            return uuid.uuid4().hex
        return hashlib.blake2b(data, digest_size=16).hexdigest()

    def packed(self) -> Sent:
        """The body for other processes; raises what its pickling raises."""
        try:
            return Sent(self.__name__, pickled.dumps_by_value(self._function), packed(*self._arguments))
        except Exception as error:  # whatever the pickling of the function or an argument raises
            error.add_note(TRAVELS)
            raise


class Sent(Parcel):
    """A body in another process: what the call raises ends the job, as it does here."""

    __slots__ = ()

    def __call__(self, *values: Any) -> Any:
        found = super().__call__(*values)
        if isinstance(found, Failed) and all(found is not value for value in values):
            raise Left(found)
        return found

    def leaves(self, value: Any) -> Returned:
        """The result itself: nobody changes what delayed calls return, so it need not be pickled to stay what it is."""
        return Returned(value)


def _in_order(value: Any) -> Any:
    """An array's elements in one order, however they lie in memory."""
    strided = type(value) is np.ndarray and not value.flags.c_contiguous
    return value.copy(order="C") if strided else value
