"""Add the numbers 0 .. size - 1 pairwise in a tree, each addition a task that may sleep."""

from __future__ import annotations

import functools
import time

import numpy as np
from script import command_line, judge, run

import sarray as sa


def add(delay: float, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sleep for a while, and add."""
    time.sleep(delay)
    return left + right


def main() -> None:
    """Run the example."""
    parser = command_line(__doc__, size=1024, chunks=1)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds that each addition sleeps")
    options = parser.parse_args()
    numbers = sa.arange(options.size, chunks=options.chunks)

    (total,) = run(options, sa.tree_reduce(numbers, functools.partial(add, options.delay / 1000), arity=2))

    judge({"difference from n(n - 1)/2": float(abs(int(np.sum(total)) - options.size * (options.size - 1) // 2))}, 0.0)


if __name__ == "__main__":
    main()
