"""QR, singular value and Cholesky factorizations."""

from __future__ import annotations

import operator
import os
from typing import Any, NamedTuple

import numpy as np

from sarray.array import Array, as_array
from sarray.expression import Expression, express
from sarray.linalg.products import product
from sarray.lowering import cholesky as tiled_cholesky
from sarray.lowering import small_svd
from sarray.lowering import tsqr as tree
from sarray.lowering.elementwise import elementwise
from sarray.lowering.random import drawn
from sarray.lowering.rechunk import rechunked
from sarray.lowering.slicing import sliced
from sarray.lowering.views import transposed
from wukong_sched.grid import Grid


class QR(NamedTuple):
    """A = Q R."""

    Q: Array
    """m x k with orthonormal columns, k = min(m, n)."""
    R: Array
    """k x n, upper triangular (trapezoidal if m < n), in one block."""


class SVD(NamedTuple):
    """A = U diag(S) Vh."""

    U: Array
    """m x k with orthonormal columns."""
    S: Array
    """k singular values, real, in falling order."""
    Vh: Array
    """k x n with orthonormal rows."""


def tsqr(a: Any, arity: int | None = None) -> QR:
    """QR factorization of a matrix in one column of chunks, as a tree of small ones.

    Parameters
    ----------
    a
        m x n, all columns in one chunk, rows cut in any way: blocks may be shorter than wide, or empty. float32,
        float64, complex64, complex128; integers and bool are factored as float64.
    arity
        How many R factors a node of the tree stacks, 8 if not given. More make a flatter tree of larger nodes.

    Returns
    -------
    QR
        Q, m x k cut like `a`, and R, k x n in one block, k = min(m, n). As in NumPy the diagonal of R may be negative.

    Raises
    ------
    ValueError
        for what is no matrix, for several columns of chunks (with the rechunk to type), and for an arity below 2.
    TypeError
        for types that LAPACK does not have, such as float16, and for an arity that is no integer.

    Householder reflectors throughout, so that Q is orthonormal to rounding whatever the condition number
    (|Q^H Q - I| and |A - Q R| / |A| are small multiples of eps). Q is kept as reflectors until it is formed, in one
    sweep down the tree. 2 m n^2 flops for R, and as many for Q.
    Demmel, Grigori, Hoemmen, Langou 2012, "Communication-optimal parallel and sequential QR and LU factorizations",
    SIAM Journal on Scientific Computing 34; LAPACK Working Note 204.

    Examples
    --------
    >>> import numpy as np, sarray as sa
    >>> a = np.arange(12.0).reshape(6, 2)
    >>> q, r = sa.tsqr(sa.asarray(a, chunks=(2, -1)))
    >>> q.shape, r.shape, bool(np.allclose(np.asarray(q @ r), a))
    ((6, 2), (2, 2), True)
    """
    e = as_array(a).expression
    stacked = tree.ARITY if arity is None else _integer("tsqr", "arity", arity)
    return QR(Array(_tall_q(e, stacked)), Array(express("tsqr.r", tree.infer_r, (e,), stacked)))


def _tall_q(e: Expression, arity: int = tree.ARITY) -> Expression:
    return express("tsqr.q", tree.infer_q, (e,), arity)


def svd(a: Any) -> SVD:
    """Thin singular value decomposition of a tall matrix in one column of chunks, or a wide one in one row of chunks.

    Parameters
    ----------
    a
        m x n, all columns in one chunk, or all rows; types as for `tsqr`.

    Returns
    -------
    SVD
        U, m x k; S, k real values in falling order; Vh, k x n; k = min(m, n). The long factor is cut like `a`, the
        other and S are one block each. As in NumPy the signs of the vectors are not determined.

    Raises
    ------
    ValueError
        for what is no matrix, and for chunks in both dimensions (with the rechunk to type).
    TypeError
        for types that LAPACK does not have, such as float16.
    TaskError
        when computed, caused by LinAlgError, for NaN and infinities.

    A = Q R by the tree of `tsqr`, R = W S Vh by divide and conquer (LAPACK gesdd), and U = Q W by the tree's way down,
    so that neither Q nor a product with it is ever formed. Backward stable. About 4 m n^2 + 22 n^3 flops for m > n.

    Examples
    --------
    >>> import numpy as np, sarray as sa
    >>> u, s, vh = sa.svd(sa.asarray(np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]), chunks=(1, -1)))
    >>> np.asarray(s)
    array([4., 3.])
    >>> np.round(np.asarray(u * s @ vh), 12) + 0.0
    array([[3., 0.],
           [0., 4.],
           [0., 0.]])
    """
    e = as_array(a).expression
    if not _is_wide("svd", e):
        u, s, vh = _tall_svd(e)
        return SVD(Array(u), Array(s), Array(vh))
    # A^T = V S U^T, without a conjugate.
    v, s, uh = _tall_svd(transposed(e))
    return SVD(Array(transposed(uh)), Array(s), Array(transposed(v)))


