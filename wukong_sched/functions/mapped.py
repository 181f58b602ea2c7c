"""Arrays of this machine's files, which every process that has them maps into its memory: one copy for all.

A file takes its room on the disk as long as anybody maps it, though it was removed. So a mapping lasts as long as some
block of it does: a warm function that keeps a program, and with it the names of its files, holds none of them back.
"""

from __future__ import annotations

import errno
import os
import secrets
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Index = tuple[int, ...]


class MappedArray:
    """An array in a file, mapped while any part of it that was read is in use; pickled as the file's name."""

    def __init__(
        self, path: Path, dtype: np.dtype[Any], shape: Index, order: Literal["C", "F"], offset: int = 0
    ) -> None:
        self.path, self.dtype, self.shape, self.order, self.offset = path, dtype, shape, order, offset
        self._mapped: weakref.ref[Array] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedArray, (self.path, self.dtype, self.shape, self.order, self.offset)

    @property
    def array(self) -> Array:
        """All of it; nobody can write to it."""
        array = None if self._mapped is None else self._mapped()
        if array is None:
            array = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order).view(np.ndarray)
            self._mapped = weakref.ref(array)
        return array

    def __getitem__(self, index: Any) -> Array:
        found: Array = self.array[index]
        return found


@dataclass(frozen=True, slots=True)
class MappedBlocks(Mapping[Index, Array]):
    """Arrays by tile index, each in a file."""

    blocks: Mapping[Index, MappedArray]

    def __getitem__(self, index: Index) -> Array:
        return self.blocks[index].array

    def __iter__(self) -> Iterator[Index]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)


def write(array: Array, directory: Path) -> MappedArray:
    """Write an array, which must not be empty or hold objects, into a new file of the directory.

    Raises OSError if there is no room.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write(np.arange(6).reshape(2, 3), Path(directory))[1, 1:]
    array([4, 5])
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / secrets.token_hex(8)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            (array.T if fortran else np.ascontiguousarray(array)).tofile(file)
    except OSError as error:  # NumPy's own has no number
        path.unlink(missing_ok=True)
        raise OSError(
            error.errno or errno.ENOSPC,
            f"{array.nbytes} bytes for functions cannot be written into {directory} ({error}); make room there, or set "
            "TMPDIR to a directory with more",
        ) from error
    return MappedArray(path, array.dtype, array.shape, "F" if fortran else "C")
