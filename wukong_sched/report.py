"""What happened, what it cost: a job's report, from what each of its executors counted.

A report is a few facts of the job and one record for each executor that ended (in threads: for each worker). All its
numbers follow from these, so its JSON lines say everything.

Dollars are what the job would cost, or did, at list prices (`wukong_sched.prices`): functions by GB-second (each
invocation's time rounded up to milliseconds, times its memory) and by invocation; the object store by request, reads
of sources among them; and one cache node for as long as the job took. What runs in this process costs nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wukong_sched.functions.usage import Usage, total
from wukong_sched.prices import DATED, REGION, US_EAST_1, Prices

TIERS = ("source", "inline", "redis", "object")
KINDS = ("compute", "fetch", "store", "invoke", "wait", "commit")
"""What executors' time goes to."""
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Facts:
    """What the client knows of a job."""

    executor: str = ""
    """Name of who ran it."""
    job: str = ""
    """Its id, where it has one."""
    invoked: bool = False
    """Whether its executors were invocations of functions."""
    memory_limit: int = 0
    """Bytes that this process was to keep within; 0: none. A function's limit is in its record."""
    retried: int = 0
    """Failed attempts of this job's that the service itself followed by another."""
    throttled: int = 0
    """Invocations of this job's that the service refused at first."""
    resumed: int = 0
    """Times that the job was resumed after records or tiles were lost."""
    watched: int = 0
    """Invocations of watchdogs, which start executors that should run and do not."""
    watched_seconds: float = 0.0
    """For which these ran; on AWS, worked out from the job's wall time."""
    attempts: int = 0
    """Invocations of executors, however they ended, where the service counts them; AWS does not."""
    attempt_seconds: float = 0.0
    """For which these ran, each rounded up to milliseconds, as it is billed."""
    failed: int = 0
    """Of these, the ones that were killed, took too long, or raised."""
    failed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did, in three numbers."""

    tasks: int
    """Tasks that ran."""
    executors: int
    """Executors that were started."""
    seconds: float
    """Wall time, from the submission to the results; of a job that was over when somebody came, to its end."""


@dataclass(frozen=True, slots=True)
class Report(Summary):
    """What a job did, and what it cost."""

    usages: tuple[Usage, ...] = field(default=(), repr=False)
    """One for each executor, or worker."""
    facts: Facts = Facts()
    prices: Prices = field(default=US_EAST_1, repr=False)

    @property
    def usage(self) -> Usage:
        """Of all executors together."""
        return total(self.usages)

    @property
    def retries(self) -> int:
        """Attempts that ended without a word, and were followed by another: as executors found, or the service."""
        found = sum(usage.retries for usage in self.usages)  # since an executor's last commit; a service knows all
        return max(found, self.facts.retried) if self.facts.invoked else 0

    @property
    def invocations(self) -> int:
        """Executors that ran as functions, in all of their attempts, and watchdogs."""
        if not self.facts.invoked:
            return 0
        return max(len(self.usages) + self.retries, self.facts.attempts) + self.facts.watched

    @property
    def gb_s(self) -> float:
        """GB-seconds of all invocations, as far as they are known.

        Where the service counts, that is each invocation of the job from its beginning to its end, however it ended. On
        AWS it is what the executors have written down, and the watchdogs: an attempt that was killed, or raised, is
        billed there too, but has left no account of its seconds, so that this is a lower bound.
        """
        facts = self.facts
        if not facts.invoked:
            return 0.0
        written = sum(math.ceil(each.billed_seconds * 1000) / 1000 for each in self.usages)
        return (max(written, facts.attempt_seconds) + facts.watched_seconds) * self.usage.memory / GIB

    @property
    def costs(self) -> dict[str, float]:
        """Dollars, by what they are for."""
        if not self.facts.invoked:
            return {"functions": 0.0, "objects": 0.0, "cache": 0.0}
        usage, prices = self.usage, self.prices
        gets = usage.gets.get("object", 0) + usage.gets.get("source", 0)
        return {
            "functions": prices.functions(self.gb_s, self.invocations),
            "objects": prices.objects(usage.puts.get("object", 0), gets),
            "cache": prices.cache(self.seconds),
        }

    @property
    def usd(self) -> float:
        """Dollars."""
        return sum(self.costs.values())

    def to_dict(self) -> dict[str, Any]:
        """All numbers by name: bytes and requests by tier, seconds and dollars by what they went to.

        >>> Report(3, 1, 0.5).to_dict()["wall_s"]
        0.5
        """
        usage = self.usage
        return {
            "wall_s": self.seconds,
            "tasks": self.tasks,
            "invocations": self.invocations,
            "cold_starts": usage.cold if self.facts.invoked else 0,
            "retries": self.retries,
            "gb_s": self.gb_s,
            "usd": self.usd,
            "peak_memory": usage.peak_memory,
            "bytes_read": by_tier(usage.bytes_read),
            "bytes_written": by_tier(usage.bytes_written),
            "requests": by_tier(usage.requests),
            "memory_limit": usage.memory or self.facts.memory_limit,
            "saved_codec": usage.saved_codec,
            "saved_locality": usage.saved_locality,
            "seconds": {kind: usage.seconds.get(kind, 0.0) for kind in KINDS},
            "costs": self.costs,
            **{name: value for name, value in asdict(self.facts).items() if name not in ("invoked", "memory_limit")},
            "executors": self.executors,
            "prices": f"{DATED}, {REGION}",
        }

    # ---- as JSON lines

    def lines(self) -> list[str]:
        """As lines of JSON: the job and the prices first, then one for each executor.

        >>> report = Report(3, 1, 0.5, (Usage(tasks=3, executors=1),))
        >>> Report.from_lines(report.lines()) == report
        True
        """
        job = {"record": "job", "tasks": self.tasks, "executors": self.executors, "wall_s": self.seconds}
        prices = {"record": "prices", "dated": DATED, "region": REGION, **asdict(self.prices)}
        executors = ({"record": "executor", **asdict(usage)} for usage in self.usages)
        return [json.dumps(record) for record in ({**job, **asdict(self.facts)}, prices, *executors)]

    @staticmethod
    def from_lines(lines: Iterable[str]) -> Report:
        """What `lines` wrote; ValueError for what is no report."""
        records: dict[str, list[dict[str, Any]]] = {"job": [], "prices": [], "executor": []}
        for record in map(json.loads, lines):
            records.get(record.pop("record", ""), []).append(record)
        if len(records["job"]) != 1 or len(records["prices"]) != 1:
            raise ValueError("these lines are no report: expected those that Report.lines() gave")
        (job,), (prices,) = records["job"], records["prices"]
        usages = tuple(Usage(**record) for record in records["executor"])
        heads = job.pop("tasks"), job.pop("executors"), job.pop("wall_s")
        prices = {name: value for name, value in prices.items() if name not in ("dated", "region")}
        return Report(*heads, usages, Facts(**job), Prices(**prices))

    # ---- as text

    def __str__(self) -> str:
        return "\n".join([self._head(), *self._table(), *self._rest()])

    def _head(self) -> str:
        name = " ".join(filter(None, (self.facts.executor, self.facts.job)))
        ran = f"{self.tasks} tasks in {self.seconds:.3g} s"
        if not self.facts.invoked:
            return f"{name or 'here'}: {ran}, {self.executors} executors in this process"
        cold = self.usage.cold
        warm = self.invocations - cold
        return f"{name}: {ran}, {self.invocations} invocations ({cold} cold, {warm} warm, {self.retries} retried)"

    def _table(self) -> Iterator[str]:
        usage = self.usage
        yield f"  {'':8}{'read':>12}{'written':>12}{'requests':>10}"
        for tier in TIERS:
            read, written = (in_bytes(counts.get(tier, 0)) for counts in (usage.bytes_read, usage.bytes_written))
            yield f"  {tier:8}{read:>12}{written:>12}{usage.requests.get(tier, 0):>10}"

    def _rest(self) -> Iterator[str]:
        usage, found = self.usage, self.to_dict()
        yield f"  saved: {in_bytes(usage.saved_codec)} by codec, {in_bytes(usage.saved_locality)} by locality"
        yield "  seconds: " + ", ".join(f"{kind} {seconds:.3g}" for kind, seconds in found["seconds"].items())
        limit = f" of {in_bytes(found['memory_limit'])}" if found["memory_limit"] else ""
        yield f"  peak memory: {in_bytes(usage.peak_memory)}{limit}"
        if self.facts.invoked:
            costs = ", ".join(f"{name} {usd:.2g}" for name, usd in self.costs.items())
            if self.facts.failed:
                yield (
                    f"  failed attempts: {self.facts.failed}, of {self.facts.failed_seconds:.3g} s together; "
                    "what they did beside that is not counted"
                )
            yield f"  {self.gb_s:.3g} GB-s; {self.usd:.2g} USD at list prices of {DATED}, {REGION} ({costs})"


def by_tier(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of all tiers.

    >>> by_tier({"redis": 2})
    {'source': 0, 'inline': 0, 'redis': 2, 'object': 0}
    """
    return {tier: counts.get(tier, 0) for tier in TIERS}


def in_bytes(number: float) -> str:
    """A number of bytes, readable.

    >>> in_bytes(1536)
    '1.5 KiB'
    """
    power = min(4, int(math.log2(number)) // 10) if number >= 1 else 0
    return f"{number / 1024**power:.1f} {'KMGT'[power - 1]}iB" if power else f"{number:.0f} B"
