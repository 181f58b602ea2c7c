"""The zip itself, unpacked and run: what functions do in an account, they do from this code and no other."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.delivery import Delivery, Result
from sarray.deploy import archive, contents
from sarray.deploy.__main__ import main
from sarray.deploy.function import built_for
from sarray.deploy.runtimes import running_python
from sarray.executors import limits_of
from sarray.lambda_entry import CLASSES
from sarray.lower import lower
from tests.deploy.built import built, here, unpacked
from wukong_sched.drivers.functions import LocalFunctions, run
from wukong_sched.explicit import Explicit
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.storage.memory import MemoryStorage

pytestmark = pytest.mark.long

LOADED = """
[module.__file__ for module in list(__import__('sys').modules.values()) if getattr(module, '__file__', None)]
"""
"""An expression: the files of all modules of a process."""
RUNTIME = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py", "_distutils_hack", "__editable__")
"""What comes with the interpreter: the packages of Lambda's own runtime client, and hooks of setuptools."""
LOCAL = {"endpoint", "limits", "local_invoker", "template_main"}
"""Modules that only the local service's sandboxes have."""


@pytest.fixture(scope="module")
def functions() -> Iterator[LocalFunctions]:
    """Sandboxes that import from the unpacked zip."""
    settings = FunctionSettings(
        "sarray.lambda_entry.handler", path=(str(unpacked()),), concurrency=2, provisioned=2
    )
    with LocalFunctions(settings, CLASSES) as running:
        yield running


def evaluated(expression: str, functions: LocalFunctions) -> Any:
    """An expression's value, in a task."""
    storage = MemoryStorage()
    run(Explicit.from_mapping({"value": (eval, expression.strip())}, ["value"]), storage, functions)
    (value,) = storage.get(list(storage.tiles())).values()
    return value


def test_the_zip_holds_what_a_function_needs() -> None:
    package = built()
    with zipfile.ZipFile(package.path) as opened:
        names = opened.namelist()
        assert sum(entry.file_size for entry in opened.infolist()) == package.unzipped <= contents.UNZIPPED_LIMIT
        assert opened.testzip() is None
    assert names == sorted(names, key=lambda name: Path(name).parts)
    assert {"sarray/lambda_entry.py", "kernels/qr.py", "wukong_sched/policy.py", "sarray-function.json"} <= set(names)
    assert not any("/tests/" in name or name.endswith((".pyi", ".a", ".h", "/RECORD")) for name in names)
    metadata = {name.partition("-")[0] for name in names if name.endswith(".dist-info/METADATA")}
    assert {"numpy", "scipy", "boto3", "botocore", "blosc", "cloudpickle", "xxhash"} <= metadata
    licences = {name.partition("-")[0] for name in names if ".dist-info/" in name and "LICEN" in name.upper()}
    assert {"numpy", "scipy", "boto3", "botocore", "blosc"} <= licences
    assert built_for(package.path)["runtime"] == f"python{running_python()}"


def sums(path: Path) -> dict[str, int]:
    with zipfile.ZipFile(path) as opened:
        return {entry.filename: entry.CRC for entry in opened.infolist()}


def test_the_same_files_give_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = built().path, tmp_path / "theirs.zip"
    glibc = ".".join(map(str, here().glibc))
    command = ["package", "--output", str(theirs), "--architecture", here().architecture, "--glibc", glibc]
    assert main(command) == 0
    assert sums(ours) == sums(theirs)
    assert archive.digest(ours) == archive.digest(theirs)
    told = capsys.readouterr().out
    assert f"{ours.stat().st_size / 2**20:.1f} MB" in told
    assert "handler sarray.lambda_entry.handler" in told


def test_tasks_run_from_the_zip_alone(functions: LocalFunctions) -> None:
    home = unpacked()
    assert evaluated("__import__('sarray').__file__", functions) == str(home / "sarray" / "__init__.py")
    standard = Path(np.__file__).parents[1], Path(__file__).parents[2]
    foreign = [Path(name) for name in evaluated(LOADED, functions) if not Path(name).is_relative_to(home)]
    outside = [path for path in foreign if any(path.is_relative_to(top) for top in standard)]
    assert [path for path in outside if not any(name in str(path) for name in RUNTIME)] == []


def test_a_cold_start_compiles_next_to_nothing(functions: LocalFunctions) -> None:
    home = unpacked()
    loaded = [Path(name) for name in evaluated(LOADED, functions) if name.endswith(".py")]
    ours = [path for path in loaded if path.is_relative_to(home) and path.stem not in LOCAL]
    tag = f"cpython-{running_python().replace('.', '')}"
    with zipfile.ZipFile(built().path) as opened:
        shipped = set(opened.namelist())
    names = [path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in ours]
    assert len(ours) > 100
    without = [str(name) for name in names if str(name.relative_to(home)) not in shipped]
    assert len(without) <= len(ours) // 20, without


def test_a_factorization_is_that_of_threads(functions: LocalFunctions, rng: np.random.Generator) -> None:
    a = rng.standard_normal((4096, 24))
    q, r = sa.tsqr(sa.from_array(a, chunks=(512, 24)))
    expressions = [q.expression, r.expression]
    results = [Result(expression, set()) for expression in expressions]
    places = {expression.name: result for expression, result in zip(expressions, results, strict=True)}
    program = lower(expressions, limits_of(sa.settings())).program
    outcome = run(program, Delivery(MemoryStorage(), places), functions)
    for ours, theirs in zip(results, sa.compute(q, r), strict=True):
        np.testing.assert_array_equal(ours.values, theirs)
    assert outcome.usage.tasks == len(program)
