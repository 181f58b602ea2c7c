"""Functions on this machine for ``executor="functions"``: started once, and warm for every later computation."""

from __future__ import annotations

from functools import cache

from sarray.lambda_entry import CLASSES
from sarray.parking import parked
from wukong_sched.drivers import functions
from wukong_sched.drivers.functions import LocalFunctions, Outcome
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.policy import Policy
from wukong_sched.program import Program
from wukong_sched.storage.protocol import Storage

HANDLER = "sarray.lambda_entry.handler"
MEMORY = 2048
"""MB of one function, unless asked otherwise."""


@cache
def local_functions(concurrency: int, memory: int = MEMORY) -> LocalFunctions:
    """So many functions of so many MB; they end with this process, however it ends."""
    function = FunctionSettings(HANDLER, concurrency=concurrency, provisioned=concurrency, memory=memory)
    return LocalFunctions(function, CLASSES)


def run(
    program: Program,
    storage: Storage,
    concurrency: int,
    *,
    memory: int = MEMORY,
    policy: Policy = functions.POLICY,
) -> Outcome:
    """Put the wanted tiles of a program into the storage; arrays in memory are mapped, not copied, by its functions."""
    return functions.run(program, storage, local_functions(concurrency, memory), policy=policy, park=parked)
