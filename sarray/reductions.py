"""Reductions: each block is reduced where it is computed, partial results are combined in a tree.

All take ``axis`` (None: all axes; an int or several), ``keepdims``, and ``split_every`` (how many partial results one
task of the tree combines; default from `sarray.config`). Sums and products take ``dtype``, the type to accumulate in;
by default that of NumPy: integers and bool are summed as 64-bit integers, floats in their own type. The order of
operations is fixed by the chunks: the same bits on every executor. One operation per element.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike

from sarray.array import Array, Axis, as_array, identity_token, normalize_axes, reduce
from sarray.lowering import tree_reduction
from sarray.lowering.source import Held


def sum(
    x: Any,
    /,
    axis: Axis = None,
    *,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Sum of elements; of none, 0.

    >>> import numpy as np, sarray as sa
    >>> sa.sum(np.arange(6).reshape(2, 3), axis=0).compute()
    array([3, 5, 7])
    """
    return reduce("sum", as_array(x), axis, dtype=dtype, keepdims=keepdims, split_every=split_every)


def prod(
    x: Any,
    /,
    axis: Axis = None,
    *,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Product of elements; of none, 1.

    >>> import numpy as np, sarray as sa
    >>> int(sa.prod(np.array([2, 3, 4])))
    24
    """
    return reduce("prod", as_array(x), axis, dtype=dtype, keepdims=keepdims, split_every=split_every)


def min(x: Any, /, axis: Axis = None, *, keepdims: bool = False, split_every: int | None = None) -> Array:
    """Smallest element, NaN if there is one; ValueError along an axis of no elements.

    >>> import numpy as np, sarray as sa
    >>> sa.min(np.array([[3, 1], [2, 5]]), axis=1).compute()
    array([1, 2])
    """
    return reduce("min", as_array(x), axis, keepdims=keepdims, split_every=split_every)


def max(x: Any, /, axis: Axis = None, *, keepdims: bool = False, split_every: int | None = None) -> Array:
    """Largest element, NaN if there is one; ValueError along an axis of no elements.

    >>> import numpy as np, sarray as sa
    >>> sa.max(np.array([[3, 1], [2, 5]]), axis=1).compute()
    array([3, 5])
    """
    return reduce("max", as_array(x), axis, keepdims=keepdims, split_every=split_every)


def mean(
    x: Any,
    /,
    axis: Axis = None,
    *,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Arithmetic mean; of integers, float64; of no elements, NaN.

    >>> import numpy as np, sarray as sa
    >>> float(sa.mean(np.array([1, 2, 6])))
    3.0
    """
    return reduce("mean", as_array(x), axis, dtype=dtype, keepdims=keepdims, split_every=split_every)


def any(x: Any, /, axis: Axis = None, *, keepdims: bool = False, split_every: int | None = None) -> Array:
    """Whether any element is true (not zero).

    >>> import numpy as np, sarray as sa
    >>> bool(sa.any(np.array([0, 0, 2])))
    True
    """
    return reduce("any", as_array(x), axis, keepdims=keepdims, split_every=split_every)


def all(x: Any, /, axis: Axis = None, *, keepdims: bool = False, split_every: int | None = None) -> Array:
    """Whether all elements are true (not zero).

    >>> import numpy as np, sarray as sa
    >>> bool(sa.all(np.array([1, 0, 2])))
    False
    """
    return reduce("all", as_array(x), axis, keepdims=keepdims, split_every=split_every)


def tree_reduce(x: Any, combine: Callable[..., Any], arity: int = 2, axis: int = 0) -> Array:
    """Blocks along an axis combined by a function of one's own, `arity` neighbours at a time, until one is left.

    ``combine(a, b)`` (of `arity` blocks: ``combine(a, b, c, ...)``, fewer at a ragged end) gets whole blocks in order,
    and must return a block of their shape and type; it should be associative. It must not change its arguments. The
    result has one chunk along the axis. ValueError if the chunks along the axis differ in size.

    >>> import operator, numpy as np, sarray as sa
    >>> sa.tree_reduce(sa.asarray(np.arange(10), chunks=2), operator.add).compute()
    array([20, 25])
    """
    array = as_array(x)
    if not callable(combine):
        raise TypeError(f"tree_reduce: combine must be a function of {arity} blocks, got {combine!r}")
    if operator.index(arity) < 2:
        raise ValueError(f"tree_reduce: arity={arity} would never end; combine at least 2 blocks at a time")
    (axis,) = normalize_axes("tree_reduce", axis, array.ndim) or (0,)
    held = Held(identity_token("function"), combine)
    return Array(tree_reduction.combined(array.expression, held, operator.index(arity), axis))
