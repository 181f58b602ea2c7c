"""A job in virtual time: what it would take on a given cloud; and random jobs with random faults.

`run` executes the tasks here, one after the other, but lets virtual time pass as functions, store and coordination
store would need it. ``python -m wukong_sched.drivers.simulate --seeds 10000`` explores random programs with random
faults.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wukong_sched.coordination.protocol import GIVEN_UP
from wukong_sched.drivers.adversary import Adversary
from wukong_sched.drivers.cloud import EXAMPLE, Cloud
from wukong_sched.drivers.exploration import explore
from wukong_sched.drivers.simulation import Simulation
from wukong_sched.errors import InfrastructureError, SchedulerError, raised
from wukong_sched.policy import CostModel, Policy
from wukong_sched.program import Program
from wukong_sched.report import Summary
from wukong_sched.storage.counting import CountingStorage
from wukong_sched.storage.protocol import Storage
from wukong_sched.trace import Trace

CALM = Adversary(0)
"""No faults, no jitter."""


@dataclass(frozen=True, slots=True)
class Forecast(Summary):
    """What a job would take; `seconds` are virtual, from its beginning until it is done."""

    invocations: int
    """Functions that began, those that found nothing to do included."""
    cold_starts: int
    throttled: int
    """Invocations that were refused, as too many."""
    busy_seconds: float
    """Of all functions together: what is paid."""
    commits: int
    requests: int
    """To the tile store, one for each tile."""
    bytes_read: int
    bytes_written: int


def policy_for(cloud: Cloud) -> CostModel:
    """The cost model of functions behind a cloud's links, which knows the cloud's other rates and limits too."""
    known = cloud.links.policy()
    return replace(
        known,
        flops_per_second=cloud.flops_per_second,
        memory_bandwidth=cloud.memory_bandwidth,
        task_overhead=cloud.task_overhead,
        unknown_seconds=cloud.unknown_seconds,
        hold_seconds=min(known.hold_seconds, cloud.lease / 10),
        renewal=cloud.lease / 3,
        margin=cloud.time_limit / 10,
    )


def run(
    program: Program,
    storage: Storage,
    *,
    cloud: Cloud = EXAMPLE,
    policy: Policy | None = None,
    adversary: Adversary = CALM,
    trace: Trace | None = None,
    log: Callable[[str], None] | None = None,
) -> Forecast:
    """Put the wanted tiles of the program into the storage, and say what that would take on a cloud.

    `policy` is the cost model with the cloud's rates unless given; `log` is told, line by line, what happens when.
    Raises `TaskError` from whatever a task raised, and `InfrastructureError` if one executor was ended so often, for
    want of memory for example, that the job is given up.

    >>> from wukong_sched.drivers.graphs import Graph
    >>> from wukong_sched.storage.memory import MemoryStorage
    >>> chain = Graph([[], [(0, 0)], [(1, 0)]], wanted=[(2, 0)], sizes=lambda tile: 8_000_000)
    >>> forecast = run(chain, MemoryStorage(), cloud=Cloud(store_bandwidth=80e6, cold_start=0.5))
    >>> forecast.tasks, forecast.executors, forecast.bytes_written
    (3, 1, 8000000)
    >>> round(forecast.seconds, 2)
    0.77
    """
    if not program.wanted_count:
        return Forecast(0, 0, 0.0, 0, 0, 0, 0.0, 0, 0, 0, 0)
    counting = CountingStorage(storage, program.nbytes)
    job = Simulation(program, counting, policy or policy_for(cloud), cloud, adversary, trace=trace, log=log)
    job.run()
    if job.story is not None:
        raise _error(job)
    counts = job.counts
    return Forecast(
        tasks=counts.tasks,
        executors=counts.executors,
        seconds=counts.ended,
        invocations=counts.invocations,
        cold_starts=counts.cold,
        throttled=counts.throttled,
        busy_seconds=counts.busy,
        commits=counts.commits,
        requests=counting.requests,
        bytes_read=counting.bytes_read,
        bytes_written=counting.bytes_written,
    )


def _error(job: Simulation) -> SchedulerError:
    """The error for a job that failed."""
    assert job.story is not None
    if job.story.operation != GIVEN_UP:
        return raised(job.story, job.error)
    ended = job.counts.overflows[job.story.array]
    full = f"; {ended} of them needed more than the {job.cloud.memory:.0f} bytes of a function" if ended else ""
    return InfrastructureError(f"the job was given up: {job.story.cause}{full}")


def failing(seeds: Sequence[int], say: Callable[[str], None] = print) -> list[int]:
    """Explore these seeds; the failing ones, each told with its error and what repeats it."""
    found = []
    for seed in seeds:
        try:
            explore(seed)
        except Exception as error:  # whatever it is, the search goes on, and the seed is reported
            found.append(seed)
            say(f"seed {seed}: {type(error).__name__}: {error}")
            say(f"  repeat with: python -m wukong_sched.drivers.simulate --first {seed} --seeds 1 --log")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore random jobs; the number of those that went wrong."""
    parser = argparse.ArgumentParser(prog="python -m wukong_sched.drivers.simulate", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds (500)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--log", action="store_true", help="say what happens when; for a single seed")
    given = parser.parse_args(arguments)
    seeds = range(given.first, given.first + given.seeds)
    if given.log:
        return sum(map(_tell, seeds))
    began = time.perf_counter()
    found = failing(seeds)
    seconds = time.perf_counter() - began
    print(f"{len(seeds)} seeds from {given.first}: {len(found)} failed; {len(seeds) / seconds:.0f} a second")
    return min(len(found), 1)


def _tell(seed: int) -> int:
    try:
        explore(seed, log=print)
    except Exception:  # the story of a failing seed ends with its error
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
