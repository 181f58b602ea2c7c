"""One sandbox: a process with AWS's runtime client, and the Runtime API that it talks to, on a port of its own.

The process asks for its next invocation, and is left waiting until there is one; it posts a response or an error, and
asks again. Between the service and the process lies a life line, a pair of sockets: it closes with the service, and
then the process ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from wukong_sched.functions.http_server import Connection, Request, listen
from wukong_sched.functions.limits import ControlGroup, kill, kill_group
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.template import Template

API = "/2018-06-01/runtime/"
JOB, NEAR = re.compile(rb'"job": ?"([^"\\]*)"'), 300
"""How an event names its job, and within how many bytes."""
JSON = {"Content-Type": "application/json"}


def job_in(payload: bytes) -> str:
    """The job that an event names near its beginning; empty if it does not.

    >>> job_in(b'{"job":"j","id":"a[0]"}')
    'j'
    """
    found = JOB.search(payload, 0, NEAR)
    return found[1].decode(errors="replace") if found else ""


@dataclass(eq=False, slots=True)
class Invocation:
    """One event on its way to a response."""

    payload: bytes
    done: Callable[[bytes, bool], None]
    """Called once per attempt with the response, and whether it is an error's."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempts: int = 0
    watches: bool = False
    """Whether a schedule sends it: it looks after its job, and is no part of the work."""
    job: str = field(init=False)
    """What the event names; empty if it does not."""
    started: float = 0.0
    """When this attempt was handed to a sandbox."""

    def __post_init__(self) -> None:
        self.job = job_in(self.payload)

    @property
    def seconds(self) -> float:
        """Since then."""
        return time.monotonic() - self.started if self.started else 0.0


def error_body(kind: str, message: str) -> bytes:
    """An error as Lambda words it."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


class Sandbox:
    """One process, from its start to its end.

    `ready` is called when it waits for an invocation, `gone` when it has ended, with the error if it never started;
    `limit` makes its control group, where there can be one.
    """

    def __init__(
        self,
        settings: FunctionSettings,
        template: Template,
        limit: Callable[[str], ControlGroup | None] | None,
        ready: Callable[[Sandbox], None],
        gone: Callable[[Sandbox, bytes], None],
    ) -> None:
        self.settings, self._template, self._limit = settings, template, limit
        self._ready, self._gone = ready, gone
        self.invocation: Invocation | None = None
        self.pid = 0
        """Of its process; 0 if that does not run."""
        self.started = False
        """Whether it has asked for work."""
        self._line: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._waiting: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._group: ControlGroup | None = None
        self._closed = False
        self._failure = b""

    @property
    def is_coming(self) -> bool:
        """Whether it is about to ask for work: it starts, or has just done some."""
        return self.invocation is None and self._waiting is None

    async def start(self) -> None:
        """Open its port and have its process started."""
        try:
            await self._start()
        except OSError as error:
            self.refused(str(error))

    async def _start(self) -> None:
        self._server, port = await listen(self._answer, self.settings.synchronous_payload + (1 << 20))
        if self._closed:
            self._server.close()
            return
        self._line, theirs = socket.socketpair()
        with theirs:
            self._template.spawn(port, theirs, self)
        seconds = self.settings.init_seconds
        self._timer = asyncio.get_running_loop().call_later(
            seconds, self._fail, "Sandbox.Timedout", f"initialization timed out after {seconds:.2f} seconds"
        )

    def begun(self, pid: int) -> None:
        """Its process runs."""
        self.pid = pid
        if self._closed:
            self.kill()
        elif self._limit:
            self._group = self._limit(f"functions-{os.getpid()}-{pid}")
            if self._group is not None:
                self._group.admit(pid)

    # ---- the Runtime API

    def _answer(self, request: Request, connection: Connection) -> None:
        match request.method, request.path.removeprefix(API).split("/"):
            case "GET", ["invocation", "next"]:
                self._next(connection)
            case "POST", ["invocation", id, ("response" | "error") as kind]:
                self._posted(id, kind == "error", request.body, connection)
            case "POST", ["init", "error"]:
                self._failure = request.body
                connection.reply(HTTPStatus.ACCEPTED)
            case _:
                connection.reply(HTTPStatus.NOT_FOUND)

    def _next(self, connection: Connection) -> None:
        self._rest()
        self.started = True
        self._waiting = connection
        self._ready(self)

    def _posted(self, id: str, is_error: bool, body: bytes, connection: Connection) -> None:
        if self.invocation is None or self.invocation.id != id:
            connection.reply(HTTPStatus.BAD_REQUEST, error_body("InvalidRequestID", f"no invocation {id}"), JSON)
            return
        limit = self.settings.synchronous_payload
        if len(body) > limit:
            message = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
            connection.reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            is_error, body = True, error_body("Function.ResponseSizeTooLarge", message)
        else:
            connection.reply(HTTPStatus.ACCEPTED)
        self._complete(body, is_error)

    def deliver(self, invocation: Invocation) -> None:
        """Hand an invocation to the process, which waits for one."""
        assert self._waiting is not None and self.invocation is None
        self._rest()
        self.invocation = invocation
        timeout = self.settings.timeout
        invocation.attempts += 1
        invocation.started = time.monotonic()
        connection, self._waiting = self._waiting, None
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:local:000000000000:function:{self.settings.name}",
        }
        self._timer = asyncio.get_running_loop().call_later(timeout, self._expire)
        connection.reply(HTTPStatus.OK, invocation.payload, headers)

    def rest(self, seconds: float) -> None:
        """End after so much time without work."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self.kill)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- its end

    def _complete(self, body: bytes, is_error: bool) -> None:
        invocation, self.invocation = self.invocation, None
        self._rest()
        if invocation is not None:
            invocation.done(body, is_error)

    def _expire(self) -> None:
        id = self.invocation.id if self.invocation else ""
        self._fail(
            "Sandbox.Timedout", f"RequestId: {id} Error: Task timed out after {self.settings.timeout:.2f} seconds"
        )

    def _fail(self, kind: str, message: str) -> None:
        self._failure = error_body(kind, message)
        self.kill()

    def kill(self) -> None:
        """End the process, with those that it has started, or else what it is to be forked from; `ended` follows."""
        if self.pid:
            kill(self.pid)
        else:
            self._template.kill()

    def refused(self, reason: str) -> None:
        """The system does not let it have a process."""
        self._failure = error_body("Sandbox.ForkError", f"a process for a function could not be started: {reason}")
        self.ended(1)

    def ended(self, status: int) -> None:
        """Its process is gone, if there ever was one; those that it has started go with it."""
        if self.pid:
            kill_group(self.pid)
            self.pid = 0
        self.close()
        id = self.invocation.id if self.invocation else ""
        how = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        message = f"RequestId: {id} Error: Runtime exited with error: {how}"
        failure = self._failure or error_body("Runtime.ExitError", message)
        self._complete(failure, True)
        self._gone(self, b"" if self.started else failure)

    def close(self) -> None:
        """Leave nothing behind, but for the process, which ends without its life line."""
        self._closed = True
        self._rest()
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._server is not None:
            self._server.close()
        if self._group is not None:
            self._group.remove()
            self._group = None
