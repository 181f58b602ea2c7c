"""Random blocks whose values do not depend on how an array is cut.

Every element has one 64-bit draw of its own, by its position in the whole array (``kernels.philox``), and everything
else is a function of it:

* uniform: the upper 53 bits (24 for float32) as a fraction in [0, 1);
* normal: the upper 53 bits as a probability in (0, 1/2), through the inverse normal distribution
  (``scipy.special.ndtri``), and the lowest bit as sign, so that both tails reach the same 8.3 standard deviations and
  no value is infinite;
* integers: the upper half of the 128-bit product of draw and range (Lemire 2019, without rejection): the bias is at
  most range / 2^64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.cost import Cost
from kernels.philox import Bits, Key, Shape, block_runs, run_draws, upper_product

Block = NDArray[Any]


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
        x = np.add(draws.view(np.int64), 0.5, out=out if out.dtype == np.float64 else None)
        x *= 2.0**-54
        ndtri(x, out=x)
        np.bitwise_xor(x.view(np.uint64), signs, out=x.view(np.uint64))
        _scale(x, loc, scale)
        if x is not out:
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
        values = draws if count == 2**64 else upper_product(draws, count)
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


def _filled(
    key: Key, shape: Shape, offset: Shape, extent: Shape, dtype: np.dtype[Any], transform: Callable[[Bits, Block], None]
) -> Block:
    out = np.empty(extent, dtype)
    if out.size == 0:
        return out
    runs = block_runs(shape or (1,), offset or (0,), extent or (1,))
    rows = out.reshape(-1, runs.length)
    for row, column, draws in run_draws(key, runs):
        count, width = draws.shape
        transform(draws, rows[row : row + count, column : column + width])
    return out
