"""How many blocks of C = A B one task computes at once.

A task that holds p x q blocks of C reads p blocks of A and q blocks of B in each step over k, so that A is read N/q
times in all, and B M/p times: the larger the super-tile, the less is read (or made again, where an operand is a cheap
one). Against it stand memory (p q accumulators and two steps of operands must fit) and balance: with few large tasks
the last round leaves workers idle.

The rule: among the super-tiles that fit and give every worker a few tasks, take those that keep the workers nearly as
busy as the best does, and of those the one that reads least. What is computed does not depend on it: each
block of C is summed over k on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

NEARLY = 0.97
"""Share of the best balance that is as good as the best."""


@dataclass(frozen=True, slots=True)
class Product:
    """The sizes that decide: how many blocks C has, and how large the tiles are."""

    blocks: tuple[int, int]
    """Blocks of C down and across."""
    batch: int
    """Products of this size that are computed beside each other."""
    a_bytes: int
    """One step's tiles of A for one row of blocks."""
    b_bytes: int
    """One step's tiles of B for one column of blocks."""
    c_bytes: int
    """One accumulator."""


def task_bytes(product: Product, tile: tuple[int, int]) -> int:
    """Bytes that a task holds: its accumulators, the step at work and the next one.

    >>> task_bytes(Product((6, 6), 1, 8, 8, 8), (3, 2))
    128
    """
    down, across = tile
    return down * across * product.c_bytes + 2 * (down * product.a_bytes + across * product.b_bytes)


def balance(product: Product, tile: tuple[int, int], workers: int) -> float:
    """Share of the workers' time that is work, if tasks start in rounds and the largest sets the pace.

    >>> balance(Product((6, 6), 1, 8, 8, 8), (3, 3), 2), balance(Product((5, 5), 1, 8, 8, 8), (5, 5), 2)
    (1.0, 0.5)
    """
    (rows, columns), (down, across) = product.blocks, tile
    tasks = product.batch * -(-rows // down) * -(-columns // across)
    rounds = -(-tasks // workers)
    return product.batch * rows * columns / (rounds * workers * down * across)


@cache
def choose(product: Product, limit: int, workers: int, rounds: int) -> tuple[int, int]:
    """Blocks of C down and across that one task computes, so that every worker finds `rounds` tasks or more.

    >>> choose(Product((6, 6), 1, 8, 8, 8), 2**30, 2, 4), choose(Product((6, 6), 1, 8, 8, 8), 40, 2, 4)
    ((1, 3), (1, 1))
    """
    fitting = [tile for tile in _candidates(product.blocks) if task_bytes(product, tile) <= limit]
    enough = [tile for tile in fitting if _tasks(product, tile) >= rounds * workers] or [(1, 1)]
    best = max(balance(product, tile, workers) for tile in enough)
    busy = [tile for tile in enough if balance(product, tile, workers) >= NEARLY * best]
    return min(busy, key=lambda tile: (_traffic(product, tile), tile))


def _tasks(product: Product, tile: tuple[int, int]) -> int:
    return product.batch * -(-product.blocks[0] // tile[0]) * -(-product.blocks[1] // tile[1])


def _traffic(product: Product, tile: tuple[int, int]) -> int:
    """Bytes that all tasks read in one step: A once for each column of super-tiles, B once for each row."""
    (rows, columns), (down, across) = product.blocks, tile
    return -(-columns // across) * rows * product.a_bytes + -(-rows // down) * columns * product.b_bytes


def _candidates(blocks: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Every pair of extents that cuts the blocks into another number of parts: about 4 sqrt(M N) pairs, not M N."""
    for down in _extents(blocks[0]):
        for across in _extents(blocks[1]):
            yield down, across


def _extents(count: int) -> list[int]:
    """The smallest extent for each number of parts.

    >>> _extents(6)
    [1, 2, 3, 6]
    """
    extents, size = [], 1
    while size <= max(count, 1):
        extents.append(size)
        parts = -(-count // size)
        if parts <= 1:
            break
        # The next extent that cuts into fewer parts.
        size = -(-count // (parts - 1))
    return extents
