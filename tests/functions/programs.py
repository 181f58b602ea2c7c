"""Programs for functions to run, and the functions they consist of."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
import sys
import time
import weakref
from collections.abc import Callable, Hashable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from wukong_sched.drivers.graphs import Graph
from wukong_sched.explicit import Explicit
from wukong_sched.policy import CostModel
from wukong_sched.program import BlockReader, Task, Tile


class Steady(CostModel):
    """Learns nothing, so that what it decides does not depend on how busy this machine is."""

    def observed(self, nbytes: int, seconds: float) -> Steady:
        return self

    def started(self, seconds: float) -> Steady:
        return self


def steady(policy: CostModel, **changes: Any) -> Steady:
    """The policy, changed, and as it is from then on."""
    return Steady(**{each.name: getattr(policy, each.name) for each in fields(policy) if each.init} | changes)


def tree(leaves: int, leaf: Any = int) -> Explicit:
    """The sum of 0 .. leaves - 1, in pairs."""
    mapping: dict[Hashable, Any] = {("leaf", number): (leaf, number) for number in range(leaves)}
    level = list(mapping)
    while len(level) > 1:
        pairs = [tuple(level[at : at + 2]) for at in range(0, len(level), 2)]
        level = [pair[0] if len(pair) == 1 else ("sum", *pair) for pair in pairs]
        mapping.update((key, (operator.add, *key[1:])) for key in level if key[0] == "sum" and key not in mapping)
    return Explicit.from_mapping(mapping, level)


def chain(length: int) -> Explicit:
    """Add one so many times."""
    mapping: dict[Hashable, Any] = {("link", 0): (int, 0)}
    mapping.update((("link", number), (operator.add, ("link", number - 1), 1)) for number in range(1, length))
    return Explicit.from_mapping(mapping, [("link", length - 1)])


def crowd(count: int) -> Explicit:
    """So many slow tasks that have nothing to do with each other."""
    keys = [("slow", number) for number in range(count)]
    return Explicit.from_mapping({key: (slow, key[1]) for key in keys}, keys)


def diamonds(count: int) -> Explicit:
    """One task, so many slow ones that read what it made, and as many that read theirs."""
    mapping: dict[Hashable, Any] = {"top": (int, 1)}
    for number in range(count):
        mapping["left", number] = (add_slowly, "top", number)
        mapping["right", number] = (add_slowly, "top", number + 1)
        mapping["bottom", number] = (operator.add, ("left", number), ("right", number))
    return Explicit.from_mapping(mapping, [("bottom", number) for number in range(count)])


def add_slowly(first: int, second: int) -> int:
    """A sum that takes a while."""
    time.sleep(0.02)
    return first + second


def slow(number: int) -> int:
    """A leaf that takes a while."""
    time.sleep(0.02)
    return number


def slower(number: int) -> int:
    """A leaf that takes longer than a lease."""
    time.sleep(2.6)
    return number


def array(number: int) -> np.ndarray[Any, Any]:
    """A leaf of 80 KB."""
    return np.full(10_000, float(number))


NOTED: list[weakref.ref[Any]] = []
"""What `noted` has made in this process."""


def noted(number: int) -> np.ndarray[Any, Any]:
    """A block whose end can be seen."""
    block = array(number)
    NOTED.append(weakref.ref(block))
    return block


def noted_blocks(count: int) -> Explicit:
    """So many of them, all wanted."""
    keys = [("noted", number) for number in range(count)]
    return Explicit.from_mapping({key: (noted, key[1]) for key in keys}, keys)


TAKEN: list[int] = []
"""What `taking` has been called with in this process."""


def taking(number: int) -> int:
    """A leaf of which is known that it has run."""
    TAKEN.append(number)
    return number


def takers(count: int) -> Explicit:
    """So many of them, all wanted."""
    keys = [("taking", number) for number in range(count)]
    return Explicit.from_mapping({key: (taking, key[1]) for key in keys}, keys)


MEANWHILE: list[Callable[[], None]] = []
"""What happens in this process while a task runs."""


def large(number: int) -> np.ndarray[Any, Any]:
    """A block of 8 MB."""
    for happen in MEANWHILE:
        happen()
    return np.full(10**6, float(number))


def meanwhile() -> Explicit:
    """One such block, wanted."""
    return Explicit.from_mapping({"large": (large, 1)}, ["large"])


class Copying(Graph):
    """Sources of 92 MB, of each of which its task makes a copy."""

    elements = 11_500_000

    def read(self, tile: Tile) -> Any:
        return np.full(self.elements, float(tile[1][0])) if tile[0] == "a" else 0.0

    def run(self, task: Task, block: BlockReader) -> list[Any]:
        copies = [np.asarray(block(tile)) * 2.0 for tile in self.inputs(task)]
        time.sleep(0.5 * any(copy.size > 1 for copy in copies))
        return [float(sum(copy.sum() for copy in copies)) for _ in self.outputs(task)]


def size_of_copied(tile: Tile) -> int:
    """Bytes of a tile of `copying`."""
    return 8 * Copying.elements if tile[0] == "a" else 100


def copying(leaves: int) -> Copying:
    """The sum of so many large sources."""
    inputs = [*[[] for _ in range(leaves)], [(leaf, 0) for leaf in range(leaves)]]
    return Copying(inputs, [(leaves, 0)], sizes=size_of_copied, costs=[1e10] * (leaves + 1))


def fail(number: int) -> int:
    """A leaf that raises for one number."""
    if number == 3:
        raise ZeroDivisionError("three")
    return number


class Unloadable:
    """A leaf that cannot be unpickled."""

    def __call__(self, number: int) -> int:
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        return refuse, ()


def refuse() -> None:
    """Fail to load."""
    raise KeyError("not here")


class Ending:
    """A leaf whose module ends the program, as some do that are no main module, where it is unpickled."""

    def __call__(self, number: int) -> int:
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (3,)


class once:
    """A leaf that ends its process the first time that it runs for certain numbers."""

    def __init__(self, directory: str, *numbers: int) -> None:
        self.directory, self.numbers = directory, numbers

    def __call__(self, number: int) -> int:
        path = Path(self.directory) / str(number)
        if number in self.numbers and not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10)
        return number


def slow_block(block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The block, after a while."""
    time.sleep(0.02)
    return block


