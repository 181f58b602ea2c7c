"""Triangular solves: X with op(T) X = B or X op(T) = B."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from kernels.cost import Cost, dense_cost
from kernels.gemm import Trans, leading, number, operand
from kernels.lapack import Block, lapack_dtype, routine

Side = Literal["L", "R"]
_BAND = 64


def trsm(
    b: Block,
    t: Block,
    *,
    side: Side = "L",
    lower: bool = True,
    trans: Trans = "N",
    unit: bool = False,
    alpha: complex = 1,
) -> Block:
    """X that solves op(T) X = alpha B (side "L") or X op(T) = alpha B (side "R").

    ``b`` is m x n; ``t`` is m x m on the left, n x n on the right, and only its lower (or upper) triangle is read;
    ``unit`` takes its diagonal as ones. Any LAPACK type (others become float64). A singular T gives inf and nan, as
    BLAS does. m^2 n or m n^2 flops. Raises ``ValueError`` for shapes that do not fit. The panel step of Cholesky is X
    L^H = A:

    >>> l = np.array([[2.0, 0.0], [1.0, 1.0]])
    >>> trsm(np.array([[2.0, 3.0]]), l, side="R", trans="C")
    array([[1., 2.]])
    """
    order = b.shape[0 if side == "L" else 1]
    if t.shape != (order, order):
        place = f"B ({b.shape[0]} x {b.shape[1]}) on side {side}"
        raise ValueError(f"trsm: T is {t.shape[0]} x {t.shape[1]}, but {place} needs {order} x {order}")
    dtype = lapack_dtype(b.dtype, t.dtype)
    by_columns = b.flags.f_contiguous and not b.flags.c_contiguous
    x = np.array(b, dtype=dtype, order="F" if by_columns else "C")
    if x.size == 0:
        return x
    layout = leading(x)
    assert layout is not None
    by_rows, ld = layout
    flag, stored, ld_t = operand(t, dtype, (trans != "N") != by_rows, trans == "C")
    # BLAS turns what it sees by the flag; where that is not the turn asked for, it sees T^T, and the other triangle.
    transposed = (flag != b"N") != ((trans != "N") != by_rows)
    uplo = b"L" if lower != transposed else b"U"
    rows, columns = x.shape[::-1] if by_rows else x.shape
    on = b"R" if (side == "R") != by_rows else b"L"
    routine("trsm", dtype.char)(
        on, uplo, flag, b"U" if unit else b"N", rows, columns, number(alpha, dtype), stored, ld_t, x, ld
    )
    return x


def lower_triangle(a: Block, dtype: np.dtype[Any]) -> Block:
    """A C-ordered copy with zeros above the diagonal. ``numpy.tril`` would hold the interpreter lock for milliseconds.

    >>> lower_triangle(np.ones((2, 3)), np.dtype("f4"))
    array([[1., 0., 0.],
           [1., 1., 0.]], dtype=float32)
    """
    out = np.zeros(a.shape, dtype)
    for i in range(0, len(a), _BAND):
        band = slice(i, i + _BAND)
        out[band, :i] = a[band, :i]
        out[band, band] = np.tril(a[band, band])
    return out


def upper_triangle(a: Block) -> Block:
    """A C-ordered copy with zeros below the diagonal.

    >>> upper_triangle(np.ones((2, 3)))
    array([[1., 1., 1.],
           [0., 1., 1.]])
    """
    out = np.zeros(a.shape, a.dtype)
    for i in range(0, len(a), _BAND):
        band = slice(i, i + _BAND)
        out[band, i + _BAND :] = a[band, i + _BAND :]
        out[band, band] = np.triu(a[band, band])
    return out


def trsm_cost(m: int, n: int, dtype: DTypeLike, *, side: Side = "L") -> Cost:
    """m^2 n flops on the left, m n^2 on the right; reads B and half of T.

    >>> trsm_cost(10, 20, "f8", side="R").flops
    4000
    """
    order = m if side == "L" else n
    return dense_cost(m * n * order, dtype, [(m, n), (order, (order + 1) // 2)], [(m, n)])
