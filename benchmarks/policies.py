"""The cost model against the paper's own rules, in virtual time: ``python benchmarks/policies.py [sandboxes]``.

The same expressions on the same cloud (`wukong_sched.links.AWS`), lowered for, and scheduled by, `CostModel` and
`Wukong`; nothing is computed, so that only rates, sizes and costs decide. The last column says where the cost model is
worse than the rules by more than `TOLERANCE`: in time, bytes or invocations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import sarray as sa
from sarray.config import Settings
from sarray.executors import limits_of
from sarray.lower import lower
from sarray.policies import policy_of
from wukong_sched.drivers.cloud import Cloud
from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.simulate import Forecast, policy_for, run
from wukong_sched.links import AWS
from wukong_sched.policy import CostModel
from wukong_sched.program import BlockReader, Program, Task, Tile
from wukong_sched.storage.memory import MemoryStorage

TOLERANCE = 0.05
SANDBOXES = 64
CLOUD = Cloud(
    store_latency=AWS.redis.latency,
    store_bandwidth=AWS.bandwidth,
    coordination=AWS.coordination,
    invoke=AWS.invoke,
    cold_start=AWS.cold_start,
    concurrency=SANDBOXES,
)


class Hollow:
    """A program whose tasks compute nothing; everything else is as in the program that it stands for."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

    def __len__(self) -> int:
        return len(self._program)

    def read(self, tile: Tile) -> None:
        """Nothing."""

    def run(self, task: Task, block: BlockReader) -> Sequence[Any]:
        """Nothing, for each output; a fold reads its inputs."""
        if self._program.streams(task):
            for tile in self._program.inputs(task):
                block(tile)
        return [None] * len(self._program.outputs(task))


@dataclass(frozen=True, slots=True)
class Row:
    """One job under both policies."""

    name: str
    cost: Forecast
    rules: Forecast

    def numbers(self) -> dict[str, tuple[float, float]]:
        """What is compared: the cost model's, and the rules'."""
        pairs = {name: (getattr(self.cost, name), getattr(self.rules, name)) for name in ("seconds", "invocations")}
        return pairs | {"bytes": tuple(each.bytes_read + each.bytes_written for each in (self.cost, self.rules))}

    def worse(self) -> list[str]:
        """Where the cost model is worse by more than `TOLERANCE`."""
        return [name for name, (ours, theirs) in self.numbers().items() if ours > (1 + TOLERANCE) * theirs]

    def line(self) -> str:
        """The row as text."""
        cells = [f"{ours:10.4g} {theirs:10.4g}" for ours, theirs in self.numbers().values()]
        return f"{self.name:<18}" + "  ".join(cells) + "  " + ", ".join(self.worse())


def compared(name: str, job: Callable[[str], Program], cloud: Cloud = CLOUD) -> Row:
    """Simulate a job under both policies."""
    return Row(name, *(_forecast(job(policy), policy, cloud) for policy in ("cost", "wukong")))


def _forecast(program: Program, policy: str, cloud: Cloud) -> Forecast:
    hollow: Any = Hollow(program)
    asked: CostModel = policy_of(Settings(policy=policy), policy_for(cloud))
    return run(hollow, MemoryStorage(), cloud=cloud, policy=asked)


def _lowered(policy: str, *arrays: Any) -> Program:
    asked = Settings(executor="aws", workers=SANDBOXES, policy=policy)
    return lower([each.expression for each in arrays], limits_of(asked)).program


def _zeros(shape: tuple[int, int], chunks: Any) -> Any:
    """An array that takes no memory, however large."""
    return sa.from_array(np.broadcast_to(np.zeros(()), shape), chunks=chunks)


def _tsqr(policy: str, with_q: bool) -> Program:
    q, r = sa.linalg.tsqr(_zeros((262_144, 128), (8192, 128)))
    return _lowered(policy, q, r) if with_q else _lowered(policy, r)


def _gemm(policy: str) -> Program:
    return _lowered(policy, _zeros((4000, 4000), 1000) @ _zeros((4000, 4000), 1000))


def _cholesky(policy: str) -> Program:
    return _lowered(policy, sa.linalg.cholesky(_zeros((4000, 4000), 500)))


def _svd(policy: str) -> Program:
    return _lowered(policy, *sa.linalg.svd_compressed(_zeros((8000, 8000), 1000), k=5, seed=0))


def _tree(policy: str, leaves: int = 4096) -> Program:
    """Pairwise sums of numbers that nobody has to compute."""
    inputs: list[list[tuple[int, int]]] = [[] for _ in range(leaves)]
    for number in range(0, 2 * leaves - 2, 2):
        inputs.append([(number, 0), (number + 1, 0)])
    return Graph(inputs, [(len(inputs) - 1, 0)], costs=[0.0] * len(inputs))


def _chain(policy: str, length: int = 1000) -> Program:
    inputs = [[(number - 1, 0)] if number else [] for number in range(length)]
    return Graph(inputs, [(length - 1, 0)], costs=[0.0] * length, sizes=lambda tile: 10**6)


JOBS: Mapping[str, Callable[[str], Program]] = {
    "TSQR, R": lambda policy: _tsqr(policy, with_q=False),
    "TSQR, Q and R": lambda policy: _tsqr(policy, with_q=True),
    "GEMM 4000": _gemm,
    "Cholesky 4000": _cholesky,
    "SVD2 8000, k = 5": _svd,
    "tree of 4,096": _tree,
    "chain of 1,000": _chain,
}
"""What is simulated, by name, as it is lowered for a policy."""


def rows(names: Sequence[str] = tuple(JOBS), sandboxes: int = SANDBOXES) -> list[Row]:
    """Simulate these jobs under both policies."""
    cloud = replace(CLOUD, concurrency=sandboxes)
    return [compared(name, JOBS[name], cloud) for name in names]


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table for so many sandboxes; the number of rows in which the cost model is worse."""
    found = rows(sandboxes=int(arguments[0]) if arguments else SANDBOXES)
    heads = "  ".join(f"{name:>10} {'(rules)':>10}" for name in found[0].numbers())
    print("\n".join([f"{'':<18}{heads}  worse", *(row.line() for row in found)]))
    return sum(bool(row.worse()) for row in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
