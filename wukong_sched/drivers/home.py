"""Functions with a home: other processes find them there, and they outlive each of them.

A home is a directory that only its owner may enter. A process of its own, the *keeper*, holds the functions as any
client does, and writes where they are, and the key, into a file that only the owner may read. Whoever comes later
joins. The keeper holds a lock on the home for as long as it lives, so it is found out if it was killed; its functions,
their stores and their results have gone with it then. So they have if the service or its Valkey was killed: the keeper
ends what is left, and whoever comes starts another. After some time without work it ends, and leaves nothing.

Functions import what the keeper's first client could import.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from wukong_sched.drivers.functions import GRACE, LEASE, LocalFunctions, Running
from wukong_sched.errors import InfrastructureError
from wukong_sched.functions.endpoint import Endpoint
from wukong_sched.functions.local import LocalService
from wukong_sched.functions.local_invoker import LocalInvoker
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.services.valkey import Valkey, alive
from wukong_sched.storage.pickled import import_path

MODULE = "wukong_sched.drivers.home"
LOCK, FACTS = "lock", "functions.json"
"""Names in a home."""
PATIENCE = 60.0
"""Seconds that a keeper has to start."""
AGAIN = 5.0
"""Seconds after which a keeper that is not there is started again."""
APART = 'exec 3<&0; "$@" <&3 3<&- &'
"""The shell's script: the keeper is nobody's child, so nobody must wait for its end."""
TICK = 0.05
"""Seconds between two looks at a home."""
LOOK = 1.0
"""Seconds between two looks at the functions' work, at most."""
LINGER = 600.0
"""Seconds without work after which functions end."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Where the functions of a home are; written into a file that only its owner can read."""

    pid: int
    """Of the keeper."""
    service: int
    """Process of the function service."""
    valkey: int
    """Process of the server."""
    port: int
    access_key: str = field(repr=False)
    name: str
    redis: str
    objects: str
    directory: str
    shape: str
    key: str = field(repr=False)
    room: int
    """Bytes of an event."""
    memory: int
    """MB of one function."""
    timeout: float
    """Seconds of one invocation."""

    def is_whole(self) -> bool:
        """Whether the processes that the keeper holds live."""
        return alive(self.service) and alive(self.valkey)

    def limits(self) -> Mapping[str, str]:
        """What whoever comes must have asked for."""
        return limits(self.shape, self.memory, self.timeout)


def limits(shape: str, memory: int, timeout: float) -> Mapping[str, str]:
    """What a function is and may use, in words.

    >>> limits("", 2048, 900.0)
    {'shape': "''", 'memory': '2048 MB', 'timeout': '900 s'}
    """
    return {"shape": repr(shape), "memory": f"{memory} MB", "timeout": f"{timeout:g} s"}


@dataclass(frozen=True, slots=True)
class Joined:
    """One of the processes that a keeper holds, and the way to the functions."""

    home: Path
    pid: int
    endpoint: Endpoint
    directory: Path

    def is_running(self) -> bool:
        """Whether it lives, and a keeper does; of another keeper, it would not."""
        return is_kept(self.home) and alive(self.pid)


class HomeFunctions(LocalFunctions):
    """The functions of a home; started there by the first who comes. `close` leaves them to others.

    Raises ValueError, when they start, if those that are there have another shape or other limits.
    """

    def __init__(
        self,
        home: Path,
        function: FunctionSettings,
        classes: tuple[type, ...] = (),
        shape: str = "",
        linger: float = LINGER,
    ) -> None:
        super().__init__(function, classes, shape)
        self.home, self.linger = home, linger

    def _begin(self) -> Running:
        facts = self._joined()
        self._agree(facts)
        self.key = bytes.fromhex(facts.key)
        endpoint = Endpoint(facts.port, facts.access_key, facts.name)
        service, valkey = (
            Joined(self.home, pid, endpoint, Path(facts.directory)) for pid in (facts.service, facts.valkey)
        )
        addresses = Addresses(facts.redis, facts.objects, LEASE, GRACE, facts.shape)
        with contextlib.ExitStack() as stack:
            stack.callback(endpoint.close)
            places = Places(addresses, LocalInvoker(endpoint, facts.room), self._classes)
            stack.callback(places.close)
            return Running(service, places, valkey, stack.pop_all())

    def _ended(self) -> str:
        why = "by a signal, or after some time without work (with sarray the setting functions.linger)"
        return f"the functions of {self.home} have ended, {why}"

    def _agree(self, facts: Facts) -> None:
        """ValueError if the functions are not as was asked: jobs are planned for what was."""
        function, there = self.function, facts.limits()
        here = limits(self.shape, function.memory, function.timeout)
        differ = [f"{name} {there[name]}, not {here[name]}" for name in here if there[name] != here[name]]
        if differ:
            raise ValueError(
                f"the functions of {self.home} have {', and '.join(differ)}; ask for the same, or choose another home"
            )

    def _joined(self) -> Facts:
        """Where the functions are, which are started if nobody keeps them."""
        prepare(self.home)
        begun, started = time.monotonic(), -math.inf
        while (now := time.monotonic()) - begun < PATIENCE:
            facts = found(self.home)
            if facts is not None:
                os.utime(self.home / FACTS)  # tells the keeper that somebody is here
                return facts
            if now - started > AGAIN and not is_kept(self.home):
                self._start_keeper()
                started = now
            time.sleep(TICK)
        raise InfrastructureError(f"the functions of {self.home} did not start within {PATIENCE:g} s")

    def _start_keeper(self) -> None:
        path = self.function.path or import_path()
        given = {
            "home": str(self.home),
            "function": replace(self.function, path=path).to_json(),
            "shape": self.shape,
            "linger": self.linger,
        }
        subprocess.run(
            ["/bin/sh", "-c", APART, "sh", sys.executable, "-P", "-m", MODULE],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            input=json.dumps(given).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self.home,
            check=True,
        )


