"""The elementwise functions of the array API standard. Arguments broadcast; types are NumPy's; nothing is computed yet.

Each takes arrays, NumPy arrays and Python numbers (which are weak: ``add(float32_array, 1.5)`` is float32), gives an
array of the shape that they broadcast to, costs one operation per element, and raises ValueError for shapes that do not
broadcast and TypeError for types that NumPy refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from sarray.array import Array, apply, as_array


class Unary(Protocol):
    """A function of one array."""

    def __call__(self, x: Any, /) -> Array: ...


class Binary(Protocol):
    """A function of two arrays."""

    def __call__(self, x1: Any, x2: Any, /) -> Array: ...


UNARY = {
    "abs": "Absolute value.",
    "acos": "Inverse cosine, in radians.",
    "acosh": "Inverse hyperbolic cosine.",
    "asin": "Inverse sine, in radians.",
    "asinh": "Inverse hyperbolic sine.",
    "atan": "Inverse tangent, in radians.",
    "atanh": "Inverse hyperbolic tangent.",
    "bitwise_invert": "Every bit inverted; of bool, logical not.",
    "ceil": "Rounded up to an integer.",
    "conj": "Complex conjugate.",
    "cos": "Cosine of radians.",
    "cosh": "Hyperbolic cosine.",
    "exp": "e to the power of x.",
    "expm1": "exp(x) - 1, exact near 0.",
    "floor": "Rounded down to an integer.",
    "imag": "Imaginary part.",
    "isfinite": "Whether neither infinite nor NaN.",
    "isinf": "Whether infinite.",
    "isnan": "Whether NaN.",
    "log": "Natural logarithm.",
    "log10": "Logarithm to base 10.",
    "log1p": "log(1 + x), exact near 0.",
    "log2": "Logarithm to base 2.",
    "logical_not": "Whether zero or false.",
    "negative": "-x.",
    "positive": "+x.",
    "real": "Real part.",
    "reciprocal": "1 / x.",
    "sign": "-1, 0 or 1; of complex, x / abs(x).",
    "signbit": "Whether the sign bit is set.",
    "sin": "Sine of radians.",
    "sinh": "Hyperbolic sine.",
    "sqrt": "Square root.",
    "square": "x * x.",
    "tan": "Tangent of radians.",
    "tanh": "Hyperbolic tangent.",
    "trunc": "Rounded towards zero to an integer.",
}
"""Functions of one array, with what they give."""

BINARY = {
    "add": "x1 + x2.",
    "atan2": "Angle of the point (x2, x1), in radians.",
    "bitwise_and": "x1 & x2.",
    "bitwise_left_shift": "x1 << x2.",
    "bitwise_or": "x1 | x2.",
    "bitwise_right_shift": "x1 >> x2.",
    "bitwise_xor": "x1 ^ x2.",
    "copysign": "x1 with the sign of x2.",
    "divide": "x1 / x2; of integers, float64.",
    "equal": "x1 == x2.",
    "floor_divide": "x1 // x2.",
    "greater": "x1 > x2.",
    "greater_equal": "x1 >= x2.",
    "hypot": "sqrt(x1**2 + x2**2), without overflow.",
    "less": "x1 < x2.",
    "less_equal": "x1 <= x2.",
    "logaddexp": "log(exp(x1) + exp(x2)), without overflow.",
    "logical_and": "Whether both are true.",
    "logical_or": "Whether one is true.",
    "logical_xor": "Whether exactly one is true.",
    "maximum": "The larger one; NaN if one is NaN.",
    "minimum": "The smaller one; NaN if one is NaN.",
    "multiply": "x1 * x2.",
    "nextafter": "The next floating-point number after x1 towards x2.",
    "not_equal": "x1 != x2.",
    "pow": "x1 ** x2.",
    "remainder": "x1 % x2, with the sign of x2.",
    "subtract": "x1 - x2.",
}
"""Functions of two arrays, with what they give."""

FLOATS = frozenset({
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "copysign", "cos", "cosh", "exp", "expm1", "hypot",
    "log", "log10", "log1p", "log2", "logaddexp", "nextafter", "sin", "sinh", "sqrt", "tan", "tanh",
})  # fmt: skip
"""Functions that give floating-point numbers of integers too."""

TRUTHS = frozenset({
    "equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "not_equal", "signbit",
})  # fmt: skip
"""Functions that give bool."""

BITS = frozenset({
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
})  # fmt: skip
"""Functions of integers and bool alone."""

TYPES = (
    (FLOATS, "Floating-point; integers count as float64, those of 8 and 16 bits as float16 and float32, as in NumPy."),
    (TRUTHS, "bool, of whatever types."),
    (BITS, "The `numpy.result_type` of integers and bool; floating-point and complex numbers are refused."),
    (frozenset({"divide"}), "The `numpy.result_type`; integers and bool count as float64."),
    (frozenset({"abs", "imag", "real"}), "That of `x`; of complex numbers, that of their parts."),
)
"""Types of what functions give; where nothing is said, `COMMON`."""

COMMON = "The `numpy.result_type` of what is given, wherein Python numbers are weak."

DESCRIPTION = """{text} Elementwise, one operation per element; lazy.

    Parameters
    ----------
    {parameters}
        {arguments}

    Returns
    -------
    {types}

    Raises
    ------
    TypeError
        for types that NumPy refuses, when the expression is built.{broadcast}

    Examples
    --------
    >>> import sarray as sa
    >>> sa.{name}({example}).shape
    (2,)
    """
"""The documentation of a function, filled in from the tables."""

BROADCAST = """
    ValueError
        for shapes that do not broadcast.
    OverflowError
        for a Python integer that the other's type does not hold."""

