"""Targets: somebody's arrays that a computation writes into."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sarray.delivery import Place, Target
from sarray.expression import Expression


@dataclass(frozen=True, slots=True)
class Both:
    """Two places for one array."""

    first: Place
    second: Place

    def put(self, index: tuple[int, ...], block: Any) -> None:
        """Put the block into both."""
        self.first.put(index, block)
        self.second.put(index, block)

    def get(self, index: tuple[int, ...]) -> Any:
        """The block from one of them."""
        return self.first.get(index)


def places_of(expressions: Sequence[Expression], targets: Sequence[Any]) -> dict[str, Place]:
    """Where each array goes. ValueError for shapes that differ, TypeError for types that do."""
    places: dict[str, Place] = {}
    locks: dict[int, Any] = {}
    for expression, target in zip(expressions, targets, strict=True):
        check(expression, target)
        earlier = places.get(expression.name)
        lock = None if is_memory(target) else locks.setdefault(id(target), threading.Lock())
        place = Target(expression, target, lock)
        places[expression.name] = place if earlier is None else Both(earlier, place)
    return places


def is_memory(target: Any) -> bool:
    """Whether threads may write different parts at once; in a chunked store two parts may share a chunk."""
    return isinstance(target, np.ndarray) or getattr(target, "random_access", False)


def check(expression: Expression, target: Any) -> None:
    """Raise unless the target takes what the expression is."""
    if not hasattr(target, "__setitem__") or not hasattr(target, "shape"):
        raise TypeError(f"store: a target needs shape and slice assignment, and {type(target).__name__} has not")
    if tuple(target.shape) != expression.shape:
        raise ValueError(
            f"store: an array of shape {expression.shape} does not fit a target of shape {tuple(target.shape)}"
        )
    kind = getattr(target, "dtype", expression.dtype)
    if np.dtype(kind) != expression.dtype:
        raise TypeError(
            f"store: an array of {expression.dtype} does not fit a target of {kind}; write x.astype({str(kind)!r})"
        )
