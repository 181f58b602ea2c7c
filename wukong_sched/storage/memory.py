"""Tiles in this process, as they are: nothing is serialised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from wukong_sched.program import Tile


class MemoryStorage:
    """Blocks in a mapping: a dict, or one that spills to disk."""

    def __init__(self, blocks: MutableMapping[Tile, Any] | None = None) -> None:
        self._blocks: MutableMapping[Tile, Any] = {} if blocks is None else blocks

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        for tile, block in blocks.items():
            self._blocks.setdefault(tile, block)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        found: dict[Tile, Any] = {}
        for tile in tiles:
            try:
                found[tile] = self._blocks[tile]
            except KeyError:
                continue
        return found

    def delete(self, tiles: Iterable[Tile]) -> None:
        for tile in tiles:
            self._blocks.pop(tile, None)

    def tiles(self) -> Iterable[Tile]:
        return list(self._blocks)
