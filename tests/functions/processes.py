"""Waiting for processes, and looking for what they leave behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wukong_sched.coordination import protocol
from wukong_sched.coordination.redis import GRAVE
from wukong_sched.functions.limits import control_group
from wukong_sched.storage.cluster import Command, Deployment

GRAVES = {state.value.encode() for state in protocol.GRAVES}


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first true value of a condition."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "this took too long"
        time.sleep(0.005)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs, zombies not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def leftover_groups(service: int) -> list[Path]:
    """Control groups of a service."""
    return list(Path("/sys/fs/cgroup").rglob(f"functions-{service}-*"))


def has_groups() -> bool:
    """Whether this process may make control groups."""
    group = control_group(f"functions-probe-{os.getpid()}", 1 << 28)
    if group is not None:
        group.remove()
    return group is not None


def keys(server: Deployment) -> list[str]:
    """What is in a Redis, but for the word that a job is over, which goes by itself."""
    found = []
    for name in server.scan("*"):
        state = server.one(Command(name, ["HGET", name, "state"])) if name.endswith("}:job") else b""
        if state not in GRAVES or not 0 < server.one(Command(name, ["TTL", name])) <= GRAVE:
            found.append(name)
    return found


def session(leader: int) -> list[int]:
    """Processes of the session that a process leads."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found
