"""Arrays from files and into files and other stores, block by block: neither has to fit into memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sarray import session
from sarray.array import Array, as_array, from_values
from sarray.dtypes import numeric
from sarray.grid import Chunks, normalize_chunks
from sarray.npy_file import NpyFile, PathLike


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
