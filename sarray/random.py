"""Random arrays whose values depend on the seed and on each element's place, and on nothing else.

The same seed gives the same values whatever the chunks, the executor and the number of workers: every element has one
draw of its own from a Philox stream (see `kernels.random`). They are not the values of `numpy.random`.
"""

from __future__ import annotations

import operator
import os
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from sarray.array import Array
from sarray.dtypes import numeric
from sarray.grid import Chunks, normalize_chunks, normalize_shape
from sarray.lowering.random import drawn

Size = int | tuple[int, ...] | None


def default_rng(seed: int | Generator | None = None) -> Generator:
    """A generator; without a seed, one that nobody can repeat (its `seed` says which it was).

    >>> import sarray as sa
    >>> x = sa.random.default_rng(7).normal(size=(4, 4), chunks=2)
    >>> y = sa.random.default_rng(7).normal(size=(4, 4), chunks=(1, 4))
    >>> bool((x == y).all())
    True
    """
    return seed if isinstance(seed, Generator) else Generator(seed)


class Generator:
    """Makes random arrays; each call takes the next of its streams."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = int.from_bytes(os.urandom(8)) >> 1 if seed is None else operator.index(seed)
        if self.seed < 0:
            raise ValueError(f"a seed is not negative, got {seed}; write default_rng({-self.seed})")
        self._streams = count()

    def __repr__(self) -> str:
        return f"sarray.random.Generator(seed={self.seed})"

    def random(self, size: Size = None, *, dtype: DTypeLike = np.float64, chunks: Chunks = "auto") -> Array:
        """Uniform in [0, 1); float64 or float32.

        >>> import sarray as sa
        >>> sa.random.default_rng(1).random((3, 2)).shape
        (3, 2)
        """
        return self._drawn("uniform", size, dtype, chunks)

    def uniform(
        self,
        low: float = 0.0,
        high: float = 1.0,
        size: Size = None,
        *,
        dtype: DTypeLike = np.float64,
        chunks: Chunks = "auto",
    ) -> Array:
        """Uniform in [low, high); float64 or float32.

        As in NumPy, OverflowError for a range that is not finite, and ValueError for one below 0.

        >>> import sarray as sa
        >>> x = sa.random.default_rng(1).uniform(-1, 1, 1000)
        >>> bool((x >= -1).all()), bool((x < 1).all())
        (True, True)
        """
        kind, width = np.dtype(dtype), float(high) - float(low)
        if not abs(width) <= float(np.finfo(np.float32 if kind == np.float32 else np.float64).max):
            raise OverflowError(f"uniform: the range from low={low} to high={high} is not finite in {kind}")
        if width < 0:
            raise ValueError(f"uniform: high is not below low, got low={low}, high={high}; exchange them")
        return self._drawn("uniform", size, dtype, chunks, low=float(low), high=float(high))

    def standard_normal(self, size: Size = None, *, dtype: DTypeLike = np.float64, chunks: Chunks = "auto") -> Array:
        """Normal with mean 0 and standard deviation 1; float64 or float32.

        >>> import sarray as sa
        >>> sa.random.default_rng(1).standard_normal(5, dtype="float32").dtype
        dtype('float32')
        """
        return self._drawn("normal", size, dtype, chunks)

    def normal(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        size: Size = None,
        *,
        dtype: DTypeLike = np.float64,
        chunks: Chunks = "auto",
    ) -> Array:
        """Normal with mean `loc` and standard deviation `scale`, not negative; float64 or float32.

        >>> import sarray as sa
        >>> sa.random.default_rng(1).normal(3.0, 0.0, size=2).compute()
        array([3., 3.])
        """
        if not scale >= 0:
            raise ValueError(f"normal: a standard deviation is not negative, got scale={scale}")
        return self._drawn("normal", size, dtype, chunks, loc=float(loc), scale=float(scale))

    def integers(
        self,
        low: int,
        high: int | None = None,
        size: Size = None,
        *,
        dtype: DTypeLike = np.int64,
        endpoint: bool = False,
        chunks: Chunks = "auto",
    ) -> Array:
        """Integers from `low` up to, not including, `high`; from 0 if only one is given; with `endpoint`, `high` too.

        >>> import sarray as sa
        >>> sorted(set(sa.random.default_rng(1).integers(3, size=100).compute().tolist()))
        [0, 1, 2]
        """
        low, high = (0, operator.index(low)) if high is None else (operator.index(low), operator.index(high))
        high += endpoint
        kind = numeric(dtype, "integers")
        limits = (0, 1) if kind.kind == "b" else (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
        if not limits[0] <= low < high <= limits[1] + 1:
            raise ValueError(
                f"integers: there are none from {low} to below {high} in {kind}, which holds {limits[0]} to "
                f"{limits[1]}; give low < high, or a wider dtype"
            )
        return self._drawn("integers", size, kind, chunks, low=low, high=high)

    def _drawn(self, distribution: str, size: Size, dtype: DTypeLike, chunks: Chunks, **arguments: Any) -> Array:
        shape = () if size is None else normalize_shape(distribution, size)
        kind = numeric(dtype, distribution)
        if distribution != "integers" and kind not in (np.float32, np.float64):
            raise TypeError(
                f"{distribution}: values are float32 or float64, not {kind}; write .astype({kind.name!r}) after"
            )
        key = (self.seed, next(self._streams))
        return Array(drawn(distribution, normalize_chunks(chunks, shape, kind), kind, key, **arguments))


def random(size: Size = None, *, dtype: DTypeLike = np.float64, chunks: Chunks = "auto") -> Array:
    """Uniform in [0, 1), of a generator that nobody can repeat; `default_rng(seed).random` can be.

    >>> import sarray as sa
    >>> sa.random.random((4, 4), chunks=2).chunks
    ((2, 2), (2, 2))
    """
    return default_rng().random(size, dtype=dtype, chunks=chunks)


def standard_normal(size: Size = None, *, dtype: DTypeLike = np.float64, chunks: Chunks = "auto") -> Array:
    """Normal with mean 0 and standard deviation 1, of a generator that nobody can repeat.

    >>> import sarray as sa
    >>> sa.random.standard_normal((2, 3)).shape
    (2, 3)
    """
    return default_rng().standard_normal(size, dtype=dtype, chunks=chunks)


def normal(
    loc: float = 0.0,
    scale: float = 1.0,
    size: Size = None,
    *,
    dtype: DTypeLike = np.float64,
    chunks: Chunks = "auto",
) -> Array:
    """Normal with mean `loc` and standard deviation `scale`, of a generator that nobody can repeat.

    >>> import sarray as sa
    >>> sa.random.normal(3.0, 0.0, size=2).compute()
    array([3., 3.])
    """
    return default_rng().normal(loc, scale, size, dtype=dtype, chunks=chunks)


def uniform(
    low: float = 0.0,
    high: float = 1.0,
    size: Size = None,
    *,
    dtype: DTypeLike = np.float64,
    chunks: Chunks = "auto",
) -> Array:
    """Uniform in [low, high), of a generator that nobody can repeat.

    >>> import sarray as sa
    >>> bool((sa.random.uniform(2, 3, size=100) >= 2).all())
    True
    """
    return default_rng().uniform(low, high, size, dtype=dtype, chunks=chunks)


def integers(
    low: int,
    high: int | None = None,
    size: Size = None,
    *,
    dtype: DTypeLike = np.int64,
    endpoint: bool = False,
    chunks: Chunks = "auto",
) -> Array:
    """Integers as `Generator.integers` draws them, of a generator that nobody can repeat.

    >>> import sarray as sa
    >>> sorted(set(sa.random.integers(3, size=100).compute().tolist()))
    [0, 1, 2]
    """
    return default_rng().integers(low, high, size, dtype=dtype, endpoint=endpoint, chunks=chunks)
