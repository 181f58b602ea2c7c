"""Samples that are not in memory: which inputs are lazy, and how their rows are cut.

Lazy are arrays of this package, Dask arrays and Zarr arrays; everything else is scikit-learn's to read, at once. A task
gets whole rows. Columns in several chunks are refused and never put together silently: that moves all of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.array import Array, as_array
from sarray.creation import from_array
from sarray.mapping import map_blocks

BAD_WEIGHTS = "Negative values in data passed to `sample_weight`, or values that are not finite"
NO_WEIGHT = "Sample weights must contain at least one non-zero number."
COMPLEX = "Complex data not supported"
UNKNOWN = "a Dask array of unknown chunks has no shape; type X = X.compute_chunk_sizes()"
FLOATS = (np.float64, np.float32)
"""Types of samples that stay what they are; others become float64."""


def is_dask(x: Any) -> bool:
    """Whether this is a Dask array; TypeError for Dask's frames, which have no shape."""
    module = type(x).__module__
    if module.startswith(("dask.dataframe", "dask_expr")):
        raise TypeError(f"Dask's {type(x).__name__} has no known shape; write X.to_dask_array(lengths=True)")
    return module.startswith("dask.") and hasattr(x, "__dask_graph__") and hasattr(x, "numblocks")


def is_zarr(x: Any) -> bool:
    """Whether this is a Zarr array; TypeError for a group, which holds several."""
    if type(x).__module__.partition(".")[0] != "zarr":
        return False
    if not hasattr(x, "chunks") and hasattr(x, "array_keys"):
        names = sorted(x.array_keys())
        example = names[0] if names else "name"
        raise TypeError(f"a Zarr group is no array; its arrays: {names}; write group[{example!r}]")
    return hasattr(x, "chunks")


def is_lazy(x: Any) -> bool:
    """Whether this is not in memory; of any type of elements, and perhaps of unknown shape."""
    return isinstance(x, Array) or is_dask(x) or is_zarr(x)


def lazy(x: Any) -> Array | None:
    """A lazy input as an array with its own chunks; None for what is in memory."""
    if isinstance(x, Array):
        return x
    if is_dask(x):
        return from_array(with_shape(x), chunks=x.chunks, lock=False)
    return from_array(x, chunks=x.chunks) if is_zarr(x) else None


def with_shape(x: Any) -> Any:
    """The Dask array; ValueError if its chunks are unknown."""
    if any(math.isnan(extent) for extent in x.shape):
        raise ValueError(UNKNOWN)
    return x


def whole_rows(name: str, x: Any, chunks: Sequence[Sequence[int]]) -> None:
    """Raise ValueError with the call to type if rows are cut, or nobody knows how wide they are."""
    if any(math.isnan(extent) for each in chunks[1:] for extent in each):
        raise ValueError(f"{name}: needs to know how many columns there are; {UNKNOWN}")
    if len(chunks) < 2 or len(chunks[1]) == 1:
        return
    advice = f"sarray.from_array(X, chunks=({max(chunks[0])}, -1))" if is_zarr(x) else "X.rechunk({1: -1})"
    raise ValueError(
        f"{name}: needs all columns of a row in one chunk, got chunks of {tuple(chunks[1][:8])} columns; type {advice}"
    )


def in_memory(x: Any) -> Any:
    """A lazy input's values, read now; anything else as it is."""
    if isinstance(x, Array) or is_dask(x):
        return x.compute()
    return np.asarray(x) if is_zarr(x) else x


def like_rows(values: Any, x: Array) -> Array:
    """Targets or weights as an array whose rows are cut like those of x; ValueError if they are not as many."""
    found = lazy(values)
    found = as_array(values) if found is None else found
    if found.ndim not in (1, 2) or found.shape[0] != x.shape[0]:
        raise ValueError(f"there are {x.shape[0]} samples, and an array of shape {found.shape} to go with them")
    return found.rechunk({0: x.chunks[0]} | ({1: -1} if found.ndim == 2 else {}))


