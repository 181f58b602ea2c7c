"""Arguments of a call: what in them is the result of another call, and the arguments once that is there.

A result may stand for itself among the arguments, or within tuples (named ones too), lists, sets, dicts' values,
slices, dataclasses, `OrderedDict` and `deque` among them. What holds no result is handed on as it is, not as a copy; so
is what holds itself, where it comes back to itself, and what is nested deeper than Python's recursion goes. What is
shared is looked at once, and stays shared.
"""

from __future__ import annotations

import operator
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

PLAIN = frozenset((int, float, bool, str, bytes, complex, type(None)))
"""Types of values that are no results and hold none."""
Found = Callable[[Any], "Slot | None"]
"""The slot of what stands for a result; None for everything else."""


class Slot:
    """Stands for result number so and so."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[type[Slot], tuple[int]]:
        return Slot, (self.number,)


class Shape(NamedTuple):
    """How a container is taken apart, and one like it made of other parts."""

    parts: Callable[[Any], list[Any]]
    like: Callable[[Any, list[Any]], Any]


def _with_fields(value: Any, parts: list[Any]) -> Any:
    changed = copy(value)
    for name, part in zip(_fields(value), parts, strict=True):
        object.__setattr__(changed, name, part)  # frozen ones too
    return changed


def _fields(value: Any) -> list[str]:
    return [name for name in value.__dataclass_fields__ if hasattr(value, name)]


SHAPES: Mapping[type, Shape] = {
    tuple: Shape(list, lambda value, parts: tuple(parts)),
    list: Shape(list, lambda value, parts: parts),
    set: Shape(list, lambda value, parts: set(parts)),
    frozenset: Shape(list, lambda value, parts: frozenset(parts)),
    dict: Shape(lambda value: list(value.values()), lambda value, parts: dict(zip(value, parts, strict=True))),
    slice: Shape(lambda value: [value.start, value.stop, value.step], lambda value, parts: slice(*parts)),
    OrderedDict: Shape(
        lambda value: list(value.values()), lambda value, parts: OrderedDict(zip(value, parts, strict=True))
    ),
    deque: Shape(list, lambda value, parts: deque(parts, value.maxlen)),
}


def _keyed(kind: type) -> Shape:
    return Shape(
        lambda value: [*value, *value.values()],
        lambda value, parts: kind(zip(parts[: len(value)], parts[len(value) :], strict=True)),
    )


ITERATOR = Shape(lambda value: list(copy(value)), lambda value, parts: iter(parts))
KEYED: Mapping[type, Shape] = {
    **SHAPES,
    dict: _keyed(dict),
    OrderedDict: _keyed(OrderedDict),
    **{type(iter(kind())): ITERATOR for kind in (list, tuple, set)},
}
"""The same with dicts' keys, and what iterators of lists, tuples and sets have still to give."""
CONTAINERS = "tuples, lists, sets, dicts' values, slices, dataclasses, OrderedDict and deque"
"""What results are found in."""
NAMED = Shape(list, lambda value, parts: value._make(parts))
DATACLASS = Shape(lambda value: [getattr(value, name) for name in _fields(value)], _with_fields)


def _shape(value: Any, shapes: Mapping[type, Shape]) -> Shape | None:
    kind = type(value)
    if kind in shapes:
        return shapes[kind]
    if issubclass(kind, tuple) and hasattr(kind, "_make"):
        return NAMED
    return DATACLASS if hasattr(kind, "__dataclass_fields__") else None


def replaced(
    value: Any,
    leaf: Callable[[Any], Any],
    shapes: Mapping[type, Shape] = SHAPES,
    known: dict[int, tuple[Any, Any]] | None = None,
) -> Any:
    """The value with `leaf` of everything in it that is neither plain nor a container; itself if nothing changes.

    >>> replaced([1, (2, {3: abs})], lambda part: "found")
    [1, (2, {3: 'found'})]
    """
    if type(value) in PLAIN:
        return value
    shape = _shape(value, shapes)
    if shape is None:
        return leaf(value)
    if known is None:
        known = {}  # containers and what became of them, by id: each is kept, so that no other gets its id
    elif id(value) in known:
        return known[id(value)][1]
    parts = shape.parts(value)
    if PLAIN.issuperset(map(type, parts)):
        return value
    known[id(value)] = value, value  # as long as it is looked at
    try:
        others = [replaced(part, leaf, shapes, known) for part in parts]
    except RecursionError:
        return value
    if not all(map(operator.is_, parts, others)):
        known[id(value)] = value, shape.like(value, others)
    return known[id(value)][1]


def slotted(value: Any, found: Found, shapes: Mapping[type, Shape] = SHAPES) -> Any:
    """The value with a slot in place of each result; the value itself if there is none in it.

    >>> slotted([1, (2, abs)], lambda part: Slot(0))[1][1].number
    0
    """

    def leaf(part: Any) -> Any:
        slot = found(part)
        return part if slot is None else slot

    return replaced(value, leaf, shapes)


def filled(value: Any, results: Sequence[Any]) -> Any:
    """The value with a result in place of each slot.

    >>> filled({"a": [Slot(1), 2]}, ["x", "y"])
    {'a': ['y', 2]}
    """
    return replaced(value, lambda part: results[part.number] if type(part) is Slot else part, KEYED)
