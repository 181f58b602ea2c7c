"""The rows of the speed table: for each side, how to set the work up and how to measure it once.

A set-up takes a scale (1 is the size in the table) and returns a function that does the work once and returns seconds.
Libraries are imported inside the set-ups, so that each side's process holds nothing but its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Measure = Callable[[], float]
Setup = Callable[[float], Measure]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    work: str
    sides: Mapping[str, Setup]
    """sarray and its peers: numpy (NumPy or SciPy), dask"""
    ratios: Mapping[str, float] = field(default_factory=dict)
    """{peer: what sarray's median may be at most, as a multiple of the peer's}"""
    seconds: float | None = None
    """what sarray's median may be at most"""


def timed(work: Callable[[], Any]) -> Measure:
    """Return a function that does work once and returns its seconds; the result is dropped off the clock."""

    def measure() -> float:
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
        del result
        return seconds

    return measure


def matrix(rows: int, columns: int) -> np.ndarray:
    """Return the random matrix that every side works on."""
    return np.random.default_rng(0).standard_normal((rows, columns))


def cut(count: int, pieces: int) -> int:
    """Return the chunk size that makes so many pieces, the last one ragged."""
    return -(-count // pieces)


# matmul: C = A B, square, 6 x 6 chunks


def _matmul_size(scale: float) -> int:
    return int(6000 * scale)


def matmul_sarray(scale: float) -> Measure:
    import sarray as sa

    n = _matmul_size(scale)
    a, b = (sa.from_array(matrix(n, n), chunks=(cut(n, 6), cut(n, 6))) for _ in range(2))
    return timed(lambda: sa.matmul(a, b).compute())


def matmul_numpy(scale: float) -> Measure:
    n = _matmul_size(scale)
    a, b = matrix(n, n), matrix(n, n)
    return timed(lambda: a @ b)


def matmul_dask(scale: float) -> Measure:
    import dask.array as da

    n = _matmul_size(scale)
    a, b = (da.from_array(matrix(n, n), chunks=(cut(n, 6), cut(n, 6)), name=False) for _ in range(2))
    return timed(lambda: da.matmul(a, b).compute(scheduler="threads"))


# tsqr: A = Q R, tall and skinny, 16 chunks of rows


def _tsqr_shape(scale: float) -> tuple[int, int]:
    return int(1_000_000 * scale), 64


def tsqr_sarray(scale: float) -> Measure:
    import sarray as sa

    m, n = _tsqr_shape(scale)
    a = sa.from_array(matrix(m, n), chunks=(cut(m, 16), -1))
    return timed(lambda: sa.compute(*sa.tsqr(a)))


def tsqr_numpy(scale: float) -> Measure:
    a = matrix(*_tsqr_shape(scale))
    return timed(lambda: np.linalg.qr(a))


def tsqr_dask(scale: float) -> Measure:
    import dask
    import dask.array as da

    m, n = _tsqr_shape(scale)
    a = da.from_array(matrix(m, n), chunks=(cut(m, 16), n), name=False)
    return timed(lambda: dask.compute(*da.linalg.tsqr(a), scheduler="threads"))


# svd: A = U diag(s) Vt, tall and skinny, 16 chunks of rows


def _svd_shape(scale: float) -> tuple[int, int]:
    return int(500_000 * scale), 100


def svd_sarray(scale: float) -> Measure:
    import sarray as sa

    m, n = _svd_shape(scale)
    a = sa.from_array(matrix(m, n), chunks=(cut(m, 16), -1))
    return timed(lambda: sa.compute(*sa.svd(a)))


def svd_numpy(scale: float) -> Measure:
    a = matrix(*_svd_shape(scale))
    return timed(lambda: np.linalg.svd(a, full_matrices=False))


def svd_dask(scale: float) -> Measure:
    import dask
    import dask.array as da

    m, n = _svd_shape(scale)
    a = da.from_array(matrix(m, n), chunks=(cut(m, 16), n), name=False)
    return timed(lambda: dask.compute(*da.linalg.svd(a), scheduler="threads"))


# cholesky: A = L L^T, 8 x 8 chunks


def _positive_definite(scale: float) -> np.ndarray:
    n = int(6000 * scale)
    a = matrix(n, n)
    return a + a.T + 8 * np.sqrt(n) * np.eye(n)


def cholesky_sarray(scale: float) -> Measure:
    import sarray as sa

    a = _positive_definite(scale)
    x = sa.from_array(a, chunks=(cut(len(a), 8), cut(len(a), 8)))
    return timed(lambda: sa.cholesky(x).compute())


def cholesky_scipy(scale: float) -> Measure:
    import scipy.linalg

    a = _positive_definite(scale)
    return timed(lambda: scipy.linalg.cholesky(a, lower=True))


def cholesky_dask(scale: float) -> Measure:
    import dask.array as da

    a = _positive_definite(scale)
    x = da.from_array(a, chunks=(cut(len(a), 8), cut(len(a), 8)), name=False)
    return timed(lambda: da.linalg.cholesky(x, lower=True).compute(scheduler="threads"))


# ((x * 2 + 1) ** 2).mean(), 16 chunks


def _vector(scale: float) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(int(64_000_000 * scale))


def mean_sarray(scale: float) -> Measure:
    import sarray as sa

    values = _vector(scale)
    x = sa.from_array(values, chunks=cut(len(values), 16))
    return timed(lambda: ((x * 2 + 1) ** 2).mean().compute())


def mean_numpy(scale: float) -> Measure:
    x = _vector(scale)
    return timed(lambda: ((x * 2 + 1) ** 2).mean())


def mean_dask(scale: float) -> Measure:
    import dask.array as da

    values = _vector(scale)
    x = da.from_array(values, chunks=cut(len(values), 16), name=False)
    return timed(lambda: ((x * 2 + 1) ** 2).mean().compute(scheduler="threads"))


# a tree of tasks that do nothing; seconds are per task


def _first(left: Any, right: Any) -> Any:
    return left


def _leaves(scale: float) -> int:
    return int(100_000 * scale) + 1


def tree_sarray(scale: float) -> Measure:
    import sarray as sa

    tree = sa.tree_reduce(sa.zeros(_leaves(scale), chunks=1), _first, arity=2)
    tasks = tree.plan().tasks
    measure = timed(tree.compute)
    return lambda: measure() / tasks


def tree_dask(scale: float) -> Measure:
    from dask.threaded import get

    # The leaves stand inside the first tasks: as keys of their own they would cost Dask ten times as much.
    graph: dict[Any, Any] = {}
    operands: list[Any] = [0.0] * _leaves(scale)
    while len(operands) > 1:
        keys = [f"task-{len(graph) + n}" for n in range(len(operands) // 2)]
        pairs = zip(operands[::2], operands[1::2], strict=False)  # the last of an odd number waits for the next level
        graph.update((key, (_first, *pair)) for key, pair in zip(keys, pairs, strict=True))
        operands = keys + operands[2 * len(keys) :]
    measure = timed(lambda: get(graph, operands[0]))
    return lambda: measure() / len(graph)


# import, in a new interpreter, less what the interpreter itself takes


def _import(statement: str) -> Measure:
    def start(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True)

    bare, loaded = timed(lambda: start("pass")), timed(lambda: start(statement))
    return lambda: loaded() - bare()


def import_sarray(_: float) -> Measure:
    return _import("import sarray")


def import_dask(_: float) -> Measure:
    return _import("import dask.array")


# x + 1 on 4 x 4, built and computed; the median of many


def _median(work: Callable[[], Any], times: int) -> Measure:
    measure = timed(work)
    return lambda: statistics.median(measure() for _ in range(times))


def small_sarray(_: float) -> Measure:
    import sarray as sa

    x = sa.from_array(np.ones((4, 4)), chunks=2)
    return _median(lambda: (x + 1).compute(), 101)


def small_dask(_: float) -> Measure:
    import dask.array as da

    x = da.from_array(np.ones((4, 4)), chunks=2)
    return _median(lambda: (x + 1).compute(scheduler="threads"), 101)


# How much two processes do at once, against one: the same arithmetic in each.


def probe(scale: float) -> Measure:
    a = matrix(1000, 1000)

    def work() -> None:
        for _ in range(max(1, int(30 * scale))):
            a @ a

    return timed(work)


ROWS: dict[str, Row] = {
    "matmul": Row(
        "matmul 6000 x 6000, chunks 1000",
        {"sarray": matmul_sarray, "numpy": matmul_numpy, "dask": matmul_dask},
        {"numpy": 1.10},
    ),
    "tsqr": Row(
        "tsqr 1,000,000 x 64, Q and R",
        {"sarray": tsqr_sarray, "numpy": tsqr_numpy, "dask": tsqr_dask},
        {"numpy": 0.12, "dask": 0.25},
    ),
    "svd": Row(
        "svd 500,000 x 100, U s Vt",
        {"sarray": svd_sarray, "numpy": svd_numpy, "dask": svd_dask},
        {"numpy": 0.25, "dask": 0.4},
    ),
    "cholesky": Row(
        "cholesky 6000, chunks 750",
        {"sarray": cholesky_sarray, "numpy": cholesky_scipy, "dask": cholesky_dask},
        {"numpy": 1.25},
    ),
    "mean": Row(
        "((x * 2 + 1) ** 2).mean(), 64 M",
        {"sarray": mean_sarray, "numpy": mean_numpy, "dask": mean_dask},
        {"numpy": 0.4, "dask": 0.7},
    ),
    "tree": Row("tree of 100,000 empty tasks, each", {"sarray": tree_sarray, "dask": tree_dask}, seconds=30e-6),
    "import": Row("import sarray (dask.array)", {"sarray": import_sarray, "dask": import_dask}, seconds=0.3),
    "small": Row("x + 1 on 4 x 4, built, computed", {"sarray": small_sarray, "dask": small_dask}, seconds=1e-3),
}

CORES = os.cpu_count() or 1
BLAS_THREADS: dict[str, tuple[int | None, ...]] = {"sarray": (None,), "numpy": (1, CORES), "dask": (1,)}
"""BLAS threads that each side is measured with; the better one counts. None leaves it to the library; Dask's own
advice is one thread, since its tasks fill the cores."""
