"""Arguments of a call: what in them is the result of another call, and the arguments once that is there.

A result may stand for itself among the arguments, or within tuples, lists and dicts among them, however deep. What
holds no result is handed on as it is, not as a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Found = Callable[[Any], "Slot | None"]
"""The slot of what stands for a result; None for everything else."""


class Slot:
    """Stands for result number so and so."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[type[Slot], tuple[int]]:
        return Slot, (self.number,)


def slotted(value: Any, found: Found) -> Any:
    """The value with a slot in place of each result; the value itself if there is none in it.

    >>> slotted([1, (2, "x")], lambda part: Slot(0) if part == "x" else None)[1][1].number
    0
    """
    kind = type(value)
    if kind is tuple or kind is list:
        parts = [slotted(part, found) for part in value]
        return value if all(map(_is, parts, value)) else kind(parts)
    if kind is dict:
        parts = [slotted(part, found) for part in value.values()]
        return value if all(map(_is, parts, value.values())) else dict(zip(value, parts, strict=True))
    slot = found(value)
    return value if slot is None else slot


def _is(one: object, other: object) -> bool:
    return one is other


def filled(value: Any, results: Sequence[Any]) -> Any:
    """The value with a result in place of each slot.

    >>> filled({"a": [Slot(1), 2]}, ["x", "y"])
    {'a': ['y', 2]}
    """
    kind = type(value)
    if kind is Slot:
        return results[value.number]
    if kind is tuple or kind is list:
        return kind(filled(part, results) for part in value)
    return {key: filled(part, results) for key, part in value.items()} if kind is dict else value
