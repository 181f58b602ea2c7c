"""Functions for the local service to run."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

PAUSE = threading.Event()


def echo(event: Any, context: Any) -> Any:
    return event


def who(event: Any, context: Any) -> dict[str, Any]:
    """What an invocation sees of itself."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "request": context.aws_request_id,
        "left": context.get_remaining_time_in_millis(),
        "memory": context.memory_limit_in_mb,
        "name": context.function_name,
        "variables": sorted(os.environ),
    }


def act(event: dict[str, Any], context: Any) -> Any:
    """Do what the event says."""
    return ACTS[event["do"]](event, context)


def _sleep(event: dict[str, Any], context: Any) -> int:
    PAUSE.wait(event["seconds"])
    return os.getpid()


def _exit(event: dict[str, Any], context: Any) -> None:
    os._exit(event["status"])


def _kill(event: dict[str, Any], context: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(10)


def _take(event: dict[str, Any], context: Any) -> int:
    return len(bytearray(event["bytes"]))


def _big(event: dict[str, Any], context: Any) -> str:
    return "x" * event["bytes"]


def _note(event: dict[str, Any], context: Any) -> None:
    """Write down that we were here; fail as often as asked."""
    path = Path(event["file"])
    with path.open("a") as file:
        file.write(f"{context.aws_request_id} {os.getpid()} {time.monotonic()}\n")
    if len(path.read_text().splitlines()) <= event["failures"]:
        raise ValueError("not yet")


def _start(event: dict[str, Any], context: Any) -> list[int]:
    """Start a process in this one's group, and one in a session of its own."""
    return [subprocess.Popen(["sleep", "600"], start_new_session=own).pid for own in (False, True)]


ACTS = {
    "sleep": _sleep,
    "exit": _exit,
    "kill": _kill,
    "take": _take,
    "big": _big,
    "note": _note,
    "start": _start,
}
