"""Matrices that find out what a factorization is worth, and the residuals that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.linalg.evaluation import filled

Matrix = NDArray[Any]


def _random(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    return filled(rng, (m, n), dtype)


def _graded(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    """Columns from 1 down to 1e-12."""
    return (filled(rng, (m, n), dtype) * np.logspace(0, -12, n)).astype(dtype)


def _row_graded(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    """Rows from 1e-12 up to 1."""
    return (np.logspace(-12, 0, m)[:, None] * filled(rng, (m, n), dtype)).astype(dtype)


def _deficient(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    """Half of full rank."""
    rank = max(1, min(m, n) // 2)
    return (filled(rng, (m, rank), dtype) @ filled(rng, (rank, n), dtype)).astype(dtype)


def _hilbert(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    return (1 / (np.arange(m)[:, None] + np.arange(n) + 1)).astype(dtype)


def _kahan(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    """Nearly singular without any small column (Kahan 1966), rows below it zero."""
    sine, cosine = np.sin(0.9), np.cos(0.9)
    a = np.eye(m, n) - cosine * np.triu(np.ones((m, n)), 1)
    return (sine ** np.arange(m)[:, None] * a).astype(dtype)


def _zero(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    return np.zeros((m, n), dtype)


def _equal(rng: np.random.Generator, m: int, n: int, dtype: str) -> Matrix:
    """All columns the same."""
    return np.ones((m, n), dtype) * filled(rng, (m, 1), dtype)


GALLERY: dict[str, Callable[[np.random.Generator, int, int, str], Matrix]] = {
    "random": _random,
    "graded": _graded,
    "graded rows": _row_graded,
    "deficient": _deficient,
    "hilbert": _hilbert,
    "kahan": _kahan,
    "zero": _zero,
    "equal": _equal,
}


def eps(*matrices: Matrix) -> float:
    """Unit roundoff of the least exact of them."""
    return float(max(np.finfo(matrix.dtype).eps for matrix in matrices))


def residual(a: Matrix, product: Matrix) -> float:
    """|A - product| / (|A| n eps); the difference alone where A is zero."""
    n = max(1, *a.shape) if min(a.shape) else 1
    wide = np.result_type(a, np.float64)
    norm = np.linalg.norm(a.astype(wide))
    return float(np.linalg.norm(a.astype(wide) - product) / ((norm or 1.0) * min(n, *a.shape) * eps(product) or 1.0))


def departure(q: Matrix) -> float:
    """|Q^H Q - I| / (n eps): how far the columns are from orthonormal."""
    n = q.shape[1]
    wide = q.astype(np.result_type(q, np.float64))
    return float(np.linalg.norm(wide.conj().T @ wide - np.eye(n)) / (max(n, 1) * eps(q)))
