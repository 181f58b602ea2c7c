"""Matrix products that accumulate in place: C := C + alpha op(A) op(B).

Row-major data is column-major data of the transpose, so nothing is ever copied for its order: a row-major C = A B is
computed as the column-major C^T = B^T A^T. An operand is used where it lies whenever one of its strides is one
element, which includes slices and ``.T`` views. BLAS reads a stored matrix X as X, X^T or X^H; only the fourth form,
the conjugate alone, needs a copy.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from kernels.cost import Cost, dense_cost
from kernels.lapack import Block, is_lapack, routine

Trans = Literal["N", "T", "C"]

_FORMS = {(False, False): b"N", (True, False): b"T", (True, True): b"C"}
"""(transposed, conjugated) -> BLAS flag."""


def leading(x: Block) -> tuple[bool, int] | None:
    """How BLAS can read a matrix where it lies: (is it stored transposed, leading dimension), or None.

    >>> leading(np.zeros((3, 4))[:, 1:]), leading(np.zeros((4, 3)).T), leading(np.zeros((6, 6))[::2, ::2])
    ((True, 4), (False, 3), None)
    """
    (rows, columns), (down, across), item = x.shape, x.strides, x.itemsize
    if not x.flags.aligned:
        return None
    if (columns <= 1 or across == item) and (rows <= 1 or (down >= columns * item and down % item == 0)):
        return True, max(columns, 1, down // item if rows > 1 else 1)
    if (rows <= 1 or down == item) and (columns <= 1 or (across >= rows * item and across % item == 0)):
        return False, max(rows, 1, across // item if columns > 1 else 1)
    return None


def operand(x: Block, dtype: np.dtype[Any], transposed: bool, conjugated: bool) -> tuple[bytes, Block, int]:
    """BLAS flag, storage and leading dimension by which BLAS sees ``x``, transposed and conjugated as told."""
    x = np.asarray(x, dtype=dtype)
    conjugated = conjugated and dtype.kind == "c"
    layout = leading(x)
    if layout is None:
        x = np.ascontiguousarray(x)
        layout = (True, max(x.shape[1], 1))
    flag = _FORMS.get((transposed != layout[0], conjugated))
    if flag is None:
        x, flag = np.conjugate(x, order="C"), _FORMS[transposed is False, False]
        layout = (True, max(x.shape[1], 1))
    return flag, x, layout[1]


def gemm(
    a: Block,
    b: Block,
    c: Block | None = None,
    *,
    alpha: complex = 1,
    trans_a: Trans = "N",
    trans_b: Trans = "N",
    out: Block | None = None,
) -> Block:
    """C + alpha op(A) op(B), accumulated in place when ``c`` is given.

    ``a`` is m x k and ``b`` is k x n after op ("N" as is, "T" transposed, "C" conjugate transposed). ``c`` is m x n,
    is modified and returned; ``out`` is overwritten and returned; with neither a new C-ordered block is. float32,
    float64, complex64, complex128 go to BLAS (gemm, 2mnk flops); every other type to ``numpy.matmul``, with NumPy's
    promotion. Raises ``ValueError`` for shapes that do not fit.

    >>> c = np.ones((2, 2))
    >>> gemm(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]), c) is c
    True
    >>> c
    array([[2., 3.],
           [4., 5.]])
    """
    m, k = a.shape if trans_a == "N" else a.shape[::-1]
    inner, n = b.shape if trans_b == "N" else b.shape[::-1]
    target = c if c is not None else out
    if k != inner or (target is not None and target.shape != (m, n)):
        place = "new" if target is None else str(target.shape)
        raise ValueError(f"gemm: op(A) is {m} x {k}, op(B) is {inner} x {n}, C is {place}; they do not fit")
    dtype = np.result_type(a, b) if target is None else target.dtype
    if not is_lapack(dtype) or np.result_type(a, b) != dtype:
        return _any_gemm(_op(a, trans_a), _op(b, trans_b), c, alpha, out)
    if target is None:
        target = np.empty((m, n), dtype)
    return _blas_gemm((a, trans_a), (b, trans_b), target, alpha, 0 if c is None else 1)


def gemm_cost(m: int, n: int, k: int, dtype: DTypeLike) -> Cost:
    """2mnk flops; reads A and B, writes C.

    >>> gemm_cost(10, 10, 10, "f8")
    Cost(flops=2000, bytes_in=1600, bytes_out=800)
    """
    return dense_cost(2 * m * n * k, dtype, [(m, k), (k, n)], [(m, n)])


def _blas_gemm(a: tuple[Block, Trans], b: tuple[Block, Trans], c: Block, alpha: complex, beta: int) -> Block:
    layout = leading(c)
    if layout is None or not c.flags.writeable:
        return _scattered(a, b, c, alpha, beta)
    if c.size == 0:
        return c
    by_rows, ld = layout
    first, second = (b, a) if by_rows else (a, b)
    flag_1, x, ld_x = operand(first[0], c.dtype, (first[1] != "N") != by_rows, first[1] == "C")
    flag_2, y, ld_y = operand(second[0], c.dtype, (second[1] != "N") != by_rows, second[1] == "C")
    m, n = c.shape[::-1] if by_rows else c.shape
    k = a[0].shape[a[1] == "N"]
    one, start = number(alpha, c.dtype), number(beta, c.dtype)
    routine("gemm", c.dtype.char)(flag_1, flag_2, m, n, k, one, x, ld_x, y, ld_y, start, c, ld)
    return c


def _scattered(a: tuple[Block, Trans], b: tuple[Block, Trans], c: Block, alpha: complex, beta: int) -> Block:
    """A target that BLAS cannot write: no unit stride. One temporary."""
    product = _blas_gemm(a, b, np.empty(c.shape, c.dtype), alpha, 0)
    np.copyto(c, c + product if beta else product)
    return c


def number(value: complex, dtype: np.dtype[Any]) -> Any:
    """A scalar as the routine's structure takes it: a float, or a pair."""
    return (value.real, value.imag) if dtype.kind == "c" else value


