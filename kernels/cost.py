"""What a kernel costs, in units that a scheduler can turn into seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike


@dataclass(frozen=True, slots=True)
class Cost:
    """Arithmetic and traffic of one kernel call.

    >>> Cost(10, 80, 8) + Cost(5, 0, 8)
    Cost(flops=15, bytes_in=80, bytes_out=16)
    """

    flops: float
    """Real floating point operations; a complex multiply-add counts 8."""
    bytes_in: int
    """Bytes of all operands that are read."""
    bytes_out: int
    """Bytes of all results that are written."""

    def __add__(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(self.flops + other.flops, self.bytes_in + other.bytes_in, self.bytes_out + other.bytes_out)

    def scaled(self, n: int) -> Cost:
        """The same work ``n`` times."""
        return Cost(self.flops * n, self.bytes_in * n, self.bytes_out * n)


def dense_cost(
    flops: float, dtype: DTypeLike, read: Iterable[tuple[int, ...]], written: Iterable[tuple[int, ...]]
) -> Cost:
    """Cost of ``flops`` multiply-add halves in ``dtype`` over dense operands of the given shapes.

    >>> dense_cost(16, "c8", [(2, 2)], [(2,)])
    Cost(flops=64, bytes_in=32, bytes_out=16)
    """
    kind = np.dtype(dtype)
    weight = 4 if kind.kind == "c" else 1
    return Cost(flops * weight, _nbytes(read, kind.itemsize), _nbytes(written, kind.itemsize))


def _nbytes(shapes: Iterable[tuple[int, ...]], itemsize: int) -> int:
    return sum(math.prod(shape) for shape in shapes) * itemsize
