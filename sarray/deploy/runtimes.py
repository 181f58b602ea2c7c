"""Which wheels a function's machine can load: Python version, architecture and C library.

Lambda's images for Python up to 3.11 are Amazon Linux 2, whose glibc is 2.26, later ones Amazon Linux 2023 with 2.34
(AWS Lambda Developer Guide, "Lambda runtimes"). A wheel is tagged with the oldest glibc that it runs on (PEP 600), so
a machine can load every wheel with a tag up to its own.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass

HANDLER = "sarray.lambda_entry.handler"
"""What the function is created with."""

Glibc = tuple[int, int]

IMAGES: Mapping[str, Glibc] = {"3.11": (2, 26), "3.12": (2, 34), "3.13": (2, 34), "3.14": (2, 34)}
"""The C library of Lambda's image for each Python."""

ARCHITECTURES: Mapping[str, Glibc] = {"x86_64": (2, 5), "arm64": (2, 17)}
"""Lambda's names of architectures, each with the oldest C library that wheels are tagged with."""

MACHINES: Mapping[str, str] = {"arm64": "aarch64"}
"""Where wheels call an architecture otherwise."""

OLD_NAMES: Mapping[Glibc, str] = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
"""Tags from before PEP 600."""


@dataclass(frozen=True, slots=True)
class Target:
    """A machine that the function shall run on."""

    python: str
    """``major.minor``"""
    architecture: str
    glibc: Glibc

    def __str__(self) -> str:
        return f"Python {self.python} on {self.architecture} with glibc {self.glibc[0]}.{self.glibc[1]}"

    @property
    def runtime(self) -> str:
        """Lambda's name of it."""
        return f"python{self.python}"

    def platforms(self) -> list[str]:
        """The platform tags of wheels that it can load, newest first.

        >>> target("3.12", "x86_64").platforms()[:2]
        ['manylinux_2_34_x86_64', 'manylinux_2_33_x86_64']
        """
        machine = MACHINES.get(self.architecture, self.architecture)
        (major, oldest), newest = ARCHITECTURES[self.architecture], self.glibc[1]
        versions = [(major, minor) for minor in range(newest, oldest - 1, -1)]
        modern = [f"manylinux_{major}_{minor}_{machine}" for major, minor in versions]
        return modern + [f"{OLD_NAMES[version]}_{machine}" for version in versions if version in OLD_NAMES]

    def is_here(self) -> bool:
        """Whether this process could load what is built for it."""
        name, version = platform.libc_ver()
        ours = tuple(map(int, version.split("."))) if name == "glibc" else (0, 0)
        return (self.python, self.architecture) == (running_python(), running_architecture()) and self.glibc <= ours


def running_python() -> str:
    """``major.minor`` of this process."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def running_architecture() -> str:
    """This machine, by Lambda's name, if it has one: x86_64 or arm64."""
    machine = platform.machine().lower()
    return {"aarch64": "arm64", "amd64": "x86_64"}.get(machine, machine)


def target(python: str = "", architecture: str = "", glibc: Glibc | None = None) -> Target:
    """The machine that is asked for; by default Lambda's for the Python that runs here, on x86_64.

    Raises ValueError for a Python or an architecture that Lambda does not have, unless, for Python, `glibc` tells of
    an image of one's own.

    >>> str(target("3.13", "arm64"))
    'Python 3.13 on arm64 with glibc 2.34'
    """
    python, architecture = python or running_python(), architecture or "x86_64"
    if architecture not in ARCHITECTURES:
        raise ValueError(f"Lambda has no architecture {architecture!r}; choose one of {', '.join(ARCHITECTURES)}")
    if glibc is None and python not in IMAGES:
        raise ValueError(f"no image for Python {python!r} is known; choose one of {', '.join(IMAGES)}, or give --glibc")
    return Target(python, architecture, glibc or IMAGES[python])
