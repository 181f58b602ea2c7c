"""Cholesky factor of one Hermitian positive definite tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from kernels.cost import Cost, dense_cost
from kernels.lapack import Block, lapack_dtype, routine
from kernels.triangular import lower_triangle


def potrf(a: Block, *, offset: int = 0) -> Block:
    """Lower triangular L with A = L L^H, zeros above the diagonal.

    ``a`` is n x n, Hermitian; only its lower triangle is read. Any LAPACK type (others become float64). ``offset`` is
    the position of the tile on the diagonal of a larger matrix, for the message. n^3/3 flops (LAPACK potrf). Raises
    ``numpy.linalg.LinAlgError`` naming the leading minor that is not positive definite, also for NaN.

    >>> potrf(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])
    """
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"potrf: a square matrix is needed, not shape {a.shape}")
    # The lower triangle of row-major A is the upper one of what column-major LAPACK sees, A^T = U^H U with U = L^T: L
    # is in its place.
    factor = lower_triangle(a, lapack_dtype(a.dtype))
    n = len(factor)
    info = routine("potrf", factor.dtype.char)(b"U", n, factor, n) if n else 0
    if not info:
        info = _first_nan(factor)
    if info:
        raise np.linalg.LinAlgError(
            f"the matrix is not positive definite: its leading minor of order {offset + info} is not positive"
        )
    return factor


def _first_nan(factor: Block) -> int:
    """1 + the first column whose pivot is NaN, or 0: a comparison with NaN does not stop every potrf."""
    bad = np.isnan(np.diagonal(factor))
    return int(bad.argmax()) + 1 if bad.any() else 0


def potrf_cost(n: int, dtype: DTypeLike) -> Cost:
    """n^3/3 flops; reads the lower half of A, writes L.

    >>> potrf_cost(30, "f8").flops
    9000.0
    """
    return dense_cost(n**3 / 3, dtype, [(n, (n + 1) // 2)], [(n, n)])