class Unspeakable(Exception):
    """Its text is an error."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Halt(BaseException):
    """As the PanicException of extensions in Rust, and trio's Cancelled: no Exception."""


class Halting:
    """An array that cannot be read."""

    shape, dtype = (4, 4), np.dtype(float)

    def __getitem__(self, index: Any) -> Any:
        raise Halt("here")


class Mute(Exception):
    """Its text is an end of the program."""

    def __str__(self) -> str:
        raise SystemExit(2)

    __repr__ = __str__


class Crashing:
    """Whoever loads it is gone at once."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


class Stuck(Exception):
    """Whoever pickles it as it says ends."""

    def __reduce__(self) -> Any:
        raise SystemExit(2)


class Rooted(Exception):
    """Loaded only in the process that raised it."""

    def __reduce__(self) -> Any:
        return _rooted, (os.getpid(),)


def _rooted(process: int) -> Rooted:
    if os.getpid() != process:
        raise SystemExit(7)
    return Rooted("here")


def stick(block: Any) -> Any:
    raise Stuck("here")


def stay(block: Any) -> Any:
    raise Rooted("here")


def exit_early(block: Any) -> Any:
    raise SystemExit("wrong input file")


def say_nothing(block: Any) -> Any:
    raise Unspeakable


def halt(block: Any) -> Any:
    raise Halt("here")


def be_cancelled(block: Any) -> Any:
    raise asyncio.CancelledError("over")


def interrupt(block: Any) -> Any:
    raise KeyboardInterrupt("mine")


def end_in_words(block: Any) -> Any:
    raise Mute
