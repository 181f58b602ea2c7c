"""Problems to try estimators on, of any size: drawn block by block where a block is needed.

scikit-learn's models, with numbers of our own: values depend on the seed and their place alone, whatever the chunks.
To the last bit: products are summed in one order here (`product`), which BLAS changes with the number of rows.
"""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sarray.array import Array
from sarray.grid import Chunks
from sarray.mapping import map_blocks
from sarray.ml.parameters import instead_of
from sarray.random import Generator, default_rng

RandomState = int | np.random.RandomState | np.random.Generator | None
"""What says which random numbers are drawn."""
ROWS = 1024
"""Rows that are multiplied at a time, which stay in cache."""


@instead_of("sklearn.datasets.make_regression")
def make_regression(
    n_samples: int = 100,
    n_features: int = 100,
    *,
    n_informative: int = 10,
    n_targets: int = 1,
    bias: float = 0.0,
    noise: float = 0.0,
    shuffle: bool = True,
    coef: bool = False,
    random_state: RandomState = None,
    chunks: Chunks = "auto",
) -> tuple[Any, ...]:
    """Samples X of standard normal features, and targets y = X w + bias + noise.

    Parameters
    ----------
    n_samples, n_features, n_targets
        m, n and t.
    n_informative
        Features with weights other than zero, which are uniform in 0 to 100.
    bias, noise
        Added to every target; standard deviation of what is added at random.
    shuffle
        Whether the informative features are anywhere, or the first.
    coef
        Whether w is returned too, n x t (n if t = 1), as a NumPy array.
    random_state
        The seed, or NumPy's generator that draws one; a new one each time if None.
    chunks
        Of X, all columns in one.

    Returns
    -------
    X, y or X, y, w
        X is m x n and y has m entries, or m x t; both lazy.

    2 m n t flops and m n random numbers. ValueError for sizes out of range.

    >>> import sarray as sa
    >>> X, y, w = sa.ml.make_regression(1000, 5, n_informative=2, coef=True, random_state=0, chunks=(100, -1))
    >>> X.shape, y.shape, int((w != 0).sum())
    ((1000, 5), (1000,), 2)
    """
    _check_sizes("make_regression", 1, n_samples=n_samples, n_features=n_features, n_targets=n_targets)
    _check_sizes("make_regression", 0, n_informative=n_informative)
    _check_range("make_regression", noise=noise)
    seed = _seed(random_state)
    small, large = np.random.default_rng(seed), default_rng(seed)
    weights = np.zeros((n_features, n_targets))
    count = min(n_features, n_informative)
    weights[:count] = 100 * small.random((count, n_targets))
    weights = small.permutation(weights) if shuffle else weights
    X = _normal("make_regression", large, (n_samples, n_features), chunks)
    y = map_blocks(Product(weights), X, dtype="f8", chunks=(X.chunks[0], n_targets)) + bias
    if noise > 0:
        y = y + large.normal(scale=noise, size=y.shape, chunks=y.chunks)
    y, weights = (y, weights) if n_targets > 1 else (y[:, 0], weights[:, 0])
    return (X, y, weights) if coef else (X, y)


@instead_of("sklearn.datasets.make_classification")
def make_classification(
    n_samples: int = 100,
    n_features: int = 20,
    *,
    n_informative: int = 2,
    n_redundant: int = 2,
    n_repeated: int = 0,
    n_classes: int = 2,
    n_clusters_per_class: int = 2,
    weights: ArrayLike | None = None,
    flip_y: float = 0.01,
    class_sep: float = 1.0,
    hypercube: bool = True,
    shift: ArrayLike | None = 0.0,
    scale: ArrayLike | None = 1.0,
    shuffle: bool = True,
    random_state: RandomState = None,
    chunks: Chunks = "auto",
) -> tuple[Array, Array]:
    """Samples of classes that are clusters at the corners of a cube (Guyon 2003, the "Madelon" data set).

    Parameters
    ----------
    n_samples, n_features
        m and n.
    n_informative, n_redundant, n_repeated
        Features that tell the clusters apart, random combinations of those, and copies of either; all others are noise.
    n_classes, n_clusters_per_class
        At most 2 ^ n_informative clusters.
    weights
        Share of each class, of the last one if missing; equal if None. Each sample's class is drawn, so that shares
        are met in the mean (scikit-learn's exactly).
    flip_y
        Share of samples whose class is drawn again.
    class_sep, hypercube
        Half the edge of the cube; without `hypercube` the corners are moved at random.
    shift, scale
        Of every feature, one number or n: (x + shift) scale. None: drawn, from -class_sep to class_sep, from 1 to 101.
    shuffle
        Whether features are in random order.
    random_state
        The seed, or NumPy's generator that draws one; a new one each time if None.
    chunks
        Of X, all columns in one.

    Returns
    -------
    X, y
        X is m x n of float64, y has m entries of int64; both lazy.

    2 m (informative + redundant) informative flops and m n random numbers. ValueError for sizes that do not fit.

    >>> import sarray as sa
    >>> X, y = sa.ml.make_classification(1000, 4, random_state=0, chunks=(100, -1))
    >>> X.shape, y.chunks[0] == X.chunks[0], sorted(set(y.compute().tolist()))
    ((1000, 4), True, [0, 1])
    """
    _check_sizes("make_classification", 1, n_samples=n_samples, n_features=n_features, n_classes=n_classes)
    _check_sizes("make_classification", 1, n_informative=n_informative, n_clusters_per_class=n_clusters_per_class)
    _check_sizes("make_classification", 0, n_redundant=n_redundant, n_repeated=n_repeated)
    _check_range("make_classification", class_sep=class_sep)
    _check_range("make_classification", 1.0, flip_y=flip_y)
    sizes = Sizes(n_classes * n_clusters_per_class, n_features, n_informative, n_redundant, n_repeated)
    sizes.check()
    seed = _seed(random_state)
    small, large = np.random.default_rng(seed), default_rng(seed)
    model = sizes.drawn(small, class_sep, hypercube, shuffle, shift, scale)
    noise = _normal("make_classification", large, (n_samples, n_features), chunks)
    drawn = large.random((n_samples, 3), chunks=(noise.chunks[0], 3))
    labels = Labels(_shares(weights, n_classes).cumsum(), n_clusters_per_class, flip_y)
    clusters_of = map_blocks(labels.clusters, drawn, dtype=np.int64, chunks=(noise.chunks[0], 1))
    classes = map_blocks(labels.classes, drawn, dtype=np.int64, drop_axis=1)
    return map_blocks(model, noise, clusters_of, dtype="f8"), classes


