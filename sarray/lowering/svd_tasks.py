"""What the tasks of a singular value decomposition do: kernels on one block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kernels.svd import gesdd, svdvals


@dataclass(frozen=True, slots=True)
class Decompose:
    """U, S and V^H of a block."""

    def __call__(self, index: tuple[int, ...], block: Any) -> Any:
        return gesdd(block)


@dataclass(frozen=True, slots=True)
class Values:
    """S of a block."""

    def __call__(self, index: tuple[int, ...], block: Any) -> Any:
        return svdvals(block)
