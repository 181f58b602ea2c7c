"""Exceptions that travel pickled.

An exception is pickled as its class, called with `args`, and its attributes. If its ``__init__`` takes anything else
than what it hands on to `Exception`, that call fails when it is loaded, or gives another text. Such a one is made by
the ``__init__`` of Python's own class instead: what its own would have set is among the attributes. What does not
travel so either is a RuntimeError that says what it was.

A group travels part by part, so that ``except*`` finds in it what it would have found where the group was raised: only
what cannot travel of it is a RuntimeError there. A group whose own attributes do not travel is one of Python's own
classes.

Some of Python's own classes keep more than `args` and what is in ``__dict__``: `value`, `code`, `lineno`, `encoding`.
Their ``__init__`` sets that, which is not called where `tblib` says how exceptions are pickled, as it does for
`distributed` and others; and what was set later is not pickled at all. All of it is handed on, too.
"""

from __future__ import annotations

import operator
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType
from typing import Any

from wukong_sched.storage import pickled

ELSEWHERE = frozenset(("args", "obj"))
"""Fields that are pickled by any means, or by none: an AttributeError's object may be as large as it likes."""
VALUES = frozenset((int, float, bool, str, bytes, type(None)))
"""Types of fields that are the same if they look the same; others may not tell, if their types are."""

Trial = tuple[Callable[[Any, BaseException], bool], Any]
"""What might be pickled, and what tells of that which is loaded whether it is right."""


class Rebuilt:
    """Pickled in place of an exception, which is what is loaded."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Callable[..., BaseException], tuple[Any, ...]]:
        error, kind = self._error, type(self._error)
        _, args, *rest = _base(kind).__reduce__(error)
        return _rebuilt, (kind, args, rest[0] if rest else None, _later(error))


def _rebuilt(
    kind: type[BaseException],
    args: tuple[Any, ...],
    state: dict[str, Any] | None,
    fields: Mapping[str, Any] = MappingProxyType({}),
) -> BaseException:
    found = kind.__new__(kind, *args)
    _base(kind).__init__(found, *args)
    found.__setstate__(state)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def _fields(error: BaseException) -> dict[str, Any]:
    """What Python's own classes keep of it, besides `args` and its ``__dict__``."""
    kinds = [kind for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    held = {name: field for kind in kinds for name, field in vars(kind).items() if not name.startswith("_")}
    fields = {name for name, field in held.items() if isinstance(field, MemberDescriptorType | GetSetDescriptorType)}
    return {name: getattr(error, name) for name in sorted(fields - ELSEWHERE) if hasattr(error, name)}


def _later(error: BaseException) -> dict[str, Any]:
    """Fields that were set after Python's own ``__init__``; none if that is not what made it."""
    kind = type(error)
    try:
        made = _fields(_rebuilt(kind, _base(kind).__reduce__(error)[1], None))
    except (Exception, SystemExit):  # its class did without that, and left arguments which it does not take
        return {}
    return {name: value for name, value in _fields(error).items() if made.get(name) is not value}


def _base(kind: type[BaseException]) -> Any:
    """Python's own class that it derives from first, which is made of what it is pickled as."""
    return next(each for each in kind.__mro__ if each.__module__ == "builtins")


class Regrouped:
    """Pickled in place of a group, which is what is loaded; of parts that are portable."""

    __slots__ = ("_kind", "_message", "_parts", "_state")

    def __init__(self, kind: type[BaseException], message: str, parts: list[Any], state: dict[str, Any]) -> None:
        self._kind, self._message, self._parts, self._state = kind, message, parts, state

    def __reduce__(self) -> tuple[Callable[..., BaseException], tuple[Any, ...]]:
        return _regrouped, (self._kind, self._message, self._parts, self._state)


def _regrouped(kind: Any, message: str, parts: list[BaseException], state: dict[str, Any]) -> BaseException:
    found: BaseException = BaseExceptionGroup.__new__(kind, message, parts)  # its own may take what was not handed on
    found.__setstate__(state)
    return found


def portable(error: BaseException) -> Any:
    """What to pickle so that the exception is loaded; itself, unless its class cannot be called with its `args`.

    Of a group, all that can travel is loaded: within a group of its class, or of Python's own.

    >>> class Missing(Exception):
    ...     def __init__(self, name, place):
    ...         super().__init__(f"no {name} in {place}")
    ...         self.name = name
    >>> found = pickled.loads(pickled.dumps(portable(Missing("key", "door"))))
    >>> found, found.name
    (Missing('no key in door'), 'key')
    """
    tried = _regroupings(error) if isinstance(error, BaseExceptionGroup) else _remakings(error)
    for is_right, candidate in tried:
        try:
            if is_right(pickled.loads(pickled.dumps(candidate)), error):
                return candidate
        except (Exception, SystemExit):  # whatever an exception's own pickling raises
            continue
    # Its own text may be an error too, which `traceback` knows.
    return RuntimeError("".join(traceback.format_exception_only(error)).strip())


def _remakings(error: BaseException) -> Iterator[Trial]:
    candidates = (Rebuilt(error), error) if _later(error) else (error, Rebuilt(error))
    return ((is_right, candidate) for is_right in (_is_same, _is_exception) for candidate in candidates)


def _regroupings(error: BaseExceptionGroup[Any]) -> Iterator[Trial]:
    try:
        parts = [portable(part) for part in error.exceptions]
    except RecursionError:  # groups within groups, deeper than Python goes
        return
    if all(map(operator.is_, parts, error.exceptions)):
        yield _is_same, error
    yield _is_exception, Regrouped(type(error), error.message, parts, vars(error))
    notes = {"__notes__": error.__notes__} if hasattr(error, "__notes__") else {}
    yield _is_exception, Regrouped(_base(type(error)), error.message, parts, notes)


def _is_same(found: Any, error: BaseException) -> bool:
    return type(found) is type(error) and repr(found.args) == repr(error.args) and _signs(found) == _signs(error)


def _signs(error: BaseException) -> dict[str, Any]:
    """Its fields, as far as they can be compared."""
    return {
        name: repr(value) if type(value) in VALUES else type(value)
        for name, value in _fields(error).items()
        if value is not None
    }


def _is_exception(found: Any, error: BaseException) -> bool:
    return isinstance(found, BaseException)
