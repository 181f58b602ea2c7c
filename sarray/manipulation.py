"""Other axes, other chunks, same elements. Axes are exchanged, added and dropped without moving data."""

from __future__ import annotations

from typing import Any

from sarray.array import Array, as_array, normalize_axes, transpose_axes
from sarray.grid import Chunks, broadcast_shapes, normalize_chunks, unify
from sarray.lowering import views
from sarray.lowering.elementwise import aligned


def permute_dims(x: Any, /, axes: tuple[int, ...] | None = None) -> Array:
    """Axes in another order, reversed by default.

    >>> import numpy as np, sarray as sa
    >>> sa.permute_dims(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    array = as_array(x)
    return Array(views.transposed(array.expression, transpose_axes(array.ndim, (axes,))))


transpose = permute_dims


def matrix_transpose(x: Any, /) -> Array:
    """The last two axes exchanged.

    >>> import numpy as np, sarray as sa
    >>> sa.matrix_transpose(np.zeros((2, 3, 4))).shape
    (2, 4, 3)
    """
    return as_array(x).mT


def expand_dims(x: Any, /, axis: int | tuple[int, ...] = 0) -> Array:
    """New axes of extent 1 at these places of the result.

    >>> import numpy as np, sarray as sa
    >>> sa.expand_dims(np.zeros(3), -1).shape
    (3, 1)
    """
    array = as_array(x)
    count = len(axis) if isinstance(axis, tuple) else 1
    new = normalize_axes("expand_dims", axis, array.ndim + count)
    old = iter(range(array.ndim))
    return Array(
        views.viewed(array.expression, tuple(None if n in new else next(old) for n in range(array.ndim + count)))
    )


def squeeze(x: Any, /, axis: int | tuple[int, ...] | None = None) -> Array:
    """Without axes of extent 1: all of them, or those named.

    >>> import numpy as np, sarray as sa
    >>> sa.squeeze(np.zeros((1, 3, 1)), 0).shape
    (3, 1)
    """
    array = as_array(x)
    ones = tuple(number for number, extent in enumerate(array.shape) if extent == 1)
    axes = ones if axis is None else normalize_axes("squeeze", axis, array.ndim)
    if not set(axes) <= set(ones):
        raise ValueError(f"squeeze: axes {axes} must have extent 1, shape {array.shape}; index them, as in x[0]")
    return Array(views.squeezed(array.expression, *axes))


def broadcast_to(x: Any, /, shape: int | tuple[int, ...], chunks: Chunks = "auto") -> Array:
    """`x` repeated along new axes and axes of extent 1, which are cut as `chunks` says (axes of `x` keep their own).

    >>> import numpy as np, sarray as sa
    >>> sa.broadcast_to(np.array([1, 2]), (3, 2)).compute()
    array([[1, 2],
           [1, 2],
           [1, 2]])
    """
    array = as_array(x)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if broadcast_shapes("broadcast_to", array.shape, shape) != shape:
        raise ValueError(
            f"broadcast_to: shape {array.shape} does not broadcast to {shape}: only extents of 1 are repeated"
        )
    return Array(views.spread(array.expression, shape, normalize_chunks(chunks, shape, array.dtype)))


def broadcast_arrays(*arrays: Any) -> tuple[Array, ...]:
    """All arrays broadcast to one shape.

    >>> import numpy as np, sarray as sa
    >>> [x.shape for x in sa.broadcast_arrays(np.zeros((3, 1)), np.zeros(2))]
    [(3, 2), (3, 2)]
    """
    given = [as_array(array).expression for array in arrays]
    shape = broadcast_shapes("broadcast_arrays", *[each.shape for each in given])
    chunks = unify(shape, [(each.shape, each.chunks) for each in given])
    return tuple(Array(views.spread(each, shape, chunks)) for each in aligned("broadcast_arrays", given))


def rechunk(x: Any, /, chunks: Chunks = "auto") -> Array:
    """The same elements in other chunks; `chunks` as in Dask.

    >>> import numpy as np, sarray as sa
    >>> sa.rechunk(sa.ones((10, 4), chunks=5), {0: 3}).chunks
    ((3, 3, 3, 1), (4,))
    """
    return as_array(x).rechunk(chunks)
