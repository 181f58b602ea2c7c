"""Inside a function: which of the two ways an event belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wukong_sched.baselines import numpywren, pywren
from wukong_sched.functions.events import JobName
from wukong_sched.functions.worker import DONE, OVER, Context, Swept, Worker

WAYS: Mapping[str, Callable[[Worker, JobName, Mapping[str, Any], Context], None]] = {
    "numpywren": numpywren.work,
    "pywren": pywren.work,
}
"""Who does what an event asks for, by its "way"."""


def handle(worker: Worker, event: Mapping[str, Any], context: Context) -> str:
    """One worker of numpywren's, or one call of PyWren's."""
    try:
        WAYS[event["way"]](worker, JobName(event["job"], event["program"], event["fingerprint"]), event, context)
    except Swept:
        return OVER
    return DONE