def rows_of_dask(x: Any, values: Any) -> Any:
    """Values in memory as a Dask array whose rows are cut like those of x."""
    stops = np.cumsum([0, *x.chunks[0]])

    def rows(block: Any, block_id: tuple[int, ...] = (0,)) -> Any:
        return values[stops[block_id[0]] : stops[block_id[0] + 1]]

    meta = np.empty((0,) * values.ndim, values.dtype)
    new = list(range(1, values.ndim)) or None
    chunks = (x.chunks[0], *((extent,) for extent in values.shape[1:]))
    drop = list(range(1, x.ndim))
    return x.map_blocks(rows, dtype=values.dtype, chunks=chunks, drop_axis=drop, new_axis=new, meta=meta)


def samples(estimator: Any, x: Any, *, reset: bool, least: int = 1, whole: bool = False, **checks: Any) -> Any:
    """Checked samples: an `Array` of a lazy input, else a NumPy array by `validate_data`; of float64 or float32.

    What can be known of a lazy input without reading it is checked: dimensions, type, features, number of samples, and
    that rows are `whole` if they must be.
    """
    found = lazy(x)
    if found is None:
        from sklearn.utils.validation import validate_data  # tasks import this module too, and do without scikit-learn

        return validate_data(estimator, x, reset=reset, dtype=list(FLOATS), ensure_min_samples=least, **checks)
    name = type(estimator).__name__
    if found.ndim != 2:
        raise ValueError(f"{name}: expected 2D array, got shape {found.shape}; write X[:, None] for one feature")
    if found.dtype.kind == "c":
        raise ValueError(f"{name}: {COMPLEX}; write X.real")
    if found.shape[0] < least or not found.shape[1]:
        raise ValueError(f"{name}: needs {least} sample(s) and a feature, got shape {found.shape}")
    if whole:
        whole_rows(name, x, found.chunks)
    _count_features(estimator, name, found.shape[1], reset)
    return found if found.dtype in FLOATS else found.astype(np.float64)


def _count_features(estimator: Any, name: str, count: int, reset: bool) -> None:
    if reset:
        estimator.n_features_in_ = count
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif count != (known := estimator.n_features_in_):
        raise ValueError(f"X has {count} features, but {name} is expecting {known} features as input")


def weights_of(values: Any, x: Any) -> Any:
    """Sample weights as an array along the rows of x; ValueError if there are not as many, or one is negative.

    The values of lazy ones are looked at by whoever reads them.
    """
    if values is None:
        return None
    if isinstance(values, Real):
        values = np.full(x.shape[0], float(values))
    values = values if is_lazy(values) else np.asarray(values)
    real("sample_weight", values)
    values = values if is_lazy(values) else values.astype(np.float64)
    if values.shape != (x.shape[0],):
        raise ValueError(f"sample_weight.shape == {values.shape}, expected ({x.shape[0]},)")
    if not is_lazy(values):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError(BAD_WEIGHTS)
        if not values.any():
            raise ValueError(NO_WEIGHT)
    return values


def real(name: str, values: Any) -> None:
    """Raise ValueError for complex numbers; of what is lazy the type says it."""
    if values.dtype.kind == "c":
        raise ValueError(f"{name}: {COMPLEX}; write {name}.real")


def checked(check: Callable[[NDArray[Any]], NDArray[Any]], values: Any) -> Any:
    """What a check returns of each block, of the same shape and type; of lazy values it is made when they are read.

    >>> checked(lambda block: block, np.array([1.0, 2.0]))
    array([1., 2.])
    """
    if not is_lazy(values):
        return check(values)
    if is_dask(values):
        return values.map_blocks(check, dtype=values.dtype, meta=np.empty((0,) * values.ndim, values.dtype))
    return map_blocks(check, lazy(values), dtype=values.dtype)


def weighed(weights: Any) -> Any:
    """1, as lazy as the weights are; ValueError if one is complex, not finite, or all are zero.

    The latter two of lazy ones when it is computed.

    >>> float(weighed(np.array([0.0, 2.0])))
    1.0
    """
    values: Any = lazy(weights) if is_zarr(weights) else weights if is_lazy(weights) else np.asarray(weights)
    real("sample_weight", values)
    return checked(_one, np.abs(values.astype(np.float64)).sum())


def _one(size: Any) -> NDArray[Any]:
    """1; ValueError for sums of absolute values that no weights of a score have."""
    if not np.isfinite(size):
        raise ValueError("Input sample_weight contains NaN or infinity")
    if not size:
        raise ValueError(NO_WEIGHT)
    return np.ones(())
