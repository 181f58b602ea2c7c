"""The contract of an object store, which every store beyond this process is: bytes by key, and nothing about tiles.

`TileStorage` turns any of them into a store of blocks. Keys are relative paths of safe characters (`keys.safe`).
Values do not change: a key is put once, and whoever comes second finds the first value in place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from wukong_sched.errors import InfrastructureError
from wukong_sched.storage.codec import Buffer

Pieces = Sequence[Buffer]
"""A value, as its parts one after the other."""


class StoreFull(InfrastructureError):
    """The store takes no more; `keys` are those that are not in it."""

    def __init__(self, message: str, keys: Iterable[str]) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


class Objects(Protocol):
    """Keeps bytes by key. Every method carries many."""

    def put(self, values: Mapping[str, Pieces]) -> None:
        """Keep these values, all of them when the call returns; a key that is there already stays as it is.

        Raises StoreFull, with the keys that are not in the store, when there is no room.
        """

    def get(self, keys: Sequence[str]) -> dict[str, Buffer]:
        """The values of those keys that are there, in memory that the caller may write to."""

    def delete(self, keys: Sequence[str]) -> Sequence[str]:
        """Forget these; answers those that were certainly not there, which is no error."""

    def keys(self, prefix: str) -> Iterable[str]:
        """All keys that begin so, a snapshot."""

    def sweep(self, prefix: str) -> None:
        """Forget everything that begins so, and what unfinished puts have left."""


@dataclass(slots=True)
class Tally:
    """What went into and out of one tier, counted at the store."""

    bytes_read: int = 0
    bytes_written: int = 0
    puts: int = 0
    """Requests that are priced as writes (lists among them, at an object store)."""
    gets: int = 0
    """Requests that are priced as reads."""
    deletes: int = 0
    retries: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def requests(self) -> int:
        """All of them."""
        return self.puts + self.gets + self.deletes

    def add(
        self, *, read: int = 0, written: int = 0, puts: int = 0, gets: int = 0, deletes: int = 0, retries: int = 0
    ) -> None:
        """Count so much more; `read` and `written` are bytes, the others requests."""
        with self._lock:
            self.bytes_read += read
            self.bytes_written += written
            self.puts += puts
            self.gets += gets
            self.deletes += deletes
            self.retries += retries


def size(pieces: Pieces) -> int:
    """Bytes of a value.

    >>> size([b"ab", bytearray(3)])
    5
    """
    return sum(map(len, pieces))


def cut(pieces: Pieces, length: int) -> Iterable[Buffer]:
    """The value in parts of this length, without a copy where a part lies within one piece.

    >>> [bytes(part) for part in cut([b"abc", b"defgh"], 3)]
    [b'abc', b'def', b'gh']
    """
    gathered: list[memoryview] = []
    room = length
    for piece in pieces:
        view = memoryview(piece).cast("B")
        while view:
            gathered.append(view[:room])
            room -= len(gathered[-1])
            view = view[len(gathered[-1]) :]
            if not room:
                yield gathered[0] if len(gathered) == 1 else b"".join(gathered)
                gathered, room = [], length
    if gathered:
        yield gathered[0] if len(gathered) == 1 else b"".join(gathered)
