"""Starts and ends the local function service, in a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from wukong_sched.errors import InfrastructureError
from wukong_sched.functions.endpoint import Endpoint
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.services.forked import by, hold_alone
from wukong_sched.storage.pickled import import_path

MODULE = "wukong_sched.functions"
LOG = "functions.log"
"""Name of the file in a service's directory that its functions print into, unless the settings name another."""
PATIENCE = 10.0
"""Seconds that the service has to end by itself."""


class LocalService:
    """A running service. Ended by `close`, a ``with`` block, the interpreter's exit, or this process's death."""

    def __init__(self, endpoint: Endpoint, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.endpoint, self.process = endpoint, process
        self.directory = directory
        """Private; removed with the service."""
        self.close = weakref.finalize(self, by, os.getpid(), _end, process, directory, endpoint)

    def __enter__(self) -> LocalService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_running(self) -> bool:
        """Whether the service's process lives."""
        return self.process.poll() is None


def private_path() -> Path:
    """Where nothing is yet, for a directory of a service's.

    The service makes it and removes it: this process may be killed at any moment, and then nobody else would.
    """
    return Path(tempfile.gettempdir()) / f"wukong-{secrets.token_hex(8)}"


def private_directory() -> Path:
    """A new directory that only its owner may enter."""
    path = private_path()
    path.mkdir(0o700)
    return path


def start_service(settings: FunctionSettings, directory: Path | None = None) -> LocalService:
    """Start a service, which owns the directory, a new one unless given; InfrastructureError if it does not start."""
    home = private_path() if directory is None else directory
    settings = replace(settings, path=settings.path or import_path(), log=settings.log or str(home / LOG))
    access_key = secrets.token_hex(16)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(settings.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    hold_alone(process)
    given = {"settings": settings.to_json(), "access_key": access_key, "directory": str(home)}
    port = _introduce(process, json.dumps(given))
    if not port:
        _end(process, home)
        raise InfrastructureError(f"the function service did not start: exit status {process.returncode}")
    endpoint = Endpoint(port, access_key, settings.name)
    return LocalService(endpoint, process, home)


def _introduce(process: subprocess.Popen[bytes], line: str) -> int:
    """Hand the settings over; the port in return, 0 if there is none."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        return int(process.stdout.readline() or 0)
    except BrokenPipeError:
        return 0


def _end(process: subprocess.Popen[bytes], directory: Path, endpoint: Endpoint | None = None) -> None:
    """Close the pipe, which ends the service; then see that nothing is left."""
    for end in (endpoint, process.stdin, process.stdout):
        if end is not None:
            end.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(directory, ignore_errors=True)