def _op(x: Block, trans: Trans) -> Block:
    return x if trans == "N" else x.T if trans == "T" else x.conj().T


def _any_gemm(a: Block, b: Block, c: Block | None, alpha: complex, out: Block | None) -> Block:
    product: Block = np.matmul(a, b) if alpha == 1 else np.matmul(a, b) * alpha
    if c is not None:
        np.add(c, product, out=c)
        return c
    if out is None:
        return product
    np.copyto(out, product)
    return out


def herk(a: Block, c: Block | None = None, *, alpha: float = 1, trans: bool = False) -> Block:
    """C + alpha A A^H (or A^H A with ``trans``) at half the flops of gemm.

    With ``c`` (n x n) its lower triangle is updated in place and the strict upper one left alone; without, a new
    Hermitian n x n block is returned in full. Other types than LAPACK's go through ``numpy.matmul``, in full. n^2 k
    flops (BLAS syrk, herk).

    >>> herk(np.array([[1.0, 2.0], [0.0, 1.0]]))
    array([[5., 2.],
           [2., 1.]])
    """
    n, k = a.shape[::-1] if trans else a.shape
    if c is not None and c.shape != (n, n):
        raise ValueError(f"herk: A gives a {n} x {n} product, C is {c.shape[0]} x {c.shape[1]}")
    flags: tuple[Trans, Trans] = ("C", "N") if trans else ("N", "C")
    dtype = a.dtype if c is None else c.dtype
    if not is_lapack(dtype) or (c is not None and (leading(c) is None or a.dtype != dtype)):
        return gemm(a, a, c, alpha=alpha, trans_a=flags[0], trans_b=flags[1])
    if c is not None:
        return _blas_herk(a, c, alpha, 1, trans, k)
    return _mirrored(_blas_herk(a, np.zeros((n, n), dtype), alpha, 0, trans, k))


def herk_cost(n: int, k: int, dtype: DTypeLike) -> Cost:
    """n^2 k flops; reads A, writes C.

    >>> herk_cost(10, 5, "f8").flops
    500
    """
    return dense_cost(n * n * k, dtype, [(n, k)], [(n, n)])


def _blas_herk(a: Block, c: Block, alpha: float, beta: int, trans: bool, k: int) -> Block:
    layout = leading(c)
    assert layout is not None
    if c.size == 0:
        return c
    by_rows, ld = layout
    complex_type = c.dtype.kind == "c"
    stored_by_rows, x, ld_x = _herk_operand(a, c.dtype, by_rows)
    flag = b"N" if trans == stored_by_rows else b"C" if complex_type else b"T"
    name, uplo = "herk" if complex_type else "syrk", b"U" if by_rows else b"L"
    routine(name, c.dtype.char)(uplo, flag, c.shape[0], k, alpha, x, ld_x, beta, c, ld)
    return c


def _herk_operand(a: Block, dtype: np.dtype[Any], by_rows: bool) -> tuple[bool, Block, int]:
    """Whether A is stored by rows, where, and its leading dimension."""
    # In a row-major complex C, BLAS sees conj(C), the product of conj(A): A must be row-major too.
    a = np.asarray(a, dtype=dtype)
    layout = leading(a)
    if layout is not None and (dtype.kind != "c" or layout[0] == by_rows):
        return layout[0], a, layout[1]
    return by_rows, np.array(a, order="C" if by_rows else "F"), max(1, a.shape[1 if by_rows else 0])


def _mirrored(c: Block) -> Block:
    """The full Hermitian matrix of a lower triangle with zeros above."""
    upper = np.conjugate(c).T
    diagonal = np.diagonal(c).real.copy()
    c += upper
    np.fill_diagonal(c, diagonal)
    return c
