"""Singular values and vectors of one block, by divide and conquer (Gu and Eisenstat 1995; LAPACK gesdd)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from kernels.cost import Cost, dense_cost
from kernels.lapack import Block, lapack_dtype, routine


class SVD(NamedTuple):
    """A = U diag(s) V^H, singular values in falling order."""

    u: Block
    s: Block
    vh: Block


def gesdd(a: Block, full_matrices: bool = False) -> SVD:
    """Singular value decomposition of an m x n block, k = min(m, n).

    U is m x k, s has k real entries, V^H is k x n (U m x m and V^H n x n with ``full_matrices``). Any LAPACK type
    (others become float64). About 4 m n k + 9 k^3 flops. Raises ``numpy.linalg.LinAlgError`` for NaN or inf, and when
    the iteration does not converge.

    >>> u, s, vh = gesdd(np.array([[0.0, 3.0], [2.0, 0.0]]))
    >>> s
    array([3., 2.])
    """
    m, n = a.shape
    k = min(m, n)
    dtype = lapack_dtype(a.dtype)
    if k == 0:
        p, q = (m, n) if full_matrices else (0, 0)
        return SVD(np.eye(m, p, dtype=dtype), np.zeros(0, _real(dtype)), np.eye(q, n, dtype=dtype))
    # Column-major LAPACK sees A^T = conj(V) diag(s) U^T: its left vectors, stored by columns, are V^H stored by rows.
    u, vh = np.empty((m, m if full_matrices else k), dtype), np.empty((n if full_matrices else k, n), dtype)
    s = _run(a, dtype, b"A" if full_matrices else b"S", vh, u)
    return SVD(u, s, vh)


def gesdd_cost(m: int, n: int, dtype: DTypeLike) -> Cost:
    """4 m n k + 9 k^3 flops with k = min(m, n), thin vectors.

    >>> gesdd_cost(10, 10, "f8").flops
    13000
    """
    k = min(m, n)
    return dense_cost(4 * m * n * k + 9 * k**3, dtype, [(m, n)], [(m, k), (k,), (k, n)])


def svdvals(a: Block) -> Block:
    """Singular values of an m x n block in falling order, without vectors: about 4/3 of m n k flops.

    >>> svdvals(np.array([[3.0], [4.0]]))
    array([5.])
    """
    dtype = lapack_dtype(a.dtype)
    if a.size == 0:
        return np.zeros(0, _real(dtype))
    unused = np.empty((1, 1), dtype)
    return _run(a, dtype, b"N", unused, unused)


def svdvals_cost(m: int, n: int, dtype: DTypeLike) -> Cost:
    """4 m n k - 4/3 k^3 flops (bidiagonalisation), k = min(m, n).

    >>> svdvals_cost(30, 30, "f8").flops
    72000.0
    """
    k = min(m, n)
    return dense_cost(4 * m * n * k - 4 * k**3 / 3, dtype, [(m, n)], [(k,)])


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(dtype.char.lower())


def _run(a: Block, dtype: np.dtype[Any], job: bytes, left: Block, right: Block) -> Block:
    """gesdd on the transpose of ``a``; fills ``left`` and ``right`` as column-major LAPACK sees them."""
    if not np.isfinite(a).all():
        raise np.linalg.LinAlgError("SVD did not converge: the block holds NaN or inf")
    (n, m), k = a.shape, min(a.shape)
    work_copy, s = np.array(a, dtype=dtype, order="C"), np.empty(k, _real(dtype))
    call, spare = routine("gesdd", dtype.char), _spare(dtype, m, n)
    shapes = (job, m, n, work_copy, m, s, left, left.shape[1], right, max(right.shape[1], 1))
    query = np.empty(1, dtype)
    call(*shapes, query, -1, *spare)
    lwork = int(query[0].real * (1 + 1e-6)) + 1
    info = call(*shapes, np.empty(lwork, dtype), lwork, *spare)
    if info:
        raise np.linalg.LinAlgError(f"SVD did not converge: {info} superdiagonals did not vanish")
    return s


def _spare(dtype: np.dtype[Any], m: int, n: int) -> list[Block]:
    """RWORK for complex types, and IWORK."""
    small, large = sorted((m, n))
    integers = [np.empty(8 * small, np.int32)]
    if dtype.kind != "c":
        return integers
    return [np.empty(max(1, small * max(5 * small + 7, 2 * large + 2 * small + 1)), _real(dtype)), *integers]
