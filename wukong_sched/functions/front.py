"""The service's front door: Lambda's own Invoke request, so that boto3 talks to it unchanged, and nine requests more.

======  =============================================  ==========================================================
POST    /2015-03-31/functions/{name}/invocations       Invoke: RequestResponse or Event, by X-Amz-Invocation-Type
PUT     /schedules/{name}?every={seconds}              an event now and then, until a response says it is over
DELETE  /schedules/{name}
PUT     /jobs/{job}                                    follow a job: count apart what the events that name it do
GET     /jobs/{job}                                    these counts, as JSON
DELETE  /jobs/{job}
GET     /free                                          how many invocations could run at once
GET     /quiet                                         whether nothing runs and nothing waits: 1 or 0
GET     /quiet/{job}                                   the same of the events that name this job
GET     /state                                         counts, and what is under way, as JSON
======  =============================================  ==========================================================

Whoever may ask holds the access key, which was drawn for this service alone: boto3 names it in its signature.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from urllib.parse import unquote

from wukong_sched.functions.http_server import Connection, Request
from wukong_sched.functions.sandbox import JSON
from wukong_sched.functions.service import PayloadTooLarge, Service, Throttled

INVOKE = "/2015-03-31/functions/"
OVER = b'"over"'
"""The response that ends a schedule."""


@dataclass(eq=False, slots=True)
class Schedule:
    """An event that is sent again and again."""

    name: str
    seconds: float
    """From the end of one invocation to the next."""
    payload: bytes
    timer: asyncio.TimerHandle | None = None


class Front:
    """Answers requests for one service."""

    def __init__(self, service: Service, access_key: str) -> None:
        self._service, self._access_key = service, access_key
        self._schedules: dict[str, Schedule] = {}

    def answer(self, request: Request, connection: Connection) -> None:
        """Reply to a request, at once or when its invocation is done."""
        if not self._is_ours(request.headers.get("authorization", "")):
            refuse(connection, HTTPStatus.FORBIDDEN, "AccessDeniedException", "the access key is not this service's")
            return
        path, _, query = request.path.partition("?")
        for (method, prefix), handle in ROUTES.items():
            if method == request.method and path.startswith(prefix):
                handle(self, path.removeprefix(prefix), query, request, connection)
                return
        refuse(connection, HTTPStatus.NOT_FOUND, "UnknownOperationException", f"{request.method} {path}")

    def _is_ours(self, authorization: str) -> bool:
        _, _, credential = authorization.partition("Credential=")
        return hmac.compare_digest(credential.partition("/")[0].encode(), self._access_key.encode())

    def _invoke(self, path: str, query: str, request: Request, connection: Connection) -> None:
        name = unquote(path.partition("/")[0]).rpartition(":function:")[2]
        if name != self._service.settings.name:
            refuse(connection, HTTPStatus.NOT_FOUND, "ResourceNotFoundException", f"Function not found: {name}")
            return
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        try:
            INVOCATIONS[kind](self, request.body, connection)
        except KeyError:
            refuse(connection, HTTPStatus.BAD_REQUEST, "InvalidParameterValueException", f"invocation type {kind}")
        except Throttled as error:
            reason = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}
            refuse(connection, HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequestsException", str(error), **reason)
        except PayloadTooLarge as error:
            refuse(connection, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException", str(error))

    def _call(self, payload: bytes, connection: Connection) -> None:
        def reply(body: bytes, is_error: bool) -> None:
            failed = {"X-Amz-Function-Error": "Unhandled"} if is_error else {}
            connection.reply(HTTPStatus.OK, body, {**JSON, "X-Amz-Executed-Version": "$LATEST", **failed})

        self._service.call(payload, reply)

    def _send(self, payload: bytes, connection: Connection) -> None:
        connection.reply(HTTPStatus.ACCEPTED, b"", {"x-amzn-RequestId": self._service.send(payload)})

    def _dry_run(self, payload: bytes, connection: Connection) -> None:
        connection.reply(HTTPStatus.NO_CONTENT)

    def _free(self, path: str, query: str, request: Request, connection: Connection) -> None:
        connection.reply(HTTPStatus.OK, str(self._service.free()).encode())

    def _quiet(self, path: str, query: str, request: Request, connection: Connection) -> None:
        connection.reply(HTTPStatus.OK, b"1" if self._service.is_quiet(path.removeprefix("/")) else b"0")

    def _state(self, path: str, query: str, request: Request, connection: Connection) -> None:
        connection.reply(HTTPStatus.OK, json.dumps(self._service.state()).encode(), JSON)

    # ---- schedules

    def _schedule(self, name: str, query: str, request: Request, connection: Connection) -> None:
        self._cancel(name)
        schedule = Schedule(name, float(query.removeprefix("every=")), request.body)
        self._schedules[name] = schedule
        self._again(schedule)
        connection.reply(HTTPStatus.OK)

    def _again(self, schedule: Schedule) -> None:
        def finished(body: bytes) -> None:
            if self._schedules.get(schedule.name) is not schedule:
                return  # it was cancelled meanwhile, or another took its name
            if body == OVER:
                del self._schedules[schedule.name]
            else:
                self._again(schedule)

        def tick() -> None:
            try:
                self._service.send(schedule.payload, finished)
            except Throttled:
                self._again(schedule)

        schedule.timer = asyncio.get_running_loop().call_later(schedule.seconds, tick)

    def _unschedule(self, name: str, query: str, request: Request, connection: Connection) -> None:
        self._cancel(name)
        connection.reply(HTTPStatus.OK)

    def _cancel(self, name: str) -> None:
        schedule = self._schedules.pop(name, None)
        if schedule is not None and schedule.timer is not None:
            schedule.timer.cancel()

    # ---- jobs

    def _follow(self, job: str, query: str, request: Request, connection: Connection) -> None:
        self._service.follow(job)
        connection.reply(HTTPStatus.OK)

    def _followed(self, job: str, query: str, request: Request, connection: Connection) -> None:
        connection.reply(HTTPStatus.OK, json.dumps(asdict(self._service.followed(job))).encode(), JSON)

    def _forget(self, job: str, query: str, request: Request, connection: Connection) -> None:
        self._service.forget(job)
        connection.reply(HTTPStatus.OK)


def refuse(connection: Connection, status: HTTPStatus, kind: str, message: str, **more: str) -> None:
    """Answer with an error as Lambda words it."""
    body = json.dumps({"Type": "User", "Message": message, **more}).encode()
    connection.reply(status, body, {**JSON, "x-amzn-ErrorType": kind})


INVOCATIONS: dict[str, Callable[[Front, bytes, Connection], None]] = {
    "RequestResponse": Front._call,
    "Event": Front._send,
    "DryRun": Front._dry_run,
}

ROUTES: dict[tuple[str, str], Callable[[Front, str, str, Request, Connection], None]] = {
    ("POST", INVOKE): Front._invoke,
    ("GET", "/free"): Front._free,
    ("GET", "/quiet"): Front._quiet,
    ("GET", "/state"): Front._state,
    ("PUT", "/schedules/"): Front._schedule,
    ("DELETE", "/schedules/"): Front._unschedule,
    ("PUT", "/jobs/"): Front._follow,
    ("GET", "/jobs/"): Front._followed,
    ("DELETE", "/jobs/"): Front._forget,
}
