"""A method of a fitted estimator on every block of rows, lazily.

What the method returns is found by calling it on two rows and on more: how many columns, how many arrays, of which
type. Rows of samples that the estimator was fitted to are tried, and zeros; the former say what is returned, and the
type holds what both become. A block may still become something else, as nothing but all samples would tell: then its
task fails. It is never cut to what was expected. A result that is as wide as there are rows, such as a covariance, has
no blocks and is refused. Blocks of no rows never reach the estimator: most refuse them. Blocks of Dask arrays may be
sparse matrices, whose rows `len` does not count.

Other tasks may read the same block, and a source's block is part of somebody's array. So the estimator, which may work
in place, gets a copy. (One to read only would do for most; LAPACK and others write where they are told to.)
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.array import Array, from_values, identity_token
from sarray.dtypes import NUMERIC, numeric
from sarray.grid import whole
from sarray.lowering.map_blocks import Call, Frame, mapped
from sarray.lowering.source import Held
from sarray.ml.configured import Configured
from sarray.ml.labels import plain
from sarray.ml.rows import is_dask, lazy, rows_of_dask, whole_rows
from wukong_sched.grid import Grid

TEXT = "U"
"""Kinds of NumPy types of strings."""
ANYTHING = "USTO"
"""Kinds of NumPy types whose zeros say little of what is in an array: strings and objects."""


@dataclass(frozen=True, slots=True)
class Method:
    """The method on a block: one array, its columns those of all arrays that the method returns."""

    configured: Configured
    name: str
    tail: tuple[int, ...]
    """Extents of what a row becomes."""
    dtype: np.dtype[Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        """What the method makes of these rows; of none, none."""
        if not block.shape[0]:
            return np.empty((0, *self.tail), self.dtype)
        found = self._found(self.configured, block)
        if self._mismatch(block, found):
            # All threads share the estimator, and some change themselves for the time of a call (KBinsDiscretizer the
            # type that its encoder returns). An estimator of its own tells what the rows become when nobody interferes;
            # the shared one is left as it is, as others may be within a call.
            found = self._found(self.configured.apart(), block)
        if story := self._mismatch(block, found):
            raise ValueError(
                f"{self.name}: {story}; let the estimator return the same type and as many columns whatever the rows, "
                f"fit to samples that tell, or call {self.name} with X.compute() if that fits into memory"
            )
        return found.astype(self.dtype, copy=False)

    def _found(self, configured: Configured, block: NDArray[Any]) -> NDArray[Any]:
        found = together(_on_block(configured, self.name, block, self.options))
        expected = block.shape[0], *self.tail
        if block.shape[0] == 1 and found.ndim < len(expected) and _longer(found.shape) == _longer(expected):
            found = found.reshape(expected)  # SparsePCA returns one row as a vector
        return plain(found) if self.dtype.kind in TEXT and found.dtype.kind == "O" else found

    def _mismatch(self, block: NDArray[Any], found: NDArray[Any]) -> str:
        """What a block became, and what was expected; nothing if that is the same."""
        expected = block.shape[0], *self.tail
        tried = "and by the rows that were tried the result is"
        if found.shape != expected:
            return f"a block of shape {block.shape} became {found.shape}, {tried} {expected}"
        if not holds(self.dtype, found.dtype):
            return f"a block became {found.dtype}, {tried} {self.dtype}, which cannot hold it"
        return ""


def _on_block(configured: Configured, name: str, block: Any, options: Mapping[str, Any]) -> Any:
    """What a method returns of a block, which stays as it is."""
    own = block.copy(order="K") if isinstance(block, np.ndarray) else block.copy()
    return configured.call(name, own, **options)


def _longer(shape: tuple[int, ...]) -> list[int]:
    """The extents other than 1, which alone say in which order elements are."""
    return [extent for extent in shape if extent != 1]


@dataclass(frozen=True, slots=True)
class BlockScore:
    """The estimator's own score of a block, times its rows if scores are means; 0 of no rows."""

    configured: Configured
    mean: bool

    def __call__(self, block: NDArray[Any], *weights: NDArray[Any]) -> NDArray[Any]:
        """One number, as an array; of rows, and perhaps a column of their weights."""
        rows = block.shape[0]
        if not rows:
            return np.zeros(1)
        counts = all(each.any() for each in weights)
        # scikit-learn refuses weights all zero, and such samples as it refuses whatever they weigh.
        options = {"sample_weight": weights[0][:, 0] if counts else np.ones(rows)} if weights else {}
        score = float(_on_block(self.configured, "score", block, options))
        return np.array([(score * rows if self.mean else score) if counts else 0.0])


