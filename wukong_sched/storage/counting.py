"""What goes through a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wukong_sched.program import Tile
from wukong_sched.storage.protocol import Storage


@dataclass(slots=True)
class CountingStorage:
    """A store that counts what goes through."""

    storage: Storage
    nbytes: Callable[[Tile], int]
    requests: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Keep these blocks."""
        self.requests += len(blocks)
        self.bytes_written += sum(map(self.nbytes, blocks))
        self.storage.put(blocks)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        """The blocks of these tiles."""
        found = self.storage.get(tiles)
        self.requests += len(tiles)
        self.bytes_read += sum(map(self.nbytes, found))
        return found

    def delete(self, tiles: Iterable[Tile]) -> None:
        """Forget these tiles."""
        self.storage.delete(tiles)

    def tiles(self) -> Iterable[Tile]:
        """Names of all tiles that are there."""
        return self.storage.tiles()
