"""Arrays: a NumPy-like face on expressions. Nothing is computed until somebody asks for values.

Operators and methods build expressions. Functions that this file cannot know without a circle of imports (`matmul`, and
what NumPy's functions stand for) are looked up by name in the package's face when they are called.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sarray import drawing, numpy_calls, session
from sarray.dtypes import numeric
from sarray.expression import Expression
from sarray.grid import Chunks, chunk_sizes, normalize_chunks
from sarray.lowering import elementwise, reduction, source, views
from sarray.lowering.rechunk import rechunked
from sarray.lowering.slicing import sliced
from sarray.operators import Operators
from sarray.plan import Plan
from wukong_sched.grid import Grid

if TYPE_CHECKING:
    from sarray.remote import SubmittedJob

Axis = int | tuple[int, ...] | None
Number = bool | int | float | complex


class Array(Operators):
    """A blocked array: an expression with NumPy's operators and methods. Immutable; made by functions, not by hand.

    >>> import numpy as np, sarray as sa
    >>> x = sa.asarray(np.arange(6.0).reshape(2, 3), chunks=2)
    >>> ((x + 1) ** 2).sum(axis=0).compute()
    array([17., 29., 45.])
    """

    __slots__ = ("expression",)

    expression: Expression
    """What the array is."""

    __array_priority__ = 100

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of each axis."""
        return self.expression.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.expression.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.expression.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.expression.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the chunks along each axis."""
        return chunk_sizes(self.expression.chunks)

    @property
    def numblocks(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return self.expression.numblocks

    @property
    def name(self) -> str:
        """A name that is the same for the same work."""
        return self.expression.name

    @property
    def device(self) -> str:
        """Always ``"cpu"``."""
        return "cpu"

    @property
    def T(self) -> Array:
        """With axes in reverse order (of 2 axes: transposed); no data moves."""
        return Array(views.transposed(self.expression))

    @property
    def mT(self) -> Array:
        """With the last two axes exchanged."""
        if self.ndim < 2:
            raise ValueError(f"mT needs at least 2 dimensions, shape {self.shape}; insert an axis with x[:, None]")
        return Array(views.transposed(self.expression, (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)))

    @property
    def real(self) -> Array:
        """Real parts."""
        return self if self.dtype.kind != "c" else apply("real", self)

    @property
    def imag(self) -> Array:
        """Imaginary parts."""
        return apply("imag", self)

    def __repr__(self) -> str:
        return (
            f"sarray.Array({self.expression.op}, shape={self.shape}, dtype={self.dtype}, "
            f"chunks={drawing.chunk_text(self.expression.chunks)})"
        )

    def _repr_html_(self) -> str:
        return drawing.html(self.expression)

    # -- values -------------------------------------------------------------------------------------------------------

    def compute(self, *, scheduler: Any = None, **options: Any) -> NDArray[Any]:
        """The values as a NumPy array of one's own; options as in `sarray.compute`.

        `scheduler` may be the `get` of a `sarray.cluster.Client`, as in scripts for Dask; TypeError for any other.
        """
        if scheduler is not None:
            options = {**_of_client(scheduler), **options}
        (found,) = session.compute(self, **options)
        return np.asarray(found)

    def submit(self, **options: Any) -> SubmittedJob:
        """Begin to compute the values where that goes on without this process; as `sarray.submit`."""
        return session.submit(self, single=True, **options)

    def persist(self, **options: Any) -> Array:
        """The same array, computed and kept in memory block by block; options as in `sarray.compute`."""
        (found,) = session.persist(self, **options)
        return Array(found.expression)

    def store(self, target: Any, **options: Any) -> None:
        """Write the values into `target` (anything with shape, dtype and slice assignment), block by block."""
        session.store([self], [target], **options)

    def plan(self) -> Plan:
        """What computing this will take, without computing it."""
        return session.plan(self)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a NumPy array of these values does not exist yet; write numpy.asarray(x) to compute it")
        return self.compute().astype(dtype or self.dtype, copy=False)

    def item(self) -> Number:
        """The only element, as a Python number."""
        if self.size != 1:
            raise TypeError(
                f"only an array of one element is a number, shape {self.shape}; write x.compute() for all values"
            )
        value: Number = self.compute().item()
        return value

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"an array of shape {self.shape} is neither true nor false; write x.any() or x.all()")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())  # type: ignore[arg-type]

    def __float__(self) -> float:
        return float(self.item())  # type: ignore[arg-type]

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError(
                f"only a 0-d integer array is an index, got shape {self.shape} of {self.dtype}; write int(x)"
            )
        return int(self)

    # -- parts --------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d array has no length; write float(x) for its value")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        if not self.ndim:
            raise TypeError("a 0-d array has no elements to iterate over; write float(x) for its value")
        return (self[number] for number in range(len(self)))

    def __getitem__(self, index: Any) -> Array:
        """Basic indexing: ints, slices, None, Ellipsis."""
        return Array(sliced(self.expression, index))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("arrays are immutable; write sarray.where(mask, value, x) for a new one")

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def rechunk(self, chunks: Chunks = "auto") -> Array:
        """The same elements in other chunks: an int, one entry per axis, ``{axis: size}``, -1, "auto", "64MiB"."""
        grids = normalize_chunks(chunks, self.shape, self.dtype, self.expression.chunks)
        return Array(rechunked(self.expression, grids))

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Array:
        """The elements in another type, cast as NumPy does."""
        return Array(elementwise.cast(self.expression, dtype))

    def transpose(self, *axes: SupportsIndex | Sequence[SupportsIndex] | None) -> Array:
        """With axes in another order, reversed by default; no data moves."""
        return Array(views.transposed(self.expression, transpose_axes(self.ndim, axes)))

    def conj(self) -> Array:
        """Complex conjugates."""
        return self if self.dtype.kind != "c" else apply("conj", self)

    # -- reductions ---------------------------------------------------------------------------------------------------

    def sum(self, axis: Axis = None, **options: Any) -> Array:
        """Sum; as `sarray.sum`."""
        return reduce("sum", self, axis, **options)

    def prod(self, axis: Axis = None, **options: Any) -> Array:
        """Product; as `sarray.prod`."""
        return reduce("prod", self, axis, **options)

    def min(self, axis: Axis = None, **options: Any) -> Array:
        """Minimum; as `sarray.min`."""
        return reduce("min", self, axis, **options)

    def max(self, axis: Axis = None, **options: Any) -> Array:
        """Maximum; as `sarray.max`."""
        return reduce("max", self, axis, **options)

    def mean(self, axis: Axis = None, **options: Any) -> Array:
        """Mean; as `sarray.mean`."""
        return reduce("mean", self, axis, **options)

    def any(self, axis: Axis = None, **options: Any) -> Array:
        """Whether any element is true; as `sarray.any`."""
        return reduce("any", self, axis, **options)

    def all(self, axis: Axis = None, **options: Any) -> Array:
        """Whether all elements are true; as `sarray.all`."""
        return reduce("all", self, axis, **options)

    # -- functions of NumPy, Python's operators ---------------------------------------------------------------------

    def _function(self, name: str, *arguments: Any) -> Any:
        for argument in arguments:
            if not isinstance(argument, Array) and not is_operand(argument):
                return _refused(name, argument)
        return apply(name, *arguments) if name != "matmul" else numpy_calls.face(name)(*arguments)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if not all(isinstance(each, Array) or is_operand(each) for each in inputs):
            return NotImplemented
        return numpy_calls.ufunc(ufunc, method, inputs, keywords)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> Any:
        return numpy_calls.function(function, arguments, keywords)


def _of_client(get: Any) -> dict[str, Any]:
    if not (hasattr(get, "executor") and hasattr(get, "workers")):
        raise TypeError(f"compute: scheduler={get!r} is not the get of a sarray.cluster.Client; write executor=...")
    return {"executor": get.executor, "workers": get.workers}


def is_operand(value: Any) -> bool:
    """Whether a value can be combined with arrays: a number, a list or tuple, a NumPy scalar or a NumPy array."""
    return isinstance(value, (bool, int, float, complex, list, tuple, np.generic, np.ndarray))


def _refused(name: str, stranger: Any) -> Any:
    """NotImplemented; TypeError where Python would then compare by identity, and give a bool that means nothing."""
    kind = type(stranger)
    compares = any("__eq__" in each.__dict__ for each in kind.__mro__[:-1])
    if name in ("equal", "not_equal") and (kind.__module__ == "builtins" or not compares):
        raise TypeError(
            f"{name}: an array is not compared with {stranger!r} of type {kind.__name__}, but with arrays, sequences "
            "and numbers; write `x is None` to ask whether there is one"
        )
    return NotImplemented


def apply(name: str, *arguments: Any, **keywords: Any) -> Array:
    """An elementwise function of arrays, NumPy arrays and numbers."""
    return Array(elementwise.elementwise(name, *map(_argument, arguments), **keywords))


def _argument(value: Any) -> Any:
    """An expression, or a scalar."""
    if isinstance(value, Array):
        return value.expression
    if isinstance(value, (bool, int, float, complex, np.generic)) or value is None:
        return value
    return as_array(value).expression


def as_array(value: Any, chunks: Chunks = "auto") -> Array:
    """An array of what NumPy can convert: an `Array` as it is, a NumPy array or nested sequence as a source."""
    if isinstance(value, Array):
        return value
    found = np.asarray(value)
    dtype = numeric(found.dtype, "asarray")
    return from_values(found, normalize_chunks(chunks, found.shape, dtype), dtype, None)


def from_values(value: Any, chunks: tuple[Grid, ...], dtype: np.dtype[Any], lock: Any, token: str = "") -> Array:
    """A source; a token that is not given is one that nobody else has."""
    held = source.Held(token or identity_token("memory"), value, lock)
    return Array(source.source(held, chunks, dtype))


def identity_token(kind: str) -> str:
    """A token that nobody else has; content in memory is never hashed, which would cost more than most work on it."""
    return f"{kind}-{os.urandom(8).hex()}"


def normalize_axes(name: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """Each axis once, counted from the front; ValueError for one that there is not."""
    if axis is None:
        return tuple(range(ndim))
    given = [operator.index(each) for each in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if any(not -ndim <= each < ndim for each in given):
        raise ValueError(f"{name}: axis {axis} is out of bounds for an array of {ndim} dimensions")
    found = tuple(sorted({each % ndim for each in given}))
    if len(found) != len(given):
        raise ValueError(f"{name}: axis {axis} names an axis twice")
    return found


def reduce(
    name: str,
    x: Array,
    axis: Axis = None,
    *,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
    split_every: int | None = None,
) -> Array:
    """One of the reductions in `sarray.lowering.reduction.FUNCTIONS`."""
    axes = normalize_axes(name, axis, x.ndim)
    if split_every is not None and operator.index(split_every) < 2:
        raise ValueError(f"{name}: split_every={split_every} would never end; a task combines at least 2 blocks")
    kind = None if dtype is None else numeric(dtype, name).str
    return Array(reduction.reduced(name, x.expression, axes, bool(keepdims), kind, split_every))


def transpose_axes(ndim: int, axes: Sequence[Any]) -> tuple[int, ...] | None:
    """The order of axes from what `transpose` takes; None: reversed."""
    if not axes or axes == (None,):
        return None
    order = [operator.index(axis) for axis in (axes[0] if isinstance(axes[0], Sequence) else axes)]
    found = tuple(axis % ndim if -ndim <= axis < ndim else axis for axis in order)
    if sorted(found) != list(range(ndim)):
        raise ValueError(f"transpose: axes {tuple(order)} are no order of the {ndim} axes; name each one once")
    return found
