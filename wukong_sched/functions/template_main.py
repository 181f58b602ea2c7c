"""The process that sandboxes are forked from: it has imported the handler, so that a sandbox starts in milliseconds.

``python -m wukong_sched.functions.template_main <socket> <parent> <bytes> <handler>``. Over the socket the service
sends a port and, with it, one end of a life line; it hears of each fork and of each end. A sandbox takes its limits
and then becomes AWS's own runtime client. It ends with this process, and when its life line closes; this process
ends, and with it all sandboxes, when the socket closes.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
from typing import NoReturn

from wukong_sched.functions.limits import end_with_parent, kill, limit_data

REQUEST = struct.Struct("<i")
"""Port of the sandbox to start."""
NEWS = struct.Struct("<iii")
"""Port and pid of a sandbox that started, 0; or port, 0 and the system's error of one that could not be forked; or
0, pid and exit status (below 0: a signal) of one that ended."""
EARLY = (
    "awslambdaric",
    "awslambdaric.lambda_context",
    "awslambdaric.lambda_runtime_marshaller",
    "http.client",
    "numpy",
)
"""Modules that every sandbox needs; the runtime client itself looks for its port as soon as it is imported."""


def main(argv: list[str]) -> None:
    """Fork sandboxes until the service is gone."""
    line, parent, nbytes, handler = argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(int(parent))
    for name in (*EARLY, handler.rpartition(".")[0]):
        with contextlib.suppress(Exception):  # a sandbox will find the same, and report it
            importlib.import_module(name)
    # Else a sandbox's first full collection, in its start or its first job, writes to all that was imported. Measured
    # with two sandboxes, trees of 256 leaves: start and first job took each 5,200 page faults, now 2,700, and after 41
    # jobs each had 22 MB that it shared with nobody, now 12. Later invocations take 10 faults and 8 ms either way.
    gc.freeze()
    Template(socket.socket(fileno=int(line)), int(nbytes), handler).serve()


class Template:
    """Forks, and tells who ended."""

    def __init__(self, line: socket.socket, nbytes: int, handler: str) -> None:
        self._line, self._nbytes, self._handler = line, nbytes, handler
        self._children: set[int] = set()
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)

    def serve(self) -> None:
        """Until the socket closes."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._woken in ready:
                    self._reap()
                if self._line in ready and not self._take():
                    break
        for pid in self._children:
            kill(pid)
        for pid in self._children:
            os.waitpid(pid, 0)

    def _take(self) -> bool:
        """Start the sandbox that is asked for; False if nobody will ask again."""
        data, lines, _, _ = socket.recv_fds(self._line, REQUEST.size, 1)
        if not data:
            return False
        (port,) = REQUEST.unpack(data)
        try:
            pid = os.fork()
        except OSError as error:  # no room for another process; the others go on
            self._tell(port, 0, error.errno or 0)
        else:
            if not pid:
                self._become(port, lines[0])
            self._children.add(pid)
            self._tell(port, pid, 0)
        os.close(lines[0])
        return True

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                continue
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._children.discard(pid)
                self._tell(0, pid, os.waitstatus_to_exitcode(status))

    def _tell(self, port: int, pid: int, status: int) -> None:
        with contextlib.suppress(OSError):  # the service is gone; the loop will notice
            self._line.sendall(NEWS.pack(port, pid, status))

    def _become(self, port: int, line: int) -> NoReturn:
        """In the fork: be a sandbox."""
        parent = os.getppid()
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._line, self._woken, self._wake):
                end.close()
            os.setsid()
            end_with_parent(parent)
            if self._nbytes:
                limit_data(self._nbytes)
            threading.Thread(target=watch, args=(socket.socket(fileno=line),), daemon=True).start()
            run(port, self._handler)
        finally:
            os._exit(1)


def run(port: int, handler: str) -> None:
    """Serve invocations."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # all forks began with the same
    os.environ["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{port}"
    sys.argv = ["awslambdaric", handler]
    try:
        runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)


def watch(line: socket.socket) -> None:
    """End this process with the service, and those that its tasks have started."""
    while line.recv(64):
        continue
    kill(os.getpid())


if __name__ == "__main__":
    main(sys.argv)
