"""The 64-bit draws of a block: element e of an array takes draw e of the Philox4x64-10 stream of the array's key.

e is the element's position in C order in the whole array. A counter holds four draws (Salmon, Moraes, Dror, Shaw
2011), so that element e is lane e mod 4 of counter e div 4, and any draw is reached without those before it. The
stream is that of NumPy's ``Philox``, which promises never to change it.

A block is a set of runs of consecutive draws, one to a row of the block. Three ways lead to the same draws, and the
cheapest is taken:

* each run from NumPy's generator, which costs a start for each;
* several runs at once, with the draws that lie between them, which are dropped;
* the counters of many short runs at once, by the rounds of Philox written in NumPy.

Whichever it is, runs are handed on together, so that what is computed of draws is computed of many at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import index

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Key = int | tuple[int, ...]
Shape = tuple[int, ...]

PIECE = 1 << 15
"""Draws generated at a time."""
START, DRAW, COUNTER = 2000.0, 3.0, 90.0
"""Nanoseconds to start a run, for a draw from NumPy's generator, and for a counter of four draws in NumPy
operations."""

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Runs:
    """A block as runs of consecutive draws: groups of ``count`` runs of ``length`` draws, ``step`` apart."""

    length: int
    count: int
    step: int
    starts: Iterator[int]
    """The first draw of each group."""


def block_runs(shape: Shape, offset: Shape, extent: Shape) -> Runs:
    """The runs of the block of ``extent`` at ``offset`` in an array of ``shape``, in C order.

    >>> runs = block_runs((10, 10), (2, 3), (2, 4))
    >>> runs.length, runs.count, runs.step, list(runs.starts)
    (4, 2, 10, [23])
    """
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    first = sum(at * stride for at, stride in zip(offset, strides, strict=True))
    axis = next((n for n in reversed(range(len(shape))) if extent[n] != shape[n]), 0)
    length = math.prod(extent[axis:])
    if axis == 0:
        return Runs(length, 1, length, iter([first]))
    outer = np.ndindex(*extent[: axis - 1])
    starts = (first + sum(i * stride for i, stride in zip(place, strides, strict=False)) for place in outer)
    return Runs(length, extent[axis - 1], strides[axis - 1], starts)


def run_draws(key: Key, runs: Runs) -> Iterator[tuple[int, int, Bits]]:
    """(first run, its first column, draws of some runs, one to a row) in pieces that cover the runs in order.

    The draws may be overwritten by whoever takes them. Raises ``ValueError`` for a negative key.

    >>> [(run, column, draws.shape) for run, column, draws in run_draws(1, block_runs((4, 5), (0, 1), (4, 2)))]
    [(0, 0, (4, 2))]
    """
    way, together = _cheapest(runs)
    stream = _Stream(key_words(key))
    for group, start in enumerate(runs.starts):
        for run in range(0, runs.count, together):
            count, begin = min(together, runs.count - run), start + run * runs.step
            for column in range(0, runs.length, PIECE):
                width = min(PIECE, runs.length - column)
                yield group * runs.count + run, column, way(stream, begin + column, runs.step, count, width)


def _cheapest(runs: Runs) -> tuple[Way, int]:
    """How to come by the draws of several runs, and of how many at a time."""
    counters = (runs.length + 6) // 4
    single = START + DRAW * runs.length
    spanned, scattered = DRAW * runs.step + START * runs.step / PIECE, COUNTER * counters + START / max(1, runs.count)
    if runs.count > 1 and scattered < min(single, spanned):
        return _scattered, max(1, PIECE // 4 // counters)
    return (_spanned, max(1, PIECE // runs.step)) if spanned < single else (_single, max(1, PIECE // runs.length))


def key_words(key: Key) -> Bits:
    """Philox's key of 128 bits from numbers of any size, each after its length: 1 and (1, 0) are different keys.

    >>> key_words(1).dtype, bool((key_words(1) == key_words((1, 0))).all())
    (dtype('uint64'), False)
    """
    numbers = [index(number) for number in (key if isinstance(key, tuple) else (key,))]
    if any(number < 0 for number in numbers):
        raise ValueError(f"a key is a non-negative integer or a tuple of such, not {key}")
    entropy = [len(numbers)]
    for number in numbers:
        digits = [number >> shift & 0xFFFFFFFF for shift in range(0, number.bit_length(), 32)]
        entropy += [len(digits), *digits]
    return np.asarray(np.random.SeedSequence(entropy).generate_state(2, np.uint64), dtype=np.uint64)


class _Stream:
    """NumPy's generator for one key, read anywhere."""

    def __init__(self, words: Bits) -> None:
        self.words = words
        self._philox = np.random.Philox(key=words)
        self._counter = 0

    def take(self, start: int, count: int) -> Bits:
        """Draws ``start`` to ``start + count``, the caller's to overwrite."""
        counter, lane = divmod(start, 4)
        self._philox.advance((counter - self._counter) % 2**256)
        self._counter = counter + -(-(lane + count) // 4)
        draws: Bits = np.asarray(self._philox.random_raw(lane + count), dtype=np.uint64)
        rest: Bits = draws[lane:]
        return rest


Way = Callable[[_Stream, int, int, int, int], Bits]
"""Of a stream, a start, a step, a count and a width: rows of so many draws that begin at start, start + step, ..."""


def _single(stream: _Stream, start: int, step: int, count: int, width: int) -> Bits:
    """Row by row."""
    if count == 1:
        return stream.take(start, width).reshape(1, width)
    rows: Bits = np.empty((count, width), np.uint64)
    for row in range(count):
        rows[row] = stream.take(start + row * step, width)
    return rows


def _spanned(stream: _Stream, start: int, step: int, count: int, width: int) -> Bits:
    """All draws from the first row's first to the last row's last, and of these the rows."""
    draws = stream.take(start, (count - 1) * step + width)
    if count == 1:
        return draws.reshape(1, width)
    return np.lib.stride_tricks.as_strided(draws, (count, width), (step * draws.itemsize, draws.itemsize)).copy()


def _scattered(stream: _Stream, start: int, step: int, count: int, width: int) -> Bits:
    """All counters of the rows, then the lanes wanted."""
    starts = np.arange(count, dtype=np.uint64)
    starts *= np.uint64(step)
    starts += np.uint64(start)
    counters: Bits = np.add.outer(starts >> np.uint64(2), np.arange((width + 6) // 4, dtype=np.uint64))
    draws = _philox(counters.reshape(-1), stream.words).reshape(count, -1)
    lanes = (starts & np.uint64(3)).astype(np.int64)[:, None] + np.arange(width)
    return np.take_along_axis(draws, lanes, axis=1)


def _philox(counters: Bits, words: Bits) -> Bits:
    """The four draws of each counter. NumPy counts before it draws, so that its first counter is 1."""
    zero = np.zeros_like(counters)
    a, b, c, d = counters + np.uint64(1), zero, zero, zero
    keys = [int(word) for word in words]
    for _ in range(_ROUNDS):
        upper_a, upper_c = upper_product(a, _MULTIPLIERS[0]), upper_product(c, _MULTIPLIERS[1])
        upper_c ^= b ^ np.uint64(keys[0])
        upper_a ^= d ^ np.uint64(keys[1])
        a, b, c, d = upper_c, c * np.uint64(_MULTIPLIERS[1]), upper_a, a * np.uint64(_MULTIPLIERS[0])
        keys = [(word + weyl) % 2**64 for word, weyl in zip(keys, _WEYL, strict=True)]
    return np.stack([a, b, c, d], axis=-1)


def upper_product(draws: Bits, factor: int) -> Bits:
    """floor(draws * factor / 2^64) for a factor below 2^64, in halves of 32 bits; no partial sum exceeds 64 bits.

    >>> int(upper_product(np.array([2**63], np.uint64), 10)[0])
    5
    """
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    high, low = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    upper, lower = draws >> half, draws & mask
    middle: Bits = upper * low
    middle += lower * low >> half
    if high:
        lower *= high
        lower += middle & mask
        upper *= high
        upper += middle >> half
        upper += lower >> half
        return upper
    middle >>= half
    return middle
