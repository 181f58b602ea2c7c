"""Random blocks whose values do not depend on how an array is cut.

Every element has one 64-bit draw of its own: draw number e of the Philox4x64-10 stream of the array's key, e being the
element's position in C order in the whole array (Salmon, Moraes, Dror, Shaw 2011: counter-based generators; NumPy's
``Philox``, whose raw stream is stable). A counter holds four draws, so that element e is lane e mod 4 of counter e div
4. Everything else is a function of that draw:

* uniform: the upper 53 bits (24 for float32) as a fraction in [0, 1);
* normal: the upper 53 bits as a probability in (0, 1/2), through the inverse normal distribution
  (``scipy.special.ndtri``), and the lowest bit as sign, so that both tails reach the same 8.3 standard deviations and
  no value is infinite;
* integers: the upper half of the 128-bit product of draw and range (Lemire 2019, without rejection): the bias is at
  most range / 2^64.

A block is a set of runs of consecutive draws. Long runs are generated one by one; of short ones that lie close
together (the rows of a narrow block) the draws between are generated as well and dropped, which costs less than to
start again for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.cost import Cost

Block = NDArray[Any]
Bits = NDArray[np.uint64]
Key = int | tuple[int, ...]
Shape = tuple[int, ...]

PIECE = 1 << 15
"""Draws generated at a time."""
JUMP = 600
"""Draws that cost as much as starting a new run."""


def uniform_block(
    key: Key,
    shape: Shape,
    offset: Shape,
    extent: Shape,
    dtype: DTypeLike = np.float64,
    *,
    low: float = 0.0,
    high: float = 1.0,
) -> Block:
    """Uniform in [low, high): the block of ``extent`` at ``offset`` in an array of ``shape``; float64 or float32.

    >>> whole = uniform_block(7, (4, 5), (0, 0), (4, 5))
    >>> part = uniform_block(7, (4, 5), (1, 2), (2, 3))
    >>> np.array_equal(part, whole[1:3, 2:5])
    True
    """
    kind = _float_type(dtype)
    bits, fraction = (53, 2.0**-53) if kind == np.float64 else (24, 2.0**-24)

    def transform(draws: Bits, out: Block) -> None:
        np.right_shift(draws, 64 - bits, out=draws)
        np.multiply(draws.view(np.int64), fraction, out=out, casting="same_kind")
        _scale(out, low, high - low)

    return _filled(key, shape, offset, extent, kind, transform)


def uniform_cost(size: int, dtype: DTypeLike) -> Cost:
    """About 20 flops per element.

    >>> uniform_cost(10, "f8")
    Cost(flops=200, bytes_in=0, bytes_out=80)
    """
    return Cost(20 * size, 0, size * np.dtype(dtype).itemsize)


def normal_block(
    key: Key,
    shape: Shape,
    offset: Shape,
    extent: Shape,
    dtype: DTypeLike = np.float64,
    *,
    loc: float = 0.0,
    scale: float = 1.0,
) -> Block:
    """Normal with mean ``loc`` and standard deviation ``scale``; otherwise as ``uniform_block``.

    >>> x = normal_block(1, (100, 100), (0, 0), (100, 100))
    >>> bool(abs(x.mean()) < 0.03), bool(abs(x.std() - 1) < 0.03)
    (True, True)
    """
    from scipy.special import ndtri

    def transform(draws: Bits, out: Block) -> None:
        signs = draws << np.uint64(63)
        np.right_shift(draws, 11, out=draws)
        x = draws.view(np.int64) + 0.5
        x *= 2.0**-54
        ndtri(x, out=x)
        np.bitwise_xor(x.view(np.uint64), signs, out=x.view(np.uint64))
        _scale(x, loc, scale)
        out[...] = x

    return _filled(key, shape, offset, extent, _float_type(dtype), transform)


def normal_cost(size: int, dtype: DTypeLike) -> Cost:
    """About 80 flops per element.

    >>> normal_cost(10, "f4")
    Cost(flops=800, bytes_in=0, bytes_out=40)
    """
    return Cost(80 * size, 0, size * np.dtype(dtype).itemsize)


def integers_block(
    key: Key, shape: Shape, offset: Shape, extent: Shape, dtype: DTypeLike = np.int64, *, low: int = 0, high: int
) -> Block:
    """Integers from ``low`` up to, not including, ``high``; otherwise as ``uniform_block``.

    A value's probability is off by at most (high - low) / 2^64 of itself.
    Raises ``ValueError`` when the range is empty or does not fit ``dtype``.

    >>> x = integers_block(3, (1000,), (0,), (1000,), "i1", low=-2, high=3)
    >>> int(x.min()), int(x.max()), x.dtype
    (-2, 2, dtype('int8'))
    """
    kind = np.dtype(dtype)
    limits = (0, 1) if kind.kind == "b" else (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    if not limits[0] <= low < high <= limits[1] + 1:
        holds = f"{kind} holds {limits[0]} to {limits[1]}"
        raise ValueError(f"integers from {low} to below {high} do not fit, or there are none: {holds}")
    count, start = high - low, np.array(low % 2**64, np.uint64)

    def transform(draws: Bits, out: Block) -> None:
        values = draws if count == 2**64 else _upper_product(draws, count)
        values += start
        np.copyto(out, values, casting="unsafe")

    return _filled(key, shape, offset, extent, kind, transform)


def integers_cost(size: int, dtype: DTypeLike) -> Cost:
    """About 30 operations per element.

    >>> integers_cost(10, "i8")
    Cost(flops=300, bytes_in=0, bytes_out=80)
    """
    return Cost(30 * size, 0, size * np.dtype(dtype).itemsize)


def _float_type(dtype: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise TypeError(f"random values are float32 or float64, not {kind}; convert with astype")
    return kind


def _scale(x: Block, start: float, width: float) -> None:
    if width != 1:
        x *= width
    if start != 0:
        x += start


def _upper_product(draws: Bits, count: int) -> Bits:
    """floor(draws * count / 2^64), in halves of 32 bits; no partial sum exceeds 64 bits."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    high, low = np.uint64(count >> 32), np.uint64(count & 0xFFFFFFFF)
    upper, lower = draws >> half, draws & mask
    middle: Bits = upper * low + (lower * low >> half)
    if high:
        other = lower * high + (middle & mask)
        middle = upper * high + (middle >> half) + (other >> half)
    else:
        middle >>= half
    return middle


