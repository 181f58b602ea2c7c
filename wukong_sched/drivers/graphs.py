"""Small random programs whose tiles are numbers that depend on everything before them.

A tile's value is a hash of its task and of the values that the task read, so that a result is right only if every task
before it read the right tiles. The shapes are those that schedulers stumble over: wide fan-outs, ragged trees, fan-ins
half of which are here, tiles that are wanted and consumed, tasks with several outputs, tasks for whose result nobody
asks.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wukong_sched.program import SINK, BlockReader, Range, Task, Tile

Inputs = list[list[tuple[int, int]]]
"""For each task its inputs: (number of an earlier task, number of that task's output)."""


@dataclass(frozen=True, slots=True)
class Work:
    """The cost of a task."""

    flops: float
    bytes_in: float = 0.0
    bytes_out: float = 0.0


class Graph:
    """A program from lists: tile ``("v", (task, output))``, leaves ``("leaf", (i,))`` and others ``("node", (i,))``.

    `outputs` and `costs` (None: unknown) go by task, `sizes` (bytes) by tile; `raises` is a task that raises, `folds`
    are tasks that read while they run. Each leaf reads a source ``("a", (i,))`` and a cheap tile ``("c", ())``, unless
    `bare`: then leaves read nothing.
    """

    def __init__(
        self,
        inputs: Inputs,
        wanted: Sequence[tuple[int, int]],
        outputs: Sequence[int] = (),
        *,
        costs: Sequence[float | None] = (),
        sizes: Callable[[Tile], int] = lambda tile: 100,
        raises: int = -1,
        folds: frozenset[int] = frozenset(),
        bare: bool = False,
        in_order: bool = False,
    ) -> None:
        self.in_order = in_order
        outputs = outputs or [1] * len(inputs)
        self._inputs: list[list[Tile]] = [
            [("v", pair) for pair in pairs] if pairs or bare else [("a", (i,)), ("c", ())]
            for i, pairs in enumerate(inputs)
        ]
        self._tasks: list[Task] = [("node" if pairs else "leaf", (i,)) for i, pairs in enumerate(inputs)]
        self._outputs: list[list[Tile]] = [[("v", (i, k)) for k in range(n)] for i, n in enumerate(outputs)]
        self._leaves = [task for task in self._tasks if task[0] == "leaf"]
        self._wanted = dict.fromkeys(("v", pair) for pair in wanted)
        self._costs, self._sizes, self._raises, self._folds = costs, sizes, raises, folds
        self._consumers: dict[Tile, list[Task]] = {tile: [] for tiles in self._outputs for tile in tiles}
        for task, tiles in zip(self._tasks, self._inputs, strict=True):
            for tile in tiles:
                self._consumers.setdefault(tile, []).append(task)
        for tile in self._wanted:
            self._consumers[tile].append(SINK)

    def without_error(self) -> Graph:
        """The same program, in which no task raises."""
        other = copy.copy(self)
        other._raises = -1
        return other

    def __len__(self) -> int:
        return len(self._tasks)

    def inputs(self, task: Task) -> list[Tile]:
        return self._inputs[task[1][0]]

    def outputs(self, task: Task) -> list[Tile]:
        return self._outputs[task[1][0]]

    def producer(self, tile: Tile) -> Task | None:
        return self._tasks[tile[1][0]] if tile[0] == "v" else None

    def consumers(self, tile: Tile) -> list[Task]:
        return self._consumers[tile]

    def is_task_array(self, array: str) -> bool:
        return array == "v"

    def is_cheap(self, array: str) -> bool:
        return array == "c"

    def wanted(self) -> Iterator[Tile]:
        return iter(self._wanted)

    def is_wanted(self, tile: Tile) -> bool:
        return tile in self._wanted

    @property
    def wanted_count(self) -> int:
        return len(self._wanted)

    def leaves(self) -> Sequence[Range]:
        half = (len(self._leaves) + 1) // 2
        return [("leaf", 0, 0, half), ("leaf", 1, half, len(self._leaves))][: 1 + (half < len(self._leaves))]

    def expand(self, leaves: Range) -> Iterator[Task]:
        return iter(self._leaves[leaves[2] : leaves[3]])

    def nbytes(self, tile: Tile) -> int:
        return self._sizes(tile)

    def cost(self, task: Task) -> Work | None:
        flops = self._costs[task[1][0]] if self._costs else None
        return None if flops is None else Work(flops)

    def operation(self, task: Task) -> str:
        return f"{task[0]} {task[1][0]}"

    def streams(self, task: Task) -> bool:
        return task[1][0] in self._folds

    def read(self, tile: Tile) -> int:
        return hash(tile[1])

    def run(self, task: Task, block: BlockReader) -> list[Any]:
        number = task[1][0]
        if number == self._raises:
            raise ArithmeticError(f"task {number} cannot")
        values = tuple(block(tile) for tile in self.inputs(task))
        return [hash((number, output, values)) for _, (_, output) in self.outputs(task)]


# ---- shapes


def _random(rng: random.Random, size: int) -> Inputs:
    fans = (0, 1, 1, 2, 2, 3, 5)
    return [[(j, 0) for j in sorted(rng.sample(range(i), min(i, rng.choice(fans))))] for i in range(size)]


def _tree(rng: random.Random, size: int) -> Inputs:
    """A ragged reduction."""
    arity, inputs = rng.randint(2, 4), Inputs([[] for _ in range(size // 2 + 1)])
    level = list(range(len(inputs)))
    while len(level) > 1:
        groups = [level[i : i + arity] for i in range(0, len(level), arity)]
        inputs += [[(j, 0) for j in group] for group in groups]
        level = list(range(len(inputs) - len(groups), len(inputs)))
    return inputs


def _fan(rng: random.Random, size: int) -> Inputs:
    """One tile for many, then one task for all."""
    return [[], *([(0, 0)] for _ in range(size)), [(i, 0) for i in range(1, size + 1)]]


def _chain(rng: random.Random, size: int) -> Inputs:
    return [[], *([(i, 0)] for i in range(4 * size))]


def _wavefront(rng: random.Random, size: int) -> Inputs:
    """Each point of a grid after its neighbours above and to the left."""
    n = max(2, int(size**0.5))
    point = {(i, j): i * n + j for i in range(n) for j in range(n)}
    return [[(point[p], 0) for p in ((i - 1, j), (i, j - 1)) if p in point] for i, j in point]


def _tsqr(rng: random.Random, size: int) -> Inputs:
    """A binary tree upwards, and back down along the other outputs."""
    leaves = max(2, size // 4)
    inputs: Inputs = [[] for _ in range(leaves)]
    level, joins = list(range(leaves)), list[tuple[int, list[int]]]()
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [len(inputs) + i for i in range(len(pairs))]
        inputs += [[(j, 0) for j in pair] for pair in pairs]
        joins += zip(level, pairs, strict=True)
    down = {level[0]: level[0]}
    for parent, children in reversed(joins):
        for child in children:
            down[child] = len(inputs)
            inputs.append([(down[parent], 0), (child, 1)])
    return inputs


def _side_by_side(rng: random.Random, size: int) -> Inputs:
    """Two independent shapes."""
    first, second = rng.choice(SHAPES)(rng, size // 2 + 1), rng.choice(SHAPES)(rng, size // 2 + 1)
    return first + [[(j + len(first), k) for j, k in pairs] for pairs in second]


SHAPES: tuple[Callable[[random.Random, int], Inputs], ...] = (_random, _random, _tree, _fan, _chain, _wavefront, _tsqr)


def draw(rng: random.Random, most: int = 40, raising: bool = False) -> Graph:
    """A random program of about at most so many tasks; with one that raises, if asked for."""
    inputs = rng.choice((*SHAPES, _side_by_side))(rng, rng.randint(1, most))
    count = len(inputs)
    several = rng.choice((0.0, 0.1, 0.3))
    used = [1 + max((k for pairs in inputs for j, k in pairs if j == i), default=0) for i in range(count)]
    outputs = [n + (rng.random() < several) for n in used]
    inputs = [_other_outputs(rng, pairs, outputs) for pairs in inputs]
    consumed = {pair for pairs in inputs for pair in pairs}
    tiles = [(i, k) for i, n in enumerate(outputs) for k in range(n)]
    often = rng.choice((0.0, 0.1, 0.5))
    wanted = [tile for tile in tiles if rng.random() < (often if tile in consumed else 0.9)] or tiles[-1:]
    slow = rng.choice((1e7, 1e9, 2e10))
    costs = [None if rng.random() < 0.1 else slow * rng.random() for _ in range(count)]
    large = rng.choice((100, 10**5, 10**6))
    folds = frozenset(i for i in range(count) if inputs[i] and rng.random() < 0.1)
    return Graph(
        inputs,
        wanted,
        outputs,
        costs=costs,
        sizes=lambda tile: large * (1 + sum(tile[1]) % 3),
        raises=rng.randrange(count) if raising else -1,
        folds=folds,
    )


def _other_outputs(rng: random.Random, pairs: list[tuple[int, int]], outputs: list[int]) -> list[tuple[int, int]]:
    """Read, now and then, another output of the same task."""
    return [(j, rng.randrange(outputs[j])) if rng.random() < 0.3 else (j, k) for j, k in pairs]
