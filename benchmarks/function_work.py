"""What the rows of functions do, once: programs, the files they read, and how a job is timed on either side.

A job is timed from its submission until its results are in the store, and no longer: nobody fetches them. Its bytes are
those that pass the storage protocol, source tiles among the bytes read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from simulated import QUIET, measured

import sarray as sa
from benchmarks.numpywren_programs import cholesky_program, gemm_program, tsqr_program
from sarray.executors import limits_of
from sarray.lower import lower
from sarray.lowering.builder import never
from wukong_sched.baselines import numpywren
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.drivers.graphs import Graph
from wukong_sched.functions.carried import Wishes, begin, finished
from wukong_sched.functions.mapped import MappedArray
from wukong_sched.functions.submitted import Submitted
from wukong_sched.functions.usage import Usage, total
from wukong_sched.program import Program, Tile
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.trace import Trace, written_in_vain

Facts = dict[str, Any]
"""What is measured of a job: `seconds`, and counts."""
Once = Callable[[], Facts]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a row runs."""

    directory: Path
    """Of the files that are read."""
    sandboxes: int
    shape: str
    """Of the network; empty: as fast as this machine is."""
    scale: float = 1.0
    """Sizes as multiples of the table's."""

    def scaled(self, size: int) -> int:
        """A size of the table, as it is here."""
        return max(1, round(size * self.scale))


@dataclass(frozen=True, slots=True)
class Matrix:
    """A file of random numbers."""

    shape: tuple[int, int]
    chunks: tuple[int, int]
    definite: bool = False
    """Whether it is symmetric and positive definite."""
    seed: int = 0

    def path(self, setting: Setting) -> Path:
        """Where it lies."""
        kind = "definite" if self.definite else f"random{self.seed}"
        return setting.directory / f"{kind}-{'x'.join(map(str, self._scaled(self.shape, setting)))}.npy"

    def _scaled(self, sizes: tuple[int, int], setting: Setting) -> tuple[int, int]:
        rows, columns = sizes
        square = self.shape[0] == self.shape[1]
        return setting.scaled(rows), setting.scaled(columns) if square else columns

    def write(self, setting: Setting) -> None:
        """Write it, unless it is there."""
        if self.path(setting).exists():
            return
        values = np.random.default_rng(self.seed).standard_normal(self._scaled(self.shape, setting))
        if self.definite:
            values = values + values.T + 8 * np.sqrt(len(values)) * np.eye(len(values))
        np.save(self.path(setting), values)

    def scaled_chunks(self, setting: Setting) -> tuple[int, int]:
        """The chunks, as they are here."""
        return self._scaled(self.chunks, setting)

    def array(self, setting: Setting) -> Any:
        """As an array of this project."""
        return sa.from_npy(self.path(setting), chunks=self.scaled_chunks(setting))

    def mapped(self, setting: Setting) -> MappedArray:
        """As an array that whoever reads it maps."""
        found = np.load(self.path(setting), mmap_mode="r")
        return MappedArray(self.path(setting), found.dtype, found.shape, "C", found.offset)


@dataclass(frozen=True, slots=True)
class Work:
    """A program over files."""

    matrices: Sequence[Matrix]
    wanted: Callable[..., Sequence[Any]]
    """The arrays that are wanted, from those that the files hold."""

    def write(self, setting: Setting) -> None:
        """Write the files."""
        for matrix in self.matrices:
            matrix.write(setting)

    baseline: Callable[..., Program] | None = None
    """numpywren's own program, from the files' arrays and the rows of a block; None: as this project lowers it."""

    def program(self, setting: Setting) -> Program:
        """What computing comes to where the setting says."""
        return self._lowered(setting, {})

    def theirs(self, setting: Setting) -> Program:
        """What numpywren would do: nothing is computed twice, every result is stored."""
        if self.baseline is None:
            return self._lowered(setting, {"recomputes": never})
        files = [matrix.mapped(setting) for matrix in self.matrices]
        return self.baseline(*files, self.matrices[0].scaled_chunks(setting)[0])

    def _lowered(self, setting: Setting, limits: Mapping[str, Any]) -> Program:
        with sa.config(executor="functions", workers=setting.sandboxes, functions_shape=setting.shape) as asked:
            arrays = self.wanted(*(matrix.array(setting) for matrix in self.matrices))
            return lower([each.expression for each in arrays], replace(limits_of(asked), **limits)).program

    def nbytes(self, setting: Setting) -> int:
        """Bytes of the files' values."""
        return sum(matrix.array(setting).nbytes for matrix in self.matrices)


