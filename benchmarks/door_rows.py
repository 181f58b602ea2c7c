"""The rows of other people's programs: Dask's graphs and maps of calls; see `rows.py`. scikit-learn's are `ml_rows`."""

from __future__ import annotations

import operator
import time
from typing import Any

from ml_rows import ML_ROWS, ML_THREADS
from rows import Measure, Row, timed

CALLS = 20_000
LEAVES = 4096

# Dask's GEMM: two random matrices of 4,000 x 4,000, chunks of 500


def dask_gemm(scale: float) -> Any:
    """Return the product as Dask has it."""
    import dask.array as da

    n, chunks = int(4000 * scale), int(500 * scale)
    x, y = (da.random.default_rng(seed).random((n, n), chunks=chunks) for seed in (0, 1))
    return da.matmul(x, y)


def gemm_sarray(scale: float) -> Measure:
    import wukong_sched.dask

    product = dask_gemm(scale)
    return timed(lambda: product.compute(scheduler=wukong_sched.dask.get))


def gemm_dask(scale: float) -> Measure:
    product = dask_gemm(scale)
    return timed(lambda: product.compute(scheduler="threads"))


# Dask's tree reduction: 4,096 numbers added pairwise


def dask_tree(scale: float) -> Any:
    """Return the sum as Dask has it."""
    import dask

    level = [dask.delayed(int)(value) for value in range(int(LEAVES * scale))]
    while len(level) > 1:
        level = [dask.delayed(operator.add)(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
    return level[0]


def tree_sarray(scale: float) -> Measure:
    import wukong_sched.dask

    tree = dask_tree(scale)
    return timed(lambda: tree.compute(scheduler=wukong_sched.dask.get))


def tree_dask(scale: float) -> Measure:
    tree = dask_tree(scale)
    return timed(lambda: tree.compute(scheduler="threads"))


# FunctionExecutor.map: 20,000 calls that do nothing; seconds of one


def mapped(executor: str, scale: float) -> Measure:
    """Return what maps no-ops and returns the seconds of one call."""
    from wukong_sched.futures import FunctionExecutor

    calls = int(CALLS * scale)
    runner = FunctionExecutor(executor=executor, workers=2)

    def measure() -> float:
        start = time.perf_counter()
        found = sum(1 for _ in runner.map(abs, range(calls)))
        seconds = time.perf_counter() - start
        if found != calls:
            raise RuntimeError(f"{found} of {calls} calls came back")
        return seconds / calls

    return measure


def map_threads(scale: float) -> Measure:
    return mapped("threads", scale)


def map_functions(scale: float) -> Measure:
    return mapped("functions", scale)


DOOR_ROWS: dict[str, Row] = ML_ROWS | {
    "dask-gemm": Row("Dask GEMM 4000, chunks 500", {"sarray": gemm_sarray, "dask": gemm_dask}, {"dask": 1.0}),
    "dask-tree": Row("Dask tree reduction, 4,096", {"sarray": tree_sarray, "dask": tree_dask}, {"dask": 1.0}),
    "map": Row("map of 20,000 no-ops, threads", {"sarray": map_threads}, seconds=60e-6),
    "map-functions": Row("map of 20,000 no-ops, functions", {"sarray": map_functions}, seconds=500e-6),
}

DOOR_THREADS = ML_THREADS
"""BLAS threads of each side; those not named are measured with one and with all, and the better one counts."""
