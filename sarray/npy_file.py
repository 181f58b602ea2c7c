"""The array in a ``.npy`` file, read and written in parts.

Parts are read and written with plain calls, run by run of what is contiguous in the file: a mapping would count all
pages around a part as this process's memory, and would end it, with a signal, when the disk is full. Only parts whose
runs are shorter than a page are read through a mapping.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wukong_sched.storage.positioned import read_at, write_at

PathLike = str | os.PathLike[str]
PAGE = 4096
"""Bytes of a run from which it is read by a call of its own."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Where the contiguous parts of a block begin in a file in C order."""

    bounds: tuple[tuple[int, int], ...]
    """Of the block, by axis."""
    extents: tuple[int, ...]
    """Of the whole array."""
    itemsize: int
    offset: int
    """Bytes before the first element."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the block."""
        return tuple(stop - start for start, stop in self.bounds)

    @property
    def outer(self) -> int:
        """Number of axes that lie outside of a run: behind them, all but the first are taken whole."""
        axis = len(self.bounds)
        while axis and self.bounds[axis - 1] == (0, self.extents[axis - 1]):
            axis -= 1
        return max(0, axis - 1)

    @property
    def length(self) -> int:
        """Bytes of a run."""
        return prod(self.shape[self.outer :]) * self.itemsize

    def places(self) -> NDArray[np.int64]:
        """Where each run begins in the file."""
        strides = [self.itemsize * prod(self.extents[axis + 1 :]) for axis in range(len(self.extents))]
        first = self.offset + sum(start * stride for (start, _), stride in zip(self.bounds, strides, strict=True))
        found = np.array([first])
        for count, stride in zip(self.shape[: self.outer], strides, strict=False):
            found = np.add.outer(found, np.arange(count) * stride).reshape(-1)
        return found

    def pieces(self, memory: memoryview) -> Iterator[tuple[memoryview, int]]:
        """The block's memory run by run, and where each stands in the file. There may be very many of them."""
        length, places = self.length, self.places().tolist() if memory else []
        starts = range(0, len(memory), length or 1)
        return ((memory[start : start + length], place) for start, place in zip(starts, places, strict=True))


@dataclass(frozen=True, slots=True)
class NpyFile:
    """The array in a ``.npy`` file: read and written part by part."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int
    """Bytes before the first element."""

    random_access: ClassVar[bool] = True

    @staticmethod
    def open(path: PathLike) -> NpyFile:
        """Read the header; ValueError if it is none."""
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.memmap):
            raise ValueError(
                f"{os.fspath(path)!r} holds no single array; write numpy.load(path)['name'] for a .npz file"
            )
        fortran = mapped.flags.f_contiguous and not mapped.flags.c_contiguous
        return NpyFile(os.path.abspath(path), mapped.shape, mapped.dtype, fortran, mapped.offset)

    @staticmethod
    def create(path: PathLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NpyFile:
        """A new file of zeros, which take no room until they are written."""
        with open(path, "wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            offset = file.tell()
            file.truncate(offset + dtype.itemsize * int(np.prod(shape, dtype=object)))
        return NpyFile(os.path.abspath(path), shape, dtype, False, offset)

    def __getitem__(self, index: tuple[slice, ...]) -> NDArray[Any]:
        runs = self._runs(index)
        if self.fortran or runs.length < PAGE:
            return np.array(self._mapped()[index])
        part = np.empty(runs.shape, self.dtype)
        with self._opened(os.O_RDONLY) as descriptor:
            for piece, position in runs.pieces(_bytes(part)):
                if os.preadv(descriptor, (piece,), position) < len(piece):  # almost never
                    read_at(descriptor, piece, position)
        return part

    def __setitem__(self, index: tuple[slice, ...], values: Any) -> None:
        runs = self._runs(index)
        memory = _bytes(np.ascontiguousarray(np.broadcast_to(np.asarray(values, self.dtype), runs.shape)))
        with self._opened(os.O_WRONLY) as descriptor:
            for piece, position in runs.pieces(memory):
                write_at(descriptor, piece, position)

    def _runs(self, index: tuple[slice, ...]) -> Runs:
        bounds = tuple((each.start, each.stop) for each in index)
        return Runs(bounds, self.shape, self.dtype.itemsize, self.offset)

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        descriptor = os.open(self.path, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _mapped(self) -> NDArray[Any]:
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, "F" if self.fortran else "C")


def _bytes(block: NDArray[Any]) -> memoryview:
    return block.reshape(-1).view(np.uint8).data if block.size else memoryview(b"")
