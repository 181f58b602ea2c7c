"""Invokes functions of the local service, without boto3."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from wukong_sched.functions.endpoint import Endpoint
from wukong_sched.links import EVENT_BYTES

PAUSES = (0.005, 0.02, 0.08, 0.3)
"""Seconds before a throttled event is sent again."""


class LocalInvoker:
    """Sends events to the local service; `room` is what it takes of one."""

    def __init__(self, endpoint: Endpoint, room: int = EVENT_BYTES) -> None:
        self._endpoint, self.room = endpoint, room

    def invoke(self, events: Sequence[bytes]) -> None:
        """Send; throttled events again after a pause, a few times."""
        for pause in (*PAUSES, 0.0):
            answers = self._endpoint.send(events)
            throttled = HTTPStatus.TOO_MANY_REQUESTS
            events = [event for event, answer in zip(events, answers, strict=True) if answer.status == throttled]
            if not events:
                return
            time.sleep(pause)

    def free(self) -> int | None:
        """What the service says."""
        return self._endpoint.free()


def invoker_here(environment: Mapping[str, str]) -> LocalInvoker:
    """The service that a function runs in, from the function's environment."""
    port = urlsplit(environment["AWS_ENDPOINT_URL_LAMBDA"]).port
    endpoint = Endpoint(port or 0, environment["AWS_ACCESS_KEY_ID"], environment["AWS_LAMBDA_FUNCTION_NAME"])
    return LocalInvoker(endpoint)
