"""Arrays in this process's memory, put into files before functions run: those map them, and get no copies."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sarray.lowering.source import Held, Reader
from wukong_sched.functions.mapped import MappedArray, MappedBlocks, write
from wukong_sched.program import Program
from wukong_sched.recurrence import Recurrences

SMALL = 1 << 16
"""Bytes up to which an array travels with the program."""


def parked(program: Program, directory: Path) -> Program:
    """The program, with arrays that are in memory read from files below the directory."""
    if not isinstance(program, Recurrences):
        return program
    seen: dict[int, Any] = {}
    sources = {name: _parked(reader, directory, seen) for name, reader in program.sources.items()}
    return Recurrences(program.rules, program.arrays, sources, program._given)


def _parked(reader: Any, directory: Path, seen: dict[int, Any]) -> Any:
    if not isinstance(reader, Reader):
        return reader
    value = reader.held.value
    if id(value) not in seen:
        seen[id(value)] = _moved(value, lambda array: write(array, directory))
    return replace(reader, held=Held(reader.held.token, seen[id(value)], reader.held.lock))


def _moved(value: Any, move: Callable[[Any], MappedArray]) -> Any:
    if isinstance(value, Mapping):
        if not all(map(is_large, value.values())):
            return value
        return MappedBlocks({index: move(block) for index, block in value.items()})
    if isinstance(value, np.memmap) and value.filename is not None and isinstance(value.base, mmap.mmap):
        order: Literal["C", "F"] = "C" if value.flags.c_contiguous else "F"
        return MappedArray(Path(value.filename), value.dtype, value.shape, order, value.offset)
    return move(value) if is_large(value) else value


def is_large(value: Any) -> bool:
    """Whether a value is an array too large to travel with the program."""
    return isinstance(value, np.ndarray) and value.nbytes > SMALL and not value.dtype.hasobject
