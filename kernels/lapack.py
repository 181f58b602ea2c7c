"""LAPACK and BLAS routines that release the interpreter lock.

SciPy publishes the addresses of every BLAS and LAPACK routine it links as capsules
(``scipy.linalg.cython_blas.__pyx_capi__``), for Cython programs. ctypes can call an address as well, and it drops the
interpreter lock while it does, which SciPy's own f2py wrappers of geqrt, tpqrt, potrf, trsm, gesdd and syevd do not.

A routine is described by one letter per Fortran argument, in order:

    c  one character        i  an integer        s  a scalar of the routine's type        r  a real scalar of its
    precision a  an array             o  INFO, the last argument

Fortran takes everything by address. All scalars of a call live in one small structure, filled by one constructor call,
so that a call costs a few microseconds. Integers are 32 bits wide, as in SciPy's interface. INFO < 0 means that an
argument was illegal: a bug here. INFO > 0 is a numerical event with a meaning of its own for each routine, and is
returned.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_blas, cython_lapack

Block = NDArray[Any]

LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}
"""NumPy's type character -> LAPACK's type letter."""

ROUTINES = {
    "gemm": ("blas", "cciiisaiaisai"),
    "syrk": ("blas", "cciisaisai"),
    "herk": ("blas", "cciirairai"),
    "trsm": ("blas", "cccciisaiai"),
    "potrf": ("lapack", "ciaio"),
    "geqrt": ("lapack", "iiiaiaiao"),
    "tpqrt": ("lapack", "iiiiaiaiaiao"),
    "tpmqrt": ("lapack", "cciiiiiaiaiaiaiao"),
    "sgesdd": ("lapack", "ciiaiaaiaiaiao"),
    "dgesdd": ("lapack", "ciiaiaaiaiaiao"),
    "cgesdd": ("lapack", "ciiaiaaiaiaiaao"),
    "zgesdd": ("lapack", "ciiaiaaiaiaiaao"),
    "syevd": ("lapack", "cciaiaaiaio"),
    "heevd": ("lapack", "cciaiaaiaiaio"),
}
"""Name, with a type letter only where the types differ in their arguments -> library, arguments."""

_MODULES = {"blas": cython_blas, "lapack": cython_lapack}
_SCALARS: dict[str, tuple[Any, Any]] = {
    "s": (ctypes.c_float, ctypes.c_float),
    "d": (ctypes.c_double, ctypes.c_double),
    "c": (ctypes.c_float * 2, ctypes.c_float),
    "z": (ctypes.c_double * 2, ctypes.c_double),
}
_INT_MAX = 2**31 - 1


def is_lapack(dtype: np.dtype[Any]) -> bool:
    """Whether LAPACK has routines for this type: float32, float64, complex64, complex128 in native byte order.

    >>> is_lapack(np.dtype("f8")), is_lapack(np.dtype("f2")), is_lapack(np.dtype(">f8"))
    (True, False, False)
    """
    return dtype.char in LETTERS and dtype.isnative


def lapack_dtype(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """The LAPACK type in which arrays of these types are factored: integers, bool as float64, float16 as float32.

    >>> lapack_dtype(np.dtype("i4")), lapack_dtype(np.dtype(">c8"), np.dtype("f8"))
    (dtype('float64'), dtype('complex128'))
    """
    inexact = [np.dtype(np.float64) if dtype.kind in "biu" else dtype for dtype in dtypes]
    common = np.result_type(*inexact, np.float32).newbyteorder("=")
    if not is_lapack(common):
        raise TypeError(
            f"linear algebra needs float32, float64, complex64 or complex128, not {common}; convert with astype"
        )
    return common


@cache
def routine(name: str, char: str) -> Callable[..., int]:
    """The routine ``name`` for NumPy's type character ``char``, called with plain numbers, bytes and arrays.

    Arrays are taken by address: the caller vouches for their type, order and size. Returns INFO, 0 for BLAS.
    Raises ``RuntimeError`` when LAPACK finds an argument illegal, ``OverflowError`` when one exceeds 32 bits.

    >>> x = np.array([[4.0]])
    >>> routine("potrf", "d")(b"L", 1, x, 1), float(x[0, 0])
    (0, 2.0)
    """
    full = LETTERS[char] + name
    library, signature = ROUTINES.get(full) or ROUTINES[name]
    return _caller(full, _address(library, full), signature)


def _address(library: str, full: str) -> int:
    capsule = _MODULES[library].__pyx_capi__[full]
    api = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    return int(pointer_of(capsule, name_of(capsule)))


def _cells(signature: str, letter: str) -> type[ctypes.Structure]:
    """The structure that holds the scalars of one call; INFO, being last, starts as zero."""
    scalar, real = _SCALARS[letter]
    kinds: dict[str, Any] = {"c": ctypes.c_char, "i": ctypes.c_int32, "o": ctypes.c_int32, "s": scalar, "r": real}
    fields = [(f"x{n}", kinds[kind]) for n, kind in enumerate(signature) if kind != "a"]
    return type("Cells", (ctypes.Structure,), {"_fields_": fields})


def _caller(full: str, address: int, signature: str) -> Callable[..., int]:
    cells_type = _cells(signature, full[0])
    places = [getattr(cells_type, f"x{n}").offset if kind != "a" else -1 for n, kind in enumerate(signature)]
    integers = itemgetter(*[n for n, kind in enumerate(signature) if kind == "i"], -1)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(signature))(address)
    info = f"x{len(signature) - 1}" if signature[-1] == "o" else ""

    def call(*arguments: Any) -> int:
        if max(integers((*arguments, 0))) > _INT_MAX:
            raise OverflowError(f"{full} counts in 32 bits; a dimension or workspace is larger: use smaller chunks")
        cells = cells_type(*[x for x in arguments if not isinstance(x, np.ndarray)])
        base = ctypes.addressof(cells)
        addresses = [x.ctypes.data if n < 0 else base + n for x, n in zip(arguments, places, strict=False)]
        if info:
            function(*addresses, base + places[-1])
            return _checked(full, getattr(cells, info))
        function(*addresses)
        return 0

    return call


def _checked(full: str, info: int) -> int:
    if info < 0:
        raise RuntimeError(f"{full} refused its argument number {-info}: a bug in kernels, please report it")
    return info
