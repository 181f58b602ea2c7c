"""Small systems of recurrences, with the dependencies of real algorithms and numbers for tiles.

Every kernel mixes its index and what it read into a number, as in `wukong_sched.drivers.graphs`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wukong_sched.drivers.graphs import Work
from wukong_sched.grid import Grid
from wukong_sched.linked import Wanted, WantedTiles
from wukong_sched.recurrence import Recurrences
from wukong_sched.rule import ArrayInfo, Rule

Sizes = Mapping[str, Any]


class Numbers:
    """A source."""

    def read(self, index: tuple[int, ...]) -> int:
        """A number that depends on the index."""
        return hash(index)


def _mixed(*read: Any) -> int:
    return hash(tuple(tuple(part) if isinstance(part, list) else part for part in read))


@dataclass(frozen=True, slots=True)
class Mix:
    """A kernel with one output, or so many."""

    salt: int
    several: int = 0

    def __call__(self, index: tuple[int, ...], *reads: Any) -> Any:
        if not self.several:
            return _mixed(self.salt, index, *reads)
        return [_mixed(self.salt, index, place, *reads) for place in range(self.several)]


@dataclass(frozen=True, slots=True)
class MixForEach:
    """A kernel with one output for each tile of its last read."""

    salt: int

    def __call__(self, index: tuple[int, ...], *reads: Any) -> list[int]:
        return [_mixed(self.salt, index, place, *reads) for place in range(len(reads[-1]))]


@dataclass(frozen=True, slots=True)
class MixSteps:
    """The kernel of a fold."""

    salt: int

    def start(self, index: tuple[int, ...], *fixed: Any) -> int:
        return _mixed(self.salt, index, *fixed)

    def step(self, accumulator: int, number: int, *blocks: Any) -> int:
        return _mixed(accumulator, number, *blocks)

    def finish(self, index: tuple[int, ...], accumulator: int) -> int:
        return accumulator


@dataclass(frozen=True, slots=True)
class System:
    """Rules with everything that a program needs besides."""

    rules: Sequence[Rule]
    sources: Sequence[str]
    wanted: Sequence[Wanted]

    def program(self, nbytes: int) -> Recurrences:
        """The program, each of whose tiles has so many bytes."""
        written = {write.strip("[").partition("[")[0] for rule in self.rules for write in rule.writes}
        arrays = dict.fromkeys([*self.sources, *sorted(written)], ArrayInfo(nbytes))
        return Recurrences(self.rules, arrays, dict.fromkeys(self.sources, Numbers()), self.wanted)


def cholesky(n: int, work: Work | None = None) -> System:
    """Tiled Cholesky of n x n tiles, all of the factor wanted."""
    sizes, first = {"n": n}, "A[{0}] if k == 0 else S[k, {0}]"
    trailing = "for k in range(n) for j in range(k + 1, n) for i in range(j, n)"
    rules = [
        _rule("potrf", "for k in range(n)", ("L[k, k]",), (first.format("k, k"),), Mix(1), sizes, work),
        _rule(
            "trsm",
            "for k in range(n) for i in range(k + 1, n)",
            ("L[i, k]",),
            (first.format("i, k"), "L[k, k]"),
            Mix(2),
            sizes,
            work,
        ),
        _rule("gemm", trailing, ("S[k + 1, i, j]",), (first.format("i, j"), "L[i, k]", "L[j, k]"), Mix(3), sizes, work),
    ]
    return System(rules, ["A"], [WantedTiles("L[i, k]", "for i in range(n) for k in range(i + 1)", {}, sizes)])


def tsqr(n: int, work: Work | None = None) -> System:
    """Up a ragged tree over n blocks, and back down: Q and the root's R wanted."""
    arity, width = 2, [n]
    while width[-1] > 1:
        width.append(-(-width[-1] // arity))
    sizes = {"a": arity, "width": tuple(width), "depth": len(width), "n": n, "top": len(width) - 1}
    levels = "for l in range(1, depth) for j in range(width[l])"
    children = "[{0}[l - 1, a * j + c] for c in range(min(a, width[l - 1] - a * j))]"
    up, down = children.format("R"), children.format("C")
    rules = [
        _rule("geqrt", "for j in range(n)", ("V[j]", "R[0, j]"), ("X[j]",), Mix(4, 2), sizes, work),
        _rule("tpqrt", levels, ("R[l, j]",), (up,), Mix(5), sizes, work),
        _rule("turn", "", ("C[top, 0]",), ("R[top, 0]",), Mix(6), sizes, work),
        _rule("tpmqrt", levels, (down,), ("C[l, j]", up), MixForEach(7), sizes, work),
        _rule("gemqrt", "for j in range(n)", ("Q[j]",), ("V[j]", "C[0, j]"), Mix(8), sizes, work),
    ]
    root = WantedTiles("R[top, 0]", "", {}, sizes)
    return System(rules, ["X"], [("Q", (n,)), root])


def product(n: int, work: Work | None = None) -> System:
    """Both factors made by tasks, then C by a fold."""
    sizes, loops = {"n": n, "m": 2}, "for i in range({0}) for j in range({1})"
    rules = [
        _rule("left", loops.format("m", "n"), ("A[i, j]",), ("X[i, j]",), Mix(9), sizes, work),
        _rule("right", loops.format("n", "m"), ("B[i, j]",), ("X[i, j]",), Mix(10), sizes, work),
        Rule(
            "gemm",
            loops.format("m", "m"),
            ("C[i, j]",),
            ("A[i, k]", "B[k, j]"),
            MixSteps(11),
            {},
            sizes,
            fold="for k in range(n)",
            cost=work,
        ),
    ]
    return System(rules, ["X"], [("C", (2, 2))])


def shifted(n: int, work: Work | None = None) -> System:
    """A window over tiles that tasks made, joined with a cheap one."""
    src, out = Grid.of(tuple(1 + i % 3 for i in range(n))), Grid.of((2,) * max(1, n - 1))
    sizes = {"n": n, "m": max(1, n - 1), "src": src, "out": out, "start": 1, "step": 1}
    window = "[B[t] for t in window(i, out, src, start, step)]"
    rules = [
        _rule("make", "for i in range(n)", ("B[i]",), ("X[i]",), Mix(12), sizes, work),
        Rule("zero", "for i in range(m)", ("Z[i]",), (), Mix(13), {}, sizes, cheap=True),
        _rule("slice", "for i in range(m)", ("Y[i]",), (window, "Z[i]"), Mix(14), sizes, work),
    ]
    return System(rules, ["X"], [("Y", (max(1, n - 1),)), ("B", (1,))])


def _rule(
    name: str, loops: str, writes: tuple[str, ...], reads: tuple[str, ...], kernel: Any, sizes: Sizes, work: Work | None
) -> Rule:
    return Rule(name, loops, writes, reads, kernel, {}, sizes, cost=work, operation=name)


SYSTEMS: tuple[tuple[Callable[[int, Work | None], System], int], ...] = (
    (cholesky, 6),
    (tsqr, 17),
    (product, 9),
    (shifted, 12),
)
"""Each with the largest size to draw."""


def draw(rng: random.Random) -> Recurrences:
    """One of the systems, of a random size."""
    make, most = rng.choice(SYSTEMS)
    work = rng.choice((None, Work(1e8), Work(5e9)))
    return make(rng.randint(1, most), work).program(rng.choice((100, 10**5, 10**6)))
