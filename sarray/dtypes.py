"""Which element types arrays may have, and what NumPy makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

NUMERIC = "biufc"
"""Kinds of NumPy types that arrays may have: bool, integers, floats, complex."""

ADVICE = {
    "O": "convert the values first, for example x.astype('float64') in NumPy",
    "U": "encode strings as numbers first, for example with numpy.unique(x, return_inverse=True)",
    "S": "encode strings as numbers first, for example with numpy.unique(x, return_inverse=True)",
    "T": "encode strings as numbers first, for example with numpy.unique(x, return_inverse=True)",
    "M": "convert times to numbers first: x.astype('datetime64[s]').astype('int64')",
    "m": "convert durations to numbers first: x / numpy.timedelta64(1, 's')",
    "V": "make one array of each field first: x['name']",
}
"""What to do with the other kinds."""


def numeric(dtype: DTypeLike, of: str = "array") -> np.dtype[Any]:
    """The type in native byte order; TypeError with advice if it is none of numbers or bool.

    >>> numeric(">i4")
    dtype('int32')
    """
    kind = np.dtype(dtype)
    if kind.kind not in NUMERIC:
        advice = ADVICE.get(kind.kind, "use bool, integers, floats or complex numbers")
        raise TypeError(f"{of}: elements of type {kind} are not supported; {advice}")
    return kind.newbyteorder("=")
