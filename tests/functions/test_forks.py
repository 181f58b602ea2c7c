"""A process that forks shares its functions with no child, and no child ends them, or keeps them alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.functions.processes import until
from tests.functions.test_killed_clients import processes
from tests.house.tree import ROOT


def lines(what: str, directory: str) -> list[str]:
    """What a client prints whose temporary files go into a directory, and nothing else."""
    command = [sys.executable, "-u", "-m", "tests.functions.forking", what]
    environment = {**os.environ, "TMPDIR": directory}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("fork", ["32.0", "64.0", "96.0", "0"]),
        ("spawn", ["32.0", "64.0", "96.0", "0"]),
        ("exit", ["32.0", "64.0"]),
    ],
)
def test_a_child_has_functions_of_its_own(what: str, expected: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="f", ignore_cleanup_errors=True) as directory:
        assert lines(what, directory) == expected
        until(lambda: processes(directory) == [], 20)
        assert list(Path(directory).iterdir()) == []


def test_a_child_that_lasts_keeps_no_functions_alive() -> None:
    with tempfile.TemporaryDirectory(prefix="f", ignore_cleanup_errors=True) as directory:
        total, child = lines("last", directory)
        try:
            assert float(total) == 32
            until(lambda: processes(directory) == [int(child)], 20)
            assert list(Path(directory).iterdir()) == []
        finally:
            os.kill(int(child), signal.SIGKILL)
