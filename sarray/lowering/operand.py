"""How a rule reads an input: whose tiles, in which order of axes.

Transposes, new axes and squeezed axes are never computed if somebody reads them: the reader reads the tiles of what
lies beneath, with its index positions permuted, and looks at each block through a NumPy view. A lowering writes its
references with `Operand.ref` and its kernel sees blocks of the operand's own shape through `adapted`::

    a = builder.operand(expression.inputs[0])
    Rule(name, "for i in range(n) for k in range(m)", writes=("C[i, k]",), reads=(a.ref("A", "i", "k"),),
         kernel=adapted(kernel, a), names={"A": a.name, "C": expression.name}, ...)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from wukong_sched.rule import FoldKernel


@dataclass(frozen=True, slots=True)
class Operand:
    """Somebody's tiles, seen through a permutation of their axes."""

    name: str
    """The array whose tiles are read."""
    axes: tuple[int | None, ...]
    """For each axis of the operand the axis of the tiles that it is; None for a new axis of extent 1."""
    tile_ndim: int
    """Axes of the tiles; those that `axes` leaves out have extent 1 and are squeezed."""

    @property
    def plain(self) -> bool:
        """Whether the tiles are the operand's blocks as they are."""
        return self.axes == tuple(range(self.tile_ndim))

    @property
    def transposed(self) -> bool:
        """Whether the operand is a matrix whose tiles are its blocks' transposes."""
        return self.axes == (1, 0) and self.tile_ndim == 2

    def ref(self, symbol: str, *indices: str) -> str:
        """The reference to the block at `indices`, one text per axis of the operand: ``X[k, i]``."""
        texts = ["0"] * self.tile_ndim
        for text, axis in zip(indices, self.axes, strict=True):
            if axis is not None:
                texts[axis] = text
        return f"{symbol}[{', '.join(texts) or '()'}]"

    def view(self, block: Any) -> Any:
        """The operand's block, from a tile; no data moves."""
        if self.plain:
            return block
        kept = [axis for axis in self.axes if axis is not None]
        dropped = [axis for axis in range(self.tile_ndim) if axis not in kept]
        block = block.transpose(kept + dropped)
        return block[tuple(None if axis is None else slice(None) for axis in self.axes) + (0,) * len(dropped)]

    def views(self, blocks: Any) -> Any:
        """The operand's block, or list of blocks where the rule reads a list of tiles."""
        return [self.view(block) for block in blocks] if isinstance(blocks, list) else self.view(blocks)


def adapted(kernel: Any, *operands: Operand | None) -> Any:
    """The kernel, seeing each read through its operand (None: as it is); the kernel itself if there is nothing to do.

    Operands are in the order of the rule's reads. For a fold kernel those that its `start` gets come first.
    """
    if all(operand is None or operand.plain for operand in operands):
        return kernel
    return AdaptedFold(kernel, operands) if hasattr(kernel, "step") else Adapted(kernel, operands)


@dataclass(frozen=True, slots=True)
class Adapted:
    """An ordinary kernel that sees its reads through operands."""

    kernel: Any
    operands: tuple[Operand | None, ...]

    def __call__(self, index: tuple[int, ...], *blocks: Any) -> Any:
        return self.kernel(index, *seen(self.operands, blocks))


@dataclass(frozen=True, slots=True)
class AdaptedFold:
    """A fold kernel that sees its reads through operands."""

    kernel: Any
    operands: tuple[Operand | None, ...]

    def start(self, index: tuple[int, ...], *fixed: Any) -> Any:
        return self._kernel.start(index, *seen(self.operands[: len(fixed)], fixed))

    def step(self, accumulator: Any, number: int, *blocks: Any) -> Any:
        return self._kernel.step(accumulator, number, *seen(self.operands[-len(blocks) :], blocks))

    def finish(self, index: tuple[int, ...], accumulator: Any) -> Any:
        return self._kernel.finish(index, accumulator)

    @property
    def _kernel(self) -> FoldKernel:
        return cast(FoldKernel, self.kernel)


def seen(operands: tuple[Operand | None, ...], blocks: tuple[Any, ...]) -> list[Any]:
    """Each block through its operand."""
    return [block if operand is None else operand.views(block) for operand, block in zip(operands, blocks, strict=True)]
