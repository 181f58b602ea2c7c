"""What the example scripts share: their command line, and how they run a job and judge its result."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import sarray as sa

LIMIT = 30.0
"""Largest scaled residual that counts as right; LAPACK's own tests use the same."""


def command_line(description: str | None, size: int, chunks: int) -> argparse.ArgumentParser:
    """Return a parser with the options that every example knows."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--size", type=int, default=size, help="how large the problem is")
    parser.add_argument("--chunks", type=int, default=chunks, help="rows (and columns, where they are cut) of a block")
    parser.add_argument("--executor", default="threads", help="where the tasks run")
    parser.add_argument("--workers", type=int, default=None, help="how many at a time; as many as cores by default")
    return parser


def run(options: argparse.Namespace, *arrays: sa.Array) -> tuple[Any, ...]:
    """Compute arrays together; print their plan before and the seconds after."""
    for array in arrays:
        print(array.plan())
    with sa.config(workers=options.workers):
        start = time.perf_counter()
        results = sa.compute(*arrays, executor=options.executor)
        print(f"{time.perf_counter() - start:.2f} seconds")
    return results


def scaled(error: np.ndarray, scale: float, order: int) -> float:
    """Return |error| / (scale order eps): of the order of one when only rounding made the error."""
    return float(np.linalg.norm(error) / (scale * order * np.finfo(error.dtype).eps))


def not_orthonormal(columns: np.ndarray) -> float:
    """Return |Q^T Q - I| / (n eps)."""
    n = columns.shape[1]
    return scaled(columns.T @ columns - np.eye(n, dtype=columns.dtype), 1.0, n)


def judge(residuals: Mapping[str, float], limit: float = LIMIT) -> None:
    """Print the residuals, and leave with exit code 1 if one of them is too large."""
    for name, value in residuals.items():
        print(f"{name:<28} {value:10.3g}  {'ok' if value <= limit else f'WRONG: more than {limit:g}'}")
    sys.exit(0 if all(value <= limit for value in residuals.values()) else 1)
