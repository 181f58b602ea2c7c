"""What `import sarray` brings with it: itself and NumPy, and nothing that only some programs use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.house.tree import ROOT

AT_FIRST_USE = {
    "blosc", "boto3", "botocore", "cloudpickle", "dask", "h5py", "matplotlib", "pandas", "redis", "scipy", "sklearn",
    "threadpoolctl", "tqdm", "xxhash", "zarr",
}  # fmt: skip
OWN = ("sarray", "kernels", "wukong_sched")
STANDARD_MODULES = 60
"""How many modules of Python itself `import sarray` may add to those that NumPy has loaded already."""


def modules_after(statement: str) -> set[str]:
    """Return the names of all modules loaded in a new interpreter that runs one statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def tops(modules: set[str]) -> set[str]:
    """Return the top-level packages of modules."""
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def added() -> set[str]:
    """Return what `import sarray` loads beyond what `import numpy` does."""
    return modules_after("import sarray") - modules_after("import numpy")


def test_clients_load_at_first_use(added: set[str]) -> None:
    assert tops(added) & AT_FIRST_USE == set()


def test_only_python_numpy_and_the_project_load(added: set[str]) -> None:
    assert tops(added) - set(sys.stdlib_module_names) - {*OWN, "numpy"} == set()


def test_little_of_python_loads(added: set[str]) -> None:
    standard = {name for name in added if name.partition(".")[0] in sys.stdlib_module_names}
    assert len(standard) <= STANDARD_MODULES, sorted(standard)


def test_what_loads_too_early_is_seen() -> None:
    assert "tqdm" in tops(modules_after("import numpy, tqdm")) & AT_FIRST_USE
