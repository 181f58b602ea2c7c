"""Singular value decomposition of a matrix in a single block: one task, by LAPACK's divide and conquer.

It is the last step of every decomposition here: larger matrices are reduced to a small one first, by `tsqr`.
"""

from __future__ import annotations

import math

import numpy as np

from sarray.expression import Expression, Inferred, name_of
from sarray.lowering.builder import Builder
from sarray.lowering.operand import adapted
from sarray.lowering.tsqr import factored_dtype
from wukong_sched.grid import Grid
from wukong_sched.rule import Rule

PARTS = ("svd.u", "svd.s", "svd.vh")
"""The operations that share one task, in the order of its results."""


def infer_u(inputs: tuple[Expression, ...]) -> Inferred:
    """U is m x k with k = min(m, n)."""
    m, k = inputs[0].shape[0], _order(inputs)
    return (m, k), factored_dtype(inputs[0].dtype), (Grid.of((m,)), Grid.of((k,)))


def infer_s(inputs: tuple[Expression, ...]) -> Inferred:
    """S has k real entries."""
    k = _order(inputs)
    return (k,), np.dtype(factored_dtype(inputs[0].dtype).char.lower()), (Grid.of((k,)),)


def infer_vh(inputs: tuple[Expression, ...]) -> Inferred:
    """V^H is k x n."""
    k, n = _order(inputs), inputs[0].shape[1]
    return (k, n), factored_dtype(inputs[0].dtype), (Grid.of((k,)), Grid.of((n,)))


def _order(inputs: tuple[Expression, ...]) -> int:
    (a,) = inputs
    if math.prod(a.numblocks) != 1:
        raise ValueError(f"svd: a single block is needed here, got {a.numblocks} of them; type A.rechunk(-1)")
    return min(a.shape)


def flops(expression: Expression) -> float:
    """About 4 m n k + 9 k^3."""
    m, n = expression.inputs[0].shape
    k = min(m, n)
    return float((4 * m * n * k + 9 * k**3) * (4 if expression.inputs[0].dtype.kind == "c" else 1))


def lower(expression: Expression, builder: Builder) -> None:
    """The rule that U, S and V^H share."""
    from kernels.svd import gesdd_cost  # load SciPy, which `import sarray` must not
    from sarray.lowering.svd_tasks import Decompose

    (matrix,) = expression.inputs
    a = builder.operand(matrix)
    u, s, vh = (name_of(part, expression.params, matrix.name) for part in PARTS)
    for name, infer in ((u, infer_u), (s, infer_s), (vh, infer_vh)):
        _, dtype, chunks = infer(expression.inputs)
        builder.tiles(name, chunks, dtype)
    # U[0, 0], S[0], V[0, 0] = gesdd(A[0, 0])
    builder.rule(
        Rule(
            name=f"{u}/gesdd",
            loops="",
            writes=("U[0, 0]", "S[0]", "V[0, 0]"),
            reads=(a.ref("A", "0", "0"),),
            kernel=adapted(Decompose(), a),
            names={"A": a.name, "U": u, "S": s, "V": vh},
            cost=gesdd_cost(matrix.shape[0], matrix.shape[1], factored_dtype(matrix.dtype)),
            operation="svd",
        )
    )


def lower_values(expression: Expression, builder: Builder) -> None:
    """The rule for singular values alone."""
    from kernels.svd import svdvals_cost  # load SciPy, which `import sarray` must not
    from sarray.lowering.svd_tasks import Values

    (matrix,) = expression.inputs
    a = builder.operand(matrix)
    builder.tiles(expression.name, expression.chunks, expression.dtype)
    # S[0] = singular values of A[0, 0]
    builder.rule(
        Rule(
            name=f"{expression.name}/svdvals",
            loops="",
            writes=("S[0]",),
            reads=(a.ref("A", "0", "0"),),
            kernel=adapted(Values(), a),
            names={"A": a.name, "S": expression.name},
            cost=svdvals_cost(matrix.shape[0], matrix.shape[1], factored_dtype(matrix.dtype)),
            operation="svdvals",
        )
    )
