"""Requests to a tile store that fails now and then: made again as `wukong_sched.storage.s3` does, in vain if need be.

A request whose attempts are used up raises what the store would: the executor knows no answer to that, its function
ends with an error, and the attempt has failed. A request may have taken effect although its answer was an error.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from wukong_sched.drivers.adversary import Adversary
from wukong_sched.drivers.pump import Pump
from wukong_sched.errors import InfrastructureError
from wukong_sched.messages import Delete, Event, Fetch, Run, Store
from wukong_sched.storage.retry import Retry

RETRY = Retry(base=0.1)
"""As `S3Objects` has it."""
MOST = 2 * RETRY.attempts
"""Refusals in a row, at most: half of the time that is more than is made up for."""


class SlowDown(Exception):
    """What the store answers."""


def requested(
    adversary: Adversary, pump: Pump, request: Fetch | Run | Store | Delete, say: Callable[[str], None]
) -> Generator[float, None, Event | None]:
    """Ask something of the tile store, as often as it refuses; yields the seconds until it is asked again.

    Raises InfrastructureError when that is too often.
    """
    refusals = adversary.refusals(MOST)
    if not refusals:
        return pump.perform(request)
    effective = adversary.draw() < 0.5 and not isinstance(request, Run)  # a fold that cannot read has not run
    say(f"FAULT {refusals} times {pump.token} is refused its {request}{', which takes effect' if effective else ''}")
    if effective:
        pump.perform(request)
    waits: list[float] = []
    error = refused(replace(RETRY, sleep=waits.append, draw=adversary.draw), refusals)
    yield from waits
    if error is not None:
        raise InfrastructureError(f"the tile store: {type(error).__name__}: {error}") from error
    return pump.perform(request)


def refused(retry: Retry, refusals: int) -> SlowDown | None:
    """What is left of so many refusals in a row once a request has been made again and again: the last, or nothing.

    >>> waits = []
    >>> retry = replace(RETRY, sleep=waits.append, draw=lambda: 0.5)
    >>> refused(retry, 3), waits
    (None, [0.05, 0.1, 0.2])
    >>> refused(retry, 8)
    SlowDown('please reduce your request rate')
    """

    def ask(failures: int) -> Any:
        if failures < refusals:
            raise SlowDown("please reduce your request rate")

    try:
        retry(ask, lambda error: isinstance(error, SlowDown))
    except SlowDown as error:
        return error
    return None
