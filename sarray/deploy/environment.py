"""The function's environment: where its stores are, the key that programs are signed with, and what pins its results.

Whoever has the key can make the function run any program; so it is drawn here, written into a file that only its
owner can read, and shown nowhere. Clients need the same file.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from wukong_sched.drivers.functions import BLAS, CORE_TYPE
from wukong_sched.functions.places import Addresses

KEY_BYTES = 32
CORES: Mapping[str, str] = {"x86_64": "Haswell", "arm64": "NEOVERSEN1"}
"""OpenBLAS kernels that all of Lambda's machines can run, so that a result does not depend on which one it gets."""
FIXED: Mapping[str, str] = {"SARRAY_INVOKER": "aws", "SARRAY_LOG": "1"}
"""Functions invoke each other through boto3, and print one line an invocation."""


def variables(addresses: Addresses, architecture: str, key: bytes = b"") -> dict[str, str]:
    """The function's environment, with a new key unless one is given.

    >>> found = variables(Addresses("rediss://:secret@cache:6379", "s3://bucket"), "arm64", b"key")
    >>> found["OPENBLAS_CORETYPE"], found["WUKONG_OBJECTS"]
    ('NEOVERSEN1', 's3://bucket')
    """
    drawn = key or secrets.token_bytes(KEY_BYTES)
    return {**addresses.environment(drawn), **FIXED, **BLAS, CORE_TYPE: CORES[architecture]}


def write(path: Path, found: Mapping[str, str]) -> None:
    """Write the variables as the AWS command line takes them; only the file's owner can read it.

    Raises FileExistsError rather than lose a key that functions and clients share.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileExistsError(
            f"{path} exists, and jobs are signed with its key; choose another --output, or delete it first"
        ) from None
    with os.fdopen(descriptor, "w") as file:
        json.dump({"Variables": dict(found)}, file, indent=1, sort_keys=True)


def read(path: Path) -> dict[str, str]:
    """What `write` wrote; raises ValueError for anything else, OSError if it cannot be read."""
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    variables = found.get("Variables") if isinstance(found, dict) else None
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise ValueError(f"{path} holds no environment; python -m sarray.deploy environment writes one")
    return dict(variables)
