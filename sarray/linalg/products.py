"""Matrix products, of any chunks."""

from __future__ import annotations

from typing import Any

from sarray.array import Array, as_array
from sarray.expression import Expression, express
from sarray.lowering import matmul as lowering
from sarray.lowering.rechunk import rechunked
from wukong_sched.grid import Grid


def matmul(a: Any, b: Any) -> Array:
    """Matrix product of two arrays, as `numpy.matmul`: vectors, matrices, and stacks of matrices that broadcast.

    Parameters
    ----------
    a, b
        ``(..., m, k)`` and ``(..., k, n)``, or ``(k,)``; numbers or bool, in any chunks. Arrays of this package or
        anything that `asarray` takes.

    Returns
    -------
    ``(..., m, n)`` in NumPy's type for the two, with the row chunks of `a` and the column chunks of `b`.

    Raises
    ------
    ValueError
        for 0-d arrays, and for shapes that do not fit.
    TypeError
        for elements that are no numbers.

    Each block of the result is one sum over k, in one task that holds as many blocks as memory and balance allow. The
    chunks along k need not agree. 2 m n k flops.

    Examples
    --------
    >>> import numpy as np, sarray as sa
    >>> x = sa.asarray(np.arange(6.0).reshape(3, 2), chunks=2)
    >>> np.asarray(sa.matmul(x.T, x))
    array([[20., 26.],
           [26., 35.]])
    """
    return Array(product(as_array(a).expression, as_array(b).expression))


def product(a: Expression, b: Expression) -> Expression:
    """A @ B; stacks are cut alike first, as finely as either was."""
    stack = max(a.ndim, b.ndim) - 2
    for axis in range(-2 - stack, -2):
        if -axis <= min(a.ndim, b.ndim) and a.shape[axis] == b.shape[axis] != 1 and a.chunks[axis] != b.chunks[axis]:
            finer = max(a.chunks[axis], b.chunks[axis], key=len)
            a, b = (_cut_along(each, axis, finer) for each in (a, b))
    return express("matmul", lowering.infer, (a, b))


def _cut_along(e: Expression, axis: int, grid: Grid) -> Expression:
    chunks = list(e.chunks)
    chunks[axis] = grid
    return rechunked(e, tuple(chunks))
