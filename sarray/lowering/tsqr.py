"""QR of a tall matrix in one column of chunks: a tree of small factorizations.

Every block is factored on its own, and the R factors are stacked a at a time and factored again, up to one R (Demmel,
Grigori, Hoemmen, Langou 2012, "Communication-optimal parallel and sequential QR and LU factorizations", SIAM J. Sci.
Comput. 34). Level 0 are the blocks, and level l has w[l] = ceil(w[l-1] / a) nodes::

    R[0, i], F[0, i] = geqrt(A[i])                                     0 <= i < w[0]
    R[l, j], F[l, j] = tpqrt(R[l-1, a j + c] for c in 0 .. a-1)        0 < l, 0 <= j < w[l]

F are reflectors: Q is never formed on the way up. It is the product of the levels, applied to the identity from the
top down::

    C[l-1, a j + c] = c-th part of Q(F[l, j]) [C[l, j]; 0]             0 < l
    Q[i]            = Q(F[0, i]) [C[0, i]; 0]

With a small matrix X in place of the identity at the top this is Q X, at the same price and as stable; the left
singular vectors of A = Q R are made so, from those of R.

**Where the link is slow**, the reflectors of the blocks, as large as A, stay where they were made: R[0, i] is announced
alone, and Q[i] is made by whoever holds F[0, i]. Where the workers have no room for all of them (`Limits.stays`), and
moving them takes longer than to factor A[i] once more where Q[i] is made, if A is at hand there, F[0, i] is no tile
(`Limits.recomputes`)::

    R[0, i] = geqrt(A[i])
    Q[i]    = Q(geqrt(A[i])) [C[0, i]; 0]

Rows may be cut in any way: an m x n block has an R of min(m, n) x n, also one of no rows. Cost: 2 m n^2 flops for R and
as many for Q; one pass over A, and messages of n^2 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sarray.expression import Expression, Inferred, name_of
from sarray.lowering.blocks import largest_chunk
from sarray.lowering.builder import Builder
from sarray.lowering.operand import Operand, adapted
from wukong_sched.grid import Grid
from wukong_sched.rule import ArrayInfo, Rule

ARITY = 8
"""R factors that one node of the tree stacks, unless the call says otherwise."""
LAPACK = "fdFD"
"""Characters of the types that LAPACK has."""
NODES = "for l in range(1, top) for j in range(w[l])"
"""The loops over all nodes but the blocks and the root."""


def factored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which matrices of a type are factored: integers and bool as float64, as in NumPy.

    Raises TypeError for a type that LAPACK does not have.

    >>> factored_dtype(np.dtype("i2")), factored_dtype(np.dtype("F"))
    (dtype('float64'), dtype('complex64'))
    """
    wanted = np.dtype(np.float64) if dtype.kind in "biu" else dtype.newbyteorder("=")
    if wanted.char not in LAPACK:
        raise TypeError(
            f"linear algebra needs float32, float64, complex64 or complex128, not {dtype}; "
            "convert with astype('float64')"
        )
    return wanted


def infer_r(inputs: tuple[Expression, ...], arity: int) -> Inferred:
    """R is k x n with k = min(m, n), one block."""
    m, n = _checked(inputs[0], arity)
    k = min(m, n)
    return (k, n), factored_dtype(inputs[0].dtype), (Grid.of((k,)), Grid.of((n,)))


def infer_q(inputs: tuple[Expression, ...], arity: int) -> Inferred:
    """Q is m x k, its rows cut like A's; with a second input X, k x p, it is Q X."""
    m, n = _checked(inputs[0], arity)
    last = Grid.of((min(m, n),)) if len(inputs) == 1 else inputs[1].chunks[1]
    return (m, last.total), factored_dtype(inputs[0].dtype), (inputs[0].chunks[0], last)


def _checked(a: Expression, arity: int) -> tuple[int, int]:
    if a.ndim != 2:
        raise ValueError(f"tsqr: needs a matrix, got shape {a.shape}")
    if len(a.chunks[1]) > 1:
        raise ValueError(
            f"tsqr: needs all columns in one chunk, got chunks of {a.chunks[1].sizes()[:8]} columns; "
            "type A.rechunk({1: -1})"
        )
    if arity < 2:
        raise ValueError(f"tsqr: a tree needs an arity of 2 or more, got {arity}")
    return a.shape[0], a.shape[1]


def flops(expression: Expression) -> float:
    """2 m n k for the factors, or for Q."""
    m, n = expression.inputs[0].shape
    return float(2 * m * n * min(m, n) * (4 if expression.dtype.kind == "c" else 1))


