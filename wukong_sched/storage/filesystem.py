"""Objects as files of a directory that processes of one machine, or of one shared file system, have in common.

A value is written aside and then linked into place, so that it is there whole or not at all, and the second writer of
a key finds the first one's value. Directories are their owner's alone (0700).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from wukong_sched.storage.codec import Buffer
from wukong_sched.storage.objects import Objects, Pieces, StoreFull, Tally, size

LONGEST = 200
"""Characters of a file name; file systems end at 255 bytes."""
ASIDE = "~"
"""Name of the directory of unfinished values; no key has this character."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The disk's, the user's and the process's (``ulimit -f``) limits."""


class FilesystemObjects:
    """Values in files below `directory`, which is made if it is not there.

    Unfinished ones are below the key `scratch`: a job names its own prefix, so that its sweep takes along what
    processes that were killed have left there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     objects = FilesystemObjects(directory)
    ...     objects.put({"jobs/1/a": [b"some ", b"bytes"]})
    ...     bytes(objects.get(["jobs/1/a"])["jobs/1/a"]), list(objects.keys("jobs/"))
    (b'some bytes', ['jobs/1/a'])
    """

    def __init__(self, directory: str | Path, tally: Tally | None = None, *, scratch: str = "") -> None:
        self.directory = Path(directory).absolute()
        self._aside = self._path(scratch) / ASIDE
        self.tally = Tally() if tally is None else tally

    def put(self, values: Mapping[str, Pieces]) -> None:
        names = list(values)
        for position, (key, pieces) in enumerate(values.items()):
            try:
                self._put(key, pieces)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                message = f"no room is left for {key} below {self.directory}: {error}"
                raise StoreFull(message, names[position:]) from error

    def _put(self, key: str, pieces: Pieces) -> None:
        path = self._path(key)
        if path.exists():
            return
        aside = self._aside / secrets.token_hex(8)
        try:
            self._write(aside, pieces)
            self._link(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        self.tally.add(written=size(pieces), puts=1)

    def _link(self, aside: Path, path: Path) -> None:
        with contextlib.suppress(FileExistsError):  # another writer came first, with the same value
            try:
                os.link(aside, path)
            except FileNotFoundError:  # the first value of its directory
                self._make(path.parent)
                os.link(aside, path)

    def _write(self, path: Path, pieces: Pieces) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._make(path.parent)
            descriptor = os.open(path, flags, 0o600)
        try:
            for piece in pieces:
                write_all(descriptor, piece)
        finally:
            os.close(descriptor)

    def _make(self, directory: Path) -> None:
        missing = [directory]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            path.mkdir(0o700, exist_ok=True)

    def get(self, keys: Sequence[str]) -> dict[str, Buffer]:
        found: dict[str, Buffer] = {}
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                found[key] = self._read(self._path(key))
        self.tally.add(read=sum(map(len, found.values())), gets=len(keys))
        return found

    def read_range(self, key: str, start: int, stop: int) -> Buffer:
        """Bytes start to stop (exclusive) of a value; raises FileNotFoundError if it is not there."""
        data = self._read(self._path(key), start, stop)
        self.tally.add(read=len(data), gets=1)
        return data

    def _read(self, path: Path, start: int = 0, stop: int | None = None) -> memoryview:
        with open(path, "rb", buffering=0) as file:
            length = os.fstat(file.fileno()).st_size
            view = np.empty(max(0, min(length, length if stop is None else stop) - start), np.uint8).data
            file.seek(start)
            rest = view
            while rest and (count := file.readinto(rest)):
                rest = rest[count:]
        return view

    def delete(self, keys: Sequence[str]) -> Sequence[str]:
        absent = []
        for key in keys:
            try:
                self._path(key).unlink()
            except FileNotFoundError:
                absent.append(key)
        self.tally.add(deletes=len(keys))
        return absent

    def keys(self, prefix: str) -> Iterable[str]:
        top = self._path(prefix) if prefix.endswith("/") else self.directory
        found = []
        for directory, below, files in os.walk(top):
            below[:] = [name for name in below if name != ASIDE]
            parent = Path(directory).relative_to(self.directory).parts
            found += [_key([*parent, name]) for name in files]
        self.tally.add(puts=1)
        return [key for key in found if key.startswith(prefix)]

    def sweep(self, prefix: str) -> None:
        if prefix.endswith("/"):
            shutil.rmtree(self._path(prefix), ignore_errors=True)
        else:
            self.delete(list(self.keys(prefix)))
        self.tally.add(deletes=1)

    def _path(self, key: str) -> Path:
        return self.directory.joinpath(*(part for word in key.strip("/").split("/") for part in _parts(word)))


def _parts(word: str) -> list[str]:
    """A long name as several, each but the last marked by a sign that no key has."""
    parts = [word[start : start + LONGEST] for start in range(0, len(word), LONGEST)]
    return [part + "+" for part in parts[:-1]] + parts[-1:]


def _key(parts: Sequence[str]) -> str:
    return "/".join(parts).replace("+/", "")


_: type[Objects] = FilesystemObjects


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of the data, however little a single write takes."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(descriptor, view[: 1 << 30]) :]
