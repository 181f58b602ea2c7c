"""Composition root inside a function: ``sarray.lambda_entry.handler`` is what AWS, or the local service, calls.

A process puts its worker together at its first invocation, from the variables of its environment: the stores'
addresses, the key that programs are signed with, and who starts functions. All later ones find it warm.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from kernels.qr import Panel, Reflectors, Stack, Triangles
from wukong_sched.functions.cloud import Invoker
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.worker import Context, Worker

CLASSES = (Panel, Reflectors, Stack, Triangles)
"""What kernels hand to each other beside arrays; stored as arrays, without pickle."""
INVOKER = "SARRAY_INVOKER"


def _local(environment: Mapping[str, str]) -> Invoker:
    from wukong_sched.functions.local_invoker import invoker_here

    return invoker_here(environment)


def _aws(environment: Mapping[str, str]) -> Invoker:
    from wukong_sched.drivers.aws_lambda import LambdaInvoker

    return LambdaInvoker(environment["AWS_LAMBDA_FUNCTION_NAME"])


INVOKERS: Mapping[str, Callable[[Mapping[str, str]], Invoker]] = {"local": _local, "aws": _aws}
"""Who starts functions, by the variable SARRAY_INVOKER."""


@cache
def _worker() -> Worker:
    environment = os.environ
    addresses, key = Addresses.found(environment)
    invoker = INVOKERS[environment.get(INVOKER, "aws")](environment)
    memory = int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) << 20
    return Worker(Places(addresses, invoker, CLASSES), key, memory)


def handler(event: Mapping[str, Any], context: Context) -> str:
    """One invocation: an executor's turn, or a look at the job by its watchdog."""
    return _worker().handle(event, context)
