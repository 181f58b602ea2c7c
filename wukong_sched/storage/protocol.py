"""The contract of a tile store. Tiles are immutable: a name has one value, put twice it is the same value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from wukong_sched.program import Tile


class Storage(Protocol):
    """Keeps blocks by tile name. Every method carries many tiles."""

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Keep these blocks, all of them when the call returns; a tile that is there already stays as it is."""

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        """The blocks of these tiles; a tile that is not there is not in the answer."""

    def delete(self, tiles: Iterable[Tile]) -> None:
        """Forget these tiles; one that is not there is no error."""

    def tiles(self) -> Iterable[Tile]:
        """Names of all tiles that are there, a snapshot."""
