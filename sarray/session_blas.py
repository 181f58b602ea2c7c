"""BLAS as arrays use it: NumPy's and SciPy's, loaded so that they can be held to one thread."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager

from wukong_sched.drivers import blas


def single_threaded() -> AbstractContextManager[None]:
    """BLAS in one thread per caller, for as long as any `with` of this lasts; restored whatever happens."""
    importlib.import_module("kernels.lapack")  # loads SciPy's BLAS, which could not be held back before it is there
    return blas.single_threaded()


def arithmetic() -> str:
    """What decides the bits of BLAS: for which processor its kernels are, and how many threads it takes.

    >>> with single_threaded():
    ...     arithmetic().endswith(" x1")
    True
    """
    importlib.import_module("kernels.lapack")
    return blas.arithmetic()
