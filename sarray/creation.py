"""Arrays from values that exist, and from formulas. ``chunks`` everywhere as in Dask; see `sarray.grid`."""

from __future__ import annotations

import math
import operator
import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from sarray.array import Array, as_array, from_values
from sarray.dtypes import numeric
from sarray.grid import Chunks, normalize_chunks, normalize_shape
from sarray.lowering.creation import created

Shape = int | tuple[int, ...]

CONCURRENT = ("numpy", "zarr", "h5py", "sarray")
"""Packages whose objects threads may read at once (h5py has a lock of its own)."""


def asarray(
    x: ArrayLike | Array, /, *, dtype: DTypeLike | None = None, chunks: Chunks = None, copy: bool | None = None
) -> Array:
    """An array of a NumPy array, a nested sequence or a number; an `Array` stays what it is.

    Values in memory are not copied (unless ``copy=True``), so do not change them before they are computed. TypeError
    for objects, strings and times.

    >>> import sarray as sa
    >>> sa.asarray([[1, 2], [3, 4]]).sum(axis=0).compute()
    array([4, 6])
    """
    if isinstance(x, Array):
        array = x
    else:
        values = np.array(x, dtype=dtype) if copy else np.asarray(x, dtype=dtype)
        array = as_array(values, "auto" if chunks is None else chunks)
    array = array if dtype is None else array.astype(dtype)
    return array if chunks is None else array.rechunk(chunks)


def from_array(x: Any, chunks: Chunks = "auto", *, lock: bool | None = None) -> Array:
    """An array of anything with ``shape``, ``dtype`` and slicing: ndarray, memmap, h5py, zarr.

    Blocks are read where and when they are needed. ``lock=True`` lets one thread read at a time; by default that is
    done for all but NumPy, h5py and zarr. TypeError for what cannot be sliced, and for objects, strings and times.

    >>> import numpy as np, sarray as sa
    >>> sa.from_array(np.arange(10), chunks=4)
    sarray.Array(source, shape=(10,), dtype=int64, chunks=((4, 4, 2),))
    """
    if isinstance(x, Array):
        return x.rechunk(chunks)
    missing = [name for name in ("shape", "dtype", "__getitem__") if not hasattr(x, name)]
    if missing:
        raise TypeError(
            f"from_array needs shape, dtype and slicing, and {type(x).__name__} has no {', '.join(missing)}; "
            "write sarray.asarray(x) for sequences and numbers"
        )
    shape, dtype = tuple(int(extent) for extent in x.shape), numeric(x.dtype, "from_array")
    locked = type(x).__module__.partition(".")[0] not in CONCURRENT if lock is None else lock
    return from_values(x, normalize_chunks(chunks, shape, dtype), dtype, threading.Lock() if locked else None)


def full(shape: Shape, fill_value: complex, *, dtype: DTypeLike | None = None, chunks: Chunks = "auto") -> Array:
    """An array of one value; its type is that of the value, unless given.

    As `numpy.full`, OverflowError for a value that an integer type does not hold, whichever type it had; TypeError for
    a complex value in a real type, and for a shape that is no int or tuple of ints; ValueError for negative extents.

    >>> import sarray as sa
    >>> sa.full((2, 2), 7).compute()
    array([[7, 7],
           [7, 7]])
    """
    extents, given = normalize_shape("full", shape), np.asarray(fill_value)
    kind = numeric(given.dtype if dtype is None else dtype, "full")
    if given.ndim:
        raise ValueError(f"full: one value is needed, got shape {given.shape}; write sarray.broadcast_to(x, shape)")
    return Array(created("full", normalize_chunks(chunks, extents, kind), kind, _filling(given.item(), kind)))


def _filling(value: Any, kind: np.dtype[Any]) -> Any:
    """The value as one of this type."""
    if isinstance(value, complex) and kind.kind != "c":
        raise TypeError(f"full: {value!r} is complex and {kind} is not; write dtype='complex128', or its .real")
    if isinstance(value, float) and kind.kind in "iu":
        value = int(value)  # NumPy casts a float out of range to whatever the machine makes of it.
    return np.full((), value, kind)[()].item()


