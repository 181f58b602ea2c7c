"""Fused elementwise chains: a straight-line program evaluated over blocks in pieces that stay in cache.

A chain is evaluated step by step, as NumPy would, but on about ``PIECE`` elements at a time: a temporary is a scratch
buffer of that size, used again as soon as the last step that reads it is done. Every step calls NumPy's own function
on the same operands, so that the result has NumPy's bits, and its floating point warnings too. NumPy drops the
interpreter lock within each call.

Operands are numbered: the inputs first, then the constants, then the steps. ``(x * 2 + y) ** 2`` is

    Chain(2, (2, 2), (Step("multiply", (0, 2), "f8"), Step("add", (4, 1), "f8"), Step("pow", (5, 3), "f8")))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.cost import Cost
from kernels.functions import FUNCTIONS
from kernels.reduction import REDUCTIONS, Cascade, reduce_block, reduction_dtype

Block = NDArray[Any]
Constant = bool | int | float | complex | None | np.generic

PIECE = 1 << 18
"""Elements evaluated at a time: two megabytes of float64. Smaller pieces fit nearer caches, but threads then spend
their time handing each other the interpreter lock, which NumPy takes back after every call: fastest by measurement."""


@dataclass(frozen=True, slots=True)
class Step:
    """One function applied to earlier operands."""

    function: str
    """A name in ``kernels.functions.FUNCTIONS``."""
    operands: tuple[int, ...]
    """Numbers of inputs, constants or earlier steps."""
    dtype: str
    """The type NumPy gives to the result."""
    kwargs: tuple[tuple[str, Any], ...] = ()
    """Further keyword arguments of the function, such as decimals of round."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A straight-line elementwise program. The last step is the result.

    Called with its input blocks, which broadcast against each other, it returns a new block: C-ordered, or F-ordered
    when all full-size inputs are. ``out`` receives the result instead; it must not overlap an input. Constants are
    NumPy scalars, or Python numbers, which are weak in promotion as in NumPy 2. Any NumPy type of bool, integer,
    float, complex. Raises ``ValueError`` where NumPy's broadcasting does.

    >>> chain = Chain(1, (2, 1), (Step("multiply", (0, 1), "f8"), Step("add", (3, 2), "f8")))
    >>> chain(np.array([1.0, 2.0]))
    array([3., 5.])
    """

    inputs: int
    """Number of input blocks, at least 1."""
    constants: tuple[Constant, ...]
    """Scalar operands."""
    steps: tuple[Step, ...]
    """At least one."""

    def __call__(self, *blocks: Block, out: Block | None = None) -> Block:
        """The chain's value on blocks."""
        shape = self._shape(blocks)
        if out is None:
            if _all_by_columns(blocks, shape):
                return self(*[b.T for b in _same_rank(blocks, len(shape))]).T
            out = np.empty(shape, self.dtype)
        flat = out.flags.c_contiguous and _flattened(blocks, shape)
        blocks, target = (flat, out.reshape(-1)) if flat else (_same_rank(blocks, len(shape)), out)
        run = self._runner(min(PIECE, max(1, out.size)))
        for index in _pieces(target.shape):
            run(_cut(blocks, index), target[index])
        return out

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the result."""
        return np.dtype(self.steps[-1].dtype)

    def reduced(
        self,
        name: str,
        *blocks: Block,
        axis: int | tuple[int, ...] | None = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Block:
        """``reduce_block(name, chain(*blocks), axis, ...)``, a reduction of the chain's value, which is never held.

        Pieces are reduced by NumPy (pairwise for sums) and their results joined in a balanced tree, in a fixed order:
        always the same bits. Always an array, 0-d when everything is reduced. Raises as ``reduce_block``.

        >>> Chain(1, (), (Step("square", (0,), "f8"),)).reduced("sum", np.array([1.0, 2.0]))
        array(5.)
        """
        shape = self._shape(blocks)
        axes = _axes(axis, len(shape))
        kind = np.dtype(dtype) if dtype is not None else reduction_dtype(name, self.dtype)
        if 0 in shape or not shape:
            return reduce_block(name, self(*blocks), axes, keepdims=keepdims, dtype=kind)
        if len(axes) == len(shape):
            if _all_by_columns(blocks, shape):
                blocks = tuple(b.T for b in _same_rank(blocks, len(shape)))
                shape = shape[::-1]
            if flat := _flattened(blocks, shape):
                total = self._reduce_pieces(name, flat, (math.prod(shape),), (0,), kind)
                return total.reshape((1,) * len(shape) if keepdims else ())
        total = self._reduce_pieces(name, _same_rank(blocks, len(shape)), shape, axes, kind)
        return total if keepdims else np.squeeze(total, axes)

    def _reduce_pieces(
        self, name: str, blocks: tuple[Block, ...], shape: tuple[int, ...], axes: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Block:
        out = np.empty([1 if n in axes else size for n, size in enumerate(shape)], dtype)
        run = self._runner(min(PIECE, math.prod(shape)))
        cascades: dict[tuple[tuple[int, int], ...], Cascade] = {}
        for index in _pieces(shape):
            extent = tuple(s.stop - s.start for s in index)
            value = np.broadcast_to(run(_cut(blocks, index), None), extent)
            place = tuple((0, 1) if n in axes else (s.start, s.stop) for n, s in enumerate(index))
            cascades.setdefault(place, Cascade(REDUCTIONS[name])).push(
                reduce_block(name, value, axes, keepdims=True, dtype=dtype)
            )
        for place, cascade in cascades.items():
            out[tuple(slice(*bounds) for bounds in place)] = cascade.total()
        return out

    def _shape(self, blocks: Sequence[Block]) -> tuple[int, ...]:
        if len(blocks) != self.inputs:
            raise ValueError(f"this chain takes {self.inputs} blocks, not {len(blocks)}")
        return np.broadcast_shapes(*[b.shape for b in blocks])

    def _runner(self, size: int) -> Callable[[list[Block], Block | None], Block]:
        """A function that evaluates all steps on one piece; without ``out`` the result is in a scratch buffer."""
        plan, kinds = _plan(self.inputs + len(self.constants), self.steps)
        scratch = [np.empty(size, kind) for kind in kinds]
        constants = list(self.constants)

        def run(inputs: list[Block], out: Block | None) -> Block:
            values: list[Any] = inputs + constants
            end = len(values) + len(plan) - 1
            for function, operands, buffer, kwargs in plan:
                arguments = [values[n] for n in operands]
                target = out if out is not None and len(values) == end else _view(scratch[buffer], arguments)
                function(*arguments, out=target, **kwargs)
                values.append(target)
            result: Block = values[end]
            return result

        return run


def chain_cost(chain: Chain, sizes: Sequence[int], itemsizes: Sequence[int]) -> Cost:
    """One flop per element and step; reads the inputs, of ``sizes`` elements of ``itemsizes`` bytes, writes the result.

    >>> chain_cost(Chain(1, (), (Step("exp", (0,), "f8"), Step("exp", (1,), "f8"))), [10], [8])
    Cost(flops=20, bytes_in=80, bytes_out=80)
    """
    largest = max(sizes)
    read = sum(n * width for n, width in zip(sizes, itemsizes, strict=True))
    return Cost(len(chain.steps) * largest, read, largest * chain.dtype.itemsize)


Planned = tuple[Callable[..., Any], tuple[int, ...], int, dict[str, Any]]


@cache
def _plan(first: int, steps: tuple[Step, ...]) -> tuple[tuple[Planned, ...], tuple[np.dtype[Any], ...]]:
    """Which scratch buffer each step writes, and the buffers' types; a buffer is free after its last reader.

    A ufunc may write over a real operand that dies with it; with complex ones NumPy then takes another loop, whose
    last bits differ.
    """
    last = {n: number for number, step in enumerate(steps) for n in step.operands if n >= first}
    kinds: list[np.dtype[Any]] = []
    free: list[int] = []
    holds: dict[int, int] = {}
    plan: list[Planned] = []
    for number, step in enumerate(steps):
        function, dtype = FUNCTIONS[step.function], np.dtype(step.dtype)
        dying = [holds.pop(n) for n in dict.fromkeys(step.operands) if last.get(n) == number]
        in_place = isinstance(function, np.ufunc) and dtype.kind != "c"
        available = free + dying if in_place else free
        fitting = [b for b in reversed(available) if kinds[b] == dtype]
        if not fitting:
            kinds.append(dtype)
        chosen = fitting[0] if fitting else len(kinds) - 1
        free = [b for b in free + dying if b != chosen]
        holds[first + number] = chosen
        plan.append((function, step.operands, chosen, dict(step.kwargs)))
    return tuple(plan), tuple(kinds)


def _view(buffer: Block, arguments: list[Any]) -> Block:
    """A buffer in the shape that a step's operands broadcast to."""
    shapes = {a.shape for a in arguments if isinstance(a, np.ndarray)}
    shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)
    return buffer[: math.prod(shape)].reshape(shape)


