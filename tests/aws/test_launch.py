"""A wide job starts as a tree: the driver's own launch, each invocation and its depth counted, in one process."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.functions import programs
from wukong_sched.drivers import aws_lambda
from wukong_sched.drivers.aws_lambda import LambdaFunctions
from wukong_sched.functions.events import Message
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.worker import Worker
from wukong_sched.services.valkey import Valkey

KEY = b"a key of 32 bytes for these test"
SCATTER = replace(
    aws_lambda.POLICY, invoke_seconds=1e-9, latency=0.0, bandwidth=math.inf, hold_bytes=0, quantum=1e-9, waits=False
)
"""Whatever can run elsewhere shall."""


class Plenty:
    """What Lambda tells of an invocation: all of its time is left."""

    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


class Generations:
    """Takes invocations, and remembers how many stand between each and the client."""

    room = aws_lambda.ROOM

    def __init__(self) -> None:
        self.waiting: deque[Message] = deque()
        self.depth: dict[str, int] = {}
        self.current = ""
        self.most = 0
        """Invocations by one executor at once."""

    def invoke(self, events: Sequence[bytes]) -> None:
        messages = [Message.from_event(json.loads(event)) for event in events]
        for message in messages:
            if message.id and message.id not in self.depth:
                self.depth[message.id] = self.depth.get(self.current, 0) + 1
                self.waiting.append(message)
        self.most = max(self.most, len(messages))

    def free(self) -> int | None:
        return None

    def run(self, worker: Worker) -> None:
        """Until nobody invokes anybody any more."""
        while self.waiting:
            message = self.waiting.popleft()
            self.current = message.id
            worker.handle(json.loads(message.to_json()), Plenty())
        self.current = ""


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[Addresses]:
    with Valkey() as valkey:
        yield Addresses(valkey.url, f"file://{tmp_path}", 600.0, 600.0)


@pytest.mark.parametrize(
    ("leaves", "concurrency"),
    [(300, 300), (300, 16), pytest.param(10_000, 10_000, marks=pytest.mark.long)],
)
def test_leaves_start_in_logarithmic_depth(addresses: Addresses, leaves: int, concurrency: int) -> None:
    invoker = Generations()
    functions = LambdaFunctions(addresses, KEY, invoker, concurrency)  # type: ignore[arg-type]
    job = functions.submit(Plan(programs.tree(leaves), SCATTER, 100.0))
    worker = Worker(Places(addresses, invoker), KEY)
    invoker.run(worker)
    job.wait(seconds=60)
    assert [list(blocks.values()) for blocks in job.blocks()] == [[sum(range(leaves))]]
    assert job.usage().tasks == 2 * leaves - 1
    assert 0.5 * concurrency <= len(invoker.depth) <= concurrency
    assert max(invoker.depth.values()) <= 2 + math.ceil(math.log(concurrency, SCATTER.fan))
    assert invoker.most <= SCATTER.fan
    job.sweep()
