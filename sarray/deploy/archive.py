"""A zip that has the same bytes whenever and wherever it is made from the same files.

Names in order, one time for all, modes by kind, one compression level: what varies between two runs is left out. (The
bytes also depend on the zlib that compresses; its versions differ now and then.)
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

from sarray.deploy.contents import files

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can tell."""
LEVEL = 6
REGULAR, EXECUTABLE = 0o100644, 0o100755
UNIX = 3
"""The system that modes are of."""


def write(directory: Path, path: Path) -> None:
    """Zip a directory's files; the zip appears whole or not at all."""
    partial = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for name in files(directory):
                source = directory / name
                entry = zipfile.ZipInfo(str(name), EPOCH)
                entry.create_system, entry.compress_type = UNIX, zipfile.ZIP_DEFLATED
                entry.external_attr = (EXECUTABLE if os.access(source, os.X_OK) else REGULAR) << 16
                archive.writestr(entry, source.read_bytes())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
