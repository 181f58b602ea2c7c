"""The service's side of the process that sandboxes are forked from."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Protocol

from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.template_main import NEWS, REQUEST

MODULE = "wukong_sched.functions.template_main"
PASSED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TZ")
"""Variables of this process that a function sees."""
PATIENCE = 5.0
"""Seconds for all sandboxes to be ended."""
KILLED = -9


class Child(Protocol):
    """Hears of its process."""

    def begun(self, pid: int) -> None:
        """The process runs."""

    def refused(self, reason: str) -> None:
        """The system does not let it have a process."""

    def ended(self, status: int) -> None:
        """The process is gone, or never began, with this exit status; below 0: by a signal."""


class Template:
    """Starts processes; `nbytes` limits each one's memory, 0 if something else does."""

    def __init__(self, settings: FunctionSettings, surroundings: Mapping[str, str], nbytes: int) -> None:
        self._settings, self._nbytes = settings, nbytes
        self._environment = {
            **{name: os.environ[name] for name in PASSED if name in os.environ},
            "AWS_LAMBDA_FUNCTION_NAME": settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory),
            "_HANDLER": settings.handler,
            "PYTHONPATH": os.pathsep.join(settings.path),
            **surroundings,
            **settings.environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._buffer = b""
        self._coming: dict[int, Child] = {}
        """By port."""
        self._children: dict[int, Child] = {}
        """By pid."""

    def spawn(self, port: int, line: socket.socket, child: Child) -> None:
        """Start a process that serves this port and ends when the line does."""
        if self._line is None:
            self._start()
        assert self._line is not None
        self._coming[port] = child
        with contextlib.suppress(ConnectionError):  # the template is gone, as `_hear` is about to find out
            socket.send_fds(self._line, [REQUEST.pack(port)], [line.fileno()])

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        settings = self._settings
        arguments = [str(theirs.fileno()), str(os.getpid()), str(self._nbytes), settings.handler]
        with theirs, open(settings.log or os.devnull, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
            )
        ours.setblocking(False)
        self._line = ours
        asyncio.get_running_loop().add_reader(ours, self._hear)

    def _hear(self) -> None:
        assert self._line is not None
        try:
            data = self._line.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        self._buffer += data
        whole = len(self._buffer) // NEWS.size * NEWS.size
        news, self._buffer = self._buffer[:whole], self._buffer[whole:]
        for port, pid, status in NEWS.iter_unpack(news):
            if port and pid:
                self._children[pid] = self._coming.pop(port)
                self._children[pid].begun(pid)
            elif port:
                self._coming.pop(port).refused(os.strerror(status))
            else:
                self._children.pop(pid).ended(status)

    def _lose(self) -> None:
        """The template is gone, its children with it, and those to come as it went; the next spawn starts another."""
        assert self._process is not None
        process, coming, children = self._process, self._coming, self._children
        self._coming, self._children = {}, {}
        self.close()
        for child in coming.values():
            child.ended(process.returncode)
        for child in children.values():
            child.ended(KILLED)

    def kill(self) -> None:
        """End all processes; each child hears of its own end."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End all processes; nobody hears of it."""
        if self._line is not None:
            asyncio.get_running_loop().remove_reader(self._line)
            self._line.close()
            self._line = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
            self._process.kill()
            self._process.wait()
            self._process = None