F = TypeVar("F", bound=Callable[..., Array])


def _unary(name: str) -> Unary:
    def call(x: Any, /) -> Array:
        return apply(name, as_array(x))

    return _described(
        call, name, UNARY[name], parameters="x", arguments="An array, NumPy array, sequence or number.", broadcast="",
        example="sa.asarray([1, 2])",
    )  # fmt: skip


def _binary(name: str) -> Binary:
    def call(x1: Any, x2: Any, /) -> Array:
        if not isinstance(x1, Array) and not isinstance(x2, Array):
            x1 = as_array(x1)
        return apply(name, x1, x2)

    return _described(
        call, name, BINARY[name], parameters="x1, x2", broadcast=BROADCAST, example="sa.asarray([1, 2]), 3",
        arguments="Arrays, NumPy arrays, sequences or numbers, which broadcast.",
    )  # fmt: skip


def _described(call: F, name: str, text: str, **parts: str) -> F:
    call.__name__ = call.__qualname__ = name
    types = next((said for names, said in TYPES if name in names), COMMON)
    call.__doc__ = DESCRIPTION.format(name=name, text=text, types=types, **parts)
    return call


abs = _unary("abs")
acos = _unary("acos")
acosh = _unary("acosh")
asin = _unary("asin")
asinh = _unary("asinh")
atan = _unary("atan")
atanh = _unary("atanh")
bitwise_invert = _unary("bitwise_invert")
ceil = _unary("ceil")
conj = _unary("conj")
cos = _unary("cos")
cosh = _unary("cosh")
exp = _unary("exp")
expm1 = _unary("expm1")
floor = _unary("floor")
imag = _unary("imag")
isfinite = _unary("isfinite")
isinf = _unary("isinf")
isnan = _unary("isnan")
log = _unary("log")
log10 = _unary("log10")
log1p = _unary("log1p")
log2 = _unary("log2")
logical_not = _unary("logical_not")
negative = _unary("negative")
positive = _unary("positive")
real = _unary("real")
reciprocal = _unary("reciprocal")
sign = _unary("sign")
signbit = _unary("signbit")
sin = _unary("sin")
sinh = _unary("sinh")
sqrt = _unary("sqrt")
square = _unary("square")
tan = _unary("tan")
tanh = _unary("tanh")
trunc = _unary("trunc")

add = _binary("add")
atan2 = _binary("atan2")
bitwise_and = _binary("bitwise_and")
bitwise_left_shift = _binary("bitwise_left_shift")
bitwise_or = _binary("bitwise_or")
bitwise_right_shift = _binary("bitwise_right_shift")
bitwise_xor = _binary("bitwise_xor")
copysign = _binary("copysign")
divide = _binary("divide")
equal = _binary("equal")
floor_divide = _binary("floor_divide")
greater = _binary("greater")
greater_equal = _binary("greater_equal")
hypot = _binary("hypot")
less = _binary("less")
less_equal = _binary("less_equal")
logaddexp = _binary("logaddexp")
logical_and = _binary("logical_and")
logical_or = _binary("logical_or")
logical_xor = _binary("logical_xor")
maximum = _binary("maximum")
minimum = _binary("minimum")
multiply = _binary("multiply")
nextafter = _binary("nextafter")
not_equal = _binary("not_equal")
pow = _binary("pow")
remainder = _binary("remainder")
subtract = _binary("subtract")


def where(condition: Any, x1: Any, x2: Any, /) -> Array:
    """`x1` where the condition is true, else `x2`; all three broadcast.

    >>> import numpy as np, sarray as sa
    >>> sa.where(np.array([True, False, True]), np.array([1, 2, 3]), 0).compute()
    array([1, 0, 3])
    """
    condition = as_array(condition)
    return apply("where", condition if condition.dtype == bool else not_equal(condition, 0), x1, x2)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Array:
    """`x` limited to ``min <= x <= max``; a bound that is None does not limit.

    >>> import numpy as np, sarray as sa
    >>> sa.clip(np.array([-2.0, 0.5, 2.0]), -1, 1).compute()
    array([-1. ,  0.5,  1. ])
    """
    if min is None and max is None:
        return as_array(x)
    return apply("clip", as_array(x), min, max)


def round(x: Any, /, decimals: int = 0) -> Array:
    """`x` rounded to the nearest integer or number of decimals, halves to even.

    >>> import numpy as np, sarray as sa
    >>> sa.round(np.array([0.5, 1.5, 2.4])).compute()
    array([0., 2., 2.])
    """
    return apply("round", as_array(x), decimals=int(decimals))


def astype(x: Any, dtype: DTypeLike, /, *, copy: bool = True) -> Array:
    """`x` in another type, cast as NumPy does.

    >>> import numpy as np, sarray as sa
    >>> sa.astype(np.array([1.7, -1.7]), "int64").compute()
    array([ 1, -1])
    """
    return as_array(x).astype(np.dtype(dtype))
