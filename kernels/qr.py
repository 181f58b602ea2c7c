"""QR factors of one block, of any shape, and of stacks of R factors.

**Panels.** geqrt factors an m x n matrix by Householder reflectors, gathered nb at a time: Q = prod_j (I - V_j T_j
V_j^H), V unit lower trapezoidal, T upper triangular (Schreiber and Van Loan 1989; LAPACK geqrt). V is kept with its
ones and zeros written out, so that Q is applied by plain matrix products, in whatever order the other operand is
stored. Forming Q [c; 0] from a panel of one block is then a single product, [c; 0] - V (T (V_top^H c)), written
straight into row-major memory; that is 2 m n^2 flops where applying Q to the padded matrix takes 4 m n^2.

**Tall blocks** are cut into pieces of about ``PIECE_ROWS`` rows, which stay in cache while their columns are swept n
times, and the R factors of the pieces are factored again, all at once (a flat TSQR: Demmel, Grigori, Hoemmen, Langou
2012). Q of the block is diag(Q_1, Q_2, ...) times the Q of that join, which acts on the top rows of the pieces and
leaves their other rows alone.

**Stacks** of R factors are joined in the same way. For two triangles of equal order tpqrt uses that the reflectors are
upper triangular as well.

Signs are LAPACK's, as in numpy.linalg.qr: the diagonal of R may be negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from kernels.cost import Cost, dense_cost
from kernels.gemm import Trans, gemm
from kernels.lapack import Block, lapack_dtype, routine
from kernels.triangular import upper_triangle

PIECE_ROWS = 8192
"""Rows of a piece of a tall block; measured best between 4,096 and 16,384 for widths from 16 to 256."""
WIDE_PANEL = 64
"""Reflectors per T factor when there are more columns than NARROW."""
NARROW = 256
"""Up to so many columns there is a single T factor, and Q is formed by one product per piece."""

Apply = Literal["N", "C"]


@dataclass(frozen=True, slots=True)
class Panel:
    """Q = prod_j (I - V_j T_j V_j^H), an m x m unitary matrix that k reflectors make."""

    v: Block
    """m x k, F order, unit lower trapezoidal with its ones and zeros."""
    t: Block
    """nb x k: upper triangular blocks side by side."""

    @property
    def nbytes(self) -> int:
        """Bytes of both factors."""
        return self.v.nbytes + self.t.nbytes


@dataclass(frozen=True, slots=True)
class Reflectors:
    """Q of a block: one panel per piece, and the join of the pieces' top rows when there are several."""

    pieces: tuple[Panel, ...]
    join: Panel | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows of the block, reflectors)."""
        return sum(len(p.v) for p in self.pieces), self.pieces[0].v.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the factors."""
        return self.pieces[0].v.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of all factors."""
        return sum(p.nbytes for p in self.pieces) + (self.join.nbytes if self.join else 0)


class QR(NamedTuple):
    """A = Q R: Q as reflectors, R upper triangular (trapezoidal when wide), k x n with k = min(m, n)."""

    q: Reflectors
    r: Block


def geqrt(a: Block) -> QR:
    """Householder QR of an m x n block of any shape, empty ones included.

    R is min(m, n) x n, C-ordered, zero below its diagonal. Any LAPACK type (others become float64). Backward stable;
    NaN and inf come out as NaN. 2 m n k - 2/3 k^3 flops and as much as k^2 m for T (see the module for the algorithm).

    >>> q, r = geqrt(np.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> np.allclose(form_q(q) @ r, [[3, 1], [4, 2]]), bool(r[1, 0] == 0)
    (True, True)
    """
    dtype = lapack_dtype(a.dtype)
    bounds = _piece_bounds(*a.shape)
    factored = [_panel(a[i:j], dtype) for i, j in pairwise(bounds)]
    pieces = tuple(panel for panel, _ in factored)
    if len(factored) == 1:
        return QR(Reflectors(pieces), factored[0][1])
    join, r = _panel(np.concatenate([r for _, r in factored]), dtype)
    return QR(Reflectors(pieces, join), r)


def geqrt_cost(m: int, n: int, dtype: DTypeLike) -> Cost:
    """2 m n k - 2/3 k^3 flops, k = min(m, n), and m k min(k, 64) for T; writes V, T and R.

    >>> round(geqrt_cost(1000, 10, "f8").flops)
    299333
    """
    k = min(m, n)
    flops = 2 * m * n * k - 2 * k**3 / 3 + m * k * min(k, WIDE_PANEL)
    return dense_cost(flops, dtype, [(m, n)], [(m, k), (k, min(k, WIDE_PANEL)), (k, n)])


def _piece_bounds(m: int, n: int) -> list[int]:
    """Where a block is cut: pieces of equal height, each at least four times as tall as wide."""
    count = max(1, round(m / max(PIECE_ROWS, 4 * n)))
    return [m * i // count for i in range(count + 1)]


def _width(k: int) -> int:
    return max(1, k if k <= NARROW else min(k, WIDE_PANEL))


def _blocks(panel: Panel) -> list[tuple[int, int]]:
    """Column ranges of the panel's T factors."""
    k, nb = panel.v.shape[1], len(panel.t)
    return [(j, min(j + nb, k)) for j in range(0, k, nb)]


def _panel(a: Block, dtype: np.dtype[Any]) -> tuple[Panel, Block]:
    m, n = a.shape
    k = min(m, n)
    nb = _width(k)
    v, t = _by_columns(a, dtype), np.zeros((nb, k), dtype, order="F")
    if k:
        routine("geqrt", dtype.char)(m, n, nb, v, m, t, nb, np.empty(nb * n, dtype))
    r = upper_triangle(v[:k])
    panel = Panel(v if k == n else v[:, :k].copy(order="F"), t)
    for i, j in _blocks(panel):
        panel.v[:i, i:j] = 0
        panel.v[i:j, i:j] = np.tril(panel.v[i:j, i:j], -1)
        np.fill_diagonal(panel.v[i:j, i:j], 1)
    # LAPACK leaves what is below the triangles of T undefined.
    for i, j in _blocks(panel):
        t[:, i:j] = np.triu(t[:, i:j])
    return panel, r


def _by_columns(a: Block, dtype: np.dtype[Any]) -> Block:
    """An F-ordered copy. A few hundred rows at a time stay in cache while they are transposed: 1.5 x faster."""
    out = np.empty(a.shape, dtype, order="F")
    step = max(64, (1 << 18) // max(1, a.shape[1] * dtype.itemsize))
    for i in range(0, len(a), step):
        out[i : i + step] = a[i : i + step]
    return out


def form_q(q: Reflectors, c: Block | None = None, *, out: Block | None = None) -> Block:
    """Q's first columns times a small matrix: Q [c; 0], the down-sweep of TSQR.

    ``c`` is k x p (k reflectors), the identity when not given, which makes Q itself, m x k. The result is m x p and
    C-ordered, or ``out``, of the same type, overwritten. 2 m k p flops for up to 256 columns, 4 m k p beyond.

    >>> q, r = geqrt(np.ones((3, 1)))
    >>> np.round(form_q(q, np.array([[-3.0]])), 4)
    array([[1.7321],
           [1.7321],
           [1.7321]])
    """
    m, k = q.shape
    c = np.eye(k, dtype=q.dtype) if c is None else c
    if c.shape[0] != k:
        raise ValueError(f"form_q: Q has {k} reflectors, so that c needs {k} rows, not {c.shape[0]}")
    if out is None:
        out = np.empty((m, c.shape[1]), np.result_type(q.dtype, c.dtype))
    top = c if q.join is None else _form(q.join, c, np.empty((len(q.join.v), c.shape[1]), out.dtype))
    for panel, rows, tops in _parts(q):
        _form(panel, top[tops], out[rows])
    return out


def form_q_cost(m: int, k: int, p: int, dtype: DTypeLike) -> Cost:
    """2 m k p flops for up to 256 columns, else 4 m k p; reads V and c, writes m x p.

    >>> form_q_cost(100, 10, 10, "f8").flops
    20000
    """
    return dense_cost((2 if k <= NARROW else 4) * m * k * p, dtype, [(m, k), (k, p)], [(m, p)])


def _parts(q: Reflectors) -> Iterator[tuple[Panel, slice, slice]]:
    """Each piece with its rows of the block, and its rows of the join."""
    rows = list(accumulate((len(p.v) for p in q.pieces), initial=0))
    tops = list(accumulate((p.v.shape[1] for p in q.pieces), initial=0))
    for panel, row, top in zip(q.pieces, pairwise(rows), pairwise(tops), strict=True):
        yield panel, slice(*row), slice(*top)


def _form(panel: Panel, c: Block, out: Block) -> Block:
    """out = Q [c; 0]. The reflectors that act last come first in V, so that the blocks go from right to left."""
    k, blocks = panel.v.shape[1], _blocks(panel)
    if len(blocks) == 1:
        gemm(panel.v, gemm(panel.t, gemm(panel.v[:k], c, trans_a="C")), alpha=-1, out=out)
        out[:k] += c
        return out
    out[:k], out[k:] = c, 0
    for i, j in reversed(blocks):
        # The first to act meets zeros below row k.
        rows = slice(i, k if j == k else None)
        weights = gemm(panel.t[: j - i, i:j], gemm(panel.v[rows, i:j], out[rows], trans_a="C"))
        gemm(panel.v[i:, i:j], weights, out[i:], alpha=-1)
    return out


def gemqrt(q: Reflectors, c: Block, *, trans: Apply = "N") -> Block:
    """Q C ("N") or Q^H C ("C") for an m x p matrix C.

    Q is the full m x m matrix, so that Q^H A is [R; 0]. The result is new, C-ordered (F-ordered if C is). 4 m k p
    flops.

    >>> a = np.array([[3.0], [4.0]])
    >>> np.abs(np.round(gemqrt(geqrt(a).q, a, trans="C"), 12))
    array([[5.],
           [0.]])
    """
    if c.shape[0] != q.shape[0]:
        raise ValueError(f"gemqrt: Q is {q.shape[0]} x {q.shape[0]}, C has {c.shape[0]} rows")
    x = np.array(c, dtype=np.result_type(q.dtype, c.dtype), order="F" if c.flags.fnc else "C")
    if trans == "N":
        _apply_join(q, x, trans)
    for panel, rows, _ in _parts(q):
        _apply(panel, x[rows], trans)
    if trans == "C":
        _apply_join(q, x, trans)
    return x


def gemqrt_cost(m: int, k: int, p: int, dtype: DTypeLike) -> Cost:
    """4 m k p flops; reads V and C, writes m x p.

    >>> gemqrt_cost(100, 10, 5, "f8").flops
    20000
    """
    return dense_cost(4 * m * k * p, dtype, [(m, k), (m, p)], [(m, p)])


def _apply_join(q: Reflectors, x: Block, trans: Apply) -> None:
    if q.join is None:
        return
    places = [(slice(rows.start, rows.start + tops.stop - tops.start), tops) for _, rows, tops in _parts(q)]
    stack = np.concatenate([x[rows] for rows, _ in places])
    _apply(q.join, stack, trans)
    for rows, tops in places:
        x[rows] = stack[tops]


def _apply(panel: Panel, x: Block, trans: Apply) -> None:
    """x := Q x or Q^H x in place."""
    blocks = _blocks(panel)
    flag: Trans = trans
    for i, j in blocks if trans == "C" else reversed(blocks):
        v, t = panel.v[i:, i:j], panel.t[: j - i, i:j]
        gemm(v, gemm(t, gemm(v, x[i:], trans_a="C"), trans_a=flag), x[i:], alpha=-1)


@dataclass(frozen=True, slots=True)
class Triangles:
    """Q of two stacked n x n triangles: the reflectors are [I; V], V upper triangular."""

    v: Block
    """n x n, F order, upper triangular."""
    t: Block
    """nb x n: upper triangular blocks side by side."""

    @property
    def nbytes(self) -> int:
        """Bytes of both factors."""
        return self.v.nbytes + self.t.nbytes


@dataclass(frozen=True, slots=True)
class Stack:
    """Q of a stack of blocks, and how tall each was."""

    q: Reflectors | Triangles
    heights: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all factors."""
        return self.q.nbytes


class StackQR(NamedTuple):
    """The stack [R_1; R_2; ...] = Q R; R is k x n with k = min(sum of heights, n)."""

    q: Stack
    r: Block


def tpqrt(blocks: Sequence[Block]) -> StackQR:
    """QR of R factors stacked on each other: any number, each k_i x n and upper trapezoidal (k_i = 0 allowed).

    Two n x n triangles go to LAPACK's tpqrt, 2/3 n^3 flops, three times as fast as factoring their stack; every other
    stack is factored as it is. Entries below the diagonals must be zero. Backward stable. Raises ``ValueError`` for
    blocks of different widths.

    >>> q, r = tpqrt([np.array([[3.0]]), np.array([[4.0]])])
    >>> np.abs(np.round(r, 12)), q.heights
    (array([[5.]]), (1, 1))
    """
    widths = {b.shape[1] for b in blocks}
    if len(widths) != 1:
        raise ValueError(f"tpqrt: stacked blocks need one common width, not {sorted(widths)}")
    heights, n = tuple(len(b) for b in blocks), widths.pop()
    dtype = lapack_dtype(*[b.dtype for b in blocks])
    if n and heights == (n, n):
        triangles, r = _triangles(blocks[0], blocks[1], dtype)
        return StackQR(Stack(triangles, heights), r)
    reflectors, r = geqrt(np.concatenate(blocks, dtype=dtype))
    return StackQR(Stack(reflectors, heights), r)


def tpqrt_cost(heights: Sequence[int], n: int, dtype: DTypeLike) -> Cost:
    """Cost of geqrt on the stack, or 2/3 n^3 flops for two triangles.

    >>> tpqrt_cost([300, 300], 300, "f8").flops
    18000000.0
    """
    if tuple(heights) == (n, n):
        return dense_cost(2 * n**3 / 3, dtype, [(n, n)], [(n, n // 2), (n, n)])
    return geqrt_cost(sum(heights), n, dtype)


def _triangles(top: Block, bottom: Block, dtype: np.dtype[Any]) -> tuple[Triangles, Block]:
    n, nb = len(top), min(32, len(top))
    r, v = np.array(top, dtype, order="F"), np.array(bottom, dtype, order="F")
    t = np.zeros((nb, n), dtype, order="F")
    routine("tpqrt", dtype.char)(n, n, n, nb, r, n, v, n, t, nb, np.empty(nb * n, dtype))
    return Triangles(v, t), np.ascontiguousarray(r)


def tpmqrt(q: Stack, c: Block | Sequence[Block], *, trans: Apply = "N") -> list[Block]:
    """Apply the Q of a stack; one block per stacked block, of its height.

    ``c`` is one k x p matrix, k = min(sum of heights, n), standing for [c; 0]: its product with Q is the down-sweep of
    TSQR; or one block for each stacked one, all p wide: then all of Q or Q^H ("C") is applied. 4 k p times the sum of
    heights flops, half for triangles.

    >>> q, r = tpqrt([np.array([[3.0]]), np.array([[4.0]])])
    >>> [np.round(x, 12).tolist() for x in tpmqrt(q, r)]
    [[[3.0]], [[4.0]]]
    """
    if isinstance(q.q, Triangles):
        return _apply_triangles(q.q, c, trans)
    if isinstance(c, np.ndarray) and trans == "N":
        x = form_q(q.q, c)
    else:
        x = gemqrt(q.q, np.concatenate([c] if isinstance(c, np.ndarray) else list(c)), trans=trans)
    bounds = accumulate(q.heights, initial=0)
    return [x[i:j] for i, j in pairwise(bounds)]


def tpmqrt_cost(heights: Sequence[int], n: int, p: int, dtype: DTypeLike) -> Cost:
    """Cost of form_q on the stack, or 2 n^2 p flops for two triangles.

    >>> tpmqrt_cost([300, 300], 300, 1, "f8").flops
    180000
    """
    if tuple(heights) == (n, n):
        return dense_cost(2 * n * n * p, dtype, [(n, n // 2), (n, p)], [(2 * n, p)])
    return form_q_cost(sum(heights), min(sum(heights), n), p, dtype)


def _apply_triangles(q: Triangles, c: Block | Sequence[Block], trans: Apply) -> list[Block]:
    n, nb, dtype = len(q.v), len(q.t), q.v.dtype
    top, bottom = (c, np.zeros_like(c)) if isinstance(c, np.ndarray) else c
    x, y = np.array(top, dtype, order="F"), np.array(bottom, dtype, order="F")
    p = x.shape[1]
    if p:
        flag = b"N" if trans == "N" else b"C" if dtype.kind == "c" else b"T"
        routine("tpmqrt", dtype.char)(b"L", flag, n, p, n, n, nb, q.v, n, q.t, nb, x, n, y, n, np.empty(nb * p, dtype))
    return [np.ascontiguousarray(x), np.ascontiguousarray(y)]
