"""Eigenvalues and eigenvectors of one Hermitian block, by divide and conquer (Cuppen 1981; LAPACK syevd, heevd)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from kernels.cost import Cost, dense_cost
from kernels.lapack import Block, lapack_dtype, routine


class Eigen(NamedTuple):
    """A V = V diag(w), eigenvalues in rising order, eigenvectors in the columns of V."""

    w: Block
    v: Block


def eigh(a: Block) -> Eigen:
    """Eigenvalues and eigenvectors of a Hermitian n x n block, of which only the lower triangle is read.

    Any LAPACK type (others become float64). About 9 n^3 flops. V is F-ordered. Raises ``numpy.linalg.LinAlgError`` for
    NaN or inf, and when the iteration does not converge.

    >>> w, v = eigh(np.array([[2.0, 0.0], [1.0, 2.0]]))
    >>> w
    array([1., 3.])
    """
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"eigh: a square matrix is needed, not shape {a.shape}")
    vectors = np.array(a, dtype=lapack_dtype(a.dtype), order="F")
    if not np.isfinite(vectors).all():
        raise np.linalg.LinAlgError("eigenvalues did not converge: the block holds NaN or inf")
    values = np.empty(len(vectors), vectors.dtype.char.lower())
    if vectors.size:
        _run(vectors, values)
    return Eigen(values, vectors)


def eigh_cost(n: int, dtype: DTypeLike) -> Cost:
    """About 9 n^3 flops: 4/3 to tridiagonal form, the rest for the vectors.

    >>> eigh_cost(10, "f8").flops
    9000
    """
    return dense_cost(9 * n**3, dtype, [(n, (n + 1) // 2)], [(n,), (n, n)])


def _run(vectors: Block, values: Block) -> None:
    n, kind = len(vectors), vectors.dtype
    # The workspaces that syevd and heevd ask for, real one third.
    sizes = {"c": [(n * (n + 2) + 64 * n, kind), (1 + 5 * n + 2 * n * n, values.dtype)]}
    work = sizes.get(kind.kind, [(1 + 6 * n + 2 * n * n + 64 * n, kind)])
    spaces: list[Block | int] = []
    for size, dtype in [*work, (3 + 5 * n, np.dtype(np.int32))]:
        spaces += [np.empty(size, dtype), size]
    info = routine("heevd" if kind.kind == "c" else "syevd", kind.char)(b"V", b"L", n, vectors, n, values, *spaces)
    if info:
        raise np.linalg.LinAlgError(f"eigenvalues did not converge: LAPACK info {info}")
