"""Memory limits of a sandbox: a control group where this process may make one, else a resource limit."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A control group of the kernel's, for one sandbox."""

    directory: Path

    def admit(self, pid: int) -> None:
        """Put a process in."""
        (self.directory / "cgroup.procs").write_text(str(pid))

    def remove(self, seconds: float = 2.0) -> None:
        """End whatever is in the group, in sessions of its own too, and forget the group."""
        deadline = time.monotonic() + seconds
        while self.directory.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.directory.rmdir()
                return
            with contextlib.suppress(OSError):  # ended meanwhile
                for pid in map(int, (self.directory / "cgroup.procs").read_text().split()):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def own_groups() -> dict[str, str]:
    """Controller -> this process's group; the unified hierarchy has the empty name."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return {}
    return {name: path for line in lines for name in [line.split(":", 2)[1]] for path in [line.split(":", 2)[2]]}


def control_group(name: str, nbytes: int) -> ControlGroup | None:
    """A new group with this limit; None where the kernel or the rights do not allow one."""
    groups = own_groups()
    places = [(ROOT / "memory", groups.get("memory"), "memory.limit_in_bytes"), (ROOT, groups.get(""), "memory.max")]
    for root, own, limit in places:
        if own is None:
            continue
        group = ControlGroup(root / own.lstrip("/") / name)
        try:
            group.directory.mkdir()
            (group.directory / limit).write_text(str(nbytes))
        except OSError:
            group.remove(0.01)
            continue
        return group
    return None


def kill_group(leader: int) -> None:
    """End whatever is left of the group of processes that this one has begun, whether it is alive or not.

    ValueError for what leads no group of its own: the kernel takes 0 for the caller's group, and 1 for all processes.
    """
    if leader < 2:
        raise ValueError(f"{leader} is not the id of a process that can have begun a group")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill(leader: int) -> None:
    """End a process that lives, and its group if it has begun one."""
    kill_group(leader)
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGKILL)


def limit_data(nbytes: int) -> None:
    """Let this process have no more private memory than this; where the system has no such limit, none."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (nbytes, nbytes))


def end_with_parent(parent: int) -> None:
    """Let the kernel end this process when its parent ends; the life line does the same where it cannot."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