TALL = Matrix((262_144, 128), (8192, 128))
SQUARE = Matrix((4000, 4000), (1000, 1000))
WORKS: Mapping[str, Work] = {
    "tsqr_r": Work([TALL], lambda a: [sa.tsqr(a).R], tsqr_program),
    "tsqr_q": Work([TALL], lambda a: list(sa.tsqr(a))),
    "gemm": Work([SQUARE, Matrix((4000, 4000), (1000, 1000), seed=1)], lambda a, b: [a @ b], gemm_program),
    "cholesky": Work(
        [Matrix((4000, 4000), (500, 500), definite=True)], lambda a: [sa.cholesky(a)], cholesky_program
    ),
    "svd2": Work([Matrix((8000, 8000), (1000, 1000))], lambda a: list(sa.svd_compressed(a, k=5, seed=0))),
    "svd2_power": Work(
        [Matrix((8000, 8000), (1000, 1000))], lambda a: list(sa.svd_compressed(a, k=5, n_power_iter=1, seed=0))
    ),
}
"""By name."""


def facts(seconds: float, usage: Usage, program: Program) -> Facts:
    """What is said of a job."""
    wanted = sum(map(program.nbytes, program.wanted()))
    counts = {name: getattr(usage, name) for name in ("tasks", "executors", "retries", "puts", "gets", "seconds")}
    moved = {"read": dict(usage.bytes_read), "written": dict(usage.bytes_written)}
    return {**counts, **moved, "spent": counts["seconds"], "seconds": seconds, "wanted": wanted}


def ours(program: Program, place: LocalFunctions) -> Facts:
    """Run a program as this project does."""
    seconds, usage = measured(program, place)
    return facts(seconds, usage, program)


@dataclass(slots=True)
class Left:
    """A job's tiles, which stay where they are: that somebody wants to fetch them is noted, and is all."""

    inner: Any
    asked: float = 0.0
    """When the first ones were asked for; 0: not yet."""

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        """Nothing, for each tile."""
        self.asked = self.asked or time.perf_counter()
        return dict.fromkeys(tiles)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def theirs(program: Program, place: LocalFunctions) -> Facts:
    """Run a program in numpywren's way on the same functions."""
    left: list[Left] = []

    def begun(job: Submitted) -> None:
        left.append(Left(job.storage))
        job.storage = left[0]

    began = time.perf_counter()
    report = numpywren.run(program, MemoryStorage(), place, begun=begun)
    return facts(left[0].asked - began, total(report.usages), program)


def tree(leaves: int) -> Program:
    """Pairwise sums of numbers that nobody has to compute."""
    inputs: list[list[tuple[int, int]]] = [[] for _ in range(leaves)]
    inputs += [[(number, 0), (number + 1, 0)] for number in range(0, 2 * leaves - 2, 2)]
    return Graph(inputs, [(len(inputs) - 1, 0)], costs=[0.0] * len(inputs), bare=True)


def megabyte(tile: Tile) -> int:
    """A megabyte."""
    return 10**6


def chain(length: int) -> Program:
    """One task after the other; each result would take a megabyte to move."""
    inputs = [[(number - 1, 0)] if number else [] for number in range(length)]
    return Graph(inputs, [(length - 1, 0)], costs=[0.0] * length, sizes=megabyte, bare=True)


def stored_in_vain(program: Program, place: LocalFunctions) -> int:
    """Run a program; how many of the tiles that were written were only read where they were made."""
    trace = Trace()
    with finished(place, begin(place, program, Wishes(trace=trace), job=secrets.token_hex(8))) as job:
        job.wait(place.trouble())
        place.running.is_quiet(QUIET)
        job.traced_into(trace)
    return len(written_in_vain(trace, program))
