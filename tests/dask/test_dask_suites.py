"""Dask's own suites, with every scheduler that they name replaced by this engine's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("suite", "executor"),
    [
        ("dask.array", "threads"),
        ("dask.array.tests.test_routines", "functions"),
        ("dask.bag", "threads"),
        ("dask.bag", "functions"),
        ("dask.tests.test_delayed", "threads"),
        ("dask.tests.test_delayed", "functions"),
    ],
)
def test_a_suite_of_dask_passes(suite, executor, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.dask.replaced_schedulers"]
    command += ["-W", "ignore", "--tb=short", "--pyargs", suite]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_SUITE_EXECUTOR": executor}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1700)
    summary = done.stdout[-3000:]
    assert done.returncode == 0, summary
    ((calls, left_out),) = re.findall(r"schedulers called: (\d+), tests left out: (\d+)", done.stdout)
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(calls) > int(passed) / 2, summary
    assert int(left_out) <= int(passed) / 20, summary
