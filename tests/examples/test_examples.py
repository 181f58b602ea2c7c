"""The example scripts run, are right, and notice when they are not."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from tests.house.tree import ROOT

EXAMPLES = ROOT / "examples"
SMALL = {
    "gemm": ["--size=210", "--chunks=50"],
    "tsqr": ["--size=3000", "--chunks=70", "--columns=90"],
    "svd1": ["--size=2000", "--chunks=300", "--columns=20"],
    "svd2": ["--size=150", "--chunks=40", "--k=3"],
    "tree_reduction": ["--size=101"],
}
"""Each example with ragged chunks, several per dimension."""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an example as a user does, with warnings as errors."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{script}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def loaded(name: str) -> ModuleType:
    """Return an example's file as a module, without its directory on the path."""
    specification = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_example_is_run_here() -> None:
    shared = {"script", "flights", "flights_data"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} - shared == set(SMALL)


@pytest.mark.parametrize("executor", ["threads", "serial"])
@pytest.mark.parametrize("name", SMALL)
def test_an_example_finds_its_result_right(name: str, executor: str) -> None:
    ended = run(name, *SMALL[name], f"--executor={executor}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " ok\n" in ended.stdout and "WRONG" not in ended.stdout


@pytest.mark.parametrize(("residual", "code"), [(29.0, 0), (31.0, 1), (np.nan, 1), (np.inf, 1)])
def test_an_example_that_is_wrong_says_so(residual: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        loaded("script").judge({"one": 1.0, "other": residual})
    assert left.value.code == code
    assert ("WRONG" in capsys.readouterr().out) == bool(code)


def test_the_demo_agrees_with_numpy() -> None:
    ended = run("flights")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "327,346 flights x 52 columns" in ended.stdout
    assert len(re.findall(r"^(?:least|principal|singular|A'A).*\d$", ended.stdout, re.MULTILINE)) == 4
