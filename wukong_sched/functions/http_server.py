"""Just enough of an HTTP/1.1 server: requests with a body of known length or in chunks, answered in order.

A request is answered now or later; the next one of the same connection is read only after that, so that clients may
send many at once (pipelining) and get their answers in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

HEAD_LIMIT = 1 << 16
"""Bytes of request line and headers."""
END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class Connection(asyncio.Protocol):
    """One connection; hands each request to `answer`, which calls `reply` in return, at once or later."""

    def __init__(self, answer: Callable[[Request, Connection], None], body_limit: int) -> None:
        self._answer, self._body_limit = answer, body_limit
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None
        self._busy = self._reading = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    @property
    def is_open(self) -> bool:
        """Whether the other side is still there."""
        return self._transport is not None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._proceed()

    def _proceed(self) -> None:
        if self._reading:  # an answer from within the loop below, which goes on by itself
            return
        self._reading = True
        while self._buffer and not self._busy and (request := self._next()) is not None:
            self._busy = True
            self._answer(request, self)
        self._reading = False

    def _next(self) -> Request | None:
        """Take one whole request off the buffer, if there is one."""
        if self._head is None and not self._read_head():
            return None
        assert self._head is not None
        method, path, headers = self._head
        length = int(headers.get("content-length") or 0)
        chunked = "transfer-encoding" in headers
        if max(length, len(self._buffer) // 2 if chunked else 0) > self._body_limit:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        try:
            body = unchunked(self._buffer) if chunked else taken(self._buffer, length)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return None
        if body is None:
            return None
        self._head = None
        return Request(method, path, headers, body)

    def _read_head(self) -> bool:
        end = self._buffer.find(END)
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return False
        try:
            self._head = parse_head(bytes(self._buffer[:end]))
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return False
        del self._buffer[: end + len(END)]
        if "expect" in self._head[2] and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, and end the connection: what follows on it cannot be understood."""
        self.reply(status)
        self._buffer.clear()
        if self._transport is not None:
            self._transport.close()

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer the request that was handed out last."""
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if self._transport is not None:
            self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self._busy = False
        self._proceed()


def taken(buffer: bytearray, length: int) -> bytes | None:
    """So many bytes off a buffer, if they are there."""
    if len(buffer) < length:
        return None
    data = bytes(buffer[:length])
    del buffer[:length]
    return data


def unchunked(buffer: bytearray) -> bytes | None:
    """A body that came in chunks, off a buffer, if all are there; ValueError for what is none.

    >>> unchunked(bytearray(b"3\\r\\nabc\\r\\n1\\r\\nd\\r\\n0\\r\\n\\r\\n"))
    b'abcd'
    """
    body, start = bytearray(), 0
    while (end := buffer.find(b"\r\n", start)) >= 0:
        length = int(buffer[start:end].partition(b";")[0], 16)
        if length < 0:
            raise ValueError("a chunk has less than no bytes")
        start = end + 2 + length + 2
        if len(buffer) < start:
            return None
        if buffer[start - 2 : start] != b"\r\n":
            raise ValueError("a chunk is longer than it says")
        if not length:
            del buffer[:start]
            return bytes(body)
        body += buffer[end + 2 : start - 2]
    return None


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, path and headers; ValueError for what is no request this server takes.

    >>> parse_head(b"GET /a HTTP/1.1\\r\\nHost: here")
    ('GET', '/a', {'host': 'here'})
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"no header: {line!r}")
        headers[name.lower()] = value.strip()
    coded = headers.get("transfer-encoding", "chunked").lower() != "chunked"
    if coded or not (headers.get("content-length") or "0").isdigit():
        raise ValueError("the body's length is not given")
    return method, path, headers


async def listen(
    answer: Callable[[Request, Connection], None], body_limit: int, port: int = 0
) -> tuple[asyncio.Server, int]:
    """A server on 127.0.0.1 alone, and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answer, body_limit), "127.0.0.1", port)
    return server, int(server.sockets[0].getsockname()[1])