def prepare(home: Path) -> None:
    """Make the directory, or see that it is nobody else's; PermissionError if it is not private."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"{home} cannot be made a home for functions: {error.strerror}") from error
    status = home.stat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(
            f"{home} is no home for functions: it belongs to user {status.st_uid} with mode "
            f"{stat.S_IMODE(status.st_mode):o}; it must be yours, and closed to others (chmod 700)"
        )


def is_kept(home: Path) -> bool:
    """Whether a keeper lives."""
    with _lock(home, fcntl.LOCK_SH) as is_mine:
        return not is_mine


@contextlib.contextmanager
def _lock(home: Path, kind: int) -> Iterator[bool]:
    """Hold the home's lock, if nobody else does."""
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        is_mine = True
    except BlockingIOError:
        is_mine = False
    try:
        yield is_mine
    finally:
        os.close(descriptor)


def found(home: Path) -> Facts | None:
    """Where the functions of a home are, if somebody keeps them, and they are whole."""
    try:
        text = (home / FACTS).read_text()
    except FileNotFoundError:
        return None
    facts = Facts(**json.loads(text))
    return facts if is_kept(home) and facts.is_whole() else None


def end(home: Path, seconds: float = 20.0) -> None:
    """End the functions of a home, whatever they do; they leave nothing but an empty home."""
    facts = found(home)
    if facts is not None:
        os.kill(facts.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while is_kept(home):
        if time.monotonic() > deadline:
            raise InfrastructureError(f"the functions of {home} did not end within {seconds:g} s")
        time.sleep(TICK)


# ---- the keeper's process


def keep(home: Path, function: FunctionSettings, shape: str, linger: float) -> None:
    """Hold functions until nobody has used them for so long; return at once if somebody else does."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:  # others look at the lock for an instant
        with _lock(home, fcntl.LOCK_EX) as is_mine:
            if is_mine:
                (home / FACTS).unlink(missing_ok=True)
                _keep(home, function, shape, linger)
                return
        time.sleep(TICK)


def _keep(home: Path, function: FunctionSettings, shape: str, linger: float) -> None:
    with LocalFunctions(function, (), shape) as functions:
        running = functions.running
        try:
            _write(home, functions, running)
            _linger(home, running, linger)
        finally:
            (home / FACTS).unlink(missing_ok=True)


def _write(home: Path, functions: LocalFunctions, running: Running) -> None:
    function, service, server, places = functions.function, running.service, running.valkey, running.places
    assert isinstance(service, LocalService) and isinstance(server, Valkey)
    endpoint, addresses = service.endpoint, places.addresses
    facts = Facts(
        os.getpid(),
        service.process.pid,
        server.pid,
        endpoint.port,
        endpoint.access_key,
        endpoint.name,
        addresses.redis,
        addresses.objects,
        str(service.directory),
        functions.shape,
        functions.key.hex(),
        places.invoker().room,
        function.memory,
        function.timeout,
    )
    aside = home / f"{FACTS}.{os.getpid()}"
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(facts), file)
    aside.rename(home / FACTS)


def _linger(home: Path, running: Running, seconds: float) -> None:
    """Return when nothing has run, and nobody has come, for so many seconds, or when a process of theirs has ended."""
    used, before = time.time(), -1
    while time.time() - used < seconds:
        time.sleep(min(LOOK, seconds / 10))
        if not running.is_whole():
            return
        state: dict[str, Any] = running.service.endpoint.state()
        if state["busy"] or state["waiting"] or state["invocations"] != before:
            used, before = time.time(), state["invocations"]
        with contextlib.suppress(FileNotFoundError):
            used = max(used, (home / FACTS).stat().st_mtime)


def main() -> None:
    """Keep the functions that standard input describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    given = json.loads(sys.stdin.read())
    keep(Path(given["home"]), FunctionSettings.from_json(given["function"]), given["shape"], given["linger"])


if __name__ == "__main__":
    main()
