"""AWS Lambda: executors are asynchronous invocations of one function, through boto3.

Nothing of ours runs anywhere but in that function. Since nobody can say how many invocations could start at once, an
executor is told how many it may count on, and divides that among those that it invokes: a launch tree. A watchdog is
an invocation too: it looks at the job now and then, and before its time is up invokes its successor; the client helps
as long as it is there. The function finds the stores and the key in its environment (`places.Addresses.environment`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Any

from wukong_sched.coordination.protocol import State
from wukong_sched.drivers.pump import refuse_nested
from wukong_sched.errors import InfrastructureError
from wukong_sched.functions.carried import NONE, Park, Wishes, as_it_is, begin, collect, finished
from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.submitted import Submitted, attach, submit
from wukong_sched.functions.usage import Usage
from wukong_sched.links import AWS
from wukong_sched.policy import Policy
from wukong_sched.prices import US_EAST_1
from wukong_sched.program import Program
from wukong_sched.report import Facts, Report
from wukong_sched.storage.protocol import Storage

POLICY = AWS.policy()
"""Of Lambda functions that share a Redis in their own network."""
ROOM = US_EAST_1.lambda_request_bytes
"""Bytes of an asynchronous event. Lambda takes more (`links.EVENT_BYTES`), for more requests' price."""
THREADS = 16
"""Requests at once."""
THROTTLED = {"TooManyRequestsException", "ThrottlingException", "EC2ThrottledException"}
LONGEST = 900.0
"""Seconds that a watchdog lasts, at most; then its successor goes on."""
WATCH = 5.0
"""Seconds between two looks of a watchdog."""


class LambdaInvoker:
    """Sends events to a Lambda function; the client is made at first use, for `endpoint` if that is given.

    boto3 retries throttled requests adaptively: it measures how many the service takes a second, and sends no more.
    """

    def __init__(self, function: str, client: Any = None, *, endpoint: str | None = None, room: int = ROOM) -> None:
        self.function, self.room = function, room
        self._client, self._endpoint = client, endpoint
        self._pool = ThreadPoolExecutor(THREADS, "invoke")

    def __repr__(self) -> str:
        return f"LambdaInvoker({self.function!r})"

    def invoke(self, events: Sequence[bytes]) -> None:
        """Send all, many at once; what is throttled in spite of all retries is lost, and the watchdog's matter."""
        client = self._connect()
        if len(events) == 1:
            self._send(client, events[0])
        else:
            list(self._pool.map(lambda event: self._send(client, event), events))

    def _send(self, client: Any, event: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = client.invoke(FunctionName=self.function, InvocationType="Event", Payload=event)
        except ClientError as error:
            if error.response["Error"]["Code"] in THROTTLED:
                return
            raise InfrastructureError(f"function {self.function} cannot be invoked: {error}") from error
        except BotoCoreError as error:
            raise InfrastructureError(f"Lambda cannot be reached: {error}") from error
        if answer["StatusCode"] != HTTPStatus.ACCEPTED:
            raise InfrastructureError(f"function {self.function} answered an event with {answer['StatusCode']}")

    def free(self) -> int | None:
        """Nobody can say."""
        return None

    def _connect(self) -> Any:
        if self._client is None:
            import boto3
            from botocore.config import Config

            config = Config(
                max_pool_connections=THREADS, retries={"mode": "adaptive", "max_attempts": 10}, read_timeout=60
            )
            self._client = boto3.client("lambda", endpoint_url=self._endpoint, config=config)
        return self._client


@dataclass(frozen=True, slots=True)
class LambdaFunctions:
    """A deployed function and its stores."""

    addresses: Addresses
    key: bytes = field(repr=False)
    """The one in the function's environment."""
    invoker: LambdaInvoker
    concurrency: int = 1000
    """Invocations at once that the account, or the function, allows."""
    classes: tuple[type, ...] = ()
    watch: float = WATCH
    """Seconds between two looks of a watchdog."""

    places: Places = field(init=False, repr=False, compare=False)
    """The stores."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", Places(self.addresses, self.invoker, self.classes))

    @property
    def policy(self) -> Policy:
        """How jobs are scheduled here, unless they say so themselves."""
        return POLICY

    @property
    def renewal(self) -> float:
        """Seconds between two renewals of a lease."""
        return self.addresses.lease / 3

    def submit(self, plan: Plan, *, keeps: bool = False, job: str = "") -> Submitted:
        """Begin a job, and a watchdog that looks after it."""
        share, undo = self.concurrency, partial(self.finish, over=False)
        return submit(self.places, self.key, plan, keeps=keeps, share=share, job=job, watch=self._watch, undo=undo)

    def attach(self, job: str) -> Submitted:
        """A job that somebody has submitted; LookupError if there is none."""
        return attach(self.places, self.key, job, share=self.concurrency, watch=self._watch)

    def look(self, job: Submitted) -> Callable[[], str]:
        """What starts, asked now and then, executors that should run and do not."""
        return self.help(job)

    def facts(self, job: Submitted, seconds: float) -> Facts:
        """The watchdogs, worked out, since Lambda does not tell: one at a time runs until it sees the job's end.

        Attempts that failed are known to the executors that took over from them, their seconds to nobody here: a job
        whose functions were killed has cost more than its report's `gb_s`.
        """
        watched = seconds + self.watch
        lives = 1 + int(watched / LONGEST)
        return Facts("", job.name.job, True, resumed=job.resumed, watched=lives, watched_seconds=watched)

    def settle(self, job: Submitted) -> None:
        """Nobody can say whether executors still have something to report."""

    def check(self, job: Submitted) -> None:
        """A deployed function and its stores do not end."""

    def finish(self, submitted: Submitted, *, over: bool) -> None:
        """Leave nothing of a job behind, whether it is over or not."""
        with contextlib.ExitStack() as swept:
            swept.callback(submitted.sweep)
            if not over:
                submitted.cancel()

    def close(self) -> None:
        """End all connections to the stores."""
        self.places.close()

    def _watch(self, name: JobName) -> None:
        self.invoker.invoke([Message(name, "", self.concurrency, every=self.watch).to_json()])

    def help(self, job: Submitted) -> Callable[[], str]:
        """What, asked now and then, starts executors that should run and do not."""
        last = time.monotonic()

        def look() -> str:
            nonlocal last
            if time.monotonic() - last > self.watch:
                last = time.monotonic()
                view = job.coordination.read()
                waiting = view.startable if view.state is State.RUNNING else ()
                share = max(1, self.concurrency // (1 + len(waiting)))
                self.invoker.invoke([Message(job.name, id, share).to_json() for id in waiting])
            return ""

        return look


def run(
    program: Program,
    storage: Storage,
    functions: LambdaFunctions,
    *,
    policy: Policy | None = None,
    submitted: Callable[[Submitted], None] = lambda job: None,
    wishes: Wishes = NONE,
    park: Park = as_it_is,
) -> tuple[Report, Usage]:
    """Put the wanted tiles of the program into the storage, by Lambda functions; raises as `drivers.functions.run`."""
    refuse_nested()
    if not program.wanted_count:
        return Report(0, 0, 0.0), Usage()
    asked = replace(wishes, policy=policy or wishes.policy)
    with finished(functions, begin(functions, program, asked, park)) as job:
        submitted(job)
        report = collect(functions, job, storage, asked)
    return report, report.usage
