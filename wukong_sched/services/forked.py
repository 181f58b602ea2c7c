"""Processes that hang on this one, and what becomes of them when it forks: nothing.

They end when the last writing end of a pipe is closed. A forked child has a copy of each end, and of every finalizer:
without care it would keep them alive when its parent is gone, and end them when it ends itself.
"""

from __future__ import annotations

import os
import subprocess
import weakref
from collections.abc import Callable
from typing import Any


def hold_alone(process: subprocess.Popen[bytes]) -> None:
    """Let what this process forks from now on close its copies of the pipes to that process."""
    held = weakref.ref(process)
    os.register_at_fork(after_in_child=lambda: _let_go(held()))


def _let_go(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.returncode = 0  # no child of ours: nothing to wait for
    for pipe in (process.stdin, process.stdout) if process is not None else ():
        if pipe is not None:
            pipe.raw.close()  # type: ignore[attr-defined]  # not its buffer's lock, which another thread may have held


def by(owner: int, end: Callable[..., Any], *arguments: Any) -> None:
    """Call `end`, unless this is a forked child of the process `owner`."""
    if os.getpid() == owner:
        end(*arguments)
