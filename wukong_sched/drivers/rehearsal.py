"""What a job is rehearsed on, and what comes of it: the terms of `wukong_sched.drivers.simulated_functions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wukong_sched.drivers.cloud import Cloud
from wukong_sched.links import EVENT_BYTES, Links


@dataclass(frozen=True, slots=True)
class Machine:
    """What the sandboxes run on."""

    sandboxes: int
    cores: int
    """Processors that they share."""
    flops_per_second: float = 2e10
    """Of one processor."""
    memory_bandwidth: float = 4e9
    """Bytes a second that a task reads and writes in memory."""
    task_overhead: float = 2e-5
    """Seconds of a task beside its work."""
    copying: float = 4e-10
    """Processor seconds of a byte that moves: copied, checked and served. Measured: 2 to 5e-10 to read, 5 to 8e-10 to
    write."""
    dispatch: float = 1.5e-3
    """Seconds from an event's arrival until a sandbox has it."""
    start_seconds: float = 3e-3
    """Processor seconds from then on until its executor asks for its record."""
    memory: int = 2048 << 20
    """Bytes of one sandbox."""
    room: int = EVENT_BYTES
    """Bytes of one event."""

    def cloud(self, links: Links) -> Cloud:
        """Latencies, rates and limits for the simulator; those of storage are the network's matter."""
        return Cloud(
            store_latency=links.redis.write + links.coordination + links.invoke,  # a client's submission
            coordination=links.coordination,
            invoke=self.dispatch,
            cold_start=links.cold_start,
            concurrency=self.sandboxes,
            backoff=1e-3,
            tries=1 << 20,
            watchdog=0.5,
            lease=2.0,
            grace=1.0,
            flops_per_second=self.flops_per_second,
            memory_bandwidth=self.memory_bandwidth,
            task_overhead=self.task_overhead,
        )


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a job would take."""

    seconds: float
    """Virtual ones, from its submission until it is done."""
    tasks: int
    executors: int
    bytes_read: Mapping[str, int]
    """By tier: source, inline, redis, object."""
    bytes_written: Mapping[str, int]
    requests: Mapping[str, int]
    rules: Mapping[str, float]
    """Processor seconds that a task of each rule took in this process."""
