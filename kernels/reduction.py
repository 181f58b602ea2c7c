"""Reductions of one block, and of the partial results of several.

A reduction over a blocked array is ``reduce_block`` on each block and ``combine`` on the results, in any grouping.
Types follow NumPy: sums and products of bool and small integers are 64 bits wide, floats keep their type; min and max
keep all types and propagate NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.cost import Cost

Block = NDArray[Any]
Axis = int | tuple[int, ...] | None

REDUCTIONS: dict[str, np.ufunc] = {
    "sum": np.add,
    "prod": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
    "all": np.logical_and,
    "any": np.logical_or,
}
"""Name -> ufunc that reduces and combines."""

_WIDE = {"b": np.dtype(np.int64), "i": np.dtype(np.int64), "u": np.dtype(np.uint64)}


def reduction_dtype(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    """The type of a reduction's result.

    >>> reduction_dtype("sum", "i4"), reduction_dtype("max", "i4"), reduction_dtype("any", "f8")
    (dtype('int64'), dtype('int32'), dtype('bool'))
    """
    kind = np.dtype(dtype).newbyteorder("=")
    rules = {
        "sum": _WIDE.get(kind.kind, kind),
        "prod": _WIDE.get(kind.kind, kind),
        "all": np.dtype(bool),
        "any": np.dtype(bool),
    }
    return rules.get(name, kind)


def mean_dtypes(dtype: DTypeLike) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The type in which a mean is summed, and that of the mean, as ``numpy.mean`` has them.

    >>> mean_dtypes("i4"), mean_dtypes("f2")
    ((dtype('float64'), dtype('float64')), (dtype('float32'), dtype('float16')))
    """
    kind = np.dtype(dtype).newbyteorder("=")
    if kind.kind in "biu":
        return np.dtype(np.float64), np.dtype(np.float64)
    return (np.dtype(np.float32), kind) if kind == np.float16 else (kind, kind)


def reduce_block(
    name: str, a: Block, axis: Axis = None, *, keepdims: bool = False, dtype: DTypeLike | None = None
) -> Block:
    """One of ``REDUCTIONS`` over some axes of a block; always an array, 0-d when everything is reduced.

    ``dtype`` is the type to accumulate in (``reduction_dtype`` by default). A block without elements gives what
    changes no other partial result: 0, 1, for min +inf or the largest integer, for max the opposite; that an array as
    a whole is not empty is checked elsewhere.

    >>> reduce_block("max", np.array([[1, 5], [4, 2]]), 0)
    array([4, 5])
    >>> reduce_block("min", np.empty((0, 2)), 0)
    array([inf, inf])
    """
    kind = np.dtype(dtype) if dtype is not None else reduction_dtype(name, a.dtype)
    settings: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    if name in ("sum", "prod", "min", "max"):
        settings["dtype"] = kind
    if a.size == 0 and name in ("min", "max"):
        settings["initial"] = _extreme(kind, largest=name == "min")
    return np.asarray(REDUCTIONS[name].reduce(a, **settings), dtype=kind)


def reduce_cost(size: int, out_size: int, dtype: DTypeLike) -> Cost:
    """One flop per element; reads the block.

    >>> reduce_cost(100, 1, "f8")
    Cost(flops=100, bytes_in=800, bytes_out=8)
    """
    width = np.dtype(dtype).itemsize
    return Cost(size, size * width, out_size * width)


def _extreme(dtype: np.dtype[Any], *, largest: bool) -> Any:
    if dtype.kind == "b":
        return largest
    if dtype.kind in "iu":
        return np.iinfo(dtype).max if largest else np.iinfo(dtype).min
    bound = math.inf if largest else -math.inf
    return complex(bound, bound) if dtype.kind == "c" else bound


def combine(name: str, parts: Sequence[Block]) -> Block:
    """Partial results of equal (or broadcasting) shape as one, joined pairwise in a fixed order.

    >>> combine("sum", [np.array([1.0]), np.array([2.0]), np.array([3.0])])
    array([6.])
    """
    cascade = Cascade(REDUCTIONS[name])
    for part in parts:
        cascade.push(part)
    return cascade.total()


def combine_cost(count: int, size: int, dtype: DTypeLike) -> Cost:
    """One flop per element and join.

    >>> combine_cost(3, 10, "f8")
    Cost(flops=20, bytes_in=240, bytes_out=80)
    """
    width = np.dtype(dtype).itemsize
    return Cost((count - 1) * size, count * size * width, size * width)


class Cascade:
    """Joins values two by two, as a binary counter carries: n values in log n rounds of rounding, log n held at a time.

    >>> cascade = Cascade(np.add)
    >>> for x in range(5): cascade.push(np.array(x))
    >>> cascade.total()
    array(10)
    """

    def __init__(self, ufunc: np.ufunc) -> None:
        self._ufunc = ufunc
        self._count = 0
        self._held: list[Block] = []

    def push(self, value: Block) -> None:
        """Take the next value; it must not be changed later."""
        self._count += 1
        carry = self._count
        while carry % 2 == 0:
            value = self._join(self._held.pop(), value)
            carry //= 2
        self._held.append(value)

    def total(self) -> Block:
        """All values joined; at least one is needed."""
        value = self._held[-1]
        for earlier in reversed(self._held[:-1]):
            value = self._join(earlier, value)
        return value

    def _join(self, earlier: Block, later: Block) -> Block:
        return np.asarray(self._ufunc(earlier, later))


def finish_mean(total: Block, count: int, dtype: DTypeLike) -> Block:
    """The mean, of type ``dtype``, from a sum over ``count`` elements (NaN with NumPy's warning when there are none).

    >>> finish_mean(np.array([6.0]), 3, "f4")
    array([2.], dtype=float32)
    """
    # An integer of its own type makes NumPy divide in double precision, as its mean does.
    quotient = np.asarray(np.true_divide(total, np.int64(count)))
    return quotient.astype(total.dtype, copy=False).astype(dtype, copy=False)
