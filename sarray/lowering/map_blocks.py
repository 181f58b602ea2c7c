"""A user's function on every block: ``Y[i, j] = f(A[i, j], B[i, j], ...)``.

Blocks of several arrays are paired by their place, not by what they hold: counted from the last axis the arrays have as
many blocks as each other, or one, which then goes to every call. `drop` names axes of the blocks that the result does
not have, each of a single block; `new` says where in the result axes of a single block are added::

    Y[i] = f(A[i, 0])           drop = (1,)
    Y[i, 0] = f(A[i])           new = (1,)

What the function returns is held against the chunks and the type that were declared, so that an error is one of the
call, not of whatever reads the block later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarray.expression import Expression, Inferred, express
from sarray.lowering.blocks import block_shape, reference
from sarray.lowering.builder import Builder
from sarray.lowering.operand import adapted
from sarray.lowering.source import Held
from sarray.lowering.tree_reduction import guarded
from wukong_sched.grid import Grid
from wukong_sched.rule import Rule

Block = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """How blocks are paired, and which of their axes the result has."""

    blocks: tuple[int, ...]
    """Blocks along each axis of what is paired."""
    drop: tuple[int, ...] = ()
    """Axes that the result does not have, in rising order."""
    new: tuple[int, ...] = ()
    """Axes of the result that the blocks do not have, in rising order."""

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes of the blocks that the result has."""
        return tuple(axis for axis in range(len(self.blocks)) if axis not in self.drop)

    @property
    def ndim(self) -> int:
        """Axes of the result."""
        return len(self.kept) + len(self.new)

    def places(self) -> tuple[int | None, ...]:
        """For each axis of the result the axis of the blocks that it is; None for a new one."""
        kept = iter(self.kept)
        return tuple(None if axis in self.new else next(kept) for axis in range(self.ndim))


def paired(inputs: tuple[Expression, ...]) -> tuple[int, ...]:
    """Blocks along each axis of arrays whose blocks are paired; ValueError if they do not match."""
    found = [1] * max(each.ndim for each in inputs)
    for each in inputs:
        for axis in range(-each.ndim, 0):
            if each.numblocks[axis] != 1 and found[axis] not in (1, each.numblocks[axis]):
                number = next(n for n, other in enumerate(inputs) if other is each)
                raise ValueError(
                    f"map_blocks: array {number} has {each.numblocks[axis]} blocks along axis {axis}, another has "
                    f"{found[axis]}; type x.rechunk({{{axis % each.ndim}: ...}}) for one of them"
                )
            found[axis] = max(found[axis], each.numblocks[axis])
    return tuple(found)


def infer(inputs: tuple[Expression, ...], call: Call) -> Inferred:
    """Shape, dtype and chunks as declared; ValueError if the chunks are not as many as the blocks."""
    frame, chunks = call.frame, call.chunks
    if paired(inputs) != frame.blocks:
        raise ValueError(f"map_blocks: arrays of {paired(inputs)} blocks, a frame of {frame.blocks}")
    if dropped := [axis for axis in frame.drop if frame.blocks[axis] != 1]:
        raise ValueError(
            f"map_blocks: drop_axis={dropped[0]} is an axis of {frame.blocks[dropped[0]]} chunks, and the function "
            f"would get a part of it; type x.rechunk({{{dropped[0]}: -1}})"
        )
    expected = tuple(1 if axis is None else frame.blocks[axis] for axis in frame.places())
    if tuple(map(len, chunks)) != expected:
        raise ValueError(
            f"map_blocks: the function is called for {expected} blocks, chunks= gives {tuple(map(len, chunks))}; "
            "write one size for each block, or one for all"
        )
    return tuple(grid.total for grid in chunks), np.dtype(call.dtype), chunks


def mapped(inputs: tuple[Expression, ...], call: Call) -> Expression:
    """The function's results as an array."""
    return express("map_blocks", infer, inputs, call)


@dataclass(frozen=True, slots=True)
class Call:
    """Calls the user's function on blocks, and checks what it returns."""

    function: Held
    frame: Frame
    chunks: tuple[Grid, ...]
    dtype: str
    located: bool = False
    """Whether the function is told the index of its block, as ``block_id=``."""

    def __call__(self, index: tuple[int, ...], *blocks: Block) -> Block:
        """A block of the result."""
        place = self.index(index)
        extra = {"block_id": place} if self.located else {}
        found = np.asarray(self.function.value(*map(guarded, blocks), **extra))
        expected = block_shape(self.chunks, place)
        if found.shape != expected:
            raise ValueError(
                f"map_blocks: block {place} should have shape {expected}, the function returned {found.shape}; "
                "say what it returns by chunks=, drop_axis= and new_axis="
            )
        if not np.can_cast(found.dtype, self.dtype, "same_kind"):
            raise ValueError(
                f"map_blocks: blocks should be of {np.dtype(self.dtype)}, the function returned {found.dtype}; "
                f"write dtype={found.dtype.name!r}"
            )
        return found.astype(self.dtype, copy=False)

    def index(self, loops: tuple[int, ...]) -> tuple[int, ...]:
        """The index of the result's block, from the values of the loop variables."""
        values = dict(zip(self.frame.kept, loops, strict=True))
        return tuple(0 if axis is None else values[axis] for axis in self.frame.places())


def lower(expression: Expression, builder: Builder) -> None:
    """``Y[i, j] = f(A[i, j], B[i, j], ...)``"""
    (call,) = expression.params
    frame, name = call.frame, expression.name
    builder.tiles(name, expression.chunks, expression.dtype)
    indices = [f"i{axis}" if axis in frame.kept else "0" for axis in range(len(frame.blocks))]
    operands = [builder.operand(each) for each in expression.inputs]
    reads = []
    for number, (operand, each) in enumerate(zip(operands, expression.inputs, strict=True)):
        own = ["0" if grid.count == 1 else text for grid, text in _trailing(each.chunks, indices)]
        reads.append(operand.ref(f"X{number}", *own))
    written = reference("Y", *("0" if axis is None else f"i{axis}" for axis in frame.places()))
    builder.rule(
        Rule(
            name, " ".join(f"for i{axis} in range(n{axis})" for axis in frame.kept), (written,), tuple(reads),
            adapted(call, *operands), {f"X{n}": operand.name for n, operand in enumerate(operands)} | {"Y": name},
            {f"n{axis}": frame.blocks[axis] for axis in frame.kept}, operation="map_blocks",
        )
    )  # fmt: skip


def _trailing(chunks: tuple[Grid, ...], indices: list[str]) -> list[tuple[Grid, str]]:
    """Each axis of an array with its index, counted from the last."""
    return list(zip(chunks, indices[len(indices) - len(chunks) :], strict=True))


def flops(expression: Expression) -> float:
    """Unknown: the function is the user's."""
    return 0.0