def zeros(shape: Shape, *, dtype: DTypeLike | None = None, chunks: Chunks = "auto") -> Array:
    """Zeros, of float64 unless another type is given.

    >>> import sarray as sa
    >>> sa.zeros(3).compute()
    array([0., 0., 0.])
    """
    return full(shape, 0, dtype=np.float64 if dtype is None else dtype, chunks=chunks)


def ones(shape: Shape, *, dtype: DTypeLike | None = None, chunks: Chunks = "auto") -> Array:
    """Ones, of float64 unless another type is given.

    >>> import sarray as sa
    >>> sa.ones(3, dtype="int8").compute()
    array([1, 1, 1], dtype=int8)
    """
    return full(shape, 1, dtype=np.float64 if dtype is None else dtype, chunks=chunks)


def empty(shape: Shape, *, dtype: DTypeLike | None = None, chunks: Chunks = "auto") -> Array:
    """As `zeros`: arrays are immutable, so there is nothing to fill in later.

    >>> import sarray as sa
    >>> sa.empty((2, 3)).shape
    (2, 3)
    """
    return zeros(shape, dtype=dtype, chunks=chunks)


def full_like(x: Any, /, fill_value: complex, *, dtype: DTypeLike | None = None, chunks: Chunks = None) -> Array:
    """One value, in the shape, type and chunks of `x` unless others are given.

    >>> import numpy as np, sarray as sa
    >>> sa.full_like(np.zeros(2), 5).compute()
    array([5., 5.])
    """
    like = as_array(x)
    return full(like.shape, fill_value, dtype=dtype or like.dtype, chunks=like.chunks if chunks is None else chunks)


def zeros_like(x: Any, /, *, dtype: DTypeLike | None = None, chunks: Chunks = None) -> Array:
    """Zeros, in the shape, type and chunks of `x` unless others are given.

    >>> import numpy as np, sarray as sa
    >>> sa.zeros_like(np.array([1, 2])).compute()
    array([0, 0])
    """
    return full_like(x, 0, dtype=dtype, chunks=chunks)


def ones_like(x: Any, /, *, dtype: DTypeLike | None = None, chunks: Chunks = None) -> Array:
    """Ones, in the shape, type and chunks of `x` unless others are given.

    >>> import numpy as np, sarray as sa
    >>> sa.ones_like(np.array([0.5, 2])).compute()
    array([1., 1.])
    """
    return full_like(x, 1, dtype=dtype, chunks=chunks)


def empty_like(x: Any, /, *, dtype: DTypeLike | None = None, chunks: Chunks = None) -> Array:
    """As `zeros_like`.

    >>> import numpy as np, sarray as sa
    >>> sa.empty_like(np.array([0.5, 2])).shape
    (2,)
    """
    return zeros_like(x, dtype=dtype, chunks=chunks)


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DTypeLike | None = None, chunks: Chunks = "auto"
) -> Array:
    """Ones on the k-th diagonal, zeros elsewhere; of float64 unless another type is given.

    >>> import sarray as sa
    >>> sa.eye(2, 3, k=1).compute()
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    kind = numeric(np.float64 if dtype is None else dtype, "eye")
    shape = normalize_shape("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return Array(created("eye", normalize_chunks(chunks, shape, kind), kind, operator.index(k)))


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: DTypeLike | None = None,
    chunks: Chunks = "auto",
) -> Array:
    """``start, start + step, ...`` below `stop`, as `numpy.arange`, bit for bit.

    >>> import sarray as sa
    >>> sa.arange(1, 10, 4).compute()
    array([1, 5, 9])
    """
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("arange: step=0 never arrives; write a step other than 0")
    kind = numeric(
        np.result_type(*(np.asarray(each).dtype for each in (start, stop, step))) if dtype is None else dtype
    )
    count = max(0, math.ceil((stop - start) / step))
    if kind == np.bool_:
        # NumPy's own, which has at most two elements or raises TypeError.
        return as_array(np.arange(start, stop, step, dtype=bool), chunks)
    values = tuple(each.item() if isinstance(each, np.generic) else each for each in (start, step))
    return Array(created("arange", normalize_chunks(chunks, (count,), kind), kind, *values))
