"""What a sandbox's process runs: its limits, then AWS's own runtime client, which imports the handler and serves it.

``python -m wukong_sched.functions.sandbox_main <life line> <parent> <bytes> <handler>``. The life line is a socket whose
other end the service holds: when it closes, for whatever reason, this process ends.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import threading

from wukong_sched.functions.limits import end_with_parent, limit_data


def watch(line: socket.socket) -> None:
    """End this process with the service."""
    while line.recv(64):
        continue
    os._exit(1)


def main(argv: list[str]) -> None:
    """Become a sandbox."""
    line, parent, nbytes, handler = argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(int(parent))
    if int(nbytes):
        limit_data(int(nbytes))
    threading.Thread(target=watch, args=(socket.socket(fileno=int(line)),), daemon=True).start()
    sys.argv = ["awslambdaric", handler]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv)
