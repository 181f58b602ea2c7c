"""Bytecode of the modules that a function loads when it starts, so that no cold start has to compile them.

Lambda's code is read-only, so without it every sandbox would compile everything anew, half a second for NumPy, SciPy
and boto3. Bytecode of all modules would be as large as the sources, so only those are compiled that a fresh process
imports on its way to a first task; importing them also proves the package whole. The files do not depend on time:
they are never compared with their source (PEP 552, "unchecked"), and constants are hashed alike in every run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MODULES = (
    "sarray.lambda_entry",
    "wukong_sched.drivers.aws_lambda",
    "wukong_sched.explicit",
    "wukong_sched.recurrence",
    "wukong_sched.storage.s3",
    "kernels.lapack",
    "scipy.linalg",
    "blosc",
    "cloudpickle",
    "threadpoolctl",
    "xxhash",
    "boto3.session",
    "botocore.httpsession",
)
"""What a function imports, at once or with its first tasks."""

SCRIPT = """
import importlib, py_compile, sys
top, *names = sys.argv[1:]
sys.path.insert(0, top)
for name in names:
    importlib.import_module(name)
import boto3
for service in ("lambda", "s3"):
    boto3.client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
loaded = sorted(name for name in files if name.startswith(top) and name.endswith(".py"))
for name in loaded:
    py_compile.compile(
        name, dfile=name[len(top) + 1:], doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
print(len(loaded))
"""


class NotWhole(RuntimeError):
    """What was built cannot be imported."""


def add(directory: Path) -> int:
    """Compile what a function loads, in a process that sees nothing but the directory: how many modules.

    Raises NotWhole if one of them cannot be imported.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", SCRIPT, str(directory), *MODULES],
        env={"PYTHONHASHSEED": "0", "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotWhole(f"the package cannot be imported:\n{done.stderr}")
    return int(done.stdout)
