"""CPython's tests of executors, as Debian packages them, pass on `FunctionExecutor` where they apply.

They are taken from an installed `libpython3.11-testsuite`, or fetched for the test by apt. Which are left out, and why,
says `cpython_suite.py`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = "libpython3.11-testsuite"
INSTALLED = Path("/usr/lib/python3.11/test/test_concurrent_futures.py")
SECONDS = 280
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with CPython's tests."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the tests are those of Python 3.11, and rely on its test.support")
    pytest.importorskip("test.support", reason="this Python comes without test.support")
    if INSTALLED.exists():
        return INSTALLED
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        pytest.skip(f"{PACKAGE} is not installed, and there is no apt-get to fetch it")
    home = tmp_path_factory.mktemp("cpython")
    fetched = subprocess.run(["apt-get", "download", PACKAGE], cwd=home, capture_output=True, text=True)
    packages = list(home.glob("*.deb"))
    if fetched.returncode or not packages:
        pytest.skip(f"{PACKAGE} is not installed, and apt-get could not fetch it: {fetched.stderr.strip()[-200:]}")
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(home)], check=True)
    return home / INSTALLED.relative_to("/")


@pytest.mark.long
@pytest.mark.parametrize(("executor", "applies"), [("threads", 48), ("functions", 42)])
def test_cpythons_tests_pass_where_they_apply(suite: Path, tmp_path: Path, executor: str, applies: int) -> None:
    report = tmp_path / "report.json"
    script = Path(__file__).with_name("cpython_suite.py")
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, str(script), str(suite), executor, str(report)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=SECONDS)
    results: dict[str, str] = json.loads(report.read_text(encoding="utf-8"))
    wrong = {name: text for name, text in results.items() if text != "ok" and not text.startswith("left out")}
    assert wrong == {}
    assert Counter(results.values())["ok"] >= applies
