"""A client that is killed at any moment, also while its functions are only being started, leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tests.functions.processes import until
from tests.house.tree import ROOT


def processes(directory: str) -> list[int]:
    """Those whose temporary files go there, and that have not ended."""
    found, mark = [], f"TMPDIR={directory}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0") and os.getpid() != int(path.name):
                found.append(int(path.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


@pytest.mark.parametrize("part", range(4))
def test_nothing_is_left_of_a_killed_client(part: int, rng: np.random.Generator) -> None:
    """Killed somewhere in this quarter of its first 1.6 seconds: before, while and after its functions start."""
    seconds = 0.4 * float(part + rng.random())
    with tempfile.TemporaryDirectory(prefix="k", ignore_cleanup_errors=True) as directory:
        command = [sys.executable, "-m", "tests.functions.client", "long"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TMPDIR": directory}, **quiet) as process:
            time.sleep(seconds)
            process.kill()
            process.wait()
        until(lambda: processes(directory) == [], 20)
        assert list(Path(directory).iterdir()) == []
