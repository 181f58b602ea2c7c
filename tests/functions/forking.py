"""A client that forks once its functions run: ``python -m tests.functions.forking <what>``; see `test_forks`."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import Any

import sarray as sa


def total(factor: int) -> float:
    """32 times the factor, by functions."""
    return float((sa.ones((8, 4), chunks=(2, 4)) * factor).sum().compute(executor="functions", workers=2))


def put_total(queue: Any, factor: int) -> None:
    """The same, for somebody else."""
    queue.put(total(factor))


def in_a_child(kind: str) -> None:
    """A child of `multiprocessing` computes while its parent has functions, and the parent does so again."""
    context = multiprocessing.get_context(kind)
    print(total(1))
    queue = context.Queue()
    child = context.Process(target=put_total, args=(queue, 2))
    child.start()
    print(queue.get(timeout=60))
    child.join()
    print(total(3), child.exitcode)


def beside_a_child_that_exits() -> None:
    """The child runs all that an interpreter runs at its end."""
    print(total(1))
    pid = os.fork()
    if not pid:
        sys.exit(0)
    os.waitpid(pid, 0)
    print(total(2))


def before_a_child_that_lasts() -> None:
    """The child outlives its parent by far; its id is printed."""
    print(total(1))
    pid = os.fork()
    if not pid:
        os.close(1)
        os.close(2)
        time.sleep(600)
        os._exit(0)
    print(pid)


WAYS = {
    "fork": lambda: in_a_child("fork"),
    "spawn": lambda: in_a_child("spawn"),
    "exit": beside_a_child_that_exits,
    "last": before_a_child_that_lasts,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]]()