def product(x: NDArray[Any], w: NDArray[Any]) -> NDArray[Any]:
    """x w, the sums in the order of columns of x whatever the rows, leaving out rows of w that are zero.

    2 m n t flops for x of m x n and w of n x t, at the speed of memory in cache rather than that of BLAS.

    >>> product(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [10.0]]))
    array([[21.],
           [43.]])
    """
    found = np.zeros((len(x), w.shape[1]))
    used = np.flatnonzero(w.any(axis=1))
    for start in range(0, len(x), ROWS):
        columns, sums = np.ascontiguousarray(x[start : start + ROWS, used].T), found[start : start + ROWS].T.copy()
        for column, weights in zip(columns, w[used], strict=True):
            sums += np.multiply.outer(weights, column)
        found[start : start + ROWS] = sums.T
    return found


@dataclass(frozen=True, slots=True)
class Product:
    """Targets of a block of samples."""

    weights: NDArray[Any]

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        """The block times the weights."""
        return product(block, self.weights)


@dataclass(frozen=True, slots=True)
class Labels:
    """Clusters and classes of samples, from three uniform numbers each: class, whether it is drawn again, the rest."""

    shares: NDArray[Any]
    """Cumulative shares of the classes."""
    per_class: int
    flip: float

    def clusters(self, drawn: NDArray[Any]) -> NDArray[Any]:
        """Number of each sample's cluster, as a column; a class has every n_classes-th."""
        within = np.minimum((drawn[:, 2] * self.per_class).astype(np.int64), self.per_class - 1)
        numbers: NDArray[Any] = self._first(drawn) + len(self.shares) * within
        return numbers[:, None]

    def classes(self, drawn: NDArray[Any]) -> NDArray[Any]:
        """Class of each sample; where the second number is below `flip`, that number draws it."""
        again = drawn[:, 1] < self.flip
        other = np.minimum((drawn[:, 1] / (self.flip or 1.0) * len(self.shares)).astype(np.int64), len(self.shares) - 1)
        found: NDArray[Any] = np.where(again, other, self._first(drawn))
        return found

    def _first(self, drawn: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = np.searchsorted(self.shares, drawn[:, 0], side="right")
        last: NDArray[Any] = np.minimum(found, len(self.shares) - 1)
        return last


@dataclass(frozen=True, slots=True)
class Clusters:
    """Features of samples in clusters: normal numbers, stretched by each cluster's matrix and moved to its corner."""

    corners: NDArray[Any]
    stretch: NDArray[Any]
    combine: NDArray[Any]
    repeat: NDArray[Any]
    order: NDArray[Any]
    shift: NDArray[Any]
    scale: NDArray[Any]

    def __call__(self, noise: NDArray[Any], cluster: NDArray[Any]) -> NDArray[Any]:
        """The features, from standard normal numbers and a column of clusters."""
        x, inner = noise.copy(), self.corners.shape[1]
        for number, (corner, stretch) in enumerate(zip(self.corners, self.stretch, strict=True)):
            own = cluster[:, 0] == number
            x[own, :inner] = product(noise[own, :inner], stretch) + corner
        stop = inner + self.combine.shape[1]
        x[:, inner:stop] = product(x[:, :inner], self.combine)
        x[:, stop : stop + len(self.repeat)] = x[:, self.repeat]
        found: NDArray[Any] = (x[:, self.order] + self.shift) * self.scale
        return found


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many clusters there are, and how many features in all and of each kind."""

    clusters: int
    features: int
    informative: int
    redundant: int
    repeated: int

    def check(self) -> None:
        """Raise ValueError if the kinds are more features than there are, or clusters more than corners."""
        useful, most = self.informative + self.redundant + self.repeated, 2**self.informative
        if useful > self.features or self.clusters > most:
            raise ValueError(
                f"make_classification: {useful} informative, redundant and repeated features of {self.features}, and "
                f"{self.clusters} clusters of 2 ** n_informative={most} corners; write more features"
            )

    def drawn(
        self,
        small: np.random.Generator,
        half: float,
        hypercube: bool,
        shuffle: bool,
        shift: ArrayLike | None,
        scale: ArrayLike | None,
    ) -> Clusters:
        """Clusters at corners of a cube with edges of twice `half`; the rest as `make_classification` says."""
        n = self.features
        return Clusters(
            _centres(small, self.clusters, self.informative, half, hypercube),
            small.uniform(-1, 1, (self.clusters, self.informative, self.informative)),
            small.uniform(-1, 1, (self.informative, self.redundant)),
            small.integers(0, self.informative + self.redundant, self.repeated),
            small.permutation(n) if shuffle else np.arange(n),
            small.uniform(-half, half, n) if shift is None else _each("shift", shift, n),
            small.uniform(1, 101, n) if scale is None else _each("scale", scale, n),
        )  # fmt: skip


def corners(small: np.random.Generator, count: int, ndim: int) -> NDArray[Any]:
    """Different corners of the unit cube, as rows of 0 and 1; almost all of them in the order of binary numbers.

    As scikit-learn draws them: so a plane parts two classes that take every second corner, and all of them.
    """
    if count > 0.99 * 2**ndim:
        numbers = list(range(count))
        for number in range(count, 2**ndim):  # Vitter's algorithm R
            place = int(small.integers(number + 1))
            if place < count:
                numbers[place] = number
    else:
        numbers = _different(small, count, ndim)
    return np.array([[number >> bit & 1 for bit in reversed(range(ndim))] for number in numbers])


def _different(small: np.random.Generator, count: int, ndim: int) -> list[int]:
    """Different numbers of so many bits, in random order."""
    found: dict[int, None] = {}
    while len(found) < count:
        found[int.from_bytes(small.bytes(-(-ndim // 8))) % 2**ndim] = None
    return list(found)


def _centres(small: np.random.Generator, count: int, ndim: int, half: float, hypercube: bool) -> NDArray[Any]:
    """Corners of a cube with its middle at 0, as rows; moved towards it if they need not stay a cube's."""
    found = corners(small, count, ndim) * 2.0 * half - half
    if hypercube:
        return found
    return found * small.random((count, 1)) * small.random((1, ndim))


def _shares(weights: ArrayLike | None, classes: int) -> NDArray[Any]:
    found = np.full(classes, 1 / classes) if weights is None else np.asarray(weights, np.float64)
    if len(found) == classes - 1:
        found = np.append(found, 1 - found.sum())
    if len(found) != classes or (found < 0).any() or not found.sum() > 0:
        raise ValueError(f"make_classification: weights={weights!r} are not the shares of {classes} classes")
    shares: NDArray[Any] = found / found.sum()
    return shares


def _normal(name: str, large: Generator, shape: tuple[int, int], chunks: Chunks) -> Array:
    """Standard normal numbers in chunks of rows; ValueError if columns are asked for in several chunks."""
    found = large.standard_normal(shape, chunks=(chunks, -1) if isinstance(chunks, (int, str)) else chunks)
    if found.numblocks[1] > 1:
        raise ValueError(f"{name}: chunks={chunks!r} cuts rows; write chunks=({max(found.chunks[0])}, -1)")
    return found


def _check_sizes(name: str, least: int, **sizes: int) -> None:
    for each, value in sizes.items():
        if operator.index(value) < least:
            raise ValueError(f"{name}: {each}={value}; write {least} or more")


def _check_range(name: str, most: float = np.inf, **numbers: float) -> None:
    for each, value in numbers.items():
        if not 0 <= value <= most:
            reach = "up" if most == np.inf else f"to {most:g}"
            raise ValueError(f"{name}: {each}={value}; write a number from 0 {reach}")


def _each(name: str, given: ArrayLike, features: int) -> NDArray[Any]:
    """One number, or one of each feature."""
    found = np.asarray(given, np.float64)
    if found.shape not in ((), (features,)):
        raise ValueError(f"make_classification: {name} has shape {found.shape}; write a number, or {features} of them")
    return found


def _seed(random_state: RandomState) -> int:
    """A number; of a generator the next one that it draws, so that the next call gets another."""
    if random_state is None:
        return int.from_bytes(os.urandom(7))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**53))
    return operator.index(random_state)
