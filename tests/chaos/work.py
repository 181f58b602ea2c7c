"""Jobs for the chaos, drawn from a generator, and what they must give: the values that threads compute, bit by bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import sarray as sa

Arrays = tuple[sa.Array, ...]


def tsqr(rng: random.Random, values: np.random.Generator) -> Arrays:
    """R, and sometimes Q, of a tall matrix."""
    a = sa.from_array(values.standard_normal((65_536, 64)), chunks=(rng.choice((2048, 4096)), 64))
    q, r = sa.tsqr(a)
    return (q, r) if rng.random() < 0.5 else (r,)


def gemm(rng: random.Random, values: np.random.Generator) -> Arrays:
    """A product of square matrices."""
    n = rng.choice((900, 1200))
    a, b = (sa.from_array(values.standard_normal((n, n)), chunks=300) for _ in range(2))
    return (a @ b,)


def cholesky(rng: random.Random, values: np.random.Generator) -> Arrays:
    """The factor of a symmetric matrix of full rank."""
    n = rng.choice((1000, 1400))
    a = values.standard_normal((n, n))
    return (sa.cholesky(sa.from_array(a @ a.T + n * np.eye(n), chunks=200)),)


def reduction(rng: random.Random, values: np.random.Generator) -> Arrays:
    """Sums over a tree of blocks."""
    a = sa.from_array(values.standard_normal((4096, 512)), chunks=(64, 512))
    with sa.config(split_every=rng.choice((2, 4))):
        return (sa.exp(a).sum(), (a * a).mean(axis=0))


KINDS: Mapping[str, Callable[[random.Random, np.random.Generator], Arrays]] = {
    "tsqr": tsqr,
    "gemm": gemm,
    "cholesky": cholesky,
    "reduction": reduction,
}


class Jobs:
    """Some jobs of each kind, with their values."""

    def __init__(self, seed: int, variants: int = 2) -> None:
        self._jobs: list[tuple[str, Arrays, list[Any]]] = []
        for number in range(variants):
            for name, draw in KINDS.items():
                arrays = draw(random.Random(seed + number), np.random.default_rng(seed + number))
                self._jobs.append((name, arrays, list(sa.compute(*arrays, executor="threads"))))

    def draw(self, rng: random.Random) -> tuple[str, Arrays, list[Any]]:
        """One of them: its name, arrays and expected values."""
        return rng.choice(self._jobs)


def differs(found: Any, expected: Any) -> str:
    """What is wrong with the values of a job; nothing if they are the same bits."""
    for position, (one, other) in enumerate(zip(found, expected, strict=True)):
        one, other = np.asarray(one), np.asarray(other)
        if one.tobytes() != other.tobytes() or one.shape != other.shape:
            error = float(np.max(np.abs(one - other))) if one.shape == other.shape else np.nan
            return f"array {position} of shape {one.shape}: largest difference {error:g} from that of threads"
    return ""
