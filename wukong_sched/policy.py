"""The scheduling decisions, as pure functions of sizes, costs and measured rates.

Everything follows from a handful of numbers: what a task takes (flops, bytes in memory), what moving bytes takes
(`Rates`: bandwidth, latency), what starting somebody else takes. The price of letting another executor do something is
to *ship*: store + invoke + fetch. The decisions, by name:

| decision | asked by | the question |
|---|---|---|
| give | `parts` | into how many parts to split the ready work, when others could start at once; a part must take longer than shipping it |
| keep | `keeps` | whether tiles that were stored or fetched stay in memory for later readers (task clustering) |
| hold | `holds` | whether results may stay here unannounced a while longer (delayed I/O) |
| store | `retains` | whether to store only what others wait for, and to retain the rest, or to store all that is held |
| announce | `stays` | whether to announce what others wait for without the rest of what was made with it: that stays, its maker still owed |
| wait | `patience` | how long to wait, with nothing to run, for the inputs that others owe to a fan-in |
| inline | `inlines` | whether a tile travels in the invocation of the executor that needs it |
| recompute | `recomputes` | whether to compute something twice rather than to store it and fetch it again |
| yield | `yields` | whether to stop before the time limit |

`CostModel` decides by these costs, and learns the rates from what its executor has seen. `Wukong` has the paper's own
rules: become one, invoke the rest; cluster and delay what is large.
"""  # noqa: E501 - a table

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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

    def fetches(self, nbytes: int) -> float:
        """Estimated time to bring so many bytes here."""

    def parts(self, work: float, nbytes: int, tasks: int, idle: int) -> int:
        """Into how many parts, our own among them, to split so many ready tasks.

        They take so many seconds together, and so many bytes would move that need not if all ran here.
        """

    def opening(self) -> Policy:
        """The policy by which a job is split before any of it runs, and all parts are invoked at once."""

    def exposes(self, work: float) -> bool:
        """Whether to look for, or announce, what idle executors could join in."""

    def holds(self, nbytes: int, seconds: float) -> bool:
        """Whether results of so many bytes, the oldest so many seconds old, may stay unannounced.

        What only the job's end waits for counts as younger than it is (`wukong_sched.ledger`).
        """

    def retains(self, nbytes: int) -> bool:
        """Whether so many bytes that nobody else is known to wait for are better not stored with the rest."""

    def stays(self, nbytes: int) -> bool:
        """Whether so many bytes are better not stored with what others wait for, although that keeps it all owed."""

    def keeps(self, nbytes: int) -> bool:
        """Whether so many bytes of tiles that are stored may stay in memory for later readers."""

    def patience(self, nbytes: int, worked: float = 0.0, alone: bool = False) -> float:
        """Seconds to wait for a fan-in, having worked so many more than waited, rather than to store what we hold.

        `alone`: whether what others wait for was announced alone.
        """

    def inlines(self, nbytes: int) -> bool:
        """Whether a tile of so many bytes may travel in the invocation of the executor that needs it."""

    def yields(self, now: float, deadline: float) -> bool:
        """Whether to hand over now."""

    def attempted(self, attempts: int) -> Policy:
        """The policy for so many attempts, this one among them, since the record last moved on."""

    def observed(self, nbytes: int, seconds: float) -> Policy:
        """The policy that knows how long one request took that moved so many bytes."""

    def started(self, seconds: float) -> Policy:
        """The policy that knows how long it took from an invocation until the executor began."""


