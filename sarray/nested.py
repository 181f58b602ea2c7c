"""Arrays in nested tuples, lists and dicts: found in order, and replaced by their values in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sarray.expression import Expression


def is_array(value: Any) -> bool:
    """Whether a value is an array of ours."""
    return isinstance(getattr(value, "expression", None), Expression)


def arrays_in(value: Any) -> Iterator[Any]:
    """The arrays in nested tuples, lists and dicts.

    >>> import sarray as sa
    >>> [x.shape for x in arrays_in({"a": [sa.ones(2), 5], "b": (sa.ones(3),)})]
    [(2,), (3,)]
    """
    if is_array(value):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from arrays_in(each)
    elif isinstance(value, dict):
        yield from arrays_in(list(value.values()))


def rebuilt(value: Any, values: Iterator[Any]) -> Any:
    """The nested value with its arrays replaced, in order.

    >>> import sarray as sa
    >>> rebuilt([sa.ones(2), {"a": sa.ones(3)}, "text"], iter("xy"))
    ['x', {'a': 'y'}, 'text']
    """
    if is_array(value):
        return next(values)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(rebuilt(each, values) for each in value))
    if isinstance(value, (tuple, list)):
        return type(value)(rebuilt(each, values) for each in value)
    if isinstance(value, dict):
        return {key: rebuilt(each, values) for key, each in value.items()}
    return value


def distinct(values: Iterator[Any]) -> Iterator[Any]:
    """The values, copied where one comes again: everybody's result is his own."""
    seen: set[int] = set()
    for value in values:
        yield value.copy() if id(value) in seen else value
        seen.add(id(value))