def holds(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether a type holds all values of another; no number is meant to become a string.

    >>> integers, floats, words = np.dtype("i8"), np.dtype("f8"), np.dtype("U21")
    >>> holds(floats, integers), holds(integers, floats), holds(words, integers)
    (True, False, False)
    """
    return (dtype.kind not in TEXT or other.kind in TEXT) and np.can_cast(other, dtype, "safe")


def dense(found: Any) -> NDArray[Any]:
    """An array of what an estimator returns: sparse matrices are filled up, frames lose their labels."""
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found)


def parts_of(found: Any) -> list[NDArray[Any]]:
    """The arrays that a method returns, one or several."""
    return [dense(each) for each in (found if isinstance(found, (list, tuple)) else [found])]


def together(found: Any) -> NDArray[Any]:
    """One array of one or several, side by side."""
    parts = parts_of(found)
    if not isinstance(found, (list, tuple)):
        return parts[0]
    return np.concatenate([part if part.ndim == 2 else part[:, None] for part in parts], axis=1)


@dataclass(frozen=True, slots=True)
class Filled:
    """A sparse matrix as something to slice, whose slices are dense: no more of it than is read."""

    matrix: Any
    """In compressed rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return tuple(self.matrix.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of elements."""
        found: np.dtype[Any] = self.matrix.dtype
        return found

    @property
    def ndim(self) -> int:
        """Two."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return dense(self.matrix[index])


def lazy_like(x: Any, found: Any) -> Any:
    """What an estimator returned, with a row for each of x, as lazy as x is; a list or tuple if it is one."""
    if isinstance(found, (list, tuple)):
        return type(found)(lazy_like(x, each) for each in found)
    values: Any = Filled(found.tocsr()) if hasattr(found, "tocsr") else dense(found)
    if is_dask(x):
        return rows_of_dask(x, values)
    values = plain(values) if isinstance(values, np.ndarray) else values
    grids = _array(x).expression.chunks[0], *(whole(extent) for extent in values.shape[1:])
    return from_values(values, grids, _native(values.dtype), None)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type as arrays have it, which may be of strings; TypeError if they cannot."""
    return dtype if dtype.kind in TEXT else numeric(dtype, "ParallelPostFit")


def call_blocks(
    estimator: Any, token: str, name: str, x: Any, known: Any = None, options: Mapping[str, Any] | None = None
) -> Any:
    """The method of every block of a lazy input: an `Array`, or a Dask array of a Dask array; a list if it is one.

    `known` are rows that the estimator takes; `token` names its state. Labels that are strings make an array of
    strings, which can be cut and computed. Raises ValueError for columns in several chunks, for samples without rows
    and for results that are not a row for each row, TypeError for results that are neither numbers nor strings.
    """
    options = options or {}
    if not x.ndim:
        raise ValueError(f"{name}: expected an array of samples, got shape (); write X[None, None] for one number")
    whole_rows(name, x, x.chunks if is_dask(x) else _array(x).chunks)
    results = _tried(estimator, name, x, known, options)
    found, each = results[0], [together(result) for result in results]
    both = functools.reduce(functools.partial(_common, objects=is_dask(x)), [one.dtype for one in each])
    tail, dtype = each[0].shape[1:], both if is_dask(x) else _plain(both, estimator)
    whose = identity_token(token) if options else token  # values of options may be anything, arrays among them
    configured = Configured.now(estimator)
    method = Method(configured, name, tail, dtype, options)
    result = map_rows(method, f"{whose}-{name}-{configured.token}", x, tail, dtype)
    return type(found)(_columns(result, found)) if isinstance(found, (list, tuple)) else result


def _common(first: np.dtype[Any], other: np.dtype[Any], objects: bool) -> np.dtype[Any]:
    """The type of two results, both numbers or both strings, and perhaps objects; else the first one's."""
    kinds = {first.kind, other.kind}
    alike = len(kinds) == 1 or kinds <= {*NUMERIC} or (objects and "O" in kinds)
    return np.result_type(first, other) if alike else first


def _plain(dtype: np.dtype[Any], estimator: Any) -> np.dtype[Any]:
    """The type of predictions as an array has it: labels of any Python type become strings if all of them are some."""
    if dtype.kind not in (*TEXT, "O") or not hasattr(estimator, "classes_"):
        return dtype
    classes = estimator.classes_ if isinstance(estimator.classes_, list) else [estimator.classes_]
    labels = [label for each in classes for label in np.asarray(each).tolist()]
    if all(isinstance(label, str) for label in labels):
        return np.array(labels).dtype
    return dtype


def _array(x: Any) -> Array:
    found = lazy(x)
    if found is None:
        raise TypeError(f"{type(x).__name__} is in memory")
    return found


def _tried(estimator: Any, name: str, x: Any, known: Any, options: Mapping[str, Any]) -> list[Any]:
    """What the method makes of each probe that it takes; if it takes none, the error of the first."""
    results, errors, method = [], [], functools.partial(getattr(estimator, name), **options)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # whatever there is to say of the samples is said when they come
        for rows in _probes(estimator, name, x, known):
            try:
                count = len(rows)
                results.append((count, method(rows[:2].copy()), method(rows)))  # which may work in place
            except Exception as error:  # whatever an estimator raises of rows that it does not know
                errors.append(error)
    if not results:
        if x.ndim == 1 and "Expected 2D array" in str(errors[0]):
            advice = "write X[:, None] for one feature, X[None, :] for one sample"
            raise ValueError(f"{name}: expected 2D array, got shape {x.shape}; {advice}") from None
        raise errors[0]
    return [_by_rows(name, *each) for each in results]


def _probes(estimator: Any, name: str, x: Any, known: Any) -> list[NDArray[Any]]:
    """Three rows or more that are as wide as those of x: known ones, if there are some, and zeros."""
    tail = tuple(int(extent) for extent in x.shape[1:])
    found = [np.zeros((3, *tail), x.dtype)]
    if known is not None:
        with suppress(Exception):  # rows may have no way back, nor be of any type that x can have
            rows = dense(estimator.transform(known.copy())) if name == "inverse_transform" else known
            rows = rows.take(range(max(3, len(rows))), axis=0, mode="wrap")
            if rows.shape[1:] == tail:
                found.insert(0, rows if x.dtype.kind in ANYTHING else rows.astype(x.dtype))
    return found


def _by_rows(name: str, count: int, two: Any, more: Any) -> Any:
    """What became of more rows than two; ValueError unless there is a row for each, as wide as those of two rows."""
    few, many = ([part.shape for part in parts_of(each)] for each in (two, more))
    if few != [(2, *shape[1:]) for shape in few] or many != [(count, *shape[1:]) for shape in few]:
        raise ValueError(
            f"{name}: 2 rows became {' and '.join(map(str, few))}, {count} rows {' and '.join(map(str, many))}; "
            "each row must become one, however many there are; call it with X.compute() if that fits into memory"
        )
    return more


def _columns(result: Any, found: Sequence[Any]) -> list[Any]:
    """The parts of a result whose columns are those of several arrays."""
    widths = [dense(each).shape[1:] for each in found]
    stops = accumulate((width[0] if width else 1 for width in widths), initial=0)
    parts = zip(widths, pairwise(stops), strict=True)
    return [result[:, low:high] if width else result[:, low] for width, (low, high) in parts]


def map_rows(
    function: Callable[..., Any],
    token: str,
    x: Any,
    tail: tuple[int, ...],
    dtype: np.dtype[Any],
    *beside: Any,
    one: bool = False,
) -> Any:
    """The function of every block of rows, which returns as many rows, or `one`; each is as wide as `tail` says.

    Blocks of what is `beside` x, of the same kind as x and with as many blocks, go to the function too.
    """
    if is_dask(x):
        return _map_dask(function, x, tail, dtype, beside, one)
    array = _array(x)
    grid = Grid.regular(array.numblocks[0], 1) if one else array.expression.chunks[0]
    frame = Frame(array.numblocks, tuple(range(1, array.ndim)), tuple(range(1, len(tail) + 1)))
    chunks = (grid, *(whole(extent) for extent in tail))
    call = Call(Held(token, function), frame, chunks, _native(dtype).str)
    return Array(mapped((array.expression, *(each.expression for each in beside)), call))


def _map_dask(
    function: Any, x: Any, tail: tuple[int, ...], dtype: np.dtype[Any], beside: tuple[Any, ...], one: bool
) -> Any:
    rows = (1,) * x.numblocks[0] if one else x.chunks[0]
    axes: dict[str, Any] = {"drop_axis": list(range(1, x.ndim)), "new_axis": list(range(1, len(tail) + 1)) or None}
    meta = np.empty((0,) * (1 + len(tail)), dtype)
    chunks = (rows, *((extent,) for extent in tail))
    return x.map_blocks(function, *beside, dtype=dtype, chunks=chunks, meta=meta, **axes)