def _is_wide(operation: str, e: Expression) -> bool:
    """Whether the matrix has to be transposed to stand in one column of chunks."""
    if e.ndim != 2:
        raise ValueError(f"{operation}: needs a matrix, got shape {e.shape}")
    down, across = e.numblocks
    if down > 1 and across > 1:
        axis = 1 if e.shape[0] >= e.shape[1] else 0
        raise ValueError(
            f"{operation}: needs a single chunk of columns, or of rows, got {down} x {across} chunks; "
            f"type A.rechunk({{{axis}: -1}}), or svd_compressed(A, k) for the k largest"
        )
    return across > 1 or (down == 1 and e.shape[0] < e.shape[1])


def _tall_svd(e: Expression) -> tuple[Expression, Expression, Expression]:
    r = express("tsqr.r", tree.infer_r, (e,), tree.ARITY)
    w = express("svd.u", small_svd.infer_u, (r,))
    u = express("tsqr.q", tree.infer_q, (e, w), tree.ARITY)
    return u, express("svd.s", small_svd.infer_s, (r,)), express("svd.vh", small_svd.infer_vh, (r,))


def svdvals(a: Any) -> Array:
    """Singular values of a matrix in one column or one row of chunks, in falling order.

    Returns k = min(m, n) real values in one block. Takes and raises what `svd` does. No reflectors are kept, so this
    is one pass over `a` in little memory: 2 m n^2 + 8/3 n^3 flops for m > n.

    Examples
    --------
    >>> import numpy as np, sarray as sa
    >>> np.asarray(sa.svdvals(sa.asarray(np.array([[3.0], [4.0]]), chunks=1)))
    array([5.])
    """
    return Array(values(as_array(a).expression))


def values(e: Expression) -> Expression:
    """Singular values of a matrix in one column or one row of chunks."""
    e = transposed(e) if _is_wide("svdvals", e) else e
    r = express("tsqr.only_r", tree.infer_r, (e,), tree.ARITY)
    return express("svdvals", small_svd.infer_s, (r,))


def svd_compressed(
    a: Any, k: int, n_power_iter: int = 0, seed: int | None = None, n_oversamples: int = 10
) -> SVD:
    """The k largest singular values and their vectors, approximately, of a matrix in any chunks.

    Parameters
    ----------
    a
        m x n in any chunks; types as for `tsqr`.
    k
        How many, from 1 to min(m, n).
    n_power_iter
        Rounds of power iteration; each reads `a` twice. 0 suits singular values that fall fast, 2 those that do not.
    seed
        Of the random test matrix; a new one each time if not given. The same seed gives the same test matrix whatever
        the chunks.
    n_oversamples
        Columns of the test matrix beyond k.

    Returns
    -------
    SVD
        U, m x k, its rows cut like those of `a`; S, k real values in falling order, one block; Vh, k x n, its columns
        cut like those of `a`.

    Raises
    ------
    ValueError
        for what is no matrix, for k, n_power_iter or n_oversamples out of range, and for a negative seed.
    TypeError
        for types that LAPACK does not have, such as float16, and for parameters that are no integers.

    Randomized range finder with QR between the powers, then the decomposition of B = Q^H A (Halko, Martinsson, Tropp
    2011, "Finding structure with randomness", SIAM Review 53, algorithms 4.4 and 5.1). The error is that of the best
    rank k approximation times a factor that more power iterations and oversamples bring to 1. `a` is read
    2 + 2 n_power_iter times; 4 m n (k + n_oversamples) (1 + n_power_iter) flops.

    Examples
    --------
    >>> import numpy as np, sarray as sa
    >>> a = sa.asarray(np.outer([1.0, 2.0, 2.0], [3.0, 0.0, 4.0]), chunks=2)
    >>> u, s, vh = sa.svd_compressed(a, k=1, seed=0)
    >>> np.round(np.asarray(s), 10), np.round(np.abs(np.asarray(vh)), 10)
    (array([15.]), array([[0.6, 0. , 0.8]]))
    """
    e = as_array(a).expression
    k = _integer("svd_compressed", "k", k)
    n_power_iter = _integer("svd_compressed", "n_power_iter", n_power_iter)
    n_oversamples = _integer("svd_compressed", "n_oversamples", n_oversamples)
    dtype = _checked(e, k, n_power_iter, n_oversamples)
    width = min(k + n_oversamples, *e.shape)
    real, entropy = np.dtype(dtype.char.lower()), int.from_bytes(os.urandom(7)) if seed is None else _seed(seed)
    test = drawn("normal", (e.chunks[1], Grid.of((width,))), real, (entropy, TEST_MATRIX))
    q = _tall_q(product(e, test))
    for _ in range(n_power_iter):
        q = _tall_q(product(e, _tall_q(product(_adjoint(e), q))))
    # B = Q^H A is wide: B^T = V S W^T
    v, s, wt = _tall_svd(transposed(product(_adjoint(q), e)))
    u = product(q, sliced(transposed(wt), (slice(None), slice(k))))
    return SVD(Array(u), Array(sliced(s, (slice(k),))), Array(sliced(transposed(v), (slice(k),))))


