"""What a warm process keeps between two invocations of one job: tiles, least recently used ones forgotten first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wukong_sched.program import Tile
from wukong_sched.storage.blocks import nbytes_of
from wukong_sched.storage.protocol import Storage


class Recent:
    """Blocks of at most `limit` bytes together. Threads may share it."""

    def __init__(self, limit: int) -> None:
        self.limit, self.nbytes = limit, 0
        self._blocks: OrderedDict[Tile, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._blocks)

    def find(self, tile: Tile) -> Any | None:
        """The block, if it is here."""
        with self._lock:
            if tile not in self._blocks:
                return None
            self._blocks.move_to_end(tile)
            return self._blocks[tile]

    def keep(self, tile: Tile, block: Any) -> None:
        """Remember a block, and forget others for it."""
        size = nbytes_of(block)
        if size > self.limit:
            return
        with self._lock:
            if tile in self._blocks:
                return
            self._blocks[tile] = block
            self.nbytes += size
            while self.nbytes > self.limit:
                self.nbytes -= nbytes_of(self._blocks.popitem(last=False)[1])

    def forget(self, tile: Tile) -> None:
        """Forget a block."""
        with self._lock:
            if tile in self._blocks:
                self.nbytes -= nbytes_of(self._blocks.pop(tile))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._blocks.clear()
            self.nbytes = 0


class WarmStorage:
    """A store, behind the blocks that this process has put there or got from there lately."""

    def __init__(self, storage: Storage, recent: Recent) -> None:
        self._storage, self._recent = storage, recent

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        self._storage.put(blocks)
        for tile, block in blocks.items():
            self._recent.keep(tile, block)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        found = {tile: block for tile in tiles if (block := self._recent.find(tile)) is not None}
        missing = [tile for tile in tiles if tile not in found]
        if missing:
            for tile, block in self._storage.get(missing).items():
                self._recent.keep(tile, block)
                found[tile] = block
        return found

    def delete(self, tiles: Iterable[Tile]) -> None:
        tiles = list(tiles)
        for tile in tiles:
            self._recent.forget(tile)
        self._storage.delete(tiles)

    def tiles(self) -> Iterable[Tile]:
        return self._storage.tiles()


def warm_reader(read: Callable[[Tile], Any], recent: Recent) -> Callable[[Tile], Any]:
    """`read` for source tiles, behind those that were read lately."""

    def warm(tile: Tile) -> Any:
        block = recent.find(tile)
        if block is None:
            block = read(tile)
            recent.keep(tile, block)
        return block

    return warm
