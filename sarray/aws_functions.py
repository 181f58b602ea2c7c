"""A deployed Lambda function for ``executor="aws"``, as the settings describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sarray.config import Settings
from sarray.deploy.environment import read
from sarray.lambda_entry import CLASSES
from sarray.remote import Remote
from sarray.uploading import uploaded
from wukong_sched.drivers.aws_lambda import LambdaFunctions, LambdaInvoker
from wukong_sched.functions.places import GRACE, KEY, LEASE, OBJECTS, REDIS, Addresses
from wukong_sched.shared import Shared

CORE_TYPE = "OPENBLAS_CORETYPE"
SETTINGS: Mapping[str, str] = {REDIS: "aws.redis", OBJECTS: "aws.bucket", KEY: "aws.key"}
"""The setting that may stand for a variable of the function's environment."""
USUAL: Mapping[str, str] = {LEASE: "30", GRACE: "10"}
"""Seconds that `python -m sarray.deploy` gives a function, too."""


def remote(asked: Settings) -> Remote:
    """The function that the settings ask for; arrays in memory are put into the object store for it."""
    variables = tuple(sorted(environment(asked).items()))
    functions = lambda_functions(asked.aws_function, variables, asked.aws_concurrency)
    core_type = dict(variables).get(CORE_TYPE, "").lower()
    return Remote(
        "aws",
        functions,
        lambda program, job: uploaded(program, job, functions.addresses.objects),
        lambda: f"{core_type} x1" if core_type else "",
    )


def environment(asked: Settings) -> dict[str, str]:
    """The function's environment, as far as a client must know it; ValueError for what is missing."""
    given = _read(Path(asked.aws_environment).expanduser()) if asked.aws_environment else {}
    found = {**USUAL, **given}
    bucket = asked.aws_bucket if "://" in asked.aws_bucket or not asked.aws_bucket else f"s3://{asked.aws_bucket}"
    asked_here = {REDIS: asked.aws_redis, OBJECTS: bucket, KEY: asked.aws_key, CORE_TYPE: asked.aws_core_type}
    found |= {name: value for name, value in asked_here.items() if value}
    missing = [setting for name, setting in SETTINGS.items() if not found.get(name)]
    if missing:
        raise ValueError(
            f'executor="aws" needs the settings {", ".join(missing)}; or aws.environment, the file that '
            "`python -m sarray.deploy environment` wrote"
        )
    return found


def _read(path: Path) -> Mapping[str, str]:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        wrote = "python -m sarray.deploy environment"
        raise ValueError(f"aws.environment cannot be used: {error}; expected the file that `{wrote}` wrote") from error


def _lambda_functions(name: str, variables: tuple[tuple[str, str], ...], concurrency: int) -> LambdaFunctions:
    addresses, key = Addresses.found(dict(variables))
    return LambdaFunctions(replace(addresses, inside=False), key, LambdaInvoker(name), concurrency, CLASSES)


lambda_functions = Shared(_lambda_functions)
"""The function of this name, whose environment has these variables, as this process reaches it."""
