"""Composition root inside a function: ``sarray.lambda_entry.handler`` is what AWS, or the local service, calls.

A process puts its worker together at its first invocation, from the variables of its environment: the stores'
addresses, the key that programs are signed with, and who starts functions. All later ones find it warm.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from kernels.qr import Panel, Reflectors, Stack, Triangles
from sarray.session_blas import arithmetic
from wukong_sched.functions.entry import handled, worker_of
from wukong_sched.functions.worker import Context, Worker

CLASSES = (Panel, Reflectors, Stack, Triangles)
"""What kernels hand to each other beside arrays; stored as arrays, without pickle."""
LOG = "SARRAY_LOG"
"""Variable of the environment: with it, each invocation says in one line what it was; AWS keeps that in a log."""


@cache
def _worker() -> Worker:
    return worker_of(os.environ, CLASSES, arithmetic)


def handler(event: Mapping[str, Any], context: Context) -> str:
    """One invocation."""
    began = time.monotonic()
    outcome = handled(_worker(), event, context)
    if LOG in os.environ:
        line: dict[str, Any] = {"job": event["job"], "executor": event.get("id"), "outcome": outcome}
        line["seconds"] = time.monotonic() - began
        print(json.dumps(line), flush=True)
    return outcome
