"""One sandbox: a process with AWS's runtime client, and the Runtime API that it talks to, on a port of its own.

The process asks for its next invocation, and is left waiting until there is one; it posts a response or an error, and
asks again. Between the service and the process lies a life line, a pair of sockets: it closes with either of them, so
the service hears of the process's death, and the process of the service's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from wukong_sched.functions.http import Connection, Request, listen
from wukong_sched.functions.limits import ControlGroup, control_group
from wukong_sched.functions.settings import FunctionSettings

API = "/2018-06-01/runtime/"
MODULE = "wukong_sched.functions.sandbox_main"
PASSED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TZ")
"""Variables of this process that a function sees."""
JSON = {"Content-Type": "application/json"}


@dataclass(eq=False, slots=True)
class Invocation:
    """One event on its way to a response."""

    payload: bytes
    done: Callable[[bytes, bool], None]
    """Called once per attempt with the response, and whether it is an error's."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempts: int = 0
    started: float = 0.0
    """When it was handed to a sandbox."""


def error_body(kind: str, message: str) -> bytes:
    """An error as Lambda words it."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


class Sandbox:
    """One process, from its start to its end.

    `ready` is called when it waits for an invocation, `ended` when it is gone, with the error if it never started.
    """

    def __init__(
        self,
        settings: FunctionSettings,
        surroundings: Mapping[str, str],
        ready: Callable[[Sandbox], None],
        ended: Callable[[Sandbox, bytes], None],
    ) -> None:
        self.settings, self._surroundings, self._ready, self._ended = settings, surroundings, ready, ended
        self.invocation: Invocation | None = None
        self.served = 0
        """Invocations handed to it."""
        self.started = False
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._waiting: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._group: ControlGroup | None = None
        self._closed = False
        self._failure = b""

    @property
    def pid(self) -> int:
        """Of its process; 0 before that runs."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Open its port and start its process."""
        self._server, port = await listen(self._answer, self.settings.synchronous_payload + (1 << 20))
        if self._closed:
            self._server.close()
            return
        settings, (ours, theirs) = self.settings, socket.socketpair()
        self._line = ours
        ours.setblocking(False)
        nbytes = settings.memory << 20
        self._group = control_group(f"functions-{os.getpid()}-{port}", nbytes)
        command = [MODULE, str(theirs.fileno()), str(os.getpid()), "0" if self._group else str(nbytes), settings.handler]
        with theirs, open(settings.log or os.devnull, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", *command],
                env=self._environment(port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        if self._group is not None:
            self._group.admit(self._process.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, self._died)
        self._timer = loop.call_later(settings.init_seconds, self._fail, "Sandbox.Timedout", "initialization timed out")

    def _environment(self, port: int) -> dict[str, str]:
        settings = self.settings
        return {
            **{name: os.environ[name] for name in PASSED if name in os.environ},
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory),
            "_HANDLER": settings.handler,
            "PYTHONPATH": os.pathsep.join(settings.path),
            **self._surroundings,
            **settings.environment,
        }

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
        self.served += 1
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
        self._fail("Sandbox.Timedout", f"RequestId: {id} Error: Task timed out after {self.settings.timeout:.2f} seconds")

    def _fail(self, kind: str, message: str) -> None:
        self._failure = error_body(kind, message)
        self.kill()

    def kill(self) -> None:
        """End the process; `ended` follows."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _died(self) -> None:
        """The life line closed."""
        self.close()
        status = self._process.returncode if self._process else 0
        id = self.invocation.id if self.invocation else ""
        how = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        message = f"RequestId: {id} Error: Runtime exited with error: {how}"
        failure = self._failure or error_body("Runtime.ExitError", message)
        self._complete(failure, True)
        self._ended(self, b"" if self.started else failure)

    def close(self) -> None:
        """End the process and leave nothing of it behind."""
        self._closed = True
        self._rest()
        self.kill()
        if self._line is not None:
            asyncio.get_running_loop().remove_reader(self._line)
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.wait()
        if self._server is not None:
            self._server.close()
        if self._group is not None:
            self._group.remove()
