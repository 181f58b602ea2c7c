"""The elementwise functions of the array API standard, by name, as calls of NumPy that write into ``out``.

Where NumPy has a ufunc, it is the entry; the few others are written with ``copyto``. A ufunc may be given an operand
as its ``out``; the others must not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = NDArray[Any]

_POWERS: dict[float, np.ufunc] = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}


def power(x: Any, y: Any, *, out: Block) -> None:
    """``x ** y`` as NumPy's operator computes it, which takes short ways for some Python numbers as exponents.

    >>> out = np.empty(2)
    >>> power(np.array([1.0, 3.0]), 2, out=out)
    >>> out
    array([1., 9.])
    """
    if type(y) not in (int, float) or not isinstance(x, np.ndarray):
        np.power(x, y, out=out)
    elif x.dtype.kind == "f" and x.dtype == out.dtype and y in _POWERS:
        _POWERS[y](x, out=out)
    else:
        # Which ways are short for the other types differs from one release of NumPy to the next: the operator itself
        # decides.
        np.copyto(out, x**y, casting="same_kind")


def where(condition: Any, x: Any, y: Any, *, out: Block) -> None:
    """``x`` where the condition holds, else ``y``.

    >>> out = np.empty(2)
    >>> where(np.array([True, False]), 1.0, 2.0, out=out)
    >>> out
    array([1., 2.])
    """
    np.copyto(out, y)
    np.copyto(out, x, where=np.asarray(condition, dtype=bool))


def astype(x: Any, *, out: Block) -> None:
    """``x`` in the type of ``out``, cast as ``ndarray.astype`` does.

    >>> out = np.empty(1, "i4")
    >>> astype(np.array([1.9]), out=out)
    >>> out
    array([1], dtype=int32)
    """
    np.copyto(out, x, casting="unsafe")


def real(x: Any, *, out: Block) -> None:
    """The real part.

    >>> out = np.empty(1)
    >>> real(np.array([1 + 2j]), out=out)
    >>> out
    array([1.])
    """
    np.copyto(out, np.real(x))


def imag(x: Any, *, out: Block) -> None:
    """The imaginary part, zero for real types.

    >>> out = np.empty(1)
    >>> imag(np.array([1 + 2j]), out=out)
    >>> out
    array([2.])
    """
    np.copyto(out, np.imag(x))


def rounded(x: Any, decimals: int = 0, *, out: Block | None = None) -> Block:
    """``x`` rounded to a number of decimals, halves to even; a new array without ``out``.

    >>> out = np.empty(2, "i8")
    >>> rounded(np.array([15, 25]), -1, out=out)
    array([20, 20])
    """
    if out is None or out.dtype.kind not in "iu":
        return np.asarray(np.round(x, decimals, out=out))
    # NumPy divides and multiplies integers as floats, and writes into integers only what it allocates itself.
    np.copyto(out, np.round(x, decimals))
    return out


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.absolute,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "add": np.add,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "astype": astype,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "bitwise_and": np.bitwise_and,
    "bitwise_invert": np.invert,
    "bitwise_left_shift": np.left_shift,
    "bitwise_or": np.bitwise_or,
    "bitwise_right_shift": np.right_shift,
    "bitwise_xor": np.bitwise_xor,
    "ceil": np.ceil,
    "clip": np.clip,
    "conj": np.conjugate,
    "copysign": np.copysign,
    "cos": np.cos,
    "cosh": np.cosh,
    "divide": np.divide,
    "equal": np.equal,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "floor_divide": np.floor_divide,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "hypot": np.hypot,
    "imag": imag,
    "isfinite": np.isfinite,
    "isinf": np.isinf,
    "isnan": np.isnan,
    "less": np.less,
    "less_equal": np.less_equal,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "logaddexp": np.logaddexp,
    "logical_and": np.logical_and,
    "logical_not": np.logical_not,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "multiply": np.multiply,
    "negative": np.negative,
    "nextafter": np.nextafter,
    "not_equal": np.not_equal,
    "positive": np.positive,
    "pow": power,
    "real": real,
    "reciprocal": np.reciprocal,
    "remainder": np.remainder,
    "round": rounded,
    "sign": np.sign,
    "signbit": np.signbit,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "subtract": np.subtract,
    "tan": np.tan,
    "tanh": np.tanh,
    "trunc": np.trunc,
    "where": where,
}
"""Name in the array API standard -> call with operands and ``out``."""
