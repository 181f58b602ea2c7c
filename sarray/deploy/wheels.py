"""Puts the contents of wheels for some other machine into a directory, by pip, without running any of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sarray.deploy.runtimes import Target

LINES = 6
"""Of pip's message that are shown."""


class NoWheels(RuntimeError):
    """pip could not get what is needed."""


def unpack(target: Target, requirements: Sequence[str], constraints: Sequence[str], directory: Path) -> None:
    """Fill a directory with these distributions, and with what they need, as wheels for the target.

    Whatever index, proxy and cache pip is configured with is used. Raises NoWheels with pip's own words.
    """
    with tempfile.TemporaryDirectory(prefix="sarray-") as scratch:
        file = Path(scratch) / "constraints.txt"
        file.write_text("".join(f"{line}\n" for line in constraints))
        done = subprocess.run(
            [*pip(target), "--target", str(directory), "--constraint", str(file), *requirements],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("WARNING")]
        told = "\n".join(f"  {line}" for line in lines[-LINES:])
        raise NoWheels(f"pip found no wheels for {target}:\n{told}\n{advice(target)}")


def pip(target: Target) -> list[str]:
    """The command, up to what shall be installed where."""
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-compile", "--only-binary=:all:"]
    options += ["--implementation", "cp", "--python-version", target.python]
    return [sys.executable, "-m", "pip", "install", *options, *(f"--platform={tag}" for tag in target.platforms())]


def advice(target: Target) -> str:
    """What may help."""
    return (
        f"If a version has wheels for other machines only, install one here that has them for {target} too, or "
        "choose another --python (Lambda's images from 3.12 on have a newer C library). If pip cannot reach its "
        "index, see: python -m pip config list"
    )
