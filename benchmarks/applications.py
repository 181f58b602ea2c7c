"""The applications that are compared, and the systems that run them.

The five applications of the Wukong paper, and prediction with a support vector classifier; each at three sizes. An
application says what its input is and how its program is written for arrays of sarray and of Dask; a system says which
of the two it takes and where the tasks run. Everything is imported inside, so that the process of one side holds only
its own libraries.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

WORKERS = 2
"""Tasks, functions or processes at once, for every system."""
Program = Callable[[Any, int], Any]
"""From the inputs (an array as the library has it; None if there is none) and the size to what is computed."""


@dataclass(frozen=True, slots=True)
class Application:
    """One application."""

    title: str
    sizes: tuple[int, int, int]
    unit: str
    """What a size counts."""
    ours: Program
    dask: Program
    shape: Callable[[int], tuple[int, int]] | None = None
    """Of the input, which lies in a file; None: there is none."""
    chunks: Callable[[int], tuple[int, int]] = lambda size: (size, size)


def _tree(size: int, delayed: Any, add: Any) -> Any:
    level = [delayed(int)(value) for value in range(size)]
    while len(level) > 1:
        level = [delayed(add)(*level[at : at + 2]) for at in range(0, len(level), 2)]
    return level[0]


def tree_ours(source: Any, size: int) -> Any:
    import sarray as sa

    return sa.tree_reduce(sa.arange(size, chunks=1), operator.add)


def tree_dask(source: Any, size: int) -> Any:
    import dask

    return _tree(size, dask.delayed, operator.add)


def gemm_ours(source: Any, size: int) -> Any:
    import sarray as sa

    return sa.matmul(source, source)


def gemm_dask(source: Any, size: int) -> Any:
    return source @ source


def tsqr_ours(source: Any, size: int) -> Any:
    import sarray as sa

    return sa.tsqr(source).R


def tsqr_dask(source: Any, size: int) -> Any:
    import dask.array as da

    return da.linalg.qr(source)[1]


def svd1_ours(source: Any, size: int) -> Any:
    import sarray as sa

    return sa.svd(source).Vh


def svd1_dask(source: Any, size: int) -> Any:
    import dask.array as da

    return da.linalg.svd(source)[2]


def svd2_ours(source: Any, size: int) -> Any:
    import sarray as sa

    return sa.svd_compressed(source, k=5, seed=0)[2]


def svd2_dask(source: Any, size: int) -> Any:
    import dask.array as da

    return da.linalg.svd_compressed(source, k=5, seed=0)[2]


def _classifier() -> Any:
    import sklearn.datasets
    from sklearn.svm import SVC

    return SVC(gamma="scale"), sklearn.datasets.make_classification(n_samples=1000, random_state=0)


def svc_ours(source: Any, size: int) -> Any:
    from sarray.ml import ParallelPostFit

    estimator, (rows, labels) = _classifier()
    return ParallelPostFit(estimator).fit(rows, labels).predict(source)


def svc_dask(source: Any, size: int) -> Any:
    from dask_ml.wrappers import ParallelPostFit

    estimator, (rows, labels) = _classifier()
    return ParallelPostFit(estimator).fit(rows, labels).predict(source)


APPLICATIONS: Mapping[str, Application] = {
    "tree": Application("Tree reduction", (256, 1024, 4096), "leaves", tree_ours, tree_dask),
    "gemm": Application(
        "GEMM", (1000, 2000, 4000), "rows", gemm_ours, gemm_dask, lambda n: (n, n), lambda n: (n // 4, n // 4)
    ),
    "tsqr": Application(
        "TSQR", (65_536, 131_072, 262_144), "rows", tsqr_ours, tsqr_dask, lambda n: (n, 128), lambda n: (8192, 128)
    ),
    "svd1": Application(
        "SVD1", (64_000, 128_000, 256_000), "rows", svd1_ours, svd1_dask, lambda n: (n, 100), lambda n: (8000, 100)
    ),
    "svd2": Application(
        "SVD2", (2000, 4000, 8000), "rows", svd2_ours, svd2_dask, lambda n: (n, n), lambda n: (n // 8, n // 8)
    ),
    "svc": Application(
        "SVC", (25_000, 50_000, 100_000), "rows", svc_ours, svc_dask, lambda n: (n, 20), lambda n: (n // 20, 20)
    ),
}


@dataclass(frozen=True, slots=True)
class System:
    """One system."""

    title: str
    ours: bool
    """Whether it runs this project's programs, or Dask's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of `compute`."""


SYSTEMS: Mapping[str, System] = {
    "threads": System("sarray, threads", True, {"executor": "threads", "workers": WORKERS}),
    "functions": System("sarray, functions", True, {"executor": "functions", "workers": WORKERS}),
    "numpywren": System("numpywren's way", True, {"executor": "numpywren", "workers": WORKERS}),
    "pywren": System("PyWren's way", True, {"executor": "pywren", "workers": WORKERS}),
    "dask": System("Dask, threads", False, {"scheduler": "threads", "num_workers": WORKERS}),
    "distributed": System("distributed, processes", False),
}


def source_path(directory: Path, application: str, size: int) -> Path:
    """Return the file of an application's input."""
    return directory / f"{application}-{size}.npy"


