"""Exceptions that travel pickled.

An exception is pickled as its class, called with `args`, and its attributes. If its ``__init__`` takes anything else
than what it hands on to `Exception`, that call fails when it is loaded, or gives another text. Such a one is made by
the ``__init__`` of Python's own class instead: what its own would have set is among the attributes. What does not
travel so either is a RuntimeError that says what it was.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from wukong_sched.storage import pickled


class Rebuilt:
    """Pickled in place of an exception, which is what is loaded."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Callable[..., BaseException], tuple[Any, ...]]:
        reduced: Any = _base(type(self._error)).__reduce__(self._error)
        _, args, *state = reduced
        return _rebuilt, (type(self._error), args, *state)


def _rebuilt(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any] | None = None) -> BaseException:
    found = kind.__new__(kind, *args)
    base: Any = _base(kind)
    base.__init__(found, *args)
    found.__setstate__(state)
    return found


def _base(kind: type[BaseException]) -> type[BaseException]:
    """Python's own class that it derives from first, which is made of what it is pickled as."""
    return next(each for each in kind.__mro__ if each.__module__ == "builtins")


def portable(error: BaseException) -> Any:
    """What to pickle so that the exception is loaded; itself, unless its class cannot be called with its `args`.

    >>> class Missing(Exception):
    ...     def __init__(self, name, place):
    ...         super().__init__(f"no {name} in {place}")
    ...         self.name = name
    >>> found = pickled.loads(pickled.dumps(portable(Missing("key", "door"))))
    >>> found, found.name
    (Missing('no key in door'), 'key')
    """
    for is_right in (_is_same, _is_exception):
        for candidate in (error, Rebuilt(error)):
            try:
                if is_right(pickled.loads(pickled.dumps(candidate)), error):
                    return candidate
            except Exception:  # whatever an exception's own pickling raises
                continue
    # Its own text may be an error too, which `traceback` knows.
    return RuntimeError("".join(traceback.format_exception_only(error)).strip())


def _is_same(found: Any, error: BaseException) -> bool:
    return type(found) is type(error) and repr(found.args) == repr(error.args)


def _is_exception(found: Any, error: BaseException) -> bool:
    return isinstance(found, BaseException)
