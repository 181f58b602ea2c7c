"""One pass over the rows of a matrix, wherever it is: means, scatter and factors by `kernels.moments`, as a tree.

A task makes the moments of a block of X, and of the columns and weights beside it::

    P[i] = moments(X[i], Y[i], w[i])
    M    = join(P[0], P[1], ...)            eight at a time
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.moments import centered_gram, centered_r, column_moments, join_columns, join_gram, join_r
from kernels.qr import geqrt
from sarray.array import Array
from sarray.creation import from_array
from sarray.mapping import map_blocks
from sarray.ml.in_task import computed_here
from sarray.ml.rows import BAD_WEIGHTS, NO_WEIGHT, is_lazy, like_rows, whole_rows
from sarray.reductions import tree_reduce
from sarray.session_blas import single_threaded

ARITY = 8
"""Results that one task joins."""
FEW = 512
"""Columns up to which factoring what all tasks made takes less than some tenths of a second."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What is kept of a block of rows, and how that of several is joined."""

    block: Callable[..., NDArray[Any]]
    join: Callable[[Sequence[NDArray[Any]]], NDArray[Any]]
    height: Callable[[int], int]
    """Rows of what is kept, from the number of columns."""

    def of(self, x: NDArray[Any], *beside: NDArray[Any], weighted: bool = False) -> NDArray[Any]:
        """What is kept of one block; of the last column as weights if asked."""
        columns = list(beside)
        weights = columns.pop()[:, 0].astype(np.float64) if weighted else None
        rows = np.concatenate([x, *columns], axis=1) if columns else x
        if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            return np.full((self.height(rows.shape[1]), rows.shape[1]), np.nan)  # W, too, which is NaN of nothing else
        with np.errstate(invalid="ignore", over="ignore"):  # of infinities, which `finite` refuses
            return self.block(rows, weights)

    def joined(self, *blocks: NDArray[Any]) -> NDArray[Any]:
        """What is kept of several blocks."""
        with np.errstate(invalid="ignore", over="ignore"):
            return self.join(blocks)


FACTOR = Pass(centered_r, join_r, lambda p: p + 2)
SCATTER = Pass(centered_gram, join_gram, lambda p: p + 2)
COLUMNS = Pass(column_moments, join_columns, lambda p: 3)


def pass_over(name: str, kind: Pass, x: Any, *beside: Any, weights: Any = None) -> NDArray[Any]:
    """What the pass keeps of all rows of x, of other columns beside it, and of their weights; computed here.

    ValueError for weights that are negative, not finite, or all zero. Within a task, as where scikit-learn searches
    on functions, what is in memory is computed by the task itself.
    """
    rows = x if isinstance(x, Array) else from_array(x, chunks=("auto", -1))
    whole_rows(name, rows, rows.chunks)
    others = [like_rows(each, rows) for each in (*beside, *([] if weights is None else [weights]))]
    others = [each if each.ndim == 2 else each[:, None] for each in others]
    width = rows.shape[1] + sum(each.shape[1] for each in others) - (weights is not None)
    sizes = ((kind.height(width),) * rows.numblocks[0], width)
    kept = map_blocks(_Block(kind, weights is not None), rows, *others, dtype=np.float64, chunks=sizes)
    result = tree_reduce(kept, kind.joined, ARITY)
    found = result.compute() if any(map(is_lazy, (x, *beside, weights))) else computed_here(result)
    if weights is not None:
        _check_weight(found[0], others[-1])
    return found


def _check_weight(sums: NDArray[Any], weights: Array) -> None:
    """ValueError for weights that blocks found wrong, and for none; sums of 0 may also be of samples all missing."""
    if np.isnan(sums).any():
        raise ValueError(BAD_WEIGHTS)
    if not sums.any() and not weights.any().compute():
        raise ValueError(NO_WEIGHT)


@dataclass(frozen=True, slots=True)
class _Block:
    kind: Pass
    weighted: bool

    def __call__(self, x: NDArray[Any], *beside: NDArray[Any]) -> NDArray[Any]:
        return self.kind.of(x, *beside, weighted=self.weighted)


class Moments(NamedTuple):
    """What a pass that centres found."""

    weight: float
    mean: NDArray[Any]
    factor: NDArray[Any]
    """R of the centred rows, or their scatter."""


def moments(name: str, kind: Pass, x: Any, *beside: Any, weights: Any = None) -> Moments:
    """The parts of what a pass kept; ValueError if anything was not finite.

    The mean does not tell of samples in blocks that weigh nothing, but their factor does: 0 NaN is NaN.
    """
    found = pass_over(name, kind, x, *beside, weights=weights)
    if not np.isfinite(found[1:]).all():
        story = "Input X or y contains NaN or infinity, or too large values"
        raise ValueError(f"{name}: {story}; remove such samples first")
    return Moments(float(found[0, 0]), found[1], found[2:])


def threads_for(columns: int) -> AbstractContextManager[None]:
    """BLAS in one thread for all of a fit, if its results have so few columns that more threads only wait.

    They wait by spinning, which takes processors from tasks, also for a while after the call that they were for.
    """
    return single_threaded() if columns <= FEW else nullcontext()


def uncentred(found: Moments) -> NDArray[Any]:
    """R of the rows as they are, from that of the centred ones: the mean is one more row, times the root of W."""
    return geqrt(np.vstack([found.factor, np.sqrt(found.weight) * found.mean])).r


def flipped(vectors: NDArray[Any]) -> NDArray[Any]:
    """Rows with the signs that scikit-learn gives them (`svd_flip`): the entry of largest size is positive."""
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.sign(vectors[np.arange(len(vectors)), largest])
    found: NDArray[Any] = vectors * np.where(signs == 0, 1, signs)[:, None]
    return found
