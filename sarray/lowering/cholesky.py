"""Tiled Cholesky factorization, A = L L^H, in three rules whatever the size.

The right-looking algorithm of SLATE's potrf and of PLASMA (Buttari, Langou, Kurzak, Dongarra 2009, "A class of parallel
tiled linear algebra algorithms for multicore architectures", LAPACK Working Note 191), n blocks down and across::

    L[k, k]     = potrf(S[k, k, k])                     0 <= k < n            S[0, i, j] is A[i, j]
    L[i, k]     = S[k, i, k] L[k, k]^-H                 k < i < n
    S[k+1, i, j] = S[k, i, j] - L[i, k] L[j, k]^H       k < j <= i < n

Only the lower triangle of A is read. The panel's tasks also write the zeros above the diagonal, so that these are no
tasks of their own. n^3/3 flops for A n x n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kernels.cost import Cost
from sarray.expression import Expression, Inferred
from sarray.lowering.blocks import largest_chunk
from sarray.lowering.builder import Builder
from sarray.lowering.tsqr import factored_dtype
from wukong_sched.rule import Rule


def infer(inputs: tuple[Expression, ...]) -> Inferred:
    """L is n x n, cut like A."""
    (a,) = inputs
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"cholesky: needs a square matrix, got shape {a.shape}")
    if a.chunks[0] != a.chunks[1]:
        rows, columns = (grid.sizes()[:8] for grid in a.chunks)
        raise ValueError(
            f"cholesky: rows and columns must be cut alike, got {rows} and {columns}; "
            "type A.rechunk((A.chunks[0], A.chunks[0]))"
        )
    return a.shape, factored_dtype(a.dtype), a.chunks


def flops(expression: Expression) -> float:
    """n^3/3."""
    return expression.shape[0] ** 3 / 3 * (4 if expression.dtype.kind == "c" else 1)


def lower(expression: Expression, builder: Builder) -> None:
    """The three rules."""
    from kernels.cholesky import potrf_cost  # load SciPy, which `import sarray` must not
    from kernels.gemm import gemm_cost
    from kernels.triangular import trsm_cost
    from sarray.lowering.cholesky_tasks import FactorDiagonal, SolvePanel, UpdateTrailing

    a, name, dtype = builder.operand(expression.inputs[0]), expression.name, expression.dtype
    grid = expression.chunks[0]
    b = largest_chunk(grid)
    builder.tiles(name, expression.chunks, dtype)
    builder.tiles(f"{name}/S", expression.chunks, dtype)

    def s(i: str, j: str) -> str:
        return f"{a.ref('A', i, j)} if k == 0 else S[k, {i}, {j}]"

    def add(part: str, loops: str, writes: Sequence[str], reads: Sequence[str], kernel: Any, cost: Cost) -> None:
        names, sizes = {"A": a.name, "L": name, "S": f"{name}/S"}, {"n": len(grid)}
        rule = Rule(f"{name}/{part}", loops, tuple(writes), tuple(reads), kernel, names, sizes, cost=cost)
        builder.rule(replace(rule, operation="cholesky"))

    # L[k, k] = potrf(S[k, k, k])
    add("potrf", "for k in range(n)", ["L[k, k]"], [s("k", "k")], FactorDiagonal(a, grid, dtype), potrf_cost(b, dtype))
    # L[i, k] = S[k, i, k] L[k, k]^-H, L[k, i] = 0
    loops, cost = "for k in range(n) for i in range(k + 1, n)", trsm_cost(b, b, dtype, side="R")
    add("trsm", loops, ["L[i, k]", "L[k, i]"], [s("i", "k"), "L[k, k]"], SolvePanel(a), cost)
    # S[k+1, i, j] = S[k, i, j] - L[i, k] L[j, k]^H
    loops, cost = "for k in range(n) for j in range(k + 1, n) for i in range(j, n)", gemm_cost(b, b, b, dtype)
    add("gemm", loops, ["S[k + 1, i, j]"], [s("i", "j"), "L[i, k]", "L[j, k]"], UpdateTrailing(a), cost)
