"""What goes into the zip, and what a function can do without.

Left out: tests, caches, type stubs, headers, sources and static libraries of extensions, scripts, and of the metadata
all that only an installer reads. Licences and METADATA stay. What is left has to fit into Lambda's limit.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

UNZIPPED_LIMIT = 250 * 2**20
"""Bytes of a function's code, unzipped (AWS Lambda Developer Guide, "Lambda quotas")."""
PACKAGES = ("kernels", "sarray", "wukong_sched")
"""The project's own."""
SHOWN = 8
"""Packages that are named when all together are too large."""

DIRECTORIES = {"tests", "__pycache__"}
"""Left out wherever they are, with what is in them."""
TOP_DIRECTORIES = {"bin", "include", "lib64", "share"}
"""What wheels would put beside the packages: left out at the top."""
ENDINGS = {".pyi", ".pxd", ".pyx", ".pxi", ".h", ".hpp", ".c", ".cpp", ".f", ".f90", ".a", ".lib", ".pyc", ".rst"}
"""Of stubs, sources, headers, static libraries and documents."""
METADATA = ".dist-info"
INSTALLERS = re.compile(r"RECORD|INSTALLER|REQUESTED|WHEEL|direct_url\.json|top_level\.txt|sboms")
"""Metadata that only installers read; METADATA itself and licences stay."""


class TooLarge(ValueError):
    """More than a function may have."""


def is_needed(path: PurePosixPath) -> bool:
    """Whether a file, named from the top, belongs into the function.

    >>> [is_needed(PurePosixPath(name)) for name in ("numpy/fft/__init__.py", "numpy/fft/tests/test_a.py")]
    [True, False]
    """
    top, *rest = path.parts
    if top.endswith(METADATA):
        return INSTALLERS.fullmatch(rest[0]) is None
    return top not in TOP_DIRECTORIES and DIRECTORIES.isdisjoint(path.parts[:-1]) and path.suffix not in ENDINGS


def strip(directory: Path) -> None:
    """Delete what is not needed."""
    for name in list(files(directory)):
        if not is_needed(name):
            (directory / name).unlink()
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def files(directory: Path) -> Iterator[PurePosixPath]:
    """All files below, named from there, in order."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield PurePosixPath(path.relative_to(directory).as_posix())


def add_project(directory: Path) -> None:
    """Copy the project's own packages, from wherever this process imports them."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        (source,) = spec.submodule_search_locations if spec is not None and spec.submodule_search_locations else [""]
        shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__"))


def sizes(directory: Path) -> Counter[str]:
    """Bytes by top-level name; libraries that wheels bring along count with their package."""
    found: Counter[str] = Counter()
    for name in files(directory):
        found[name.parts[0].removesuffix(".libs")] += (directory / name).stat().st_size
    return found


def check_size(directory: Path, limit: int = UNZIPPED_LIMIT) -> int:
    """Bytes of everything; raises TooLarge, naming the largest packages, if they are more than a function may have."""
    found = sizes(directory)
    nbytes = found.total()
    if nbytes > limit:
        largest = "\n".join(f"  {size / 2**20:7.1f} MB  {name}" for name, size in found.most_common(SHOWN))
        raise TooLarge(
            f"the function would have {nbytes / 2**20:.1f} MB unzipped, Lambda takes {limit / 2**20:.0f}:\n{largest}\n"
            "Leave something out of --with, or put it into a layer or a container image"
        )
    return nbytes
