"""The function's zip for the Python and the machine that run these tests, built once a run, and unpacked."""

from __future__ import annotations

import atexit
import platform
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from sarray.deploy.package import Package, package
from sarray.deploy.runtimes import Target, running_architecture, target


def here() -> Target:
    """This machine: its C library may be another than Lambda's."""
    major, _, minor = platform.libc_ver()[1].partition(".")
    return target("", running_architecture(), (int(major), int(minor)))


@cache
def built() -> Package:
    """The zip."""
    home = Path(tempfile.mkdtemp(prefix="function-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return package(here(), home / "sarray.zip")


@cache
def unpacked() -> Path:
    """A directory with the zip's files."""
    zipped = built().path
    directory = zipped.with_name("unpacked")
    with zipfile.ZipFile(zipped) as opened:
        opened.extractall(directory)
    return directory
