"""Blocks in memory up to a limit; beyond it, the least recently used go compressed to a private file without a name.

One `Spill` serves a whole job: the store of its tiles and the memories of its executors are mappings on top of it, and
a block that several of them hold is counted once. What is no array (a tuple of them, any Python object) is pickled with
its buffers out of band: these go to the file, and the pickle itself, which is small, never leaves the process.
"""

from __future__ import annotations

import ctypes
import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np

from wukong_sched.program import Tile
from wukong_sched.storage.blocks import said
from wukong_sched.storage.codec import decode, encode
from wukong_sched.storage.scratch import Piece, Scratch

SMALL = 1 << 12
"""Bytes below which a block is never spilled."""


TRIMMED = 1 << 25
"""Bytes evicted after which the allocator is asked to give memory back."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A block on disk."""

    piece: Piece
    pickled: bytes = b""
    """What is not in the file: the pickle of a block that is no array; empty for an array."""
    lengths: tuple[int, ...] = ()
    """Bytes of each of the pickle's buffers, one after the other in the file."""


@dataclass(slots=True, eq=False)
class Cell:
    """One block, in memory or on disk."""

    block: Any
    nbytes: int
    holders: int = 1
    saved: Saved | None = None
    """Where it is on disk; kept when the block comes back, since blocks do not change."""


class Spill:
    """The memory of one job: at most `limit` bytes of blocks stay resident, apart from those in use.

    The file is in `directory`, or where temporary files go. OSError from whatever the disk refuses.
    """

    def __init__(self, limit: int, directory: str | None = None) -> None:
        self.limit, self.resident, self.spilled_bytes = limit, 0, 0
        self.scratch = Scratch(directory)
        self._lock = threading.RLock()
        self._recent: OrderedDict[int, Cell] = OrderedDict()
        self._evicted = 0

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Spill(limit={self.limit}, resident={self.resident}, spilled_bytes={self.spilled_bytes})"

    def close(self) -> None:
        """Give the disk space back."""
        with self._lock:
            self.scratch.close()

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
            if cell.block is None and cell.saved is not None:
                cell.block = self._load(cell.saved)
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
            if cell.saved is not None:
                self.scratch.release(cell.saved.piece)

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
        if cell.saved is None:
            cell.saved = self._save(cell.block)
        self._leave(cell)
        cell.block = None
        self._evicted += cell.nbytes
        if self._evicted >= TRIMMED:
            self._evicted = 0
            trim_memory()

    def _save(self, block: Any) -> Saved:
        if plain(block):
            saved = Saved(self.scratch.write(encode(block)))
        else:
            buffers: list[pickle.PickleBuffer] = []
            pickled = pickle.dumps(block, protocol=5, buffer_callback=buffers.append)
            raw = [buffer.raw() for buffer in buffers]
            saved = Saved(self.scratch.write(raw), pickled, tuple(map(len, raw)))
        self.spilled_bytes += saved.piece.length
        return saved

    def _load(self, saved: Saved) -> Any:
        data = self.scratch.read(saved.piece)
        if not saved.pickled:
            return decode(data, f"at {saved.piece.start} of the spill file")
        view, buffers = memoryview(data), []
        for length in saved.lengths:
            buffers.append(view[:length])
            view = view[length:]
        return pickle.loads(saved.pickled, buffers=buffers)


@cache
def _allocator() -> Any:
    """The C library, if its allocator can give memory back when asked."""
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


def trim_memory() -> None:
    """Ask the allocator to return freed blocks to the system, where it keeps them otherwise (glibc)."""
    library = _allocator()
    if library is not None:
        library.malloc_trim(ctypes.c_size_t(0))


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
    return said(block) or 0
