"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from sarray.array import Array, as_array
from sarray.expression import Expression, express
from sarray.linalg.factorizations import values
from sarray.lowering import norm as lowering
from sarray.lowering.elementwise import cast, elementwise
from sarray.lowering.rechunk import rechunked
from sarray.lowering.reduction import reduced
from sarray.lowering.views import expanded
from wukong_sched.grid import Grid

Order = float | str | None
Axes = tuple[int, ...]


def norm(x: Any, ord: Order = None, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Array:
    """Norm of a vector or matrix, or of all those along one axis or two, as `numpy.linalg.norm`.

    Parameters
    ----------
    x
        Array of numbers in any chunks.
    ord
        For vectors any number p, the p-norm; ``inf``, ``-inf``, and 0, the number of elements other than zero. For
        matrices ``"fro"``, ``"nuc"``, 1, -1, 2, -2, ``inf``, ``-inf``. None is the square root of the sum of squares.
    axis
        One axis: norms of vectors; two: of matrices. None: of the whole array, which with an `ord` has 1 or 2 axes.
    keepdims
        Whether the axes stay, with extent 1.

    Returns
    -------
    The real type of `x`, float64 for integers.

    Raises
    ------
    ValueError
        for an `ord` that vectors or matrices do not have, for axes that are none or equal, and for 2, -2 and
        ``"nuc"`` of more than one matrix.

    Squares are scaled where they would overflow or vanish (Anderson 2017, ACM Algorithm 978), so that the norm of
    ``[3e200, 4e200]`` is 5e200. The spectral and nuclear norms are made from the singular values: 2 m n^2 flops.

    Examples
    --------
    >>> import numpy as np, sarray as sa
    >>> x = sa.asarray(np.array([[3.0, 0.0], [4.0, 0.0]]), chunks=1)
    >>> float(sa.norm(x)), float(sa.norm(x, 2)), np.asarray(sa.norm(x, 1, axis=1))
    (5.0, 5.0, array([3., 4.]))
    """
    e = as_array(x).expression
    if e.dtype.kind in "biu":
        e = cast(e, lowering.norm_dtype(e.dtype))
    axes = _axes(e, ord, axis)
    if ord is None:
        return Array(_euclidean(e, axes, keepdims))
    if len(axes) == 1:
        return Array(_vector_norm(e, ord, axes, keepdims))
    return Array(_matrix_norm(e, ord, axes, keepdims))


def _axes(e: Expression, ord: Order, axis: int | Sequence[int] | None) -> Axes:
    """The axes along which norms are taken, not negative."""
    given = tuple(range(e.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if wrong := [each for each in given if not -e.ndim <= each < e.ndim]:
        raise ValueError(f"norm: axis {wrong[0]} is none of an array of {e.ndim} dimensions, shape {e.shape}")
    axes = tuple(each % e.ndim for each in given)
    if len(set(axes)) < len(axes):
        raise ValueError(f"norm: axes {given} are the same axis of an array of {e.ndim} dimensions")
    if (ord is not None or axis is not None) and len(axes) not in (1, 2):
        raise ValueError(
            f"norm: vectors have one axis and matrices two, got {len(axes)} for shape {e.shape}; name them with axis="
        )
    return axes


def _euclidean(e: Expression, axes: Axes, keepdims: bool) -> Expression:
    return express("norm", lowering.infer, (e,), tuple(sorted(axes)), keepdims)


def _vector_norm(e: Expression, ord: Order, axes: Axes, keepdims: bool) -> Expression:
    if isinstance(ord, str):
        raise ValueError(f"norm: vectors have no norm {ord!r}; give a number, inf, -inf or None")
    made = VECTOR_NORMS.get(ord) if ord is not None else None
    return made(e, axes, keepdims) if made else _p_norm(e, float(ord or 0), axes, keepdims)


def _largest(e: Expression, axes: Axes, keepdims: bool) -> Expression:
    return reduced("max", elementwise("abs", e), axes, keepdims)


def _smallest(e: Expression, axes: Axes, keepdims: bool) -> Expression:
    return reduced("min", elementwise("abs", e), axes, keepdims)


def _count(e: Expression, axes: Axes, keepdims: bool) -> Expression:
    return reduced("sum", cast(elementwise("not_equal", e, 0), lowering.norm_dtype(e.dtype)), axes, keepdims)


def _sum(e: Expression, axes: Axes, keepdims: bool) -> Expression:
    return reduced("sum", elementwise("abs", e), axes, keepdims)


def _p_norm(e: Expression, p: float, axes: Axes, keepdims: bool) -> Expression:
    powers = elementwise("pow", elementwise("abs", e), p)
    return elementwise("pow", reduced("sum", powers, axes, keepdims), 1 / p)


VECTOR_NORMS: dict[float | str, Callable[[Expression, Axes, bool], Expression]] = {
    math.inf: _largest,
    -math.inf: _smallest,
    0: _count,
    1: _sum,
    2: _euclidean,
}
"""Norms of vectors that are no general powers."""


def _matrix_norm(e: Expression, ord: Order, axes: Axes, keepdims: bool) -> Expression:
    if ord in SPECTRAL_NORMS:
        return _spectral(e, SPECTRAL_NORMS[ord], axes, keepdims)
    if ord in ("fro", "f"):
        return _euclidean(e, axes, keepdims)
    if ord not in SUM_NORMS:
        raise ValueError(f"norm: matrices have no norm {ord!r}; give 'fro', 'nuc', 1, -1, 2, -2, inf, -inf or None")
    place, function = SUM_NORMS[ord]
    summed, rest = axes[place], axes[1 - place]
    sums = reduced("sum", elementwise("abs", e), (summed,), keepdims)
    return reduced(function, sums, (rest - (rest > summed and not keepdims),), keepdims)


SUM_NORMS: dict[float | str | None, tuple[int, str]] = {
    1: (0, "max"),
    -1: (0, "min"),
    math.inf: (1, "max"),
    -math.inf: (1, "min"),
}
"""Which of the two axes is summed, and what is taken of the sums."""
SPECTRAL_NORMS: dict[float | str | None, str] = {2: "max", -2: "min", "nuc": "sum"}
"""What is taken of the singular values."""


def _spectral(e: Expression, function: str, axes: Axes, keepdims: bool) -> Expression:
    if e.ndim != 2:
        raise ValueError(
            f"norm: 2, -2 and 'nuc' are for one matrix, got shape {e.shape}; take them matrix by matrix, or use 'fro'"
        )
    chunks = list(e.chunks)
    if len(chunks[0]) > 1 and len(chunks[1]) > 1:
        short = min((0, 1), key=e.shape.__getitem__)
        chunks[short] = Grid.of((e.shape[short],))
        e = rechunked(e, tuple(chunks))
    return reduced(function, values(e), (0,)) if not keepdims else _boxed(reduced(function, values(e), (0,)))


def _boxed(e: Expression) -> Expression:
    """One element as a matrix."""
    return expanded(expanded(e, 0), 0)