@dataclass(frozen=True, slots=True)
class _Runs:
    """A block as runs of consecutive draws: groups of ``count`` runs of ``length`` draws, ``step`` apart."""

    length: int
    count: int
    step: int
    starts: Iterator[int]
    """The first draw of each group."""


def _runs(shape: Shape, offset: Shape, extent: Shape) -> _Runs:
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    first = sum(at * stride for at, stride in zip(offset, strides, strict=True))
    axis = next((n for n in reversed(range(len(shape))) if extent[n] != shape[n]), 0)
    length = math.prod(extent[axis:])
    if axis == 0:
        return _Runs(length, 1, length, iter([first]))
    outer = np.ndindex(*extent[: axis - 1])
    starts = (first + sum(i * stride for i, stride in zip(place, strides, strict=False)) for place in outer)
    return _Runs(length, extent[axis - 1], strides[axis - 1], starts)


def _entropy(key: Key) -> list[int]:
    """A key as 32-bit words, each number after its length: SeedSequence alone takes 1 and (1, 0) for the same."""
    numbers = [index(number) for number in (key if isinstance(key, tuple) else (key,))]
    if any(number < 0 for number in numbers):
        raise ValueError(f"a key is a non-negative integer or a tuple of such, not {key}")
    words = [len(numbers)]
    for number in numbers:
        digits = [number >> shift & 0xFFFFFFFF for shift in range(0, number.bit_length(), 32)]
        words += [len(digits), *digits]
    return words


class _Stream:
    """The draws of one key, read anywhere."""

    def __init__(self, key: Key) -> None:
        self._philox = np.random.Philox(key=np.random.SeedSequence(_entropy(key)).generate_state(2, np.uint64))
        self._counter = 0

    def take(self, start: int, count: int) -> Bits:
        """Draws ``start`` to ``start + count``, the caller's to overwrite."""
        counter, lane = divmod(start, 4)
        self._philox.advance((counter - self._counter) % 2**256)
        self._counter = counter + -(-(lane + count) // 4)
        draws: Bits = np.asarray(self._philox.random_raw(lane + count), dtype=np.uint64)
        rest: Bits = draws[lane:]
        return rest


def _draws(key: Key, runs: _Runs) -> Iterator[tuple[int, int, Bits]]:
    """(first run, its first column, draws of some runs, one to a row) in pieces that cover a block."""
    stream = _Stream(key)
    together = max(1, PIECE // runs.step) if runs.step - runs.length < JUMP else 1
    for group, start in enumerate(runs.starts):
        for run in range(0, runs.count, together):
            count = min(together, runs.count - run)
            for column in range(0, runs.length, PIECE):
                width = min(PIECE, runs.length - column)
                taken = stream.take(start + run * runs.step + column, (count - 1) * runs.step + width)
                yield group * runs.count + run, column, _rows(taken, count, width, runs.step)


def _rows(draws: Bits, count: int, width: int, step: int) -> Bits:
    """``count`` rows of ``width`` draws that begin ``step`` draws apart."""
    if count == 1:
        return draws.reshape(1, width)
    return np.lib.stride_tricks.as_strided(draws, (count, width), (step * draws.itemsize, draws.itemsize)).copy()


def _filled(
    key: Key, shape: Shape, offset: Shape, extent: Shape, dtype: np.dtype[Any], transform: Callable[[Bits, Block], None]
) -> Block:
    out = np.empty(extent, dtype)
    if out.size == 0:
        return out
    runs = _runs(shape or (1,), offset or (0,), extent or (1,))
    rows = out.reshape(-1, runs.length)
    for row, column, draws in _draws(key, runs):
        count, width = draws.shape
        transform(draws, rows[row : row + count, column : column + width])
    return out