def _same_rank(blocks: Sequence[Block], rank: int) -> tuple[Block, ...]:
    return tuple(b[(None,) * (rank - b.ndim)] if b.ndim < rank else b for b in blocks)


def _all_by_columns(blocks: Sequence[Block], shape: tuple[int, ...]) -> bool:
    full = [b for b in blocks if b.shape == shape]
    return len(shape) > 1 and bool(full) and all(b.flags.fnc for b in full)


def _flattened(blocks: Sequence[Block], shape: tuple[int, ...]) -> tuple[Block, ...]:
    """One-dimensional views, when every block is C-contiguous and of full shape, or one element; else nothing."""
    if all(b.size == 1 or (b.shape == shape and b.flags.c_contiguous) for b in blocks) and 0 not in shape:
        return tuple(b.reshape(-1) for b in blocks)
    return ()


def _axes(axis: int | tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    return tuple(np.lib.array_utils.normalize_axis_tuple(axis, rank))


def _split_axis(shape: tuple[int, ...]) -> int:
    """The axis to cut, the first whose inner rows fit a piece: those before are walked, those after taken whole."""
    inner = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return next(axis for axis, count in enumerate(inner) if count <= PIECE)


def _pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Boxes of at most PIECE elements that cover ``shape`` in C order."""
    if 0 in shape:
        return
    if not shape:
        yield ()
        return
    axis = _split_axis(shape)
    count = max(1, PIECE // max(1, math.prod(shape[axis + 1 :])))
    rest = tuple(slice(0, n) for n in shape[axis + 1 :])
    for outer in np.ndindex(*shape[:axis]):
        head = tuple(slice(i, i + 1) for i in outer)
        for start in range(0, shape[axis], count):
            yield (*head, slice(start, min(start + count, shape[axis])), *rest)


def _cut(blocks: tuple[Block, ...], index: tuple[slice, ...]) -> list[Block]:
    """Each block's share of a piece; an axis of one element is kept whole, and broadcasts."""
    return [b[tuple(s if n != 1 else slice(0, 1) for s, n in zip(index, b.shape, strict=True))] for b in blocks]
