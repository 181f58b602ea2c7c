"""Targets, predictions and weights that are real numbers and finite, as every score asks.

What is in memory is looked at when the score is asked for. Of what is lazy the type is, and the values where weights
are summed, as they are for any score: what is not finite counts as NaN there, and so does every sum that has it. That
costs no task for each block. Tasks import this file, and do without scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.ml.rows import checked, is_lazy, real


def numbers(values: Any) -> Any:
    """What is lazy as it is, anything else as an array; of Python's objects as float64, as scikit-learn reads them.

    >>> numbers(np.array([1, 2.5], object))
    array([1. , 2.5])
    """
    if is_lazy(values):
        return values
    found = np.asarray(values)
    return found.astype(np.float64) if found.dtype.kind == "O" else found


def finite(name: str, values: Any) -> Any:
    """Targets or predictions as an array; ValueError for complex ones, and for those in memory that are not finite.

    >>> finite("y_true", [1.0, 2.0])
    array([1., 2.])
    """
    if values is None:
        raise ValueError(f"{name} must be an array-like. Got None instead.")
    values = numbers(values)
    real(name, values)
    return values if is_lazy(values) else all_finite(name, values)


def all_finite(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """The same values; ValueError for floating-point numbers that are not finite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"Input {name} contains NaN or infinity")
    return values


def total_weight(name: str, true: Any, predicted: Any, weights: Any) -> Any:
    """The sum of weights for each target; ValueError, when it is computed, unless everything is finite.

    >>> import sarray as sa
    >>> total_weight("score", sa.ones((3, 2)), sa.ones((3, 2)), 2.0).compute()
    array([6., 6.])
    """
    known = np.where(np.isfinite(true) & np.isfinite(predicted), 0.0, np.nan)
    return checked(Finite(name), (known + weights).sum(axis=0))


@dataclass(frozen=True, slots=True)
class Finite:
    """Sums over samples; ValueError if they are not finite."""

    name: str

    def __call__(self, sums: NDArray[Any]) -> NDArray[Any]:
        """The same sums."""
        if not np.isfinite(sums).all():
            raise ValueError(f"{self.name}: Input contains NaN or infinity, in y_true, y_pred or sample_weight")
        return sums
