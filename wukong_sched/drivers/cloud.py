"""What a cloud is like, in numbers: functions, store, coordination store."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wukong_sched.links import Links, Service
from wukong_sched.rule import Costed


@dataclass(frozen=True, slots=True)
class Cloud:
    """Latencies, rates and limits. All times in seconds, all sizes in bytes."""

    store_latency: float = 0.015
    """One request to the tile store, from first byte asked to first byte received."""
    store_bandwidth: float = 80e6
    """Bytes a second between one executor and the store."""
    coordination: float = 0.001
    """One request to the coordination store, there and back."""
    timeout: float = 1.0
    """After so long without a reply a commit is sent again."""
    invoke: float = 0.02
    """From the request to invoke until the function's environment is looked for."""
    cold_start: float = 0.3
    """To make an environment, where no warm one is free."""
    concurrency: int = 1000
    """Functions at work at the same time; more are throttled."""
    backoff: float = 0.5
    """Until a throttled invocation is tried again, doubled each time."""
    tries: int = 5
    """How often an invocation is tried; afterwards it is left to the watchdog."""
    time_limit: float = 900.0
    """A function is killed when it is so old."""
    memory: float = math.inf
    """Bytes of blocks that a function may hold; one that would hold more is ended."""
    lease: float = 30.0
    """From each start and commit on, so long nobody else may start the record."""
    grace: float = 10.0
    """A record that was not started within this time is invoked again."""
    max_attempts: float = 5
    """Starts of a record without a commit; more end the job."""
    watchdog: float = 5.0
    """Between two looks at the job."""
    flops_per_second: float = 2e10
    """Of one executor."""
    memory_bandwidth: float = 4e9
    """Bytes a second that a task reads and writes in memory."""
    task_overhead: float = 2e-5
    """What a task takes in addition to its work."""
    unknown_seconds: float = 1e-3
    """What a task of unknown cost takes."""

    @property
    def links(self) -> Links:
        """The network: one store, for whatever is stored."""
        return Links(
            redis=Service(self.store_latency, self.store_latency),
            coordination=self.coordination,
            invoke=self.invoke,
            bandwidth=self.store_bandwidth,
        )

    def transfer(self, nbytes: float) -> float:
        """Seconds of one request to the store that moves so many bytes."""
        return self.store_latency + nbytes / self.store_bandwidth

    def work(self, cost: Costed | None) -> float:
        """Seconds of one task."""
        if cost is None:
            return self.unknown_seconds
        moved = cost.bytes_in + cost.bytes_out
        return self.task_overhead + cost.flops / self.flops_per_second + moved / self.memory_bandwidth


EXAMPLE = Cloud()
"""An example, and no measurement: round numbers of the order of AWS Lambda with S3 and a Valkey in the same region.
What was measured, and by whom, stands in `wukong_sched.links`."""
IDEAL = Cloud(0.0, math.inf, 0.0, 1.0, 0.0, 0.0)
"""Nothing but the work itself takes time."""
