"""numpywren's own recurrences for GEMM, TSQR and Cholesky, to be run in whatever way.

They are what LAmbdaPACK's programs of these names say, one rule for each statement, so that the bytes that the
numpywren baseline moves can be held against those that numpywren itself was measured to move:

====================================== ========= ============
work                                   read, MB  written, MB
====================================== ========= ============
GEMM 4000, blocks of 1000              1,664     768
TSQR 262,144 x 128, 32 blocks          277       293
Cholesky 4000, blocks of 500           632       240
====================================== ========= ============

* GEMM makes every product A[i, k] B[k, j] a task and stores it; sums are taken four at a time, level by level, and the
  last one is copied: with four blocks a side each block of C costs 4 x 2 + 4 + 1 reads and 4 + 1 + 1 writes.
* TSQR stores V, T and R of each block and of each pair of R factors.
* Cholesky reads the block to be updated, L[j, i] and L[k, i], for diagonal blocks too, where they are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kernels.cholesky import potrf, potrf_cost
from kernels.gemm import gemm, gemm_cost
from kernels.qr import PIECE_ROWS, geqrt, geqrt_cost
from kernels.triangular import trsm, trsm_cost
from wukong_sched.linked import WantedTiles
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule

Index = tuple[int, ...]
Block = Any
ITEM = 8
"""Bytes of a float64."""
SUMMED = 4
"""Partial products of one sum."""
MEASURED: Mapping[str, tuple[int, int]] = {
    "gemm": (1_664_000_000, 768_000_000),
    "tsqr": (277_000_000, 293_000_000),
    "cholesky": (632_000_000, 240_000_000),
}
"""Bytes that numpywren itself read and wrote, with two local workers, at the sizes above."""


class Matrix(Protocol):
    """An array, or one in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    def __getitem__(self, index: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Blocks:
    """A matrix in square or tall blocks, as a source."""

    matrix: Matrix
    rows: int
    columns: int

    def read(self, index: Index) -> Block:
        """The block at an index."""
        i, j = index
        return self.matrix[i * self.rows : (i + 1) * self.rows, j * self.columns : (j + 1) * self.columns]


# ---- GEMM


def multiply(index: Index, a: Block, b: Block) -> Block:
    """A product of two blocks."""
    return gemm(a, b)


def add(index: Index, blocks: Sequence[Block]) -> Block:
    """The sum, as numpywren takes it: one after the other onto zeros."""
    total = np.zeros_like(blocks[0])
    for block in blocks:
        total += block
    return total


def same(index: Index, block: Block) -> Block:
    """The block."""
    return block


def gemm_program(a: Matrix, b: Matrix, block: int) -> Recurrences:
    """C = A B, with blocks of C at ("C", (i, j)); all extents are multiples of the block size.

    T0[i, j, k]   = A[i, k] B[k, j]
    Tl+1[i, j, k] = Tl[i, j, 4 k] + ... + Tl[i, j, 4 k + 3]
    C[i, j]       = Td[i, j, 0]
    """
    m, n, width = a.shape[0] // block, b.shape[1] // block, a.shape[1] // block
    loops, sizes = "for i in range(m) for j in range(n)", {"m": m, "n": n}
    cost = gemm_cost(block, block, block, "f8")
    rules = [
        Rule(
            "gemm",
            f"{loops} for k in range(w)",
            ("T[i, j, k]",),
            ("A[i, k]", "B[k, j]"),
            multiply,
            {"T": "T0"},
            {**sizes, "w": width},
            cost=cost,
            operation="gemm",
        )
    ]
    level = 0
    while width > 1:
        narrow = -(-width // SUMMED)
        names = {"T": f"T{level}", "U": f"T{level + 1}"}
        reads = ("[T[i, j, 4 * k + c] for c in range(min(4, w - 4 * k))]",)
        rules.append(
            Rule(
                f"add_matrices {level}",
                f"{loops} for k in range(v)",
                ("U[i, j, k]",),
                reads,
                add,
                names,
                {**sizes, "v": narrow, "w": width},
                operation="add_matrices",
            )
        )
        width, level = narrow, level + 1
    rules.append(Rule("identity", loops, ("C[i, j]",), ("T[i, j, 0]",), same, {"T": f"T{level}"}, sizes))
    names = ["A", "B", "C", *(f"T{each}" for each in range(level + 1))]
    arrays = {name: ArrayInfo(block * block * ITEM) for name in names}
    return Recurrences(rules, arrays, {"A": Blocks(a, block, block), "B": Blocks(b, block, block)}, [("C", (m, n))])


# ---- TSQR


def qr_factor(index: Index, *blocks: Any) -> tuple[Block, Block, Block]:
    """V, T and R of a block, or of several on top of each other."""
    (found,) = blocks
    (panel,), r = _factored(np.concatenate(found) if isinstance(found, list) else found)
    return panel.v, panel.t, r


def _factored(block: Block) -> tuple[Any, Block]:
    q, r = geqrt(block)
    if q.join is not None:
        raise ValueError(f"qr_factor: blocks have at most about {PIECE_ROWS} rows, got {len(block)}; cut them finer")
    return q.pieces, r


def tsqr_program(a: Matrix, block: int) -> Recurrences:
    """R of a tall A in blocks of so many rows, a divisor of all; it is at ("Rd", (0,)), d the number of levels.

    V0[j], T0[j], R0[j]       = QR of A[j, 0]
    Vl+1[j], Tl+1[j], Rl+1[j] = QR of [Rl[2 j]; Rl[2 j + 1]]
    """
    rows, n = a.shape
    width, level = rows // block, 0
    writes = ("V[j]", "T[j]", "R[j]")
    names = {"V": "V0", "T": "T0", "R": "R0"}
    cost = geqrt_cost(block, n, "f8")
    rules = [Rule("qr_factor 0", "for j in range(w)", writes, ("A[j, 0]",), qr_factor, names, {"w": width}, cost=cost)]
    arrays = {"A": ArrayInfo(block * n * ITEM), "V0": ArrayInfo(block * n * ITEM)}
    while width > 1:
        narrow = -(-width // 2)
        names = {each: f"{each}{level + 1}" for each in "VTR"} | {"S": f"R{level}"}
        reads = ("[S[2 * j + c] for c in range(min(2, w - 2 * j))]",)
        sizes = {"v": narrow, "w": width}
        cost = geqrt_cost(2 * n, n, "f8")
        rules.append(
            Rule(f"qr_factor {level + 1}", "for j in range(v)", writes, reads, qr_factor, names, sizes, cost=cost)
        )
        width, level = narrow, level + 1
        arrays[f"V{level}"] = ArrayInfo(2 * n * n * ITEM)
    arrays |= {f"{each}{number}": ArrayInfo(n * n * ITEM) for each in "TR" for number in range(level + 1)}
    return Recurrences(rules, arrays, {"A": Blocks(a, block, n)}, [(f"R{level}", (1,))])


# ---- Cholesky


def chol(index: Index, block: Block) -> Block:
    """The factor of a diagonal block."""
    return potrf(np.array(block))


def solve(index: Index, diagonal: Block, block: Block) -> Block:
    """A block below the diagonal."""
    return np.ascontiguousarray(trsm(np.array(block), diagonal, side="R", trans="T"))


def syrk(index: Index, block: Block, left: Block, right: Block) -> Block:
    """An update, in full, of a block that may be on the diagonal."""
    return gemm(left, right, np.array(block), alpha=-1, trans_b="T")


def cholesky_program(a: Matrix, block: int) -> Recurrences:
    """The lower factor O of A, with blocks at ("O", (j, i)), i <= j; the order is a multiple of the block size.

    O[i, i]      = chol(S[i, i, i])                    S[0, j, k] is A[j, k]
    O[j, i]      = trsm(O[i, i], S[i, j, i])           i < j
    S[i+1, j, k] = S[i, j, k] - O[j, i] O[k, i]^T      i < k <= j
    """
    n = a.shape[0] // block
    loops, sizes = "for i in range(n)", {"n": n}
    below, inner = f"{loops} for j in range(i + 1, n)", "for k in range(i + 1, j + 1)"

    def s(j: str, k: str) -> str:
        return f"A[{j}, {k}] if i == 0 else S[i, {j}, {k}]"

    costs = potrf_cost(block, "f8"), trsm_cost(block, block, "f8", side="R"), gemm_cost(block, block, block, "f8")
    rules = [
        Rule("chol", loops, ("O[i, i]",), (s("i", "i"),), chol, {}, sizes, cost=costs[0]),
        Rule("trsm", below, ("O[j, i]",), ("O[i, i]", s("j", "i")), solve, {}, sizes, cost=costs[1]),
        Rule(
            "syrk",
            f"{below} {inner}",
            ("S[i + 1, j, k]",),
            (s("j", "k"), "O[j, i]", "O[k, i]"),
            syrk,
            {},
            sizes,
            cost=costs[2],
        ),
    ]
    arrays = {name: ArrayInfo(block * block * ITEM) for name in "AOS"}
    wanted = WantedTiles("O[j, i]", "for j in range(n) for i in range(j + 1)", sizes=sizes)
    return Recurrences(rules, arrays, {"A": Blocks(a, block, block)}, [wanted])