def write_source(directory: Path, application: str, size: int) -> None:
    """Write the input, unless it is there or there is none."""
    shape, path = APPLICATIONS[application].shape, source_path(directory, application, size)
    if shape is not None and not path.exists():
        np.save(path, np.random.default_rng(size).standard_normal(shape(size)))


@contextlib.contextmanager
def work(application: str, system: str, size: int, directory: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """Yield what computes once and returns the report: bytes by direction, seconds by what they went to."""
    side = ours if SYSTEMS[system].ours else dask_threads if system == "dask" else distributed
    with side(APPLICATIONS[application], SYSTEMS[system], size, source_path(directory, application, size)) as once:
        yield once


@contextlib.contextmanager
def ours(application: Application, system: System, size: int, path: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """A side that runs this project."""
    import sarray as sa

    def once() -> dict[str, Any]:
        source = sa.from_npy(path, chunks=application.chunks(size)) if application.shape else None
        application.ours(source, size).compute(**system.options)
        report = sa.last_report().to_dict()
        kept = ("bytes_read", "bytes_written", "seconds", "invocations", "tasks", "usd")
        return {name: report.get(name) for name in kept}

    yield once


@contextlib.contextmanager
def dask_threads(
    application: Application, system: System, size: int, path: Path
) -> Iterator[Callable[[], dict[str, Any]]]:
    """A side that runs Dask in threads of its process; nothing moves but what is read."""

    def once() -> dict[str, Any]:
        application.dask(_dask_source(application, size, path), size).compute(**system.options)
        return {"bytes_read": {"source": path.stat().st_size if application.shape else 0}, "bytes_written": {}}

    yield once


@contextlib.contextmanager
def distributed(
    application: Application, system: System, size: int, path: Path
) -> Iterator[Callable[[], dict[str, Any]]]:
    """A side that runs distributed with worker processes of one thread each."""
    import dask
    from distributed import Client, LocalCluster

    dask.config.set({"distributed.worker.memory.terminate": False})
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):

        def moved() -> int:
            return sum(client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total).values())

        def once() -> dict[str, Any]:
            before = moved()
            application.dask(_dask_source(application, size, path), size).compute()
            between = moved() - before
            read = {"source": path.stat().st_size if application.shape else 0, "workers": between}
            return {"bytes_read": read, "bytes_written": {"workers": between}}

        yield once


def _dask_source(application: Application, size: int, path: Path) -> Any:
    if application.shape is None:
        return None
    import dask.array as da

    shape, chunks = application.shape(size), application.chunks(size)
    blocks = da.core.normalize_chunks(chunks, shape)
    return da.map_blocks(OpenFile(path), chunks=blocks, dtype=np.float64, meta=np.empty((0, 0)))


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Reads a block of the input where the task runs, so that the data do not travel with the graph."""

    path: Path

    def __call__(self, block_info: Any = None) -> np.ndarray:
        place = tuple(slice(low, high) for low, high in block_info[None]["array-location"])
        return np.array(np.load(self.path, mmap_mode="r")[place])
