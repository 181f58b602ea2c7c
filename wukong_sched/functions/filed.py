"""Large data of explicit programs, put into files before functions run: a process loads what its own tasks read, once.

The signed program holds the hash of each file, so nothing is unpickled that its client has not written.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from wukong_sched.errors import InfrastructureError
from wukong_sched.explicit import Elsewhere, Explicit
from wukong_sched.program import Program
from wukong_sched.storage import pickled

SMALL = 1 << 16
"""Bytes up to which data travel with the program."""


class Filed(Elsewhere):
    """Data in a file of this machine."""

    def __init__(self, path: Path, digest: bytes, nbytes: int) -> None:
        self.path, self.digest, self.nbytes = path, digest, nbytes
        self._loaded: list[Any] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Filed, (self.path, self.digest, self.nbytes)

    def load(self) -> Any:
        """The data; InfrastructureError if the file is not the one that was written."""
        if not self._loaded:
            data = self.path.read_bytes()
            if hashlib.sha256(data).digest() != self.digest:
                raise InfrastructureError(f"{self.path} is not what the client has written; it is not loaded")
            self._loaded.append(pickled.loads(data))
        return self._loaded[0]


def write(value: Any, nbytes: int, directory: Path) -> Filed:
    """Pickle a value into a new file of the directory.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write({"a": 1}, 8, Path(directory)).load()
    {'a': 1}
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, data = directory / secrets.token_hex(8), pickled.dumps(value)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return Filed(path, hashlib.sha256(data).digest(), nbytes)


def filed(program: Program, directory: Path) -> Program:
    """The program, with its large data in files below the directory."""
    if not isinstance(program, Explicit):
        return program
    return program.with_data(lambda value, nbytes: write(value, nbytes, directory) if nbytes > SMALL else value)
