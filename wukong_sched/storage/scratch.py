"""A private file without a name, in pieces that are written once, read any number of times, and freed.

The file has no name from the start (`tempfile.TemporaryFile`), so that nothing is left of it when the process ends,
not even when it is killed. Freed pieces are used again, first fit, neighbours joined.
"""

from __future__ import annotations

import tempfile
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from wukong_sched.storage.positioned import read_at, write_at

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A part of the file."""

    start: int
    length: int


@dataclass(slots=True)
class Scratch:
    """The file, made at the first write, in `directory` or where temporary files go. OSError if the disk is full."""

    directory: str | None = None
    size: int = 0
    """Bytes from the start to the end of the last piece ever written."""
    free: list[Piece] = field(default_factory=list)
    """Gaps, by position."""
    _file: IO[Any] | None = None

    def write(self, parts: Sequence[Buffer]) -> Piece:
        """Keep the parts, one after the other."""
        piece = self._reserve(sum(map(len, parts)))
        try:
            self._write(piece.start, parts)
        except OSError:
            self.release(piece)
            raise
        return piece

    def read(self, piece: Piece) -> bytearray:
        """What was written there."""
        data = bytearray(piece.length)
        read_at(self._descriptor(), memoryview(data), piece.start)
        return data

    def release(self, piece: Piece) -> None:
        """Forget a piece."""
        insort(self.free, piece)
        joined = [self.free[0]]
        for gap in self.free[1:]:
            last = joined[-1]
            if last.start + last.length == gap.start:
                joined[-1] = Piece(last.start, last.length + gap.length)
            else:
                joined.append(gap)
        self.free = joined

    def close(self) -> None:
        """Give the disk space back."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self.size, self.free = 0, []

    def _reserve(self, length: int) -> Piece:
        for number, gap in enumerate(self.free):
            if gap.length >= length:
                self.free[number : number + 1] = (
                    [Piece(gap.start + length, gap.length - length)] if gap.length > length else []
                )
                return Piece(gap.start, length)
        piece = Piece(self.size, length)
        self.size += length
        return piece

    def _write(self, position: int, parts: Sequence[Buffer]) -> None:
        for part in parts:
            view = memoryview(part).cast("B")
            write_at(self._descriptor(), view, position)
            position += len(view)

    def _descriptor(self) -> int:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sarray-", dir=self.directory, buffering=0)  # noqa: SIM115 (until `close`)
        return self._file.fileno()
