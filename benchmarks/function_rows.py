"""The rows of the table 'speed and data moved': what each side does, and what is to be reached.

A side prepares within a context, and yields what does its work once and says what that came to. Limits look at what
the sides said in one round; of several rounds the median counts for times, and the worst for counts.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import simulated
from codec_speed import codec
from function_work import WORKS, Facts, Once, Setting, Work, chain, ours, stored_in_vain, theirs, tree
from policies import JOBS, SANDBOXES, TOLERANCE, compared
from simulated import functions

from wukong_sched.program import Program

Prepare = Callable[[Setting], AbstractContextManager[Once]]
Round = Mapping[str, Facts]
"""What each side said."""
OURS, THEIRS = "sarray", "numpywren"


@dataclass(frozen=True, slots=True)
class Limit:
    """What is to be reached."""

    name: str
    value: Callable[[Round], float]
    most: float
    least: float = -math.inf
    timed: bool = False

    @property
    def bounds(self) -> Mapping[str, float]:
        """`least` and `most`, as far as there are such."""
        bounds = {"least": self.least, "most": self.most}
        return {name: value for name, value in bounds.items() if math.isfinite(value)}

    def found(self, rounds: Sequence[Round]) -> float:
        """The value that counts."""
        values = [self.value(each) for each in rounds]
        return statistics.median(values) if self.timed else max(values)

    def holds(self, rounds: Sequence[Round]) -> bool:
        """Whether it is reached."""
        return self.least <= self.found(rounds) <= self.most


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, on one network."""

    title: str
    sandboxes: int
    """0: what is measured needs none."""
    shape: str
    sides: Mapping[str, Prepare]
    limits: Sequence[Limit]
    files: str = ""
    """Name of the work whose files are to be there; empty: none."""


# ---- what limits look at


def seconds(most: float) -> Limit:
    """A time."""
    return Limit("s", lambda each: each[OURS]["seconds"], most, timed=True)


def against(most: float) -> Limit:
    """A time, as a multiple of numpywren's."""
    return Limit("x numpywren's time", lambda each: each[OURS]["seconds"] / each[THEIRS]["seconds"], most, timed=True)


def source(most: float) -> Limit:
    """How many times the source is read."""
    return Limit("x source read", lambda each: each[OURS]["read"]["source"] / each[OURS]["source"], most)


def more_read(most: float) -> Limit:
    """What is read beside sources."""
    return Limit("MB read beyond the source", lambda each: _stored(each[OURS], "read") / 1e6, most)


def read(most: float) -> Limit:
    """All that is read."""
    return Limit("MB read", lambda each: sum(each[OURS]["read"].values()) / 1e6, most)


def written(most: float) -> Limit:
    """All that is written."""
    return Limit("MB written", lambda each: _stored(each[OURS], "written") / 1e6, most)


def _stored(found: Facts, way: str) -> int:
    """Bytes that went to tiers or came from there."""
    return sum(nbytes for tier, nbytes in found[way].items() if tier != "source")


def _beyond(found: Facts) -> int:
    """Bytes written beyond results."""
    return max(0, _stored(found, "written") - found["wanted"])


def beyond_results(most: float) -> Limit:
    """What is written beside results, as a multiple of what numpywren writes beside them."""
    name = "x numpywren's bytes written beyond results"
    return Limit(name, lambda each: _beyond(each[OURS]) / max(1, _beyond(each[THEIRS])), most)


def intermediates(most: float) -> Limit:
    """What is written beside results, as a part of the source."""
    return Limit("x source written beyond results", lambda each: _beyond(each[OURS]) / each[OURS]["source"], most)


def fact(name: str, key: str, most: float, least: float = -math.inf, timed: bool = False) -> Limit:
    """Something that our side says."""
    return Limit(name, lambda each: each[OURS][key], most, least, timed)


def speed(name: str, key: str, least: float) -> Limit:
    """A speed that our side says."""
    return fact(name, key, math.inf, least, timed=True)


# ---- what sides do


def _side(name: str, run: Callable[..., Facts], program_of: Callable[[Work, Setting], Program]) -> Prepare:
    @contextlib.contextmanager
    def prepared(setting: Setting) -> Iterator[Once]:
        work = WORKS[name]
        program = program_of(work, setting)
        with functions(setting.sandboxes, setting.shape) as place:
            yield lambda: {**run(program, place), "source": work.nbytes(setting)}

    return prepared


@contextlib.contextmanager
def _tree(setting: Setting) -> Iterator[Once]:
    program = tree(setting.scaled(4096))
    with functions(setting.sandboxes, setting.shape) as place:

        def once() -> Facts:
            found = ours(program, place)
            per_task = 1000 * found["seconds"] / found["tasks"]
            return {**found, "ms_a_task": per_task, "in_vain": stored_in_vain(program, place)}

        yield once