TEST_MATRIX = 0x5D2
"""The stream of random numbers that test matrices are drawn from, beside those of the user's own."""


def _integer(operation: str, parameter: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{operation}: {parameter} must be an integer, got {value!r}") from None


def _seed(seed: Any) -> int:
    found = _integer("svd_compressed", "seed", seed)
    if found < 0:
        raise ValueError(f"svd_compressed: seed must not be negative, got {seed}; write seed={-found}")
    return found


def _checked(e: Expression, k: int, n_power_iter: int, n_oversamples: int) -> np.dtype[Any]:
    if e.ndim != 2:
        raise ValueError(f"svd_compressed: needs a matrix, got shape {e.shape}")
    if not 1 <= k <= min(e.shape):
        raise ValueError(f"svd_compressed: k must be from 1 to {min(e.shape)} for shape {e.shape}, got {k}")
    if n_power_iter < 0 or n_oversamples < 0:
        raise ValueError(
            f"svd_compressed: n_power_iter and n_oversamples must not be negative, got {n_power_iter}, {n_oversamples}"
        )
    return tree.factored_dtype(e.dtype)


def _adjoint(e: Expression) -> Expression:
    flipped = transposed(e)
    return elementwise("conj", flipped) if e.dtype.kind == "c" else flipped


def cholesky(a: Any, upper: bool = False) -> Array:
    """Cholesky factor of a Hermitian positive definite matrix: A = L L^H, or A = U^H U.

    Parameters
    ----------
    a
        n x n; types as for `tsqr`. Only the lower triangle (with `upper` the upper one) is read. Columns that are not
        cut like rows are rechunked so.
    upper
        Whether U = L^H is wanted.

    Returns
    -------
    n x n, cut like the rows of `a`, with zeros on the other side of the diagonal.

    Raises
    ------
    ValueError
        for what is no square matrix.
    TypeError
        for types that LAPACK does not have, such as float16.
    TaskError
        when computed, caused by LinAlgError that names the leading minor, for a matrix that is not positive definite.

    The right-looking tiled algorithm (Buttari, Langou, Kurzak, Dongarra 2009, LAPACK Working Note 191). Backward
    stable. n^3/3 flops; chunks of 500 to 1000 suit most machines.

    Examples
    --------
    >>> import numpy as np, sarray as sa
    >>> np.asarray(sa.cholesky(sa.asarray(np.array([[4.0, 2.0], [2.0, 5.0]]), chunks=1)))
    array([[2., 0.],
           [1., 2.]])
    """
    e = as_array(a).expression
    if e.ndim == 2 and e.shape[0] == e.shape[1] and e.chunks[0] != e.chunks[1]:
        e = rechunked(e, (e.chunks[0], e.chunks[0]))
    if not upper:
        return Array(express("cholesky", tiled_cholesky.infer, (e,)))
    # A^T = conj(L) conj(L)^H, so that the transpose of its factor is L^H; its lower triangle is A's upper one.
    return Array(transposed(express("cholesky", tiled_cholesky.infer, (transposed(e),))))
