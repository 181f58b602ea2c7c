"""The function's zip: wheels for the target and the project itself, stripped, checked, and packed reproducibly."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sarray.deploy import archive, bytecode, contents, requirements, wheels
from sarray.deploy.function import MANIFEST
from sarray.deploy.runtimes import HANDLER, Target


@dataclass(frozen=True, slots=True)
class Package:
    """What was built."""

    path: Path
    target: Target
    nbytes: int
    """Of the zip."""
    unzipped: int
    """Bytes."""
    sha256: str
    compiled: int
    """Modules with bytecode."""

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.nbytes / 2**20:.1f} MB, unzipped {self.unzipped / 2**20:.1f} of "
            f"{contents.UNZIPPED_LIMIT / 2**20:.0f} MB, for {self.target}\n"
            f"runtime {self.target.runtime}, handler {HANDLER}, sha256 {self.sha256}"
        )


def package(target: Target, output: Path, more: Sequence[str] = ()) -> Package:
    """Build the zip for the target at `output`, with `more` distributions that the user's own functions need.

    Raises NoWheels, TooLarge, or Missing for what is not installed here.
    """
    names = requirements.required()
    with tempfile.TemporaryDirectory(prefix="sarray-deploy-") as scratch:
        directory = Path(scratch) / "function"
        pinned = [*requirements.pinned(names), *more]
        wheels.unpack(target, pinned, _constraints(more), directory)
        contents.add_project(directory)
        contents.strip(directory)
        compiled = bytecode.add(directory) if target.is_here() else 0
        (directory / MANIFEST).write_text(json.dumps(manifest(target)))
        unzipped = contents.check_size(directory)
        archive.write(directory, output)
    return Package(output, target, output.stat().st_size, unzipped, archive.digest(output), compiled)


def manifest(target: Target) -> dict[str, str]:
    """What a function has to be created with.

    >>> from sarray.deploy.runtimes import target
    >>> manifest(target("3.13"))["runtime"]
    'python3.13'
    """
    return {"runtime": target.runtime, "architecture": target.architecture, "handler": HANDLER}


def _constraints(more: Sequence[str]) -> list[str]:
    """The versions that are installed here, but of what was asked for by another version.

    >>> any(line.startswith("numpy==") for line in _constraints(["scikit-learn==1.5"]))
    True
    """
    asked = {found[0].lower() for text in more if (found := requirements.NAME.match(text)) is not None}
    return [line for line in requirements.installed() if line.partition("==")[0] not in asked]
