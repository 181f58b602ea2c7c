"""Leaves and handlers that go wrong, most of them once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sarray import lambda_entry
from wukong_sched.functions.places import OBJECTS

LOST = "lost"
TICK = 0.005
WORK = 0.4


@dataclass(frozen=True)
class Once:
    """A leaf that, the first time it runs for 7, does something else before."""

    directory: Path
    act: Callable[[], None]

    def __call__(self, number: int) -> int:
        path = self.directory / "acted"
        if number == 7 and not path.exists():
            path.touch()
            self.act()
        return number


@dataclass(frozen=True)
class Gate:
    """A leaf that, for one number, waits until a file is there."""

    number: int
    path: str

    def __call__(self, number: int) -> int:
        while number == self.number and not os.path.exists(self.path):
            time.sleep(TICK)
        return number


def sleep() -> None:
    """For longer than any limit."""
    time.sleep(60)


def take_memory() -> None:
    """More than there is; in pieces, so that each is touched."""
    taken = [bytearray(1 << 24) for _ in range(64)]
    raise AssertionError(f"there was room for {len(taken)} pieces")


def die(number: int) -> int:
    """End this process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def work_and_die() -> None:
    """End this process, after so much work."""
    time.sleep(WORK)
    die(0)


def note(event: Mapping[str, Any], context: Any) -> str:
    """Write down that we were here, take as long as asked, and answer what is asked."""
    with open(event["file"], "a") as file:
        file.write("x")
    time.sleep(event["seconds"])
    return str(event["answer"])


def lose_first(event: Mapping[str, Any], context: Any) -> str:
    """Do nothing the first time that an executor is invoked."""
    directory = Path(urlsplit(os.environ[OBJECTS]).path).parent / LOST
    directory.mkdir(exist_ok=True)
    path = directory / str(abs(hash((event["job"], event["id"]))))
    if event["id"] and not path.exists():
        path.touch()
        return "lost"
    return lambda_entry.handler(event, context)