LEARNS = 0.25
"""Weight of one more observation."""
MOST_CHANGE = 4.0
"""Factor by which one observation differs from what is expected at most, as far as it counts."""
PERSISTS = 3.0
"""How many times longer than shipping takes one waits for what must come back, since others were told in time."""
TOGETHER = 0.1
"""What an invocation counts beside others that are sent at the same time."""
SURE = 2
"""Attempts that go about it as usual."""
LONGEST = 1.0
"""Seconds that one waits at most because one has worked as long."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What moving bytes takes: a request of n bytes takes ``latency + n / bandwidth`` seconds."""

    bandwidth: float = math.inf
    """Bytes a second."""
    latency: float = 0.0
    """Seconds."""

    def transfer(self, nbytes: float) -> float:
        """Seconds of one request that moves so many bytes.

        >>> Rates(bandwidth=1e8, latency=0.01).transfer(5e6)
        0.060000000000000005
        """
        return self.latency + nbytes / self.bandwidth

    def observed(self, nbytes: int, seconds: float) -> Rates:
        """The rates after one more request of so many bytes that took so many seconds.

        A moving average. What was expected to spend most of its time on latency tells of the latency, and anything
        else of the bandwidth; one straggler counts as `MOST_CHANGE` times the time expected at most.

        >>> Rates(1e8, 0.01).observed(100_000_000, 2.01).bandwidth
        80000000.0
        """
        if seconds <= 0 or nbytes <= 0:
            return self
        expected = self.transfer(nbytes)
        if expected > 0:
            seconds = min(max(seconds, expected / MOST_CHANGE), expected * MOST_CHANGE)
        moving = nbytes / self.bandwidth
        if self.latency > moving:
            return replace(self, latency=self.latency + LEARNS * (max(seconds - moving, 0.0) - self.latency))
        rest = max(seconds - self.latency, seconds / MOST_CHANGE)
        pace = 1 / self.bandwidth + LEARNS * (rest / nbytes - 1 / self.bandwidth)
        return replace(self, bandwidth=1 / pace)


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
    cache_bytes: int = 1 << 28
    """Stored tiles that may stay in memory, where moving them costs something."""
    fan: int = 16
    """Most parts of one split: a launch tree's arity."""
    renewal: float = math.inf
    """A third of the lease, where leases run out."""
    margin: float = 1.0
    """Seconds before the deadline at which to hand over."""
    worth: float = 2.0
    """How much longer than to ship it a part must take; 1 where the rates are those of a known network."""
    waits: bool = False
    """Whether to wait at a fan-in at all."""

    @property
    def rates(self) -> Rates:
        """What moving bytes takes."""
        return Rates(self.bandwidth, self.latency)

    def seconds(self, cost: Costed | None) -> float:
        if cost is None:
            return self.unknown_seconds
        moved = cost.bytes_in + cost.bytes_out
        return self.task_overhead + cost.flops / self.flops_per_second + moved / self.memory_bandwidth

    def fetches(self, nbytes: int) -> float:
        return nbytes / self.bandwidth

    def ship(self, nbytes: float = 0.0) -> float:
        """Seconds to store, fetch and invoke."""
        return self.invoke_seconds + 2 * self.rates.transfer(nbytes)

    def parts(self, work: float, nbytes: int, tasks: int, idle: int) -> int:
        left = work - nbytes / self.bandwidth
        worthwhile = max(0, int(left / (self.worth * self.ship()))) if self.ship() else tasks
        return max(1, min(idle + 1, tasks, self.fan, 1 + worthwhile))

    def opening(self) -> CostModel:
        """Nobody waits for an executor that is invoked together with the first, though it is not for nothing either."""
        return replace(self, invoke_seconds=TOGETHER * self.invoke_seconds)

    def exposes(self, work: float) -> bool:
        return work > 2 * self.ship()

    def holds(self, nbytes: int, seconds: float) -> bool:
        return nbytes < self.hold_bytes and seconds < self.hold_seconds

    def retains(self, nbytes: int) -> bool:
        return nbytes < self.hold_bytes and self.rates.transfer(1) > 0

    def stays(self, nbytes: int) -> bool:
        """Where one waits for what comes back, and moving these bytes takes longer than a request in any case takes."""
        return self.waits and self.latency < nbytes / self.bandwidth and nbytes < self.hold_bytes

    def keeps(self, nbytes: int) -> bool:
        return nbytes <= self.cache_bytes and self.rates.transfer(nbytes) > 0

    def patience(self, nbytes: int, worked: float = 0.0, alone: bool = False) -> float:
        """What storing, fetching and invoking would take, or, if that is longer, as long as was worked here.

        Who began together does not end together, the less so where many share few processors. Whoever waits is paid for
        it: so all waits together cost as much again as the work at most, and each of them a second.
        """
        if not self.waits or not self.rates.transfer(1):
            return 0.0
        return max(self.ship(nbytes) * (PERSISTS if alone else 1), min(worked, LONGEST))

    def inlines(self, nbytes: int) -> bool:
        """As long as its bytes take less than the request that they save."""
        return nbytes / self.bandwidth < self.latency

    def recomputes(self, flops: float, nbytes: float) -> bool:
        """Whether so many flops more take less than to store so many bytes and to fetch them again.

        What is stored also takes the store's memory, and the time of all who share it: that counts once more.
        """
        return flops / self.flops_per_second < 2 * 2 * self.rates.transfer(nbytes)

    def yields(self, now: float, deadline: float) -> bool:
        return now + self.margin >= deadline

    def attempted(self, attempts: int) -> CostModel:
        """After `SURE` of them go task by task, and commit each: what ended those before would end this one too.

        Whoever ran out of memory with many results at hand had none of them to show for it.
        """
        if attempts <= SURE:
            return self
        return replace(self, quantum=0.0, batch_bytes=1, hold_bytes=0, cache_bytes=0)

    def observed(self, nbytes: int, seconds: float) -> CostModel:
        if not self.rates.transfer(1):
            return self  # moving costs nothing here: there is nothing to learn
        learnt = self.rates.observed(nbytes, seconds)
        return replace(self, bandwidth=learnt.bandwidth, latency=learnt.latency)

    def started(self, seconds: float) -> CostModel:
        """Learn as `Rates` do, from the one invocation that an executor sees, its own.

        >>> CostModel(invoke_seconds=0.0625).started(0.125).invoke_seconds
        0.078125
        """
        usual = self.invoke_seconds
        seconds = min(max(seconds, usual / MOST_CHANGE), usual * MOST_CHANGE)
        return replace(self, invoke_seconds=usual + LEARNS * (seconds - usual))


