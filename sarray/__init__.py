"""Linear algebra on blocked arrays, lowered to task programs whose executors schedule each other.

>>> import sarray as sa
>>> x = sa.random.default_rng(0).normal(size=(1000, 8), chunks=(100, -1))
>>> y = (x - x.mean(axis=0)) ** 2
>>> y.sum(axis=0).compute().shape
(8,)

Arrays are lazy: `compute` gives NumPy arrays, `plan` says what that will take, `config` says how it is done.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sarray import ours

if TYPE_CHECKING:
    from sarray import ml as ml

ours.check()

from sarray import random  # noqa: E402
from sarray.array import Array  # noqa: E402
from sarray.config import Settings, config, settings  # noqa: E402
from sarray.creation import (  # noqa: E402
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_array,
    full,
    full_like,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from sarray.elementwise import (  # noqa: E402
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    astype,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    clip,
    conj,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    pow,
    real,
    reciprocal,
    remainder,
    round,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
    where,
)
from sarray.io import from_npy, store, to_npy  # noqa: E402
from sarray.linalg import (  # noqa: E402
    QR,
    SVD,
    cholesky,
    matmul,
    norm,
    svd,
    svd_compressed,
    svdvals,
    tsqr,
)
from sarray.manipulation import (  # noqa: E402
    broadcast_arrays,
    broadcast_to,
    expand_dims,
    matrix_transpose,
    permute_dims,
    rechunk,
    squeeze,
    transpose,
)
from sarray.mapping import map_blocks  # noqa: E402
from sarray.plan import Plan  # noqa: E402
from sarray.reductions import (  # noqa: E402
    all,
    any,
    max,
    mean,
    min,
    prod,
    sum,
    tree_reduce,
)
from sarray.reports import last_report  # noqa: E402
from sarray.session import attach, compute, forget, job_of, persist, plan, submit  # noqa: E402
from wukong_sched.errors import (  # noqa: E402
    MemoryLimitError,
    NestedComputeError,
    ProgramError,
    SchedulerError,
    TaskError,
)

__version__ = "0.1.0"

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """`sarray.ml`, which takes scikit-learn with it, at its first use."""
        if name != "ml":
            raise AttributeError(f"module 'sarray' has no attribute {name!r}")
        return importlib.import_module("sarray.ml")

__all__ = [
    # arrays
    "Array",
    "arange", "asarray", "empty", "empty_like", "eye", "from_array", "full", "full_like", "ones", "ones_like",
    "zeros", "zeros_like",
    "random",
    # elementwise
    "abs", "acos", "acosh", "add", "asin", "asinh", "astype", "atan", "atan2", "atanh", "bitwise_and",
    "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip",
    "conj", "copysign", "cos", "cosh", "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater",
    "greater_equal", "hypot", "imag", "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log10", "log1p",
    "log2", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum",
    "multiply", "negative", "nextafter", "not_equal", "positive", "pow", "real", "reciprocal", "remainder", "round",
    "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "trunc", "where",
    # reductions, axes, chunks
    "all", "any", "max", "mean", "min", "prod", "sum", "tree_reduce", "map_blocks",
    "broadcast_arrays", "broadcast_to", "expand_dims", "matrix_transpose", "permute_dims", "rechunk", "squeeze",
    "transpose",
    # linear algebra
    "QR", "SVD", "cholesky", "matmul", "norm", "svd", "svd_compressed", "svdvals", "tsqr",
    # computing
    "Plan", "compute", "persist", "plan", "last_report",
    "attach", "forget", "job_of", "submit",
    "from_npy", "store", "to_npy",
    # settings
    "Settings", "config", "settings",
    # errors
    "MemoryLimitError", "NestedComputeError", "ProgramError", "SchedulerError", "TaskError",
]  # fmt: skip
