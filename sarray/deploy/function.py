"""Creates the function from its zip, and brings a new zip to it, through boto3.

Three settings are not Lambda's defaults. Recursion is allowed: functions that start functions are what Lambda's loop
detection ends after 16 steps of a chain, and a job's launch tree, its hand-overs and its watchdogs are such chains
(they end with the job: each invocation first looks whether it still runs). A failed event is tried again twice, which
matters for the watchdog alone. Reserved concurrency, if asked for, bounds what a job can take from the account.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sarray.deploy import archive
from wukong_sched.functions.places import OBJECTS
from wukong_sched.links import FULL_PROCESSOR

LONGEST = 900
"""Seconds of an invocation."""
RETRIES = 2
MANIFEST = "sarray-function.json"
"""In the zip: what it was built for."""


@dataclass(frozen=True, slots=True)
class Function:
    """What the function shall be."""

    name: str = "sarray"
    role: str = ""
    """ARN of the role that it runs as."""
    memory: int = FULL_PROCESSOR
    """MB"""
    timeout: int = LONGEST
    """Seconds"""
    concurrency: int | None = None
    """Invocations at once that are reserved for it, and its limit; None: whatever the account has."""
    subnets: tuple[str, ...] = ()
    """Where its Redis is reached from."""
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3's, for one account and region."""

    functions: Any
    objects: Any

    @staticmethod
    def connect(endpoint: str | None = None) -> Clients:
        """Those that the usual variables and files configure."""
        import boto3

        return Clients(boto3.client("lambda", endpoint_url=endpoint), boto3.client("s3", endpoint_url=endpoint))


def create(clients: Clients, function: Function, zipped: Path, environment: Mapping[str, str]) -> str:
    """Make the function and wait until it can be invoked: its ARN. Whatever boto3 raises."""
    manifest = built_for(zipped)
    network = {"SubnetIds": list(function.subnets), "SecurityGroupIds": list(function.security_groups)}
    made = clients.functions.create_function(
        FunctionName=function.name,
        Role=function.role,
        Runtime=manifest["runtime"],
        Architectures=[manifest["architecture"]],
        Handler=manifest["handler"],
        Code=_upload(clients.objects, environment, zipped),
        MemorySize=function.memory,
        Timeout=function.timeout,
        Environment={"Variables": dict(environment)},
        **({"VpcConfig": network} if function.subnets else {}),
    )
    clients.functions.get_waiter("function_active_v2").wait(FunctionName=function.name)
    _configure(clients.functions, function)
    return str(made["FunctionArn"])


def _configure(client: Any, function: Function) -> None:
    client.put_function_recursion_config(FunctionName=function.name, RecursiveLoop="Allow")
    client.put_function_event_invoke_config(FunctionName=function.name, MaximumRetryAttempts=RETRIES)
    if function.concurrency is not None:
        reserved = function.concurrency
        client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=reserved)


def update(clients: Clients, name: str, zipped: Path, environment: Mapping[str, str]) -> str:
    """Give a function new code and environment, and wait until it has them: the code's SHA-256."""
    manifest, waiter = built_for(zipped), clients.functions.get_waiter("function_updated_v2")
    code = _upload(clients.objects, environment, zipped)
    architectures = [manifest["architecture"]]
    made = clients.functions.update_function_code(FunctionName=name, Architectures=architectures, **code)
    waiter.wait(FunctionName=name)
    clients.functions.update_function_configuration(
        FunctionName=name,
        Runtime=manifest["runtime"],
        Handler=manifest["handler"],
        Environment={"Variables": dict(environment)},
    )
    waiter.wait(FunctionName=name)
    return str(made["CodeSha256"])


def _upload(client: Any, environment: Mapping[str, str], zipped: Path) -> dict[str, str]:
    """Put the zip, which is too large for a request, into the bucket of the function's own store, under its hash."""
    address = urlsplit(environment.get(OBJECTS, ""))
    if address.scheme != "s3":
        raise ValueError(f"{OBJECTS} is {address.geturl()!r}; functions of Lambda need a bucket there: s3://name")
    key = f"deploy/{archive.digest(zipped)}.zip"
    client.upload_file(str(zipped), address.netloc, key)
    return {"S3Bucket": address.netloc, "S3Key": key}


def built_for(zipped: Path) -> dict[str, str]:
    """Runtime, architecture and handler of a zip that `package` made; ValueError for another."""
    with zipfile.ZipFile(zipped) as opened:
        if MANIFEST not in opened.namelist():
            raise ValueError(f"{zipped} is no function of ours; python -m sarray.deploy package makes one")
        found: dict[str, str] = json.loads(opened.read(MANIFEST))
    return found