@contextlib.contextmanager
def _chain(setting: Setting) -> Iterator[Once]:
    program = chain(setting.scaled(1000))
    with functions(setting.sandboxes, setting.shape) as place:

        def once() -> Facts:
            found = ours(program, place)
            reads = sum(count for tier, count in found["gets"].items() if tier != "source")
            return {**found, "reads": reads, "writes": sum(found["puts"].values())}

        yield once


@contextlib.contextmanager
def _policies(setting: Setting) -> Iterator[Once]:
    found: Facts = {"seconds": 0.0}
    for name, job in JOBS.items():
        for what, (costs, rules) in compared(name, job).numbers().items():
            found[f"{what}, {name}"] = costs / rules if rules else float(costs > 0)
    yield lambda: found


def _simulated(name: str) -> Prepare:
    @contextlib.contextmanager
    def prepared(setting: Setting) -> Iterator[Once]:
        program = WORKS[name].program(setting)
        with functions(setting.sandboxes, setting.shape) as place:

            def once() -> Facts:
                found = simulated.compared(name, program, place, 1)
                moved = {what: pair for what, pair in found.differences().items() if what.startswith("bytes")}
                megabytes = sum(abs(here - there) for here, there in moved.values()) / 1e6
                times = {"seconds": found.seconds, "simulated": found.simulated.seconds, "ratio": found.ratio}
                return {**times, "apart": megabytes, **moved}

            yield once

    return prepared


def _both(name: str) -> Mapping[str, Prepare]:
    return {OURS: _side(name, ours, Work.program), THEIRS: _side(name, theirs, Work.theirs)}


def _pair(name: str, title: str, here: Sequence[Limit], shaped: Sequence[Limit]) -> dict[str, Row]:
    """A row on this machine's own network with 2 sandboxes, and on the cloud's with 16."""
    return {
        name: Row(title, 2, "", _both(name), here, name),
        f"{name}_shaped": Row(title, 16, "aws", _both(name), shaped, name),
    }


def _alone(name: str, title: str, sandboxes: int, once: Prepare, limits: Sequence[Limit]) -> dict[str, Row]:
    """A row of one side, on both networks."""
    return {
        name: Row(title, sandboxes, "", {OURS: once}, limits),
        f"{name}_shaped": Row(title, sandboxes, "aws", {OURS: once}, limits),
    }


def _against_simulator(name: str) -> dict[str, Row]:
    limits = [fact("simulated / measured time", "ratio", 1.25, 0.75, timed=True), fact("MB that differ", "apart", 0)]
    row = Row(f"simulator against functions, {name}", 16, "aws", {OURS: _simulated(name)}, limits, name)
    return {f"simulated_{name}": row}


def _against_rules() -> Row:
    names = [f"{what}, {name}" for name in JOBS for what in ("seconds", "invocations", "bytes")]
    limits = [fact(f"x {name}", name, 1 + TOLERANCE) for name in names]
    return Row('cost model against policy="wukong", simulated', SANDBOXES, "aws", {OURS: _policies}, limits)


MOVED = [source(1.0), more_read(4), written(4)]
TREE = [fact("ms a task", "ms_a_task", 1.0, timed=True), fact("tiles written in vain", "in_vain", 0)]
CHAIN = [fact("invocations", "executors", 1), fact("reads from stores", "reads", 0), fact("writes", "writes", 1)]
CODEC = [speed("GB/s encoded", "encoded", 3), speed("GB/s decoded", "decoded", 3)]
SVD = "SVD2 8000 x 8000, chunks 1000, k = 5"
ROWS: Mapping[str, Row] = {
    **_pair("tsqr_r", "TSQR 262,144 x 128, R", [*MOVED, seconds(1.5)], [*MOVED, against(0.8)]),
    **_pair("tsqr_q", "TSQR 262,144 x 128, Q left in the store", [], [against(0.5), beyond_results(0.5)]),
    **_pair("gemm", "GEMM 4000, chunks 1000", [read(540), written(130), seconds(3)], [against(0.5)]),
    **_pair("cholesky", "Cholesky 4000, chunks 500", [read(300), written(140), seconds(4)], []),
    **_pair("svd2", SVD, [source(2), intermediates(0.05)], [source(2), intermediates(0.05)]),
    **_pair("svd2_power", f"{SVD}, q = 1", [source(4), intermediates(0.05)], [source(4), intermediates(0.05)]),
    **_alone("tree", "tree reduction, 4,096 empty leaves", 8, _tree, TREE),
    **_alone("chain", "a chain of 1,000 tasks", 2, _chain, CHAIN),
    "codec": Row("codec, incompressible blocks of 32 MB", 0, "", {OURS: codec}, CODEC),
    "policies": _against_rules(),
    **_against_simulator("tsqr_r"),
    **_against_simulator("gemm"),
    **_against_simulator("cholesky"),
}
"""By name."""
