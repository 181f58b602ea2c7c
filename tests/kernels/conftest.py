"""A gallery of matrices on which factorizations are tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Block = NDArray[Any]
Maker = Callable[[int, int, str], Block]


def _random(m: int, n: int, dtype: str) -> Block:
    rng = np.random.default_rng(m * 1009 + n)
    x = rng.standard_normal((m, n))
    return (x + 1j * rng.standard_normal((m, n)) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def _graded(m: int, n: int, dtype: str) -> Block:
    return (_random(m, n, dtype) * np.logspace(0, -12, n)).astype(dtype)


def _rank_deficient(m: int, n: int, dtype: str) -> Block:
    rank = max(1, min(m, n) // 3)
    return (_random(m, rank, dtype) @ _random(rank, n, dtype)).astype(dtype)


def _hilbert(m: int, n: int, dtype: str) -> Block:
    return (1 / (np.arange(m)[:, None] + np.arange(n)[None, :] + 1)).astype(dtype)


def _kahan(m: int, n: int, dtype: str) -> Block:
    c, s, k = np.cos(1.2), np.sin(1.2), min(m, n)
    upper = np.triu(np.full((m, n), -c), 1)
    upper[np.arange(k), np.arange(k)] = 1
    return (s ** np.arange(m)[:, None] * upper).astype(dtype)


def _zero(m: int, n: int, dtype: str) -> Block:
    return np.zeros((m, n), dtype)


def _scaled(exponent: int) -> Maker:
    def make(m: int, n: int, dtype: str) -> Block:
        reach = exponent // 8 if np.dtype(dtype).char in "fF" else exponent
        return (_random(m, n, dtype) * 10.0**reach).astype(dtype)

    return make


GALLERY: dict[str, Maker] = {
    "random": _random,
    "graded": _graded,
    "rank_deficient": _rank_deficient,
    "hilbert": _hilbert,
    "kahan": _kahan,
    "zero": _zero,
    "huge": _scaled(200),
    "tiny": _scaled(-200),
}


@pytest.fixture(params=sorted(GALLERY))
def maker(request: pytest.FixtureRequest) -> Maker:
    """Makes an m x n matrix of one kind."""
    return GALLERY[request.param]


@pytest.fixture(params=["f4", "f8", "c8", "c16"])
def lapack_type(request: pytest.FixtureRequest) -> str:
    """One of the four LAPACK types."""
    return str(request.param)
