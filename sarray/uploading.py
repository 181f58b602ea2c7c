"""Arrays of this process and its files, put into the object store before functions elsewhere run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from sarray.lowering.source import Held, Reader
from sarray.npy_file import NpyFile
from sarray.parking import is_large
from wukong_sched.functions.uploaded import UploadedBlocks, upload
from wukong_sched.program import Program
from wukong_sched.recurrence import Recurrences


def uploaded(program: Program, job: str, address: str) -> Program:
    """The program, with what only this machine has read from the object store at an address.

    Small arrays travel within the program. Objects of other kinds (a Zarr array in a bucket) go as they are, and must
    be readable from there.
    """
    if not isinstance(program, Recurrences):
        return program
    done: dict[tuple[Any, ...], UploadedBlocks] = {}
    sources = {name: _uploaded(name, reader, job, address, done) for name, reader in program.sources.items()}
    return Recurrences(program.rules, program.arrays, sources, program._given)


def _uploaded(name: str, reader: Any, job: str, address: str, done: dict[tuple[Any, ...], UploadedBlocks]) -> Any:
    if not isinstance(reader, Reader) or not _is_here(reader.held.value):
        return reader
    part = (reader.held.token, reader.starts, reader.chunks)
    if part not in done:
        numblocks = tuple(len(grid) for grid in reader.chunks)
        blocks = ((index, reader.read(index)) for index in product(*map(range, numblocks)))
        done[part] = upload(blocks, address, job, name, numblocks)
    return replace(reader, held=Held(reader.held.token, done[part]))


def _is_here(value: Any) -> bool:
    """Whether only this machine has the array."""
    if isinstance(value, Mapping):
        return all(isinstance(block, np.ndarray) for block in value.values())
    return isinstance(value, NpyFile) or is_large(value)
