"""The scheduling decisions, as pure functions of sizes, costs and measured rates.

An executor asks its policy five things, and nothing else about the world:

* **seconds**: how long a task will take, as far as its cost tells;
* **shares**: into how many parts to split the ready work, when others could start at once. A part is only worth giving
  away if running it takes longer than shipping it: store + fetch + invoke;
* **holds**: whether results may stay here unannounced a while longer (delayed I/O);
* **patience**: how long to wait, with nothing to run, for the inputs that others owe to a fan-in: never longer than
  storing our own input, and fetching and invoking elsewhere, would cost;
* **yields**: whether to stop before the time limit.

`CostModel` decides by these costs. `Wukong` has the paper's own rules: become one, invoke the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from wukong_sched.rule import Costed


class Policy(Protocol):
    """What the executor core asks."""

    @property
    def quantum(self) -> float:
        """Seconds of work to run in one go, before looking around."""

    @property
    def batch_bytes(self) -> int:
        """Bytes to fetch in one go."""

    @property
    def edges(self) -> int:
        """Most edges that one commit announces."""

    @property
    def renewal(self) -> float:
        """Seconds without a commit after which to renew the lease; one more Run must fit into what is left of it."""

    def seconds(self, cost: Costed | None) -> float:
        """Estimated time of one task."""

    def parts(self, work: float, tasks: int, idle: int) -> int:
        """Into how many parts, our own among them, to split so many ready tasks of so many seconds together."""

    def exposes(self, work: float) -> bool:
        """Whether to announce results early, so that idle executors may join in."""

    def holds(self, nbytes: int, seconds: float) -> bool:
        """Whether results of so many bytes, the oldest so many seconds old, may stay unannounced."""

    def patience(self, nbytes: int) -> float:
        """Seconds to wait for a fan-in, rather than to store the bytes that we hold for it."""

    def yields(self, now: float, deadline: float) -> bool:
        """Whether to hand over now."""


@dataclass(frozen=True, slots=True)
class CostModel:
    """Decide by time to store + fetch + invoke against time to run here."""

    flops_per_second: float = 2e10
    """Of one executor."""
    memory_bandwidth: float = 4e9
    """Bytes a second that a task reads and writes in memory."""
    task_overhead: float = 2e-5
    """Seconds that a task takes in addition to its work."""
    unknown_seconds: float = 2e-3
    """Assumed for a task of unknown cost, until one was measured: a quantum, so that it runs alone."""
    bandwidth: float = math.inf
    """Bytes a second between an executor and the store."""
    latency: float = 0.0
    """Seconds of one request to the store."""
    invoke_seconds: float = 1e-4
    """From an invoke until the executor runs its first task."""
    quantum: float = 2e-3
    batch_bytes: int = 1 << 28
    edges: int = 1000
    hold_bytes: int = 1 << 25
    """Results that may wait, unannounced, for company."""
    hold_seconds: float = 0.05
    """How long they may wait."""
    fan: int = 16
    """Most parts of one split: a launch tree's arity."""
    renewal: float = math.inf
    """A third of the lease, where leases run out."""
    margin: float = 1.0
    """Seconds before the deadline at which to hand over."""
    waits: bool = False
    """Whether to wait at a fan-in at all."""

    def seconds(self, cost: Costed | None) -> float:
        if cost is None:
            return self.unknown_seconds
        moved = cost.bytes_in + cost.bytes_out
        return self.task_overhead + cost.flops / self.flops_per_second + moved / self.memory_bandwidth

    def ship(self, nbytes: float = 0.0) -> float:
        """Seconds to store, fetch and invoke."""
        return self.invoke_seconds + 2 * self.latency + 2 * nbytes / self.bandwidth

    def parts(self, work: float, tasks: int, idle: int) -> int:
        worthwhile = int(work / (2 * self.ship())) if self.ship() else tasks
        return max(1, min(idle + 1, tasks, self.fan, 1 + worthwhile))

    def exposes(self, work: float) -> bool:
        return work > 2 * self.ship()

    def holds(self, nbytes: int, seconds: float) -> bool:
        return nbytes < self.hold_bytes and seconds < self.hold_seconds

    def patience(self, nbytes: int) -> float:
        return self.ship(nbytes) if self.waits else 0.0

    def yields(self, now: float, deadline: float) -> bool:
        return now + self.margin >= deadline


@dataclass(frozen=True, slots=True)
class Wukong(CostModel):
    """The paper's rules: at a fan-out become one consumer and invoke the others, whatever they cost.

    Results above a fixed threshold stay with their executor while it has work.
    """

    hold_bytes: int = 200 * 10**6
    hold_seconds: float = math.inf
    fan: int = 1 << 20

    def parts(self, work: float, tasks: int, idle: int) -> int:
        return max(1, min(idle + 1, tasks))
