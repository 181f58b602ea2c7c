"""NumPy's functions called with our arrays: each stands for one of ours, or is refused; none computes silently."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def face(name: str) -> Callable[..., Any]:
    """The public function of this name, whichever module it is in."""
    found: Callable[..., Any] = getattr(sys.modules[__name__.partition(".")[0]], name)
    return found


UFUNCS = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "conjugate": "conj", "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift", "power": "pow", "right_shift": "bitwise_right_shift",
    **{name: name for name in (
        "add", "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "copysign", "cos", "cosh", "divide", "equal", "exp",
        "expm1", "floor", "floor_divide", "greater", "greater_equal", "hypot", "isfinite", "isinf", "isnan", "less",
        "less_equal", "log", "log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or",
        "logical_xor", "matmul", "maximum", "minimum", "multiply", "negative", "nextafter", "not_equal", "positive",
        "reciprocal", "remainder", "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh",
        "trunc",
    )},
}  # fmt: skip
"""NumPy's ufuncs -> our functions."""

REDUCING = {
    "add": "sum", "multiply": "prod", "minimum": "min", "maximum": "max", "logical_and": "all", "logical_or": "any",
}  # fmt: skip
"""``ufunc.reduce`` -> our reductions."""

FUNCTIONS = {
    "numpy.all": "all", "numpy.any": "any", "numpy.astype": "astype", "numpy.broadcast_to": "broadcast_to",
    "numpy.clip": "clip", "numpy.dot": "matmul", "numpy.expand_dims": "expand_dims", "numpy.imag": "imag",
    "numpy.max": "max", "numpy.mean": "mean", "numpy.min": "min", "numpy.prod": "prod", "numpy.real": "real",
    "numpy.round": "round", "numpy.squeeze": "squeeze", "numpy.sum": "sum", "numpy.transpose": "permute_dims",
    "numpy.matrix_transpose": "matrix_transpose", "numpy.where": "where", "numpy.zeros_like": "zeros_like",
    "numpy.ones_like": "ones_like", "numpy.full_like": "full_like", "numpy.empty_like": "empty_like",
    "numpy.linalg.cholesky": "cholesky", "numpy.linalg.norm": "norm", "numpy.linalg.qr": "tsqr",
    "numpy.linalg.svd": "svd", "numpy.linalg.svdvals": "svdvals",
}  # fmt: skip
"""NumPy's functions -> our functions."""

ABOUT: Mapping[str, Callable[..., Any]] = {
    "numpy.shape": lambda x: x.shape, "numpy.ndim": lambda x: x.ndim, "numpy.size": lambda x: x.size,
    "numpy.iscomplexobj": lambda x: x.dtype.kind == "c", "numpy.isrealobj": lambda x: x.dtype.kind != "c",
    "numpy.result_type": lambda *x: np.result_type(*(x.dtype if hasattr(x, "expression") else x for x in x)),
}  # fmt: skip
"""NumPy's functions that need no values."""

REFUSED: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "numpy.linalg.svd": {"full_matrices": bool, "compute_uv": lambda value: not value, "hermitian": bool},
    "numpy.linalg.qr": {"mode": lambda value: value != "reduced"},
}
"""Arguments that ours do not take, with what tells whether a value means something else than ours do."""

DEFAULTS: Mapping[str, Mapping[str, Any]] = {"numpy.linalg.svd": {"full_matrices": True}}
"""Defaults of NumPy's that say something else than ours do."""


def ufunc(called: np.ufunc, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """``numpy.add(x, 1)`` as an array; TypeError for what we do not have."""
    if method == "reduce" and called.__name__ in REDUCING:
        given = {key: value for key, value in keywords.items() if value is not None or key == "axis"}
        return _called(f"numpy.{called.__name__}.reduce", REDUCING[called.__name__], inputs, {"axis": 0} | given)
    known = UFUNCS.get(called.__name__)
    if method != "__call__" or known is None:
        suffix = "" if method == "__call__" else f".{method}"
        raise TypeError(_no_such(f"numpy.{called.__name__}{suffix}"))
    return _called(f"numpy.{called.__name__}", known, inputs, keywords)


def function(called: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """``numpy.sum(x)`` as an array; TypeError for what we do not have."""
    name = f"{called.__module__}.{called.__name__}"
    if name in ABOUT:
        return ABOUT[name](*arguments, **keywords)
    if name not in FUNCTIONS:
        raise TypeError(_no_such(name))
    if name in REFUSED:
        keywords = _ours(name, len(arguments), {**DEFAULTS.get(name, {}), **keywords})
    return _called(name, FUNCTIONS[name], arguments, keywords)


def _ours(name: str, positional: int, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords without those that ours do not take; TypeError if one of them means something else."""
    refused = REFUSED[name]
    if positional > 1:
        raise TypeError(f"{name} of an sarray array: write all arguments but the first by name")
    for key, differs in refused.items():
        if key in keywords and differs(keywords[key]):
            raise TypeError(
                f"{name} of an sarray array with {key}={keywords[key]!r} is not supported; "
                f"write sarray.{FUNCTIONS[name]}(x), which gives the reduced factors"
            )
    return {key: value for key, value in keywords.items() if key not in refused}


def _called(theirs: str, ours: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    if keywords.get("out") is not None:
        raise TypeError(f"{theirs} of an sarray array cannot write into out=; write x.store(target)")
    given = {key: value for key, value in keywords.items() if key != "out"}
    try:
        return face(ours)(*arguments, **given)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise TypeError(f"{theirs} of an sarray array stands for sarray.{ours}: {error}") from None


def _no_such(name: str) -> str:
    return (
        f"{name} has no counterpart for sarray arrays; write {name}(x.compute(), ...) to compute in memory, "
        "or use the functions in dir(sarray)"
    )
