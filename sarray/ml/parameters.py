"""Parameters: those of scikit-learn's estimator that ours has not, and values that a parameter cannot have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def instead_of(original: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates ``__init__`` or a function: another parameter is a TypeError naming it, those known, and the original.

    >>> class PCA:
    ...     @instead_of("sklearn.decomposition.PCA")
    ...     def __init__(self, n_components: int = 2) -> None: ...
    >>> PCA(tol=1.0)
    Traceback (most recent call last):
    TypeError: PCA: there is no parameter tol here; known: n_components; for it use sklearn.decomposition.PCA
    """

    def decorated(call: Callable[P, R]) -> Callable[P, R]:
        known = [each for each in inspect.signature(call).parameters if each != "self"]
        name = original.rpartition(".")[2]

        @functools.wraps(call)
        def checked(*arguments: P.args, **parameters: P.kwargs) -> R:
            for other in parameters.keys() - {*known}:
                raise TypeError(
                    f"{name}: there is no parameter {other} here; known: {', '.join(known)}; for it use {original}"
                )
            return call(*arguments, **parameters)

        return checked

    return decorated


def checked_values(estimator: Any) -> None:
    """Raise scikit-learn's InvalidParameterError, a ValueError, for a parameter that `_parameter_constraints` excludes.

    As by scikit-learn's own estimators that is when they are fitted, and left out where it is configured to be.

    >>> from sarray.ml import StandardScaler
    >>> checked_values(StandardScaler(with_mean="no"))
    Traceback (most recent call last):
    sklearn.utils._param_validation.InvalidParameterError: The 'with_mean' parameter of StandardScaler must be an ...
    """
    from sklearn import get_config  # tasks import this module too, and do without scikit-learn

    if not get_config()["skip_parameter_validation"]:
        estimator._validate_params()


def one_of(name: str, parameter: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless the value is one of the choices.

    >>> one_of("PCA", "svd_solver", "full", ("auto", "full"))
    """
    if value not in choices:
        raise ValueError(f"{name}: {parameter}={value!r} is not one of {', '.join(map(repr, choices))}")
