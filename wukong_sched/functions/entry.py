"""The function itself: ``wukong_sched.functions.entry.handler`` is what the local service, or AWS, calls.

A process puts its worker together at its first invocation, from the variables of its environment: the stores'
addresses, the key that programs are signed with, and who starts functions. All later ones find it warm.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from wukong_sched.functions.allocator import keep_freed
from wukong_sched.functions.cloud import Invoker
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.worker import Context, Worker

INVOKER = "SARRAY_INVOKER"


def _local(environment: Mapping[str, str]) -> Invoker:
    from wukong_sched.functions.local_invoker import invoker_here

    return invoker_here(environment)


def _aws(environment: Mapping[str, str]) -> Invoker:
    from wukong_sched.drivers.aws_lambda import LambdaInvoker

    return LambdaInvoker(environment["AWS_LAMBDA_FUNCTION_NAME"])


INVOKERS: Mapping[str, Callable[[Mapping[str, str]], Invoker]] = {"local": _local, "aws": _aws}
"""Who starts functions, by the variable SARRAY_INVOKER."""


def worker_of(
    environment: Mapping[str, str], classes: Sequence[type] = (), arithmetic: Callable[[], str] = lambda: ""
) -> Worker:
    """The worker that an environment describes; `classes` may be stored as trees of arrays, without pickle."""
    keep_freed()
    addresses, key = Addresses.found(environment)
    invoker = INVOKERS[environment.get(INVOKER, "aws")](environment)
    memory = int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) << 20
    return Worker(Places(addresses, invoker, classes), key, memory, arithmetic)


def handled(worker: Worker, event: Mapping[str, Any], context: Context) -> str:
    """Whatever an event asks for: an executor's turn, a look at the job by its watchdog, or work in another way."""
    if "way" in event:
        from wukong_sched.baselines import entry

        return entry.handle(worker, event, context)
    return worker.handle(event, context)


@cache
def _worker() -> Worker:
    return worker_of(os.environ)


def handler(event: Mapping[str, Any], context: Context) -> str:
    """One invocation."""
    return handled(_worker(), event, context)
