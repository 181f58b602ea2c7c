"""One job in virtual time: functions, invocations, and the client.

An executor's process carries out the core's instructions through `Pump.perform`, like every driver; here that takes
the time that a `Cloud` says, and an `Adversary` may come between any two steps. What is performed takes effect at one
instant; a request with many tiles may arrive in pieces.

The client creates the job, invokes again what can be started, opens a new epoch when the job is lost, and sweeps when
it has ended: at once, and again when every function of the job must have ended, for what zombies stored late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wukong_sched.coordination.protocol import State, View
from wukong_sched.drivers.adversary import Adversary, Fault, FaultyCoordination, disturb
from wukong_sched.drivers.cloud import Cloud
from wukong_sched.drivers.counts import Counts
from wukong_sched.drivers.environment import Environment, OutOfMemory
from wukong_sched.drivers.pump import Pump, Surroundings, interrupts
from wukong_sched.drivers.refusals import requested
from wukong_sched.drivers.virtual import Process, Timeline
from wukong_sched.errors import InfrastructureError, Story
from wukong_sched.executor_state import ExecutorState
from wukong_sched.frontier import Step
from wukong_sched.functions.writebehind import early
from wukong_sched.messages import (
    Commit,
    Committed,
    Delete,
    Drop,
    Event,
    Fetch,
    Fetched,
    Finish,
    Instruction,
    Invoke,
    Peek,
    Peeked,
    Ran,
    Run,
    Started,
    Store,
    Wait,
)
from wukong_sched.opening import opening
from wukong_sched.policy import Policy
from wukong_sched.program import Program, Task, Tile
from wukong_sched.resume import Plan, first_plan, plan
from wukong_sched.storage.protocol import Storage
from wukong_sched.trace import Trace

Doing = Generator[float, None, Event | None]


@dataclass(slots=True)
class Simulation:
    """One job."""

    program: Program
    storage: Storage
    policy: Policy
    cloud: Cloud
    adversary: Adversary
    trace: Trace | None = None
    records: Callable[..., FaultyCoordination] = FaultyCoordination
    core: Callable[..., ExecutorState] = ExecutorState
    log: Callable[[str], None] | None = None
    """Told, line by line, what happens."""
    timeline: Timeline = field(default_factory=Timeline)
    counts: Counts = field(default_factory=Counts)
    coordination: FaultyCoordination = field(init=False)
    around: Surroundings = field(init=False)
    story: Story | None = None
    """Why the job failed."""
    error: BaseException | None = None
    """What the task raised, if one did."""
    running: int = 0
    flying: int = 0
    """Invocations under way."""
    free: list[Any] = field(default_factory=list)
    """Warm environments without work; the last that worked is asked first."""
    busy: dict[str, Any] = field(default_factory=dict)
    """Environments at work, by token."""
    asked: dict[str, float] = field(default_factory=dict)
    """When each executor was last invoked."""

    def __post_init__(self) -> None:
        cloud, clock = self.cloud, self.timeline.clock
        self.coordination = self.records(clock, lease=cloud.lease, grace=cloud.grace, max_attempts=cloud.max_attempts)
        self.around = Surroundings(
            self.program, self.storage, self.coordination, clock, self.invoke, self.idle, ran=self.ran, trace=self.trace
        )
        self.around.ends = (OutOfMemory, *interrupts())

    def run(self, most_seconds: float = math.inf, most_events: float = math.inf) -> None:
        """From the first invocation to the second sweep; raises `Hung` if that takes more than is allowed."""
        self.timeline.spawn(self.client())
        self.timeline.run(most_seconds, most_events)

    def say(self, line: str) -> None:
        """Note what happens."""
        if self.log is not None:
            self.log(f"{self.timeline.now:12.6f}  {line}")

    # ---- the client

    def client(self) -> Process:
        """Keep the job going until it has ended; then leave nothing behind."""
        while (view := self.coordination.read()).state not in (State.DONE, State.FAILED):
            if view.state is State.RUNNING:
                self.invoke(view.startable)
            else:
                yield from self.open()
            yield self.adversary.delay(self.cloud.watchdog)
        self.ended(view)
        yield from self.sweep()
        yield self.cloud.time_limit + self.cloud.cold_start
        yield from self.sweep()

    def open(self) -> Process:
        """Begin a new epoch with what is stored."""
        beginning = self.beginning(frozenset(self.storage.tiles()))
        yield self.adversary.delay(self.cloud.store_latency)
        self.counts.epochs += 1
        self.say(f"client opens epoch {self.counts.epochs}: {beginning.root.todo}")
        roots = opening(self.program, self.policy, beginning.root, self.idle() - 1)
        if self.coordination.create(self.counts.epochs, roots, beginning.arrived):
            self.invoke([root.id for root in roots])

    def beginning(self, stored: frozenset[Tile]) -> Plan:
        """What a new epoch begins with."""
        return plan(self.program, stored) if stored else first_plan(self.program)

    def ended(self, view: View) -> None:
        """The client sees that the job has ended."""
        self.say(f"client sees {view.state.value} {view.story or ''}")
        self.story = view.story
        if math.isnan(self.counts.ended):
            self.counts.ended = self.timeline.now

    def sweep(self) -> Process:
        """Delete all of the job's tiles but the wanted ones, then its keys."""
        doomed = tuple(tile for tile in self.storage.tiles() if not self.program.is_wanted(tile))
        for piece in self.adversary.pieces(doomed):
            yield self.adversary.delay(self.cloud.store_latency)
            self.storage.delete(piece)
        self.coordination.sweep()

    # ---- functions

    def invoke(self, ids: Sequence[str]) -> None:
        """Send a message to each of these executors."""
        for id in ids:
            self.asked[id] = self.timeline.now
            if self.adversary.strikes(Fault.LOSE):
                self.say(f"FAULT invocation of {id} lost")
                continue
            self.timeline.spawn(self.message(id))
            if self.adversary.strikes(Fault.DOUBLE):
                self.say(f"FAULT invocation of {id} doubled")
                self.timeline.spawn(self.message(id))

    def idle(self) -> int:
        """Functions that could begin at once."""
        return max(0, self.cloud.concurrency - self.running - self.flying)

    def ran(self, tasks: int) -> None:
        """So many tasks have run."""
        self.counts.tasks += tasks

    def message(self, id: str) -> Process:
        """One invocation under way, until a function begins."""
        delay = self.adversary.delay(self.cloud.invoke)
        if self.adversary.strikes(Fault.DELAY):
            self.say(f"FAULT invocation of {id} delayed")
            delay += self.adversary.much_later(self.cloud.grace)
        self.flying += 1
        yield delay
        for attempt in range(self.cloud.tries):
            if self.running < self.cloud.concurrency and not self.adversary.strikes(Fault.THROTTLE):
                self.running += 1
                self.timeline.spawn(self.function(id))
                break
            self.say(f"invocation of {id} throttled")
            self.counts.throttled += 1
            yield self.adversary.delay(self.cloud.backoff * 2**attempt)
        self.flying -= 1

    def function(self, id: str) -> Process:
        """One function from its beginning to its end, however it ends."""
        self.counts.invocations += 1
        token = f"{id}#{self.counts.invocations}"
        if not self.enter(token):
            self.counts.cold += 1
            yield self.adversary.delay(self.cloud.cold_start)
        began = self.timeline.now
        if (yield from self.life(id, token, began + self.cloud.time_limit)):
            self.free.append(self.busy[token])
        del self.busy[token]
        self.running -= 1
        self.counts.busy += self.timeline.now - began

    def life(self, id: str, token: str, dies: float) -> Generator[float, None, bool]:
        """All that a function does, until it ends or is ended; whether its process is there to be used again."""
        try:
            for delay in self.executor(id, token, dies):
                disturb(self.adversary, self.program, self.storage, self.coordination, self.say)
                if self.adversary.strikes(Fault.CRASH):
                    self.say(f"FAULT {token} crashes")
                    return False
                if self.adversary.strikes(Fault.STALL):
                    self.say(f"FAULT {token} stalls")
                    delay += self.adversary.much_later(2 * self.cloud.lease)
                if self.timeline.now + delay >= dies:
                    yield dies - self.timeline.now
                    self.say(f"{token} is killed at its time limit")
                    return False
                yield delay
        except OutOfMemory as full:
            self.say(f"{token} is killed: it holds {full}")
            self.counts.overflows[id] += 1
            return False
        except InfrastructureError as error:  # a process outlives what its handler raises
            self.say(f"{token} ends with an error: {error}")
            self.counts.refused += 1
        return True

    def enter(self, token: str) -> bool:
        """Give a function an environment; whether it is a warm one."""
        is_warm = bool(self.free)
        self.busy[token] = self.free.pop() if is_warm else self.environment()
        return is_warm

    def environment(self) -> Any:
        """A new one."""
        return Environment(self.program, self.around.storage, self.cloud.memory)

    # ---- executors

    def executor(self, id: str, token: str, dies: float) -> Process:
        """Everything that one executor does."""
        place, now = self.busy[token], self.timeline.now
        around = replace(place.lend(self.around), waited=now - self.asked.get(id, now))
        pump = Pump(around, self.core(self.program, self.policy, id, dies), token, place.memory)
        yield self.adversary.delay(self.cloud.coordination / 2)
        event: Event | None = pump.start()
        self.counts.executors += isinstance(event, Started)
        yield self.adversary.delay(self.cloud.coordination / 2)
        while event is not None:
            instructions = pump.handle(event)
            if self.log is not None:
                self.say(f"{token} <- {_shown(event)}")
            event = None
            for instruction in instructions:
                if self.log is not None:
                    self.say(f"{token} -> {instruction}")
                event = yield from getattr(self, DOING[type(instruction)])(pump, instruction)
        self.error = self.error or pump.error

    def transfer(self, tiles: Iterable[Tile]) -> float:
        """Seconds to move these tiles."""
        return self.adversary.delay(self.cloud.transfer(sum(map(self.program.nbytes, tiles))))

    def fetch(self, pump: Pump, fetch: Fetch) -> Doing:
        missing: list[Tile] = []
        for piece in self.adversary.pieces(fetch.tiles):
            yield self.transfer(piece)
            event = yield from requested(self.adversary, pump, Fetch(piece), self.say)
            self.busy[pump.token].weigh()
            missing += event.missing if isinstance(event, Fetched) else ()
        return Fetched(tuple(missing))

    def work(self, pump: Pump, run: Run) -> Doing:
        seconds, count = 0.0, 0
        for step in run.steps:
            if count and seconds > run.limit:
                break
            seconds += self.seconds(step[0])
            count += 1
        seconds = self.adversary.delay(seconds)
        yield seconds
        part = Run(run.steps[:count])
        streams = any(self.program.streams(task) for task, _, _ in part.steps)
        event = (yield from requested(self.adversary, pump, part, self.say)) if streams else pump.perform(part)
        self.write_behind(pump, run.steps[:count])
        if self.busy[pump.token].relieve(pump.core):
            self.say(f"{pump.token} is to hand over: its memory is nearly full")
            self.counts.relieved += 1
        return replace(event, seconds=seconds, left=len(run.steps) - count) if isinstance(event, Ran) else event

    def write_behind(self, pump: Pump, steps: Iterable[Step]) -> None:
        """What of the results must be stored in any case is put at once, before anybody asks for it."""
        for task, outputs, _ in steps:
            if all(tile in pump.memory for tile in outputs):
                for tile, block in early(self.program, self.policy, task, [pump.memory[tile] for tile in outputs]):
                    self.begin_put(pump, tile, block)

    def begin_put(self, pump: Pump, tile: Tile, block: Any) -> None:
        """Put a tile before the executor's core says so."""
        self.storage.put({tile: block})

    def seconds(self, task: Task) -> float:
        """How long a task takes; one that reads while it runs, the transfer at least."""
        seconds = self.cloud.work(self.program.cost(task))
        if not self.program.streams(task):
            return seconds
        return max(seconds, self.cloud.transfer(sum(map(self.program.nbytes, self.program.inputs(task)))))

    def store(self, pump: Pump, store: Store) -> Doing:
        event: Event | None = None
        for piece in self.adversary.pieces(store.tiles):
            yield self.transfer(piece)
            event = yield from requested(self.adversary, pump, Store(piece), self.say)
        return event

    def commit(self, pump: Pump, commit: Commit) -> Doing:
        half = self.cloud.coordination / 2
        yield self.adversary.delay(half)
        event = self.send(pump, commit)
        if self.adversary.strikes(Fault.ECHO):
            self.say(f"FAULT commit {commit.seq} of {pump.token} will be delivered again")
            self.timeline.spawn(self.later(pump, commit))
        yield self.adversary.delay(half)
        while self.adversary.strikes(Fault.SILENCE):
            self.say(f"FAULT reply to commit {commit.seq} of {pump.token} lost")
            yield self.adversary.delay(self.cloud.timeout)
            event = self.send(pump, commit)
            yield self.adversary.delay(half)
        return event

    def send(self, pump: Pump, commit: Commit) -> Event | None:
        """The commit arrives at the coordination store."""
        self.counts.commits += 1
        if self.adversary.strikes(Fault.FORGET):
            self.say(f"FAULT commit {commit.seq} of {pump.token} forgotten")
            with self.coordination.forgetting():
                return pump.perform(commit)
        event = pump.perform(commit)
        if isinstance(event, Committed) and commit.done:
            self.counts.ended = self.timeline.now
        return event

    def later(self, pump: Pump, instruction: Instruction) -> Process:
        yield self.adversary.much_later(self.cloud.lease)
        pump.perform(instruction)

    def peek(self, pump: Pump, peek: Peek) -> Doing:
        yield self.adversary.delay(self.cloud.coordination / 2)
        event = pump.perform(peek)
        yield self.adversary.delay(self.cloud.coordination / 2)
        return event

    def delete(self, pump: Pump, delete: Delete) -> Doing:
        for piece in self.adversary.pieces(delete.tiles):
            yield self.adversary.delay(self.cloud.store_latency)
            if self.adversary.strikes(Fault.LINGER):
                self.say(f"FAULT deletion of {piece} lingers")
                self.timeline.spawn(self.later(pump, Delete(piece)))
            else:
                yield from requested(self.adversary, pump, Delete(piece), self.say)
        return None

    def wait(self, pump: Pump, wait: Wait) -> Doing:
        yield self.adversary.delay(wait.seconds)
        return pump.perform(wait)

    def send_off(self, pump: Pump, invoke: Invoke) -> Doing:
        return pump.perform(invoke)
        yield

    def at_once(self, pump: Pump, instruction: Instruction) -> Doing:
        return pump.perform(instruction)
        yield


def _shown(event: Event) -> str:
    """The event as text; sets in order, so that the text does not depend on hashes."""
    if not isinstance(event, Peeked):
        return str(event)
    return f"Peeked({ {task: sorted(tiles) for task, tiles in event.arrived.items()} })"


DOING: Mapping[type[Instruction], str] = {
    Fetch: "fetch",
    Run: "work",
    Store: "store",
    Commit: "commit",
    Peek: "peek",
    Wait: "wait",
    Invoke: "send_off",
    Delete: "delete",
    Drop: "at_once",
    Finish: "at_once",
}
"""Methods by instruction."""
