"""The 2-norm of blocks, safe where squares overflow or vanish.

A partial result is a pair (scale, s) that stands for the sum of squares scale^2 s, on a new first axis of length two,
as in LAPACK's lassq (Anderson 2017, Algorithm 978). The plain sum is tried first, with scale 1; only where that leaves
the range in which squares are exact to rounding is the block read again, divided by a power of two near its largest
magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.cost import Cost
from kernels.elementwise import Chain, Step
from kernels.reduction import Axis, combine, reduce_cost

Block = NDArray[Any]

_FAR = 2.0**900
"""Sums of squares beyond it, or below its inverse, are computed again with a scale."""

_REAL = Chain(2, (), (Step("astype", (0,), "f8"), Step("divide", (2, 1), "f8"), Step("square", (3,), "f8")))
_COMPLEX = Chain(
    2,
    (),
    (
        Step("real", (0,), "f8"),
        Step("divide", (2, 1), "f8"),
        Step("square", (3,), "f8"),
        Step("imag", (0,), "f8"),
        Step("divide", (5, 1), "f8"),
        Step("square", (6,), "f8"),
        Step("add", (4, 7), "f8"),
    ),
)
_PLAIN = Chain(1, (), (Step("astype", (0,), "f8"), Step("square", (1,), "f8")))
_PLAIN_COMPLEX = Chain(
    1,
    (),
    (
        Step("real", (0,), "f8"),
        Step("square", (1,), "f8"),
        Step("imag", (0,), "f8"),
        Step("square", (3,), "f8"),
        Step("add", (2, 4), "f8"),
    ),
)
_MAGNITUDE = Chain(1, (), (Step("astype", (0,), "f8"), Step("abs", (1,), "f8")))
_MAGNITUDE_COMPLEX = Chain(1, (), (Step("astype", (0,), "c16"), Step("abs", (1,), "f8")))


def sum_of_squares(a: Block, axis: Axis = None, *, keepdims: bool = False) -> Block:
    """The pair (scale, s) with sum |a|^2 = scale^2 s, float64 of shape (2, *reduced shape), for ``a`` of any type.

    Accurate to rounding whatever the exponents; NaN gives NaN, inf gives inf, no elements give (1, 0).

    >>> sum_of_squares(np.array([3.0, 4.0]))
    array([ 1., 25.])
    >>> finish_norm(sum_of_squares(np.array([3e200, 4e200])))
    array(5.e+200)
    """
    by_type = (_PLAIN_COMPLEX, _COMPLEX, _MAGNITUDE_COMPLEX) if a.dtype.kind == "c" else (_PLAIN, _REAL, _MAGNITUDE)
    plain, scaled, magnitude = by_type
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = plain.reduced("sum", a, axis=axis, keepdims=True)
        far = ~((total < _FAR) & (total > 1 / _FAR))
        scale = np.ones_like(total)
        if far.any() and a.size:
            scale = np.where(far, _power_of_two(magnitude.reduced("max", a, axis=axis, keepdims=True)), scale)
            total = scaled.reduced("sum", a, scale, axis=axis, keepdims=True)
    pair = np.stack([scale, total])
    if keepdims:
        return pair
    axes = tuple(range(a.ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, a.ndim)
    return np.squeeze(pair, tuple(n + 1 for n in axes))


def sum_of_squares_cost(size: int, out_size: int, dtype: DTypeLike) -> Cost:
    """Two flops per element; reads the block once.

    >>> sum_of_squares_cost(100, 1, "f8")
    Cost(flops=200, bytes_in=800, bytes_out=16)
    """
    return Cost(2 * size, reduce_cost(size, 1, dtype).bytes_in, 16 * out_size)


def _power_of_two(largest: Block) -> Block:
    """A power of two near the largest magnitude; 1 where that is zero, inf or NaN."""
    usable = np.isfinite(largest) & (largest > 0)
    exponent = np.frexp(np.where(usable, largest, 0.5))[1]
    return np.asarray(np.ldexp(1.0, np.clip(exponent, -1021, 1023)))


def combine_squares(parts: Sequence[Block]) -> Block:
    """Several pairs of ``sum_of_squares`` as one.

    >>> combine_squares([np.array([1.0, 9.0]), np.array([1.0, 16.0])])
    array([ 1., 25.])
    """
    live = [np.where(p[1] == 0, 0, p[0]) for p in parts]
    scale = np.maximum.reduce(live)
    scale = np.where(scale == 0, 1.0, scale)
    with np.errstate(under="ignore"):
        total = combine("sum", [p[1] * np.square(s / scale) for p, s in zip(parts, live, strict=True)])
    return np.stack([scale, total])


def finish_norm(pair: Block, dtype: DTypeLike = np.float64) -> Block:
    """The 2-norm from a pair: scale * sqrt(s), in the real type asked for.

    >>> finish_norm(np.array([2.0, 25.0]))
    array(10.)
    """
    return np.asarray(pair[0] * np.sqrt(pair[1])).astype(dtype)
