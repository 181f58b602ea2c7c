"""What the tasks of a QR tree do: kernels on blocks, with the index that a task is given left aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.qr import Reflectors, Stack, form_q, geqrt, tpmqrt, tpqrt

PIECE = 8192
"""Rows that are factored at a time where the reflectors are not kept: they stay in cache."""


@dataclass(frozen=True, slots=True)
class FactorBlock:
    """R of a block, with its reflectors if they are kept."""

    kept: bool
    dtype: np.dtype[Any]
    """Type in which the block is factored."""

    def __call__(self, index: tuple[int, ...], block: Any) -> Any:
        block = np.asarray(block, self.dtype)
        if self.kept:
            return geqrt(block)[::-1]
        step = max(PIECE, 4 * block.shape[1])
        pieces = [geqrt(block[i : i + step]).r for i in range(0, max(len(block), 1), step)]
        return pieces[0] if len(pieces) == 1 else tpqrt(pieces).r


@dataclass(frozen=True, slots=True)
class FactorOnce:
    """R of a block whose reflectors `FactorAgain` will make again: the same R, to the last bit and sign."""

    dtype: np.dtype[Any]
    """Type in which the block is factored."""

    def __call__(self, index: tuple[int, ...], block: Any) -> Any:
        return geqrt(np.asarray(block, self.dtype)).r


@dataclass(frozen=True, slots=True)
class FactorAgain:
    """Q [X; 0] of a block that is factored once more; X is the identity if it is not given."""

    dtype: np.dtype[Any]
    """Type in which the block is factored."""

    def __call__(self, index: tuple[int, ...], block: Any, x: Any = None) -> Any:
        return form_q(geqrt(np.asarray(block, self.dtype)).q, x)


@dataclass(frozen=True, slots=True)
class FactorStack:
    """R of stacked R factors, with the reflectors if they are kept."""

    kept: bool

    def __call__(self, index: tuple[int, ...], factors: list[Any]) -> Any:
        factored = tpqrt(factors)
        return factored[::-1] if self.kept else factored.r


@dataclass(frozen=True, slots=True)
class ApplyStack:
    """Q [X; 0] of stacked R factors, a part for each; X is the identity if it is not given."""

    order: int
    """Order of the identity."""
    dtype: np.dtype[Any]
    """Type of the identity."""

    def __call__(self, index: tuple[int, ...], q: Stack, x: Any = None) -> list[Any]:
        return tpmqrt(q, np.eye(self.order, dtype=self.dtype) if x is None else x)


@dataclass(frozen=True, slots=True)
class ApplyBlock:
    """Q [X; 0] of a block; X is the identity if it is not given."""

    def __call__(self, index: tuple[int, ...], q: Reflectors, x: Any = None) -> Any:
        return form_q(q, x)
