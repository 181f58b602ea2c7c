"""Wanted tiles are put while the next task runs: a job must leave them behind, whoever announces them, and when.

What is begun early is an early part of the store that the executor's core is going to ask for, and no more: until then
nobody is told of the tile, and an executor that is ended between the two leaves what one ended after its store would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from typing import Any

from wukong_sched.policy import Policy
from wukong_sched.program import Program, Task, Tile
from wukong_sched.storage.blocks import nbytes_of
from wukong_sched.storage.protocol import Storage

WRITERS = 2
"""Threads that write behind: one value is encoded while another's bytes pass."""


def early(program: Program, policy: Policy, task: Task, results: Sequence[Any]) -> Iterator[tuple[Tile, Any]]:
    """The wanted tiles among a task's results, if these take longer to move than a request takes in any case."""
    nbytes = sum(map(nbytes_of, results))
    if nbytes and not policy.inlines(nbytes):
        for tile, block in zip(program.outputs(task), results, strict=True):
            if program.is_wanted(tile):
                yield tile, block


class WriteBehind:
    """A store, some of whose puts are begun before they are asked for.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from wukong_sched.storage.memory import MemoryStorage
    >>> with ThreadPoolExecutor() as helper:
    ...     storage = WriteBehind(MemoryStorage(), helper)
    ...     storage.begin(("a", (0,)), 1.0)
    ...     storage.put({("a", (0,)): 1.0, ("a", (1,)): 2.0})
    ...     storage.get([("a", (0,)), ("a", (1,))])
    {('a', (0,)): 1.0, ('a', (1,)): 2.0}
    """

    def __init__(self, storage: Storage, helper: Executor) -> None:
        self._storage, self._helper = storage, helper
        self._begun: dict[Tile, Future[None]] = {}

    def begin(self, tile: Tile, block: Any) -> None:
        """Begin to put a tile."""
        self._begun[tile] = self._helper.submit(self._storage.put, {tile: block})

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Put these; those that were begun are waited for, and raise here what they raised."""
        begun = [tile for tile in blocks if tile in self._begun]
        if len(begun) < len(blocks):
            self._storage.put({tile: blocks[tile] for tile in blocks if tile not in begun} if begun else blocks)
        for tile in begun:
            self._begun[tile].result()
            del self._begun[tile]

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        return self._storage.get(tiles)

    def delete(self, tiles: Iterable[Tile]) -> None:
        self._storage.delete(tiles)

    def tiles(self) -> Iterable[Tile]:
        return self._storage.tiles()

    def close(self) -> None:
        """Give up what was not begun in earnest, and wait for the rest: nothing is written any more afterwards."""
        for future in self._begun.values():
            future.cancel()
        wait(self._begun.values())
        self._begun.clear()
