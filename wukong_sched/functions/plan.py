"""What a client hands to the functions of one job: a signed program, and the names of a job's things in the store."""

from __future__ import annotations

import hashlib
import math
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np

from wukong_sched.errors import InfrastructureError
from wukong_sched.policy import Policy
from wukong_sched.program import Program, Task
from wukong_sched.storage import signed
from wukong_sched.storage.codec import Buffer
from wukong_sched.storage.keys import Keys


@dataclass(frozen=True, slots=True)
class Plan:
    """The program, and how to run it."""

    program: Program
    policy: Policy
    renewal: float = 1.0
    """Seconds between two renewals of a lease."""
    news: float = math.inf
    """Seconds after which an executor says how many tasks it has run; never, unless somebody looks."""
    traced: bool = False
    """Whether executors record what their cores are told and say."""
    keeps: bool = False
    """Whether wanted tiles outlive the job."""
    arithmetic: str = ""
    """What decides the bits of BLAS, in words that the composition root chose; empty: any will do."""


def fingerprint() -> str:
    """What must be the same here and there, so that a pickled program means the same."""
    return f"python {'.'.join(platform.python_version_tuple()[:2])}, numpy {np.__version__}"


def program_key(job: str) -> str:
    """Where a job's signed program is."""
    return f"{Keys(job).job_prefix}program"


def began_key(job: str) -> str:
    """Where it is said when the job was submitted, for whoever attaches: seconds since 1970, as text."""
    return f"{Keys(job).job_prefix}began"


def usage_key(job: str, token: str) -> str:
    """Where an executor says what it used; all of a job's with an empty token."""
    return f"{Keys(job).job_prefix}usage/{token}"


def news_key(job: str, token: str) -> str:
    """Where an executor says how many tasks it has run; where all do, with an empty token."""
    return f"{Keys(job).job_prefix}news/{token}"


def trace_key(job: str, token: str) -> str:
    """Where the history of an executor is; those of all, with an empty token."""
    return f"{Keys(job).job_prefix}trace/{token}"


def trying_key(job: str, id: str) -> str:
    """Where an executor whose earlier attempts were ended says which task it tries."""
    return f"{Keys(job).job_prefix}trying/{hashlib.sha256(id.encode()).hexdigest()[:16]}"


def face_key(job: str) -> str:
    """Where it is said what the wanted tiles are to their user."""
    return f"{Keys(job).job_prefix}face"


def cause_key(job: str) -> str:
    """Where the exception is that ended a job."""
    return f"{Keys(job).job_prefix}cause"


def cancelled_key(job: str) -> str:
    """What is there if a job was cancelled."""
    return f"{Keys(job).job_prefix}cancelled"


def attempt(program: Program, task: Task, memory: int, used: int) -> str:
    """What an executor tries, in words: the task, what its blocks take, and what there is of memory (bytes)."""
    outputs = program.outputs(task)
    array, index = outputs[0] if outputs else task
    nbytes = sum(map(program.nbytes, dict.fromkeys((*program.inputs(task), *outputs))))
    there = f", in a function of {memory >> 20} MB, of which {used >> 20} MB were in use before" if memory else ""
    return f"{program.operation(task)}: block {index} of array {array!r}, whose blocks take {nbytes >> 20} MB{there}"


def sign_plan(plan: Plan, key: bytes, job: str) -> tuple[str, list[Buffer]]:
    """The hash that names the plan, and its pieces."""
    pieces = signed.sign(plan, key, _signature(job))
    return hashlib.sha256(pieces[-1]).hexdigest(), pieces


def digest_of(data: Buffer) -> str:
    """The hash that names a stored plan."""
    return hashlib.sha256(memoryview(data)[signed.HEAD :]).hexdigest()


def load_plan(data: Buffer, key: bytes, job: str, name: str) -> Plan:
    """The plan of this hash; InfrastructureError if it was not signed for this job, or is another one."""
    if digest_of(data) != name:
        raise InfrastructureError(f"job {job}: the stored program is not the one that was submitted; it is not loaded")
    plan: Any = signed.verify(data, key, _signature(job))
    if not isinstance(plan, Plan):
        raise InfrastructureError(f"job {job}: what is stored as its program is a {type(plan).__name__}")
    return plan


def _signature(job: str) -> str:
    return f"program of {job}"
