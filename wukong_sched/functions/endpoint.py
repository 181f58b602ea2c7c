"""A client of the local service: one kept connection, many requests at once, nothing imported but sockets."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from wukong_sched.errors import InfrastructureError

LOOPBACK = "; this machine has no loopback interface: ip link set lo up"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


@dataclass(slots=True)
class Endpoint:
    """The local service's front door. Threads may share it; a process that forks must not."""

    port: int
    access_key: str = field(repr=False)
    name: str = "sarray"
    timeout: float = 60.0
    """Seconds that one answer may take."""
    _socket: socket.socket | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What boto3 takes as endpoint_url."""
        return f"http://127.0.0.1:{self.port}"

    def send(self, payloads: Sequence[bytes]) -> list[Answer]:
        """Invoke with these events; accepted ones answer 202."""
        path = f"/2015-03-31/functions/{self.name}/invocations"
        return self._ask([self._request("POST", path, payload, "Event") for payload in payloads])

    def call(self, payload: bytes) -> Answer:
        """Invoke and wait for the response."""
        path = f"/2015-03-31/functions/{self.name}/invocations"
        return self._ask([self._request("POST", path, payload, "RequestResponse")])[0]

    def free(self) -> int:
        """Invocations that could run at once."""
        return int(self._ask([self._request("GET", "/free")])[0].body)

    def is_quiet(self, job: str = "") -> bool:
        """Whether nothing runs and nothing waits, of one job or of all."""
        return self._ask([self._request("GET", f"/quiet/{job}")])[0].body == b"1"

    def state(self) -> dict[str, Any]:
        """Counts, and what is under way."""
        found: dict[str, Any] = json.loads(self._ask([self._request("GET", "/state")])[0].body)
        return found

    def schedule(self, name: str, seconds: float, payload: bytes) -> None:
        """Invoke with this event again and again, until a response is ``"over"``."""
        self._ask([self._request("PUT", f"/schedules/{name}?every={seconds}", payload)])

    def unschedule(self, name: str) -> None:
        """End a schedule."""
        self._ask([self._request("DELETE", f"/schedules/{name}")])

    def follow(self, job: str) -> None:
        """Have what is done for a job counted from now on, until it is forgotten."""
        self._ask([self._request("PUT", f"/jobs/{job}")])

    def followed(self, job: str) -> dict[str, Any]:
        """What was done for a job, by the names of `service.JobCounts`; nothing, if nobody follows it."""
        found: dict[str, Any] = json.loads(self._ask([self._request("GET", f"/jobs/{job}")])[0].body)
        return found

    def forget(self, job: str) -> None:
        """Have a job followed no longer."""
        self._ask([self._request("DELETE", f"/jobs/{job}")])

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _request(self, method: str, path: str, body: bytes = b"", kind: str = "") -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Authorization: Credential={self.access_key}/",
            f"Content-Length: {len(body)}",
            *([f"X-Amz-Invocation-Type: {kind}"] if kind else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body

    def _ask(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send all requests, then read all answers; a connection that had been closed meanwhile is opened again."""
        with self._lock:
            for attempt in (0, 1):
                kept = self._socket is not None
                try:
                    return self._exchange(requests)
                except OSError as error:
                    self.close()
                    if attempt or not kept or isinstance(error, TimeoutError):
                        hint = LOOPBACK if error.errno == errno.ENETUNREACH else ""
                        raise InfrastructureError(
                            f"the function service at {self.url} does not answer: {error}{hint}"
                        ) from error
        raise AssertionError("unreachable")

    def _exchange(self, requests: Sequence[bytes]) -> list[Answer]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), self.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b"".join(requests))
        buffer = bytearray()
        return [self._read(self._socket, buffer) for _ in requests]

    def _read(self, line: socket.socket, buffer: bytearray) -> Answer:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            receive(line, buffer)
        first, *rest = buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
        start, length = end + 4, int(headers.get("content-length", "0"))
        while len(buffer) < start + length:
            receive(line, buffer)
        body = bytes(buffer[start : start + length])
        del buffer[: start + length]
        return Answer(int(first.split(" ")[1]), headers, body)


def receive(line: socket.socket, buffer: bytearray) -> None:
    """Append what comes next."""
    data = line.recv(1 << 18)
    if not data:
        raise ConnectionResetError("the connection was closed")
    buffer += data
