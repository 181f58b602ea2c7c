"""Arrays from files and into files and other stores, block by block: neither has to fit into memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sarray import session
from sarray.array import Array, as_array, from_values
from sarray.dtypes import numeric
from sarray.grid import Chunks, normalize_chunks

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class NpyFile:
    """The array in a ``.npy`` file: mapped into memory anew for each part that is read or written, and let go after."""

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

    def _mapped(self, mode: Literal["r", "r+"]) -> NDArray[Any]:
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        return np.memmap(self.path, self.dtype, mode, self.offset, self.shape, "F" if self.fortran else "C")

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return np.asarray(self._mapped("r")[index])

    def __setitem__(self, index: Any, values: Any) -> None:
        self._mapped("r+")[index] = values


def from_npy(path: PathLike, chunks: Chunks = "auto") -> Array:
    """The array in a ``.npy`` file, which is mapped into memory and read block by block where it is needed.

    The array's name depends on the file's path, time and size: the same file is the same array. FileNotFoundError if
    there is none, ValueError if it is no ``.npy`` file, TypeError for objects, strings and times.

    >>> import tempfile, numpy as np, sarray as sa
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     np.save(directory + "/x.npy", np.arange(6.0))
    ...     float(sa.from_npy(directory + "/x.npy", chunks=4).sum())
    15.0
    """
    file = NpyFile.open(path)
    dtype = numeric(file.dtype, "from_npy")
    status = os.stat(file.path)
    token = f"file-{file.path}-{status.st_mtime_ns}-{status.st_size}"
    return from_values(file, normalize_chunks(chunks, file.shape, dtype), dtype, None, token)


def to_npy(x: Any, path: PathLike, **options: Any) -> None:
    """Compute `x` and write it into a ``.npy`` file, block by block; options as in `sarray.compute`.

    The file appears under its name when it is complete; one that was there is replaced then.

    >>> import tempfile, numpy as np, sarray as sa
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     sa.to_npy(sa.ones((2, 3)), directory + "/x.npy")
    ...     np.load(directory + "/x.npy").shape
    (2, 3)
    """
    array, final = as_array(x), Path(path)
    part = final.with_name(f".{final.name}.{os.urandom(4).hex()}.part")
    try:
        session.store([array], [NpyFile.create(part, array.shape, array.dtype)], **options)
        os.replace(part, final)
    finally:
        part.unlink(missing_ok=True)


def store(sources: Any, targets: Any, **options: Any) -> None:
    """Compute arrays and write each into its target, block by block; options as in `sarray.compute`.

    A target has shape, dtype and slice assignment (ndarray, memmap, h5py, zarr), of the source's shape and dtype; work
    that the sources share is done once. ValueError for shapes that differ, TypeError for types that do.

    >>> import numpy as np, sarray as sa
    >>> target = np.zeros(4)
    >>> sa.store(sa.ones(4, chunks=2), target)
    >>> target
    array([1., 1., 1., 1.])
    """
    several = isinstance(sources, Sequence)
    arrays = [as_array(each) for each in (sources if several else [sources])]
    session.store(arrays, list(targets) if several else [targets], **options)
