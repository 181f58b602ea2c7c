"""One seed, one run: a random program, cloud, policy and adversary under the simulator, and what must hold of it.

Whatever goes wrong, a job ends with the right tiles or with a clear failure, and leaves nothing behind:

* it ends: within a bounded virtual time and number of events;
* it is done only when every wanted tile is stored, and each of them is the serial driver's;
* it fails only if a task raises, and names that task, or if a record was started too often: then all attempts but
  those that faults have ended, and those that handed over at once, held more than a function may;
* a tile has one value, however often it is stored;
* as long as nothing is lost from the stores: whatever a record owes can be read, and every task is discharged once;
* after the second sweep the store has wanted tiles only, the coordination store nothing, and no function is at work.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wukong_sched.coordination.protocol import GIVEN_UP
from wukong_sched.drivers import graphs, serial, systems
from wukong_sched.drivers.adversary import HARMLESS, Adversary, Fault, FaultyCoordination
from wukong_sched.drivers.cloud import Cloud
from wukong_sched.drivers.pump import Pump
from wukong_sched.drivers.simulation import Simulation
from wukong_sched.executor_state import ExecutorState
from wukong_sched.messages import Commit, Committed, Event
from wukong_sched.policy import SURE, CostModel, Policy, Wukong
from wukong_sched.program import SINK, Program, Task, Tile, range_tasks
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.trace import Trace

MOST_SECONDS = 50_000.0
MOST_EVENTS = 20_000


class Violation(AssertionError):
    """A run broke what must hold."""


@dataclass(frozen=True, slots=True)
class Chaotic:
    """Takes every choice that the protocol leaves free, sooner or later.

    Each answer is a pure function of the seed and of what was asked, so that a trace replays.
    """

    seed: int
    quantum: float
    batch_bytes: int
    edges: int
    most_hold: float
    """Seconds."""
    most_patience: float
    """Seconds."""
    renewal: float
    """Seconds."""
    margin: float
    """Seconds."""

    def _draw(self, question: int, *given: float) -> float:
        """A number between 0 and 1."""
        return (hash((self.seed, question, *given)) >> 11) % 65536 / 65536

    def seconds(self, cost: Any) -> float:
        return 1e-3 if cost is None else float(cost.flops) / 2e10

    def fetches(self, nbytes: int) -> float:
        return nbytes * 1e-9

    def parts(self, work: float, nbytes: int, tasks: int, idle: int) -> int:
        return 1 + int(self._draw(0, work, tasks, idle) * min(idle + 1, tasks))

    def opening(self) -> Chaotic:
        return self

    def exposes(self, work: float) -> bool:
        return self._draw(1, work) < 0.3

    def holds(self, nbytes: int, seconds: float) -> bool:
        return seconds < self.most_hold * self._draw(2, nbytes, seconds)

    def retains(self, nbytes: int) -> bool:
        return self._draw(5, nbytes) < 0.7

    def stays(self, nbytes: int) -> bool:
        return self._draw(7, nbytes) < 0.7

    def keeps(self, nbytes: int) -> bool:
        return self._draw(6, nbytes) < 0.7

    def patience(self, nbytes: int, worked: float = 0.0, alone: bool = False) -> float:
        return max(0.0, self.most_patience * (self._draw(3, nbytes) - 0.5))

    def yields(self, now: float, deadline: float) -> bool:
        return now + self.margin >= deadline or self._draw(4, now) < 0.02

    def inlines(self, nbytes: int) -> bool:
        return self._draw(5, nbytes) < 0.5

    def started(self, seconds: float) -> Chaotic:
        return self

    def attempted(self, attempts: int) -> Policy:
        if attempts <= SURE:
            return self
        return CostModel(quantum=0.0, batch_bytes=1, hold_bytes=0, cache_bytes=0, edges=self.edges, margin=self.margin)

    def observed(self, nbytes: int, seconds: float) -> Chaotic:
        return self


@dataclass(frozen=True, slots=True)
class Case:
    """What a seed stands for."""

    seed: int
    program: Program
    cloud: Cloud
    policy: Policy
    adversary: Adversary
    raising: bool


def case(seed: int) -> Case:
    """The random program, cloud, policy and adversary of a seed."""
    rng = random.Random(seed)
    raising = rng.random() < 0.08
    program: Program
    if rng.random() < 0.3:
        program, raising = systems.draw(rng), False
    else:
        program = graphs.draw(rng, rng.choice((6, 20, 60)), raising)
    adversary = _adversary(rng, seed)
    cloud = _cloud(rng, adversary.faults)
    policy = _policy(rng, seed, cloud)
    if rng.random() < 0.25:  # seeds that neither this nor the next draw strikes are what they were before them
        adversary = replace(adversary, kinds=[*adversary.kinds, Fault.REFUSE])
    if rng.random() < 0.3:
        cloud = replace(cloud, memory=rng.choice((0.9, 1.0, 1.0, 1.5, 2.0, 3.0, 6.0, 10.0)) * most_at_hand(program))
    if isinstance(program, graphs.Graph):
        program.in_order = rng.random() < 0.25
    return Case(seed, program, cloud, policy, adversary, raising)


def most_at_hand(program: Program) -> int:
    """Bytes that the largest task reads and makes."""
    tasks = dict.fromkeys(range_tasks(program, program.leaves()))
    found, most = list(tasks), 0
    while found:
        task = found.pop()
        outputs = program.outputs(task)
        most = max(most, sum(map(program.nbytes, {*program.inputs(task), *outputs})))
        new = [reader for tile in outputs for reader in program.consumers(tile) if reader not in tasks]
        found += [reader for reader in dict.fromkeys(new) if reader != SINK]
        tasks.update(dict.fromkeys(new))
    return most


def _adversary(rng: random.Random, seed: int) -> Adversary:
    every = list(Fault) if rng.random() < 0.5 else sorted(HARMLESS, key=lambda kind: kind.value)
    every.remove(Fault.REFUSE)
    kinds = rng.sample(every, rng.randint(1, len(every)))
    rarity = rng.choice((3.0, 10.0, 30.0, 100.0))
    return Adversary(
        seed, rng.choice((0, 1, 2, 3, 5, 8, 12, 20)), kinds, rarity, rng.choice((0.0, 0.5, 1.0)), rng.random() < 0.7
    )


def _cloud(rng: random.Random, faults: int) -> Cloud:
    lease = rng.choice((20.0, 60.0))
    return Cloud(
        store_latency=rng.choice((0.001, 0.02, 0.1)),
        store_bandwidth=rng.choice((1e8, 1e9)),
        coordination=rng.choice((0.001, 0.02)),
        invoke=rng.choice((0.001, 0.05)),
        cold_start=rng.choice((0.0, 0.5)),
        concurrency=rng.choice((1, 2, 4, 16, 1000)),
        tries=rng.choice((1, 5)),
        time_limit=rng.choice((60.0, 300.0)),
        lease=lease,
        grace=rng.choice((1.0, 10.0)),
        max_attempts=faults + 2 if rng.random() < 0.9 else 2,
        watchdog=lease / 4,
    )


def _policy(rng: random.Random, seed: int, cloud: Cloud) -> Policy:
    edges = rng.choice((1, 2, 3, 7, 1000))
    quantum, batch = rng.choice((1e-9, 0.01, 1.0)), rng.choice((1, 10**6, 1 << 28))
    hold, patience = rng.choice((0.0, 1.0, cloud.lease / 4)), rng.choice((0.0, 0.5))
    if rng.random() < 0.5:
        return Chaotic(seed, quantum, batch, edges, hold, patience, cloud.lease / 3, margin=5.0)
    return rng.choice((CostModel, Wukong))(
        bandwidth=cloud.store_bandwidth,
        latency=cloud.store_latency,
        invoke_seconds=cloud.invoke,
        quantum=quantum,
        batch_bytes=batch,
        edges=edges,
        hold_seconds=hold,
        renewal=cloud.lease / 3,
        margin=5.0,
        waits=patience > 0,
    )


class OneValue(MemoryStorage):
    """A store that insists on one value for a tile."""

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        for tile, block in blocks.items():
            if self._blocks.get(tile, block) != block:
                raise Violation(f"{tile} was stored with two values")
        super().put(blocks)


@dataclass(slots=True)
class Watched(Simulation):
    """A simulation that checks every commit."""

    discharged: set[tuple[int, Task]] = field(default_factory=set)
    rested: Counter[str] = field(default_factory=Counter)
    """Attempts that handed over what they had taken over, by executor."""
    seen: set[tuple[str, int]] = field(default_factory=set)

    def send(self, pump: Pump, commit: Commit) -> Event | None:
        part, epoch = pump.core.part, self.counts.epochs
        event = super(Watched, self).send(pump, commit)
        if isinstance(event, Committed) and (pump.token, commit.seq) not in self.seen:
            self.seen.add((pump.token, commit.seq))
            self.rested[pump.core.id] += commit.yields and not commit.moves_on
            if commit.done:
                self.check_stored("wanted", self.program.wanted())
            if Fault.FORGET not in self.adversary.struck and _discharges(commit):
                self.check_once(epoch, part)
            if HARMLESS.issuperset(self.adversary.struck):
                self.check_inputs(pump, event, commit)
        return event

    def check_inputs(self, pump: Pump, event: Committed, commit: Commit) -> None:
        """Whatever a record owes can be read."""
        if commit.lost is not None:
            raise Violation(f"{pump.token} misses {commit.lost}, but nothing was lost")
        for task in event.joined:
            tiles = self.program.wanted() if task == SINK else self.program.inputs(task)
            self.check_stored(f"an input of {task}, owed by {pump.token},", tiles)

    def check_stored(self, what: str, tiles: Any) -> None:
        """Whoever needs these tiles must find them."""
        there = set(self.storage.tiles())
        for tile in tiles:
            if self.program.is_task_array(tile[0]) and tile not in there:
                raise Violation(f"{what} is not stored: {tile}")

    def check_once(self, epoch: int, tasks: Collection[Task]) -> None:
        """Each task is discharged once in an epoch."""
        for task in tasks:
            if (epoch, task) in self.discharged:
                raise Violation(f"{task} is discharged twice")
            self.discharged.add((epoch, task))


def _discharges(commit: Commit) -> bool:
    """Whether the commit discharges what ran: what gives leaves away does not."""
    given = [item for give in commit.gives for item in give.todo if len(item) == 4]
    return bool(commit.discharged or (commit.cuts and not given))


def explore(
    seed: int,
    *,
    records: Callable[..., FaultyCoordination] = FaultyCoordination,
    core: Callable[..., ExecutorState] = ExecutorState,
    simulation: Callable[..., Watched] = Watched,
    trace: Trace | None = None,
    log: Callable[[str], None] | None = None,
) -> Watched:
    """Run the case of a seed; raises `Violation` (or what the core raised) if something is wrong."""
    this = case(seed)
    storage = OneValue()
    run = simulation(
        this.program, storage, this.policy, this.cloud, this.adversary, trace=trace, records=records, core=core, log=log
    )
    run.run(MOST_SECONDS, MOST_EVENTS)
    _check_end(this, run, storage)
    return run


def _check_end(this: Case, run: Watched, storage: MemoryStorage) -> None:
    program, story = this.program, run.story
    left = [tile for tile in storage.tiles() if not program.is_wanted(tile)]
    if left or not run.coordination.empty() or run.running:
        raise Violation(f"left behind: tiles {left}, records {run.coordination.ids()}, {run.running} functions at work")
    if story is not None:
        attempts = this.cloud.max_attempts
        ended = run.counts.overflows[story.array]
        too_large = ended > 0 and ended + run.rested[story.array] + len(run.adversary.struck) >= attempts
        allowed = story.operation == GIVEN_UP and (attempts == 2 or too_large)
        if not allowed and not (this.raising and "cannot" in story.cause and str(story.index[0]) in story.operation):
            raise Violation(f"failed without reason: {story}")
        return
    expected = MemoryStorage()
    serial.run(program.without_error() if isinstance(program, graphs.Graph) else program, expected)
    wanted = list(program.wanted())
    if storage.get(wanted) != expected.get(wanted):
        raise Violation(f"wrong tiles: {storage.get(wanted)}, expected {expected.get(wanted)}")