def widths(blocks: int, arity: int) -> tuple[int, ...]:
    """Nodes of each level of the tree, from the blocks up to the root.

    >>> widths(20, 8), widths(1, 8)
    ((20, 3, 1), (1,))
    """
    found = [blocks]
    while found[-1] > 1:
        found.append(-(-found[-1] // arity))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree over one matrix, and the names of what stands in it."""

    root: str
    """Array of the last R; the others' names begin so."""
    rows: Grid
    columns: int
    dtype: np.dtype[Any]
    arity: int

    @property
    def widths(self) -> tuple[int, ...]:
        """Nodes of each level."""
        return widths(len(self.rows), self.arity)

    @property
    def top(self) -> int:
        """Level of the root."""
        return len(self.widths) - 1

    @property
    def tallest(self) -> int:
        """Rows of the largest block."""
        return largest_chunk(self.rows)

    @property
    def order(self) -> int:
        """Rows of the last R."""
        return min(self.rows.total, self.columns)

    @property
    def heights(self) -> tuple[int, ...]:
        """Rows of each R that a full node stacks."""
        return (min(self.tallest, self.columns),) * min(self.arity, len(self.rows))

    def reflector_bytes(self, rows: int) -> int:
        """Bytes of the reflectors of so many rows, with their triangular factors."""
        return (rows + 64) * min(rows, self.columns) * self.dtype.itemsize

    def rule(self, name: str, loops: str, writes: Sequence[str], reads: Sequence[str], **given: Any) -> Rule:
        """A rule over this tree's nodes."""
        names = {"R": f"{self.root}/R", "F": f"{self.root}/F", "Root": self.root} | given.pop("names", {})
        sizes = {"w": self.widths, "a": self.arity, "top": self.top, "blocks": len(self.rows)}
        sizes["below"] = self.widths[self.top - 1]
        return Rule(name, loops, tuple(writes), tuple(reads), names=names, sizes=sizes, operation="tsqr", **given)


def tree_of(a: Expression, arity: int, kept: bool = True) -> Tree:
    """The tree over A that keeps its reflectors, or the one that is after R alone."""
    root = name_of("tsqr.r" if kept else "tsqr.only_r", (arity,), a.name)
    return Tree(root, a.chunks[0], a.shape[1], factored_dtype(a.dtype), arity)


def _factors_again(tree: Tree, a: Operand, builder: Builder) -> bool:
    """Whether blocks are factored once more for Q, instead of moving their reflectors, which cannot stay."""
    from kernels.qr import geqrt_cost  # load SciPy, which `import sarray` must not

    limits = builder.limits
    held = -(-len(tree.rows) // limits.workers) * tree.reflector_bytes(tree.tallest)
    if not builder.is_at_hand(a.name) or (held <= limits.task_bytes and limits.stays(held)):
        return False
    cost = geqrt_cost(tree.tallest, tree.columns, tree.dtype)
    return limits.recomputes(cost.flops, cost.bytes_in)


def lower_r(expression: Expression, builder: Builder) -> None:
    """Rules for R, with the reflectors beside it."""
    a, arity = expression.inputs[0], expression.params[0]
    _lower_factors(tree_of(a, arity), builder.operand(a), builder, kept=True)


def lower_only_r(expression: Expression, builder: Builder) -> None:
    """Rules for R where nobody is after Q: the reflectors are dropped as soon as they are made."""
    a, arity = expression.inputs[0], expression.params[0]
    _lower_factors(tree_of(a, arity, kept=False), builder.operand(a), builder, kept=False)


def lower_q(expression: Expression, builder: Builder) -> None:
    """Rules for Q, or for Q X: up for the reflectors, and down again."""
    a, *small = expression.inputs
    tree = tree_of(a, expression.params[0])
    _lower_factors(tree, builder.operand(a), builder, kept=True)
    _lower_down(expression, tree, builder.operand(a), [builder.operand(x) for x in small], builder)


def _lower_factors(tree: Tree, a: Operand, builder: Builder, kept: bool) -> None:
    from kernels.qr import geqrt_cost, tpqrt_cost  # load SciPy, which `import sarray` must not
    from sarray.lowering.qr_tasks import FactorBlock, FactorOnce, FactorStack

    m, n, item = tree.tallest, tree.columns, tree.dtype.itemsize
    stacked = sum(tree.heights)
    builder.array(f"{tree.root}/R", ArrayInfo(min(max(m, stacked), n) * n * item))
    again = kept and _factors_again(tree, a, builder)
    tallest = stacked if again else max(m, stacked)
    builder.array(f"{tree.root}/F", ArrayInfo(tree.reflector_bytes(tallest)))
    builder.tiles(tree.root, (Grid.of((tree.order,)), Grid.of((n,))), tree.dtype)

    def also(index: str) -> list[str]:
        return [f"F[{index}]"] if kept else []

    # R[0, i], F[0, i] = geqrt(A[i]); a single block is the root itself
    writes = ["R[0, i]" if tree.top else "Root[0, i]", *([] if again else also("0, i"))]
    kernel = FactorOnce(tree.dtype) if again else FactorBlock(kept, tree.dtype)
    factor, cost = adapted(kernel, a), geqrt_cost(m, n, tree.dtype)
    block = tree.rule(
        f"{tree.root}/geqrt", "for i in range(blocks)", writes, [a.ref("A", "i", "0")],
        names={"A": a.name}, kernel=factor, cost=cost,
    )  # fmt: skip
    builder.rule(block)
    # R[l, j], F[l, j] = tpqrt(R[l-1, a j + c] for all c); the last one is the root
    join: dict[str, Any] = {"kernel": FactorStack(kept), "cost": tpqrt_cost(tree.heights, n, tree.dtype)}
    if tree.top > 1:
        reads = ["[R[l - 1, a * j + c] for c in range(min(a, w[l - 1] - a * j))]"]
        builder.rule(tree.rule(f"{tree.root}/tpqrt", NODES, ["R[l, j]", *also("l, j")], reads, **join))
    if tree.top:
        reads = ["[R[top - 1, c] for c in range(below)]"]
        builder.rule(tree.rule(f"{tree.root}/root", "", ["Root[0, 0]", *also("top, 0")], reads, **join))


def _lower_down(expression: Expression, tree: Tree, a: Operand, x: list[Operand], builder: Builder) -> None:
    from kernels.qr import tpmqrt_cost  # load SciPy, which `import sarray` must not
    from sarray.lowering.qr_tasks import ApplyStack

    name, p = expression.name, expression.shape[1]
    builder.array(f"{name}/C", ArrayInfo(max(tree.heights) * p * expression.dtype.itemsize))
    builder.tiles(name, expression.chunks, expression.dtype)
    names = {"C": f"{name}/C", "Q": name, "X": x[0].name if x else name}
    at_top = [each.ref("X", "0", "0") for each in x]
    apply = ApplyStack(tree.order, tree.dtype)
    cost = tpmqrt_cost(tree.heights, tree.columns, p, tree.dtype)
    # C[top-1, c] = c-th part of Q(F[top, 0]) [X; 0], X = I if there is none
    if tree.top:
        writes, kernel = ["[C[top - 1, c] for c in range(below)]"], adapted(apply, None, *x)
        rule = tree.rule(f"{name}/root", "", writes, ["F[top, 0]", *at_top], names=names, kernel=kernel, cost=cost)
        builder.rule(rule)
    # C[l-1, a j + c] = c-th part of Q(F[l, j]) [C[l, j]; 0]
    if tree.top > 1:
        writes, reads = ["[C[l - 1, a * j + c] for c in range(min(a, w[l - 1] - a * j))]"], ["F[l, j]", "C[l, j]"]
        builder.rule(tree.rule(f"{name}/tpmqrt", NODES, writes, reads, names=names, kernel=apply, cost=cost))
    _lower_blocks(expression, tree, a, x, builder)


def _lower_blocks(expression: Expression, tree: Tree, a: Operand, x: list[Operand], builder: Builder) -> None:
    from kernels.qr import form_q_cost, geqrt_cost  # load SciPy, which `import sarray` must not
    from sarray.lowering.qr_tasks import ApplyBlock, FactorAgain

    name, m, n = expression.name, tree.tallest, tree.columns
    names = {"A": a.name, "C": f"{name}/C", "Q": name, "X": x[0].name if x else name}
    above, operands = (["C[0, i]"], [None]) if tree.top else ([each.ref("X", "0", "0") for each in x], x)
    cost = form_q_cost(m, min(m, n), expression.shape[1], tree.dtype)
    if _factors_again(tree, a, builder):
        # Q[i] = Q(geqrt(A[i])) [C[0, i]; 0]
        reads, kernel = [a.ref("A", "i", "0"), *above], adapted(FactorAgain(tree.dtype), a, *operands)
        cost = cost + geqrt_cost(m, n, tree.dtype)
    else:
        # Q[i] = Q(F[0, i]) [C[0, i]; 0]
        reads, kernel = ["F[0, i]", *above], adapted(ApplyBlock(), None, *operands)
    loops = "for i in range(blocks)"
    builder.rule(tree.rule(f"{name}/form_q", loops, ["Q[i, 0]"], reads, names=names, kernel=kernel, cost=cost))
