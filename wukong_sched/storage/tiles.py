"""Blocks in an object store: a tile's key, its encoding, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wukong_sched.program import Tile
from wukong_sched.storage.blocks import nbytes_of
from wukong_sched.storage.keys import Keys, in_words
from wukong_sched.storage.objects import Objects, Tally, size
from wukong_sched.storage.structured import BlockCodec


class TileStorage:
    """One job's blocks, encoded, in an object store.

    >>> import numpy as np, tempfile
    >>> from wukong_sched.storage.filesystem import FilesystemObjects
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     storage = TileStorage(FilesystemObjects(directory), Keys("job"))
    ...     storage.put({("a", (0,)): np.arange(3)})
    ...     storage.get([("a", (0,)), ("a", (1,))])
    {('a', (0,)): array([0, 1, 2])}
    """

    def __init__(self, objects: Objects, keys: Keys, codec: BlockCodec | None = None) -> None:
        self.objects, self.keys = objects, keys
        self.codec = BlockCodec() if codec is None else codec
        self.saved = Tally()
        """Bytes of blocks in memory beyond those of their encodings."""

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        encoded = {self.keys.key(tile): self.codec.encode(block, in_words(tile)) for tile, block in blocks.items()}
        self.saved.add(written=sum(map(nbytes_of, blocks.values())) - sum(map(size, encoded.values())))
        self.objects.put(encoded)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        names = {self.keys.key(tile): tile for tile in tiles}
        found = self.objects.get(list(names))
        blocks = {names[key]: self.codec.decode(data, in_words(names[key])) for key, data in found.items()}
        self.saved.add(read=sum(map(nbytes_of, blocks.values())) - sum(map(len, found.values())))
        return blocks

    def delete(self, tiles: Iterable[Tile]) -> None:
        self.objects.delete([self.keys.key(tile) for tile in tiles])

    def tiles(self) -> Iterable[Tile]:
        own, everybodys = self.keys.tile_prefixes
        tiles = [self.keys.tile(key) for key in self.objects.keys(own)]
        wanted = map(self.keys.tile, self.objects.keys(everybodys))
        return [*tiles, *(tile for tile in wanted if self.keys.is_wanted(tile))]

    def sweep(self) -> None:
        """Forget all that the job stored under its own prefix; wanted tiles stay."""
        self.objects.sweep(self.keys.job_prefix)
