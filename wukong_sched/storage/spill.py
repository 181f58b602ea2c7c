"""Blocks in memory up to a limit; beyond it, the least recently used go compressed to a private directory.

One `Spill` serves a whole job: the store of its tiles and the memories of its executors are mappings on top of it, and
a block that several of them hold is counted once. The directory is made at the first spill, readable by its owner
alone, and removed when the job ends, however it ends. What is no array (a tuple of them, any Python object) stays in
memory if it is small, and else is pickled under a signature with a key that never leaves the process.
"""

from __future__ import annotations

import hmac
import os
import pickle
import secrets
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from wukong_sched.errors import InfrastructureError
from wukong_sched.program import Tile
from wukong_sched.storage.codec import decode, encode

SMALL = 1 << 12
"""Bytes below which a block is never spilled."""


@dataclass(slots=True, eq=False)
class Cell:
    """One block, in memory or on disk."""

    block: Any
    nbytes: int
    holders: int = 1
    path: Path | None = None
    """Where it is on disk; kept when the block comes back, since blocks do not change."""


class Spill:
    """The memory of one job: at most `limit` bytes of blocks stay resident, apart from those in use."""

    def __init__(self, limit: int, directory: str | None = None) -> None:
        self.limit, self.resident, self.spilled_bytes = limit, 0, 0
        self._parent = directory
        self._directory: Path | None = None
        self._key = secrets.token_bytes(32)
        self._lock = threading.RLock()
        self._recent: OrderedDict[int, Cell] = OrderedDict()
        self._count = 0
        self._cleanup: weakref.finalize[..., Any] | None = None

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Spill(limit={self.limit}, resident={self.resident}, spilled_bytes={self.spilled_bytes})"

    def close(self) -> None:
        """Remove everything from disk."""
        if self._cleanup is not None:
            self._cleanup()

    def mapping(self) -> SpillingBlocks:
        """One more holder's blocks."""
        return SpillingBlocks(self)

    def hold(self, block: Any) -> Cell:
        """The cell of a block; the same one, if it is held already."""
        with self._lock:
            cell = self._recent.get(id(block))
            if cell is not None and cell.block is block:
                cell.holders += 1
                return cell
            cell = Cell(block, footprint(block))
            self._enter(cell)
            return cell

    def use(self, cell: Cell) -> Any:
        """The block of a cell, from disk if need be."""
        with self._lock:
            if cell.block is None and cell.path is not None:
                cell.block = self._load(cell.path)
                self._enter(cell)
            elif id(cell.block) in self._recent:
                self._recent.move_to_end(id(cell.block))
            return cell.block

    def release(self, cell: Cell) -> None:
        """One holder less; the last one takes the block along."""
        with self._lock:
            cell.holders -= 1
            if cell.holders:
                return
            self._leave(cell)
            if cell.path is not None:
                cell.path.unlink(missing_ok=True)

    def _enter(self, cell: Cell) -> None:
        if cell.nbytes < SMALL:
            return
        self._recent[id(cell.block)] = cell
        self.resident += cell.nbytes
        while self.resident > self.limit and len(self._recent) > 1:
            self._evict(next(iter(self._recent.values())))

    def _leave(self, cell: Cell) -> None:
        if self._recent.get(id(cell.block)) is cell:
            del self._recent[id(cell.block)]
            self.resident -= cell.nbytes

    def _evict(self, cell: Cell) -> None:
        if cell.path is None:
            cell.path = self._save(cell.block)
        self._leave(cell)
        cell.block = None

    def _save(self, block: Any) -> Path:
        self._count += 1
        path = self._private() / str(self._count)
        pieces = encode(block) if plain(block) else self._sign(block)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            for piece in pieces:
                write_all(file.fileno(), piece)
                self.spilled_bytes += len(piece)
        return path

    def _load(self, path: Path) -> Any:
        data = bytearray(path.stat().st_size)
        with open(path, "rb", buffering=0) as file:
            view = memoryview(data)
            while view and (count := file.readinto(view)):
                view = view[count:]
        return decode(data, path.name) if data[:4] != b"SGND" else self._verify(data, path)

    def _sign(self, block: Any) -> list[bytes]:
        data = pickle.dumps(block, protocol=5)
        return [b"SGND", hmac.digest(self._key, data, "sha256"), data]

    def _verify(self, data: bytearray, path: Path) -> Any:
        body = bytes(data[36:])
        if not hmac.compare_digest(bytes(data[4:36]), hmac.digest(self._key, body, "sha256")):
            raise InfrastructureError(f"spilled block {path.name} was changed on disk; it is not loaded")
        return pickle.loads(body)

    def _private(self) -> Path:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="sarray-spill-", dir=self._parent))
            self._cleanup = weakref.finalize(self, shutil.rmtree, self._directory, True)
        return self._directory


class SpillingBlocks(MutableMapping[Tile, Any]):
    """Blocks by tile name; like a dict, but for where the blocks are."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._cells: dict[Tile, Cell] = {}

    def __getitem__(self, tile: Tile) -> Any:
        return self._spill.use(self._cells[tile])

    def __setitem__(self, tile: Tile, block: Any) -> None:
        old = self._cells.get(tile)
        self._cells[tile] = self._spill.hold(block)
        if old is not None:
            self._spill.release(old)

    def __delitem__(self, tile: Tile) -> None:
        self._spill.release(self._cells.pop(tile))

    def __contains__(self, tile: object) -> bool:
        return tile in self._cells

    def setdefault(self, tile: Tile, default: Any = None) -> Any:
        """As of a dict, but without loading a block that is there."""
        if tile not in self._cells:
            self[tile] = default
        return default

    def pop(self, tile: Tile, default: Any = None) -> Any:
        """Forget a tile, without loading it; answers the default always."""
        if tile in self._cells:
            del self[tile]
        return default

    def clear(self) -> None:
        """Forget all tiles."""
        for tile in list(self._cells):
            del self[tile]

    def __iter__(self) -> Iterator[Tile]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


def plain(block: Any) -> bool:
    """Whether the codec takes this block."""
    return type(block) is np.ndarray and not block.dtype.hasobject


def footprint(block: Any) -> int:
    """Bytes that a block holds on to; a tuple's members count, other objects count as their `nbytes` or not at all."""
    if isinstance(block, tuple | list):
        return sum(map(footprint, block))
    return int(getattr(block, "nbytes", 0))


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of the data, however little a single write takes."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(descriptor, view[: 1 << 30]) :]
