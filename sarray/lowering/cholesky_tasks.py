"""What the tasks of a tiled Cholesky factorization do: kernels on blocks.

The trailing matrix S is A itself before the first step, and A may be a transposed view: then, and only then, its blocks
are seen through the operand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.cholesky import potrf
from kernels.gemm import gemm, herk
from kernels.triangular import trsm
from sarray.lowering.operand import Operand
from wukong_sched.grid import Grid


@dataclass(frozen=True, slots=True)
class FactorDiagonal:
    """L[k, k] of S[k, k]; errors count the rows of the whole matrix."""

    a: Operand
    grid: Grid
    dtype: np.dtype[Any]
    """Type of L."""

    def __call__(self, index: tuple[int, ...], s: Any) -> Any:
        (k,) = index
        return potrf(np.asarray(s if k else self.a.view(s), self.dtype), offset=self.grid.bounds(k)[0])


@dataclass(frozen=True, slots=True)
class SolvePanel:
    """L[i, k] = S[i, k] L[k, k]^-H, and the zeros on the other side of the diagonal."""

    a: Operand

    def __call__(self, index: tuple[int, ...], s: Any, diagonal: Any) -> Any:
        solved = trsm(s if index[0] else self.a.view(s), diagonal, side="R", trans="C")
        return np.ascontiguousarray(solved), np.zeros(solved.shape[::-1], solved.dtype)


@dataclass(frozen=True, slots=True)
class UpdateTrailing:
    """S[i, j] - L[i, k] L[j, k]^H, of which the lower triangle where i = j."""

    a: Operand

    def __call__(self, index: tuple[int, ...], s: Any, left: Any, right: Any) -> Any:
        k, j, i = index
        updated = np.array(s if k else self.a.view(s), dtype=left.dtype, order="C")
        if i == j:
            return herk(left, updated, alpha=-1)
        return gemm(left, right, updated, alpha=-1, trans_b="C")
