"""Blocks of arrays that are known by their formula, made at an offset."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.cost import Cost

Block = NDArray[Any]


def full_block(shape: tuple[int, ...], value: Any, dtype: DTypeLike) -> Block:
    """A block of one value; zeros take no time until they are written.

    >>> full_block((2,), 7, "i2")
    array([7, 7], dtype=int16)
    """
    if isinstance(value, bool | int | float) and value == 0 and not np.signbit(value):
        return np.zeros(shape, dtype)
    return np.full(shape, value, dtype)


def full_cost(size: int, dtype: DTypeLike) -> Cost:
    """Writes the block.

    >>> full_cost(10, "f8")
    Cost(flops=0, bytes_in=0, bytes_out=80)
    """
    return Cost(0, 0, size * np.dtype(dtype).itemsize)


def eye_block(shape: tuple[int, int], offset: tuple[int, int], k: int, dtype: DTypeLike) -> Block:
    """The block at ``offset`` (row, column) of a matrix with ones on its k-th diagonal.

    >>> eye_block((2, 2), (0, 1), 1, "i1")
    array([[1, 0],
           [0, 1]], dtype=int8)
    """
    return np.eye(*shape, k=k + offset[0] - offset[1], dtype=dtype)


def arange_block(start: Any, step: Any, offset: int, count: int, dtype: DTypeLike) -> Block:
    """Elements ``offset`` to ``offset + count`` of ``numpy.arange(start, ..., step, dtype=dtype)``, bit for bit.

    NumPy writes the first two elements as start and start + step and continues with start + i * delta, where delta is
    the difference of those two in the array's type.

    >>> arange_block(0.0, 0.1, 2, 2, "f8")
    array([0.2, 0.3])
    """
    first = np.array([start, start + step]).astype(dtype)
    kind = first.dtype
    # NumPy steps float16 in float32 and rounds each element.
    work = np.dtype(np.float32) if kind == np.float16 else kind
    base = first.astype(work)
    with np.errstate(over="ignore", invalid="ignore"):
        index = np.arange(offset, offset + count)
        out = (base[:1] + _times(index, base[1:] - base[:1])).astype(kind)
    for position in range(offset, min(2, offset + count)):
        out[position - offset] = first[position]
    return out


def _times(index: Block, delta: Block) -> Block:
    """index * delta in delta's type; for complex types part by part, as NumPy's fill does."""
    if delta.dtype.kind != "c":
        return np.asarray(index.astype(delta.dtype) * delta)
    out = np.empty(len(index), delta.dtype)
    out.real, out.imag = index.astype(delta.real.dtype) * delta.real, index.astype(delta.real.dtype) * delta.imag
    return out


def arange_cost(count: int, dtype: DTypeLike) -> Cost:
    """Two flops per element; writes the block.

    >>> arange_cost(10, "f8")
    Cost(flops=20, bytes_in=0, bytes_out=80)
    """
    return Cost(2 * count, 0, count * np.dtype(dtype).itemsize)
