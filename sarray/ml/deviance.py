"""The score of generalized linear models, D^2: the share of the deviance that they explain, by row chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.ml.finite import total_weight
from sarray.ml.metrics import aligned, floats
from sarray.ml.rows import checked


@dataclass(frozen=True, slots=True)
class Deviance:
    """D^2 = 1 - sum w d(y, p) / sum w d(y, mean y), d being Tweedie's deviance of this power.

    Power 0 is the normal distribution's, so that D^2 is the coefficient of determination; 1 is Poisson's, 2 Gamma's.
    Called with m targets, m predictions and perhaps m weights, one of them lazy, it is a lazy array without axes.
    Targets are read twice: for their mean, and for their deviance from it. Raises ValueError for shapes that do not
    fit, and for weights all zero; for targets that the distribution does not have, and for NaN and infinities, of
    what is lazy when the score is computed, of an `Array` as a TaskError that quotes it.

    Source: B. Jørgensen, Exponential dispersion models, J. R. Statist. Soc. B 49 (1987) 127-162.

    >>> import numpy as np, sarray as sa
    >>> y = sa.asarray(np.array([1.0, 2.0, 3.0]), chunks=2)
    >>> float(Deviance(0.0)(y, np.array([1.0, 2.0, 4.0])))
    0.5
    """

    power: float

    def __call__(self, y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> Any:
        """The share that is explained."""
        true, predicted, weights, one = aligned("score", y_true, y_pred, sample_weight)
        true, predicted = checked(self.within, floats(true)), floats(predicted)
        weights = 1.0 if weights is None else weights
        total = total_weight("score", true, predicted, weights)
        mean = (weights * true).sum() * one / total
        unit = UNITS.get(self.power, _power)
        explained, total = ((weights * unit(true, each, self.power)).sum() for each in (predicted, mean))
        return 1 - explained / total

    def within(self, true: NDArray[Any]) -> NDArray[Any]:
        """The same targets; ValueError if the distribution does not have one of them."""
        if self.power > 0 and (true <= 0 if self.power >= 2 else true < 0).any():
            least = "positive" if self.power >= 2 else "not negative"
            raise ValueError(
                f"Some value(s) of y are out of the valid range of the loss: of power {self.power:g} they are {least}"
            )
        return true


def _normal(y: Any, p: Any, power: float) -> Any:
    return (y - p) ** 2


def _poisson(y: Any, p: Any, power: float) -> Any:
    return 2 * (y * np.log(np.where(y > 0, y / p, 1.0)) - y + p)


def _gamma(y: Any, p: Any, power: float) -> Any:
    return 2 * (np.log(p / y) + y / p - 1)


def _power(y: Any, p: Any, power: float) -> Any:
    one, two = 1 - power, 2 - power
    return 2 * (np.maximum(y, 0.0) ** two / (one * two) - y * p**one / one + p**two / two)


UNITS: Mapping[float, Callable[[Any, Any, float], Any]] = {0.0: _normal, 1.0: _poisson, 2.0: _gamma}
"""The deviance of one target, by power, where that of any power divides by zero."""
