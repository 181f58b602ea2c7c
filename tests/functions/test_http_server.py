"""The HTTP server understands requests however they are cut, and answers them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.functions.http_server import Connection, Request, listen, parse_head

LIMIT = 1000


class Wire(asyncio.Transport):
    """Takes what a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True


def connected(answer: Callable[[Request, Connection], None]) -> tuple[Connection, Wire]:
    connection, wire = Connection(answer, LIMIT), Wire()
    connection.connection_made(wire)
    return connection, wire


def encoded(path: str, body: bytes) -> bytes:
    return f"POST /{path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def in_chunks(path: str, body: bytes) -> bytes:
    chunks = [body[at : at + 7] for at in range(0, len(body), 7)] + [b""]
    head = f"POST /{path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


BODIES = st.lists(st.binary(max_size=60), min_size=1, max_size=8)


@given(bodies=BODIES, cuts=st.lists(st.integers(1, 40)))
def test_requests_arrive_whole_however_they_are_cut(bodies: list[bytes], cuts: list[int]) -> None:
    seen: list[tuple[str, str, bytes]] = []

    def answer(request: Request, connection: Connection) -> None:
        seen.append((request.method, request.path, request.body))
        connection.reply(200, request.body)

    connection, wire = connected(answer)
    ways = (encoded, in_chunks)
    data = b"".join(ways[number % 2](str(number), body) for number, body in enumerate(bodies))
    for cut in [*cuts, len(data)]:
        connection.data_received(data[:cut])
        data = data[cut:]
    assert seen == [("POST", f"/{number}", body) for number, body in enumerate(bodies)]
    assert wire.written == b"".join(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(b) + b for b in bodies)


@given(bodies=BODIES, later=st.lists(st.booleans(), min_size=8, max_size=8))
def test_answers_come_in_the_order_of_requests(bodies: list[bytes], later: list[bool]) -> None:
    waiting: list[tuple[Request, Connection]] = []
    delayed = iter(later)

    def answer(request: Request, connection: Connection) -> None:
        if next(delayed):
            waiting.append((request, connection))
        else:
            connection.reply(202, request.path.encode())

    connection, wire = connected(answer)
    connection.data_received(b"".join(encoded(str(number), body) for number, body in enumerate(bodies)))
    while waiting:
        assert len(waiting) == 1
        request, asked = waiting.pop()
        asked.reply(202, request.path.encode())
    answers = wire.written.split(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n")
    assert answers == [b"", *(b"/%d" % number for number in range(len(bodies)))]


def test_thousands_of_requests_at_once_do_not_nest() -> None:
    connection, wire = connected(lambda request, asked: asked.reply(200))
    connection.data_received(encoded("x", b"") * 5000)
    assert wire.written.count(b"200 OK") == 5000


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 2000, 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"GET /" + b"x" * (1 << 16), 431),
    ],
)
def test_what_cannot_be_understood_ends_the_connection(data: bytes, status: int) -> None:
    connection, wire = connected(lambda request, asked: asked.reply(200))
    connection.data_received(data)
    assert wire.written.startswith(b"HTTP/1.1 %d " % status)
    assert wire.closed


def test_a_client_that_asks_whether_to_go_on_is_told_so() -> None:
    connection, wire = connected(lambda request, asked: asked.reply(200, request.body))
    connection.data_received(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.data_received(b"ab")
    assert wire.written.endswith(b"\r\n\r\nab")


def test_an_answer_to_who_is_gone_is_dropped() -> None:
    kept: list[Connection] = []
    connection, wire = connected(lambda request, asked: kept.append(asked))
    connection.data_received(encoded("x", b""))
    connection.connection_lost(None)
    kept[0].reply(200, b"late")
    assert (wire.written, connection.is_open) == (b"", False)


def test_servers_listen_on_this_machine_alone() -> None:
    async def addresses() -> list[str]:
        server, port = await listen(lambda request, asked: asked.reply(200), LIMIT)
        found = [str(each.getsockname()[0]) for each in server.sockets]
        assert port == server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return found

    assert asyncio.run(addresses()) == ["127.0.0.1"]


def test_header_names_know_no_case() -> None:
    assert parse_head(b"PUT /a?b=1 HTTP/1.1\r\nX-Amz-A: 1\r\nx-b:2 ")[2] == {"x-amz-a": "1", "x-b": "2"}
