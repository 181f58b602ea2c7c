"""Nodes of a graph that are called in other processes, what they return and what they raise.

Results go from task to task as they are, and are pickled only where they leave their process (`Returned`). What a task
raises ends the job, whatever it is (`Left`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wukong_sched.causes import Left
from wukong_sched.dask.graph import Call
from wukong_sched.futures.parcel import Failed, Returned


class Away:
    """A call in another process."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call

    def __reduce__(self) -> tuple[type[Away], tuple[Call]]:
        return Away, (self.call,)

    def __call__(self, *values: Any) -> Any:
        for value in values:
            if isinstance(value, Failed):
                return value
        try:
            value = self.call(*map(opened, values))
        except BaseException as error:  # whatever it is, it is for whoever computes
            raise Left(Failed(error)) from None
        return value if type(value) is np.ndarray and not value.dtype.hasobject else Returned(value)

    @property
    def __name__(self) -> str:
        """The operation."""
        return self.call.__name__


def opened(value: Any) -> Any:
    """What a tile holds of another process's results; raises what could not be pickled.

    >>> opened(Returned(1)), opened(2)
    (1, 2)
    """
    if isinstance(value, Failed):
        raise value.open()
    return value.open() if isinstance(value, Returned) else value
