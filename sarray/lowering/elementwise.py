"""Elementwise functions: ``Y[i, j] = f(A[i, j], B[i, j])``, whole chains of them in one task per block.

Types are NumPy's own: every function is tried on arrays of no elements, with Python numbers weak, and what NumPy
refuses is refused here when the expression is built. How chains become one task is in `fusion.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from kernels.functions import FUNCTIONS
from sarray.dtypes import numeric
from sarray.expression import Expression, Inferred, Slot, express
from sarray.grid import broadcast_shapes, unify, whole
from sarray.lowering.rechunk import rechunked

Scalar = bool | int | float | complex | np.generic | None

TRIALS: dict[str, Callable[..., Any]] = {
    "imag": np.imag,
    "pow": operator.pow,
    "real": np.real,
    "where": np.where,
}
"""What to try instead of the kernel where that cannot run without `out`."""


Arguments = tuple[Slot | Scalar, ...]
Keywords = tuple[tuple[str, Any], ...]


def infer(inputs: tuple[Expression, ...], name: str, arguments: Arguments, keywords: Keywords = ()) -> Inferred:
    """Shape, dtype and chunks of a function of inputs with unified chunks."""
    dtype = result_type(name, tuple(input.dtype for input in inputs), arguments, keywords)
    shape = broadcast_shapes(name, *[input.shape for input in inputs])
    return shape, dtype, unify(shape, [(input.shape, input.chunks) for input in inputs])


def result_type(
    name: str, dtypes: tuple[np.dtype[Any], ...], arguments: Arguments, keywords: Keywords
) -> np.dtype[Any]:
    """The type that NumPy gives to the function of these; TypeError or OverflowError where NumPy has none."""
    kinds = tuple(type(argument) for argument in arguments)  # 1, 1.0 and True are equal keys
    found: np.dtype[Any] = _tried(name, dtypes, arguments, kinds, keywords)
    return found


@lru_cache(maxsize=4096)
def _tried(
    name: str, dtypes: tuple[np.dtype[Any], ...], arguments: Arguments, kinds: tuple[type, ...], keywords: Keywords
) -> np.dtype[Any]:
    if name == "astype":
        asked: np.dtype[Any] = np.dtype(dict(keywords)["dtype"])
        return asked
    samples = [np.empty(0, dtypes[arg.number]) if isinstance(arg, Slot) else arg for arg in arguments]
    try:
        found = TRIALS.get(name, FUNCTIONS[name])(*samples, **dict(keywords))
    except (TypeError, OverflowError, ValueError) as error:
        given = ", ".join(str(dtypes[arg.number]) if isinstance(arg, Slot) else repr(arg) for arg in arguments)
        advice = "convert with astype first" if isinstance(error, TypeError) else "choose a wider type with astype"
        kind = next(kind for kind in (TypeError, OverflowError, ValueError) if isinstance(error, kind))
        raise kind(f"{name}({given}) is not possible: {error}; {advice}") from None
    return numeric(found.dtype, name)


def elementwise(name: str, *arguments: Expression | Scalar, **keywords: Any) -> Expression:
    """The function of expressions and scalars, which broadcast; chunks that differ are unified by rechunking."""
    inputs = [argument for argument in arguments if isinstance(argument, Expression)]
    if len(inputs) > 1:
        inputs = aligned(name, inputs)
    places = iter(range(len(inputs)))
    slots = tuple(Slot(next(places)) if isinstance(arg, Expression) else arg for arg in arguments)
    return express("elementwise", infer, tuple(inputs), name, slots, tuple(sorted(keywords.items())))


def aligned(name: str, inputs: list[Expression]) -> list[Expression]:
    """The inputs with equal chunks wherever they have equal extents."""
    if all(each.chunks == inputs[0].chunks for each in inputs):
        return inputs
    shape = broadcast_shapes(name, *[each.shape for each in inputs])
    grids = unify(shape, [(each.shape, each.chunks) for each in inputs])
    return [_regridded(each, shape, grids) for each in inputs]


def _regridded(expression: Expression, shape: tuple[int, ...], grids: tuple[Any, ...]) -> Expression:
    offset = len(shape) - expression.ndim
    chunks = tuple(
        grids[offset + axis] if shape[offset + axis] == extent else whole(extent)
        for axis, extent in enumerate(expression.shape)
    )
    return rechunked(expression, chunks)


def cast(expression: Expression, dtype: DTypeLike) -> Expression:
    """In another type, cast as `ndarray.astype` does; the expression itself if it has the type."""
    kind = numeric(dtype, "astype")
    return expression if kind == expression.dtype else elementwise("astype", expression, dtype=kind.str)


def flops(expression: Expression) -> float:
    """One per element."""
    return float(np.prod(expression.shape, dtype=float))