@dataclass(frozen=True, slots=True)
class Wukong(CostModel):
    """The paper's rules: at a fan-out become one consumer and invoke the others, whatever they cost.

    After Carver et al., SoCC 2020, arXiv 2010.07268, and their code (github.com/ds2-lab/Wukong, branch socc2020), whose
    `big_task_threshold` is 200,000,000 bytes. *Task clustering*: where what a task made is larger than the threshold,
    its consumers are not given away: they run one after the other where their input is. *Delayed I/O*: at a fan-in
    whose other inputs are missing an executor that holds more than the threshold looks again before it writes; below
    the threshold it writes at once. Their code looks up to 20 times, after 1.5, 3, 4.5 ... and at most 10 seconds,
    which are 171.5 together and billed; the few tenths here are this project's, so that rules are compared, not sleeps.
    """

    threshold: int = 200 * 10**6
    """Bytes above which outputs are large."""
    hold_bytes: int = 1 << 40
    hold_seconds: float = math.inf
    cache_bytes: int = 200 * 10**6
    fan: int = 1 << 20
    recheck_seconds: float = 0.1
    """Between two looks at a fan-in."""
    rechecks: int = 3

    def parts(self, work: float, nbytes: int, tasks: int, idle: int) -> int:
        return 1 if nbytes > self.threshold else max(1, min(idle + 1, tasks))

    def exposes(self, work: float) -> bool:
        return False

    def retains(self, nbytes: int) -> bool:
        return self.threshold < nbytes < self.hold_bytes

    def stays(self, nbytes: int) -> bool:
        return False

    def patience(self, nbytes: int, worked: float = 0.0, alone: bool = False) -> float:
        return self.rechecks * self.recheck_seconds if nbytes > self.threshold else 0.0

    def observed(self, nbytes: int, seconds: float) -> Wukong:
        return self

    def started(self, seconds: float) -> Wukong:
        return self
