"""The simulator against reality: the same jobs on shaped functions of this machine, and in virtual time.

The same programs, the same policy objects and the same core; links and prices from one table (`wukong_sched.links`).
``python benchmarks/simulated.py 4 16`` prints, for so many sandboxes, what each job took here (the fastest of several
runs, since other work on this machine can only delay it), what the simulator says, their ratio, and every count in
which the two differ. What must never differ: tasks, bytes read of sources, bytes of wanted tiles.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sarray as sa
from sarray.executors import limits_of
from sarray.lambda_entry import CLASSES
from sarray.local_functions import HANDLER, MEMORY
from sarray.lower import lower
from sarray.parking import parked
from sarray.session_blas import single_threaded
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.drivers.rehearsal import Machine, Rehearsal
from wukong_sched.drivers.simulated_functions import calibrated
from wukong_sched.functions.carried import begin, finished
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.usage import Usage
from wukong_sched.links import SHAPES
from wukong_sched.program import Program

CORES = 2
"""Processors that all sandboxes share."""
REPEATS = 3
QUIET = 10.0
"""Seconds that executors have to report when their job is done; they take milliseconds."""
TIERS = ("source", "inline", "redis", "object")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One job, here and in virtual time."""

    name: str
    seconds: float
    """From its submission until it is done."""
    usage: Usage
    simulated: Rehearsal
    wanted: int
    """Bytes of the wanted tiles in memory."""

    @property
    def ratio(self) -> float:
        """Simulated over real time."""
        return self.simulated.seconds / self.seconds

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Each count: here, and simulated."""
        usage, simulated = self.usage, self.simulated
        found = {"tasks": (usage.tasks, simulated.tasks), "executors": (usage.executors, simulated.executors)}
        for what in ("bytes_read", "bytes_written"):
            here, there = getattr(usage, what), getattr(simulated, what)
            found.update((f"{what} {tier}", (here.get(tier, 0), there.get(tier, 0))) for tier in TIERS)
        return found

    def differences(self) -> Mapping[str, tuple[int, int]]:
        """The counts that are not equal."""
        return {name: (here, there) for name, (here, there) in self.counts().items() if here != there}

    def __str__(self) -> str:
        differ = ", ".join(f"{name} {here} / {there}" for name, (here, there) in self.differences().items())
        times = f"{self.seconds:7.3f} s  simulated {self.simulated.seconds:7.3f} s  ratio {self.ratio:.2f}"
        return f"{self.name:<10}{times}  {differ or 'all counts equal'}"


def functions(sandboxes: int, shape: str = "aws") -> LocalFunctions:
    """So many warm sandboxes behind a network of that shape."""
    return LocalFunctions(
        FunctionSettings(HANDLER, concurrency=sandboxes, provisioned=sandboxes, memory=MEMORY), CLASSES, shape
    ).start()


def program_of(array: Any) -> Program:
    """What computing the array comes to."""
    return lower([array.expression], limits_of(sa.settings())).program


def measured(program: Program, place: LocalFunctions) -> tuple[float, Usage]:
    """Seconds from a job's submission until it is done, and what its executors used."""
    name = secrets.token_hex(8)
    there = parked(program, place.job_directory(name))
    began = time.perf_counter()
    with finished(place, begin(place, there, job=name)) as job:
        job.wait(place.trouble())
        seconds = time.perf_counter() - began
        place.running.is_quiet(QUIET)
        return seconds, job.usage()


def compare(name: str, array: Any, place: LocalFunctions, repeats: int = REPEATS) -> Comparison:
    """Compute an array there, and in virtual time; the fastest run counts."""
    return compared(name, program_of(array), place, repeats)


def compared(name: str, program: Program, place: LocalFunctions, repeats: int = REPEATS) -> Comparison:
    """Run a program there, and in virtual time; the fastest run counts."""
    seconds, usage = min((measured(program, place) for _ in range(repeats)), key=lambda run: run[0])
    with single_threaded():
        machine = Machine(place.function.concurrency, CORES, memory=place.function.memory << 20)
        simulated = calibrated(program, SHAPES[place.shape], machine, policy=place.policy, classes=CLASSES)
    return Comparison(name, seconds, usage, simulated, sum(map(program.nbytes, program.wanted())))


def arrays(scale: int = 1) -> Mapping[str, Any]:
    """The four jobs; sources take 134, 128, 32 and 128 MB at scale 4."""
    rng = np.random.default_rng(0)
    tall, square = rng.standard_normal((32768 * scale, 128)), rng.standard_normal((700 * scale, 700 * scale))
    order = 500 * scale
    definite = rng.standard_normal((order, order))
    definite = definite @ definite.T + order * np.eye(order)
    return {
        "tsqr": sa.tsqr(sa.from_array(tall, chunks=(4096, 128)))[1],
        "gemm": sa.from_array(square, chunks=175 * scale) @ sa.from_array(square, chunks=175 * scale),
        "cholesky": sa.cholesky(sa.from_array(definite, chunks=order // 8)),
        "tree": sa.from_array(square, chunks=(25, 700 * scale)).sum(),
    }


def main(arguments: Sequence[str]) -> None:
    """Compare on as many sandboxes as the arguments say."""
    for sandboxes in map(int, arguments or ("4", "16")):
        with functions(sandboxes) as place:
            print(f"{sandboxes} sandboxes, {CORES} processors, shape {place.shape}")
            for name, array in arrays(4).items():
                compare(name, array, place, 1)  # imports, and a first look at the files
                print(compare(name, array, place), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
