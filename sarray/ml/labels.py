"""Labels that can be compared: numbers with numbers, strings with strings, whatever holds them.

Labels are of a type that says what they are, or Python's objects that are all one or all the other. A number never
equals a string. Who compares them has mixed up two codes, and is told so, as by scikit-learn; objects of Dask are
looked at when they are read. Strings become numbers here: their places among those that are in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.dtypes import NUMERIC
from sarray.mapping import map_blocks
from sarray.ml.finite import all_finite
from sarray.ml.rows import checked, is_dask, is_lazy, real

NUMBER, STRING = "number", "string"
SEVERAL = (
    "multiclass-multioutput is not supported: more than two different labels in several columns; score one column "
    "after the other"
)
KINDS: Mapping[str, str] = dict.fromkeys(NUMERIC, NUMBER) | dict.fromkeys("UST", STRING)
"""What labels of NumPy's kinds of types are; objects may be either."""


def plain(values: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all numbers, or all strings, as an array of those; ValueError for others.

    >>> plain(np.array([1, 2.5], object)), plain(np.array(["no", "yes"], object))
    (array([1. , 2.5]), array(['no', 'yes'], dtype='<U3'))
    """
    if values.dtype.kind != "O":
        return values
    items = values.ravel().tolist()
    if not any(all(isinstance(each, types) for each in items) for types in ((Number, np.bool_), (str, bytes))):
        found = ", ".join(sorted({type(each).__name__ for each in items}))
        raise ValueError(f"values are neither all numbers nor all strings: {found}; convert them first")
    return np.array(items).reshape(values.shape)


@dataclass(frozen=True, slots=True)
class OfKind:
    """Objects of a block, if all are numbers, or all strings; ValueError if not."""

    kind: str

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        """The same block."""
        if block.size and (found := KINDS.get(plain(block).dtype.kind)) != self.kind:
            raise ValueError(f"Mix of label input types (string and number): {found}s among {self.kind}s")
        return block


@dataclass(frozen=True, slots=True)
class Positions:
    """Where labels are among sorted ones; -1 if they are not."""

    labels: NDArray[Any]

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        """As many numbers as labels."""
        found = np.minimum(np.searchsorted(self.labels, block), max(len(self.labels) - 1, 0))
        positions: NDArray[Any] = np.where(self.labels[found] == block, found, -1) if len(self.labels) else found - 1
        return positions


@dataclass(frozen=True, slots=True)
class Classes:
    """Labels of a block, if all of those that are floating-point numbers are whole; ValueError if not."""

    name: str

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        """The same block."""
        all_finite(self.name, block)
        if block.dtype.kind == "f" and (block != np.floor(block)).any():
            raise ValueError(f"Classification metrics can't handle continuous targets: {self.name} contains fractions")
        return block


def classes(name: str, values: Any) -> tuple[Any, Any]:
    """Labels that scikit-learn's accuracy is defined for, and 1; ValueError for others, of lazy ones when computed.

    Several labels of a sample must be indicators: not more than two different ones in all columns.
    """
    real(name, values)
    found = checked(Classes(name), values) if values.dtype.kind == "f" else values
    if values.ndim < 2 or values.shape[1] == 1 or 0 in values.shape or values.dtype.kind in "bO":
        return found, 1.0
    if KINDS.get(values.dtype.kind) == STRING:
        raise ValueError(SEVERAL)
    labels = _in_full_chunks(found)
    low, high = labels.min(), labels.max()
    return found, checked(_indicators, ((labels != low) & (labels != high)).any() * 1.0)


def _in_full_chunks(values: Any) -> Any:
    """The values without empty chunks, if they are Dask's, which knows no least of nothing."""
    if not is_dask(values):
        return values
    return values.rechunk(tuple(tuple(extent for extent in extents if extent) for extents in values.chunks))


def _indicators(others: Any) -> NDArray[Any]:
    if others:
        raise ValueError(SEVERAL)
    return np.ones(())


def comparable(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Labels that are equal where those given are: numbers, or of Dask whatever they were.

    Raises ValueError for numbers and strings, and for objects that are neither; `name` says who compares them.
    """
    first, second = (each if is_lazy(each) else plain(np.asarray(each)) for each in (y_true, y_pred))
    kinds = KINDS.get(first.dtype.kind), KINDS.get(second.dtype.kind)
    if None not in kinds and kinds[0] != kinds[1]:
        words = "y_true" if kinds[0] == STRING else "y_pred"
        raise ValueError(
            f"{name}: Mix of label input types (string and number): y_true has {first.dtype}, y_pred {second.dtype}; "
            f"give numbers twice or strings twice, for example {words}.astype(int) if its strings are numbers"
        )
    if is_dask(first) or is_dask(second):
        return _checked(first, kinds[1]), _checked(second, kinds[0])
    return _numbered(first, second) if STRING in kinds else (first, second)


def _checked(labels: Any, kind: str | None) -> Any:
    """Labels that are to be compared with some of this kind: objects of Dask are, when they are read."""
    if kind is None or not is_dask(labels) or labels.dtype.kind != "O":
        return labels
    return labels.map_blocks(OfKind(kind), dtype=object, meta=np.empty((0,) * labels.ndim, object))


def _numbered(first: Any, second: Any) -> tuple[Any, Any]:
    """Strings, at least one of both lazy, as numbers that are the same where the strings are."""
    given = [first, second]
    known = [each.astype(str) for each in given if isinstance(each, np.ndarray)]
    if not known and first.shape != second.shape:
        return np.empty(first.shape), np.empty(second.shape)  # only shapes matter: they are refused
    if not known:
        same = map_blocks(np.equal, first, second.rechunk(first.chunks), dtype=bool)
        return same, np.ones(same.shape, bool)
    positions = Positions(np.unique(np.concatenate([each.ravel() for each in known])))
    numbers = [
        positions(each.astype(str)) if isinstance(each, np.ndarray) else map_blocks(positions, each, dtype=np.int64)
        for each in given
    ]
    return numbers[0], numbers[1]
