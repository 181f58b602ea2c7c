"""The real handler, in a sandbox that says what it is doing: `tests.chaos.hook.handler`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sarray import lambda_entry
from tests.chaos.phases import DIRECTORY, Phase, Record
from wukong_sched.drivers.pump import PERFORM
from wukong_sched.functions.places import OBJECTS
from wukong_sched.functions.readahead import ReadAhead
from wukong_sched.messages import Commit, Store

Step = Callable[..., Any]


def within(record: Record, step: Step, during: Phase, after: Phase) -> Step:
    """The step, which says that it is on its way and that it is over."""

    def said(*arguments: Any) -> Any:
        record.enter(during)
        outcome = step(*arguments)
        record.enter(after)
        return outcome

    return said


@cache
def installed() -> Record:
    """This process's record, into which its tasks, stores and commits write from now on."""
    directory = Path(urlsplit(os.environ[OBJECTS]).path).parent / DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    record = Record(directory / str(os.getpid()))
    ReadAhead.run = within(record, ReadAhead.run, Phase.RUNNING, Phase.WORKING)  # type: ignore[method-assign]
    PERFORM[Store] = within(record, PERFORM[Store], Phase.STORING, Phase.STORED)
    PERFORM[Commit] = within(record, PERFORM[Commit], Phase.COMMITTING, Phase.COMMITTED)
    return record


def handler(event: Mapping[str, Any], context: Any) -> str:
    """One invocation."""
    record = installed()
    record.enter(Phase.WORKING)
    try:
        return lambda_entry.handler(event, context)
    finally:
        record.enter(Phase.IDLE)
