"""An account of AWS on this machine: S3 and Lambda by ministack, a Redis, and the function deployed from its zip."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sarray.deploy import environment
from sarray.deploy.function import Clients, Function, create
from sarray.deploy.runtimes import running_architecture
from sarray.lambda_entry import CLASSES
from sarray.session_blas import arithmetic
from tests.deploy.built import built
from tests.stores.deployments import free_ports
from tests.stores.ministack import CREDENTIALS, ministack
from wukong_sched.drivers.aws_lambda import LambdaFunctions, LambdaInvoker
from wukong_sched.drivers.functions import CORE_TYPE
from wukong_sched.functions.places import Addresses
from wukong_sched.services.valkey import Valkey

ROLE = "arn:aws:iam::000000000000:role/sarray"
BUCKET = "tiles"
LEASE, GRACE = 15.0, 15.0
"""Seconds; more than on AWS would be needed, since a cold start unpacks the zip, on a machine that may be busy."""
MEMORY, TIMEOUT = 2048, 120
CONCURRENCY = 4
"""Sandboxes, each with the zip unpacked, on a machine of two processors."""
SETTINGS = {"LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2", "LAMBDA_ACCOUNT_CONCURRENCY": "64", "PERSIST_STATE": "0"}
"""Of ministack: retries of throttled events soon, not after a minute."""


@dataclass(frozen=True, slots=True)
class Account:
    """What was deployed."""

    url: str
    path: Path
    """Of the environment's file, as a user has it."""
    addresses: Addresses
    key: bytes = field(repr=False)
    clients: Clients
    environment: dict[str, str] = field(repr=False)

    def functions(self, name: str = "sarray", grace: float = GRACE) -> LambdaFunctions:
        """The function, as the Lambda driver knows it."""
        invoker, addresses = LambdaInvoker(name, self.clients.functions), replace(self.addresses, grace=grace)
        return LambdaFunctions(addresses, self.key, invoker, CONCURRENCY, CLASSES, 1.0)

    def reserve(self, concurrency: int | None, name: str = "sarray") -> None:
        """Limit the function's invocations at once."""
        client = self.clients.functions
        if concurrency is None:
            client.delete_function_concurrency(FunctionName=name)
        else:
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=concurrency)

    def left(self) -> list[str]:
        """What is in the bucket beside the function's code."""
        pages = self.clients.objects.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return [key for key in found if not key.startswith("deploy/")]


@contextlib.contextmanager
def variables(**values: str) -> Iterator[None]:
    """The process's environment with these, and as it was afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def account(home: Path) -> Iterator[Account]:
    """The whole of it, as long as it is needed."""
    (port,) = free_ports(1)
    password = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Valkey(port=str(port), bind="127.0.0.1", requirepass=password))
        with variables(**SETTINGS):
            url = stack.enter_context(ministack("s3,lambda,iam,sts,logs,monitoring"))
        stack.enter_context(variables(**CREDENTIALS, AWS_ENDPOINT_URL=url))
        addresses = Addresses(f"redis://:{password}@127.0.0.1:{port}", f"s3://{BUCKET}", LEASE, GRACE)
        path = home / "environment.json"
        # The bits of threads here shall be those of functions there, so BLAS is to be this processor's on both sides.
        ours = {CORE_TYPE: arithmetic().partition(" ")[0]}
        environment.write(path, {**environment.variables(addresses, running_architecture()), **ours})
        clients = Clients.connect(url)
        clients.objects.create_bucket(Bucket=BUCKET)
        found = environment.read(path)
        create(clients, Function(role=ROLE, memory=MEMORY, timeout=TIMEOUT), built().path, found)
        yield Account(url, path, addresses, bytes.fromhex(found["WUKONG_KEY"]), clients, found)


def messages(account: Account, name: str = "sarray") -> list[str]:
    """What the function's invocations printed, and what Lambda printed around it."""
    return [entry["message"] for entry in _events(account, name)]


def _events(account: Account, name: str) -> list[Any]:
    import boto3

    client = boto3.client("logs", endpoint_url=account.url)
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    try:
        return [entry for page in pages for entry in page["events"]]
    except client.exceptions.ResourceNotFoundException:  # nobody has been invoked
        return []


def lines(account: Account) -> list[dict[str, Any]]:
    """The lines of JSON that the handler printed."""
    return [json.loads(text) for text in messages(account) if text.startswith("{")]
