"""A job, as executors get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sarray.config import Settings
from sarray.delivery import Place
from sarray.lower import Lowered
from wukong_sched.machine import processors


@dataclass(frozen=True, slots=True)
class Job:
    """What an executor gets."""

    lowered: Lowered
    settings: Settings
    places: Mapping[str, Place]
    progress: bool | None
    trace: Any
    resume: bool = False
    """Whether what is stored of the wanted arrays is not made again, and what is made is stored for the next time."""


def workers_of(asked: Settings) -> int:
    """Tasks that run at once."""
    return asked.workers or processors()
