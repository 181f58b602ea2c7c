"""The functions of this machine in virtual time: what ``executor="functions"`` would do, behind a given network.

Everything but time is the real thing: the executors' core and policy, the tasks, the codec, the tiers and their
placement, what a warm sandbox remembers, what travels inside invocations. A sandbox's requests pass the same token
bucket as those of a real one, on a virtual clock, and are counted by the same tallies. So bytes are not forecast but
found out, and so is time, but for what the few processors (`Machine.cores`) do: that is the mean processor time of a
rule's tasks, as `calibrated` has measured it, or else follows from their costs, and so much for each byte that moves.

What remains between this and reality is who comes first. Where two executors give up waiting for each other at the same
moment, or a split depends on who is free at that instant, a few tiles more or less are stored and fetched. With one
sandbox every count is equal; with several, tasks, sources that are read once and wanted tiles are.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

from wukong_sched.drivers.adversary import Adversary
from wukong_sched.drivers.pump import Pump, Surroundings
from wukong_sched.drivers.rehearsal import Machine, Rehearsal
from wukong_sched.drivers.simulation import Doing, Simulation
from wukong_sched.drivers.virtual import Process, Processors
from wukong_sched.errors import TaskError
from wukong_sched.functions.hints import HEAD, OVERHEAD, needs
from wukong_sched.functions.readahead import READERS, ReadAhead
from wukong_sched.functions.warm import Recent, WarmStorage, warm_reader
from wukong_sched.links import Links
from wukong_sched.messages import Commit, Delete, Event, Fetch, Fetched, Invoke, Owed, Ran, Run, Store, Stored
from wukong_sched.policy import Policy
from wukong_sched.program import BlockReader, Program, Task, Tile
from wukong_sched.storage.blocks import nbytes_of
from wukong_sched.storage.codec import gain_needed
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.storage.memory_objects import MemoryObjects
from wukong_sched.storage.objects import Tally
from wukong_sched.storage.protocol import Storage
from wukong_sched.storage.shaped import Network, ShapedObjects
from wukong_sched.storage.structured import BlockCodec
from wukong_sched.storage.tiered import TieredObjects
from wukong_sched.storage.tiles import TileStorage

KEYS = Keys("rehearsal")
TIERS = ("source", "inline", "redis", "object")
"""What bytes are counted by."""
SHARE = 6
"""A sandbox keeps tiles in the so manieth part of its memory."""


class Plain(ReadAhead):
    """A program that reads by another function, and runs folds as they are: virtual helpers need no threads."""

    def __init__(self, program: Program, read: Callable[[Tile], Any], timed: Callable[[str, float], None]) -> None:
        super().__init__(program, Executor(), 0, read)
        self._timed = timed
        """Told how long a task of a rule took, its reading left out."""

    def run(self, task: Task, block: BlockReader) -> Sequence[Any]:
        """Run the task."""
        reading = 0.0

        def read(tile: Tile) -> Any:
            nonlocal reading
            began = time.thread_time()
            found = block(tile)
            reading += time.thread_time() - began
            return found

        began = time.thread_time()
        made = self._program.run(task, read)
        self._timed(task[0], time.thread_time() - began - reading)
        return made


class Behind:
    """A sandbox's tiles, some of which are put before that is asked for, as by `functions.writebehind`."""

    def __init__(self, storage: Storage, sandbox: Sandbox) -> None:
        self._storage, self._sandbox = storage, sandbox
        self._ends: dict[Tile, float] = {}
        self.get, self.delete, self.tiles = storage.get, storage.delete, storage.tiles

    def begin(self, tile: Tile, block: Any) -> None:
        """Begin to put a tile."""
        self._ends[tile] = self._sandbox.beside(lambda: self._storage.put({tile: block}))

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Put these; those that were begun are waited for."""
        others = {tile: blocks[tile] for tile in blocks if tile not in self._ends}
        if others:
            self._storage.put(others)
        for tile in blocks.keys() - others.keys():
            self._sandbox.until(self._ends.pop(tile))


class Sandbox:
    """One environment: its network interface, its connections and what it remembers."""

    def __init__(self, job: SimulatedFunctions) -> None:
        self._job, self.owed = job, 0.0
        """Seconds that its requests take beyond the present."""
        self._ends: list[float] = []
        """When the sources of one instruction are here; so many as there are threads are read beside each other."""
        links, tallies = job.links, job.tallies
        self.network = Network(links.bandwidth, lambda: job.timeline.now + self.owed, self._sleep)
        middle = ShapedObjects(MemoryObjects(job.middle, tallies["redis"]), links.redis, self.network)
        large = ShapedObjects(MemoryObjects(job.large, tallies["object"]), links.objects, self.network)
        self.objects = TieredObjects(middle, large, tally=tallies["inline"])
        recent = self._recent = Recent(job.machine.memory // SHARE)
        self.storage = Behind(WarmStorage(TileStorage(self.objects, KEYS, job.codec), recent), self)
        self.program = Plain(job.program, self._reader(warm_reader(self._source, recent)), job.timed)
        self._coming: dict[Tile, tuple[Any, float]] = {}
        """Sources that are read ahead, and when they are here."""
        self.memory: dict[Tile, Any] = {}
        """The blocks of its executor."""

    def lend(self, around: Surroundings) -> Surroundings:
        """What an executor works with here."""
        self.memory = {}
        return replace(around, program=self.program, storage=self.storage, expect=self.expect)

    def _sleep(self, seconds: float) -> None:
        self.owed += seconds

    def until(self, time: float) -> None:
        """Owe what is left until then."""
        self.owed = max(self.owed, time - self._job.timeline.now)

    def beside(self, request: Callable[[], None]) -> float:
        """Make a request that nobody waits for now; when it is over."""
        before = self.owed
        request()
        ends, self.owed = self._job.timeline.now + self.owed, before
        return ends

    def settle(self) -> float:
        """The seconds owed, which are about to pass."""
        owed, self.owed, self._ends = self.owed, 0.0, []
        return owed

    def _reader(self, warm: Callable[[Tile], Any]) -> Callable[[Tile], Any]:
        program = self._job.program
        return lambda tile: program.read(tile) if program.is_cheap(tile[0]) else warm(tile)

    def expect(self, tiles: Sequence[Tile], meanwhile: bool) -> None:
        """Read sources ahead; those that are asked for at once are read beside each other when they are."""
        for tile in tiles if meanwhile else ():
            if tile not in self._coming and self._recent.find(tile) is None:
                self._coming[tile] = self._asked(tile, self._job.timeline.now)

    def _source(self, tile: Tile) -> Any:
        began = self._ends[-READERS] if len(self._ends) >= READERS else self._job.timeline.now
        block, ends = self._coming.pop(tile) if tile in self._coming else self._asked(tile, began)
        self.until(ends)
        self._ends.append(ends)
        return block

    def _asked(self, tile: Tile, began: float) -> tuple[Any, float]:
        """A source, and when it is here, if it is asked for then."""
        block = self._job.program.read(tile)
        self._job.tallies["source"].add(read=nbytes_of(block), gets=1)
        return block, self.network.ends(began, self._job.links.objects.read, nbytes_of(block))


@dataclass(slots=True)
class SimulatedFunctions(Simulation):
    """One job on the sandboxes of one machine."""

    links: Links = field(kw_only=True)
    machine: Machine = field(kw_only=True)
    codec: BlockCodec = field(kw_only=True)
    tallies: dict[str, Tally] = field(kw_only=True)
    middle: dict[str, bytes] = field(kw_only=True)
    large: dict[str, bytes] = field(kw_only=True)
    processors: Processors = field(init=False)
    given: dict[str, tuple[Owed, ...]] = field(default_factory=dict)
    """What new executors will owe."""
    sent: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    """Tiles that travel inside invocations."""
    rules: Mapping[str, float] = field(kw_only=True)
    """Processor seconds of a task of a rule, where they are known."""
    measured: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, rule: str, seconds: float) -> None:
        """Note how long a task took here."""
        self.measured.setdefault(rule, []).append(seconds)

    def computing(self, task: Task) -> float:
        """Processor seconds of a task."""
        known = self.rules.get(task[0])
        return self.cloud.work(self.program.cost(task)) if known is None else known + self.cloud.task_overhead

    def provision(self) -> None:
        """Let all sandboxes be warm."""
        self.free = [Sandbox(self) for _ in range(self.machine.sandboxes)]
        self.processors = Processors(self.timeline, self.machine.cores)

    def environment(self) -> Sandbox:
        return Sandbox(self)

    def enter(self, token: str) -> bool:
        is_warm = Simulation.enter(self, token)
        self.busy[token].objects.hints = self.sent.get(token.rpartition("#")[0], {})
        return is_warm

    # ---- what takes time

    def _copying(self) -> float:
        """Processor seconds of all bytes that have moved."""
        return self.machine.copying * sum(tally.bytes_read + tally.bytes_written for tally in self.tallies.values())

    def executor(self, id: str, token: str, dies: float) -> Process:
        """Everything that one executor does, after its process has looked at the event and loaded the program."""
        yield from self.processors.use(self.machine.start_seconds)
        yield from Simulation.executor(self, id, token, dies)

    def moving(self, pump: Pump, instruction: Fetch | Store | Delete) -> Doing:
        """Perform, and let the time pass that the requests take."""
        began, copying = self.timeline.now, -self._copying()
        event = pump.perform(instruction)
        seconds = self.busy[pump.token].settle()
        yield from self.processors.use(copying + self._copying())
        yield max(0.0, began + seconds - self.timeline.now)
        if isinstance(event, Stored):
            return replace(event, seconds=seconds, idle=self.idle())
        return replace(event, seconds=seconds) if isinstance(event, Fetched) else event

    def fetch(self, pump: Pump, fetch: Fetch) -> Doing:
        return self.moving(pump, fetch)

    def store(self, pump: Pump, store: Store) -> Doing:
        return self.moving(pump, store)

    def delete(self, pump: Pump, delete: Delete) -> Doing:
        return self.moving(pump, delete)

    def work(self, pump: Pump, run: Run) -> Doing:
        """Computing; a fold reads beside it."""
        began, copying = self.timeline.now, -self._copying()
        event = pump.perform(run)
        moving = self.busy[pump.token].settle()
        copying += self._copying()
        yield from self.processors.use(copying + sum(self.computing(task) for task, _, _ in run.steps))
        yield max(0.0, began + moving - self.timeline.now)
        seconds, copied = self.timeline.now - began, self._copying()
        self.write_behind(pump, run.steps)
        yield from self.processors.use(self._copying() - copied)  # a helper's, and they share the processors
        return replace(event, seconds=seconds, idle=self.idle()) if isinstance(event, Ran) else event

    def begin_put(self, pump: Pump, tile: Tile, block: Any) -> None:
        self.busy[pump.token].storage.begin(tile, block)

    def send(self, pump: Pump, commit: Commit) -> Event | None:
        self.given.update((give.id, give.todo) for give in commit.gives)
        return Simulation.send(self, pump, commit)

    def send_off(self, pump: Pump, invoke: Invoke) -> Doing:
        """Some at a time; each event with the small tiles that its executor will read."""
        objects, beside = self.busy[pump.token].objects, self.links.invokes_beside
        began = self.timeline.now
        for id in invoke.ids:
            keys = list(map(KEYS.key, needs(self.program, self.given.get(id, ()), pump.core.policy)))
            self.sent[id] = objects.inline(keys, (self.machine.room - HEAD) * 3 // 4 - OVERHEAD)
        for start in range(0, len(invoke.ids), beside):
            yield self.links.invoke
            part = invoke.ids[start : start + beside]
            pump.perform(Invoke(part))
            self.asked.update(dict.fromkeys(part, began))
        return None

    def sweep(self) -> Process:
        """Nothing is left here that matters: the wanted tiles are to be read."""
        yield from ()


def run(
    program: Program,
    storage: Storage,
    links: Links,
    machine: Machine,
    *,
    policy: Policy | None = None,
    classes: Sequence[type] = (),
    key: bytes = b"rehearsal",
    rules: Mapping[str, float] | None = None,
    log: Callable[[str], None] | None = None,
) -> Rehearsal:
    """Put the wanted tiles of the program into the storage, and say what that would take on this machine.

    `policy` is what the functions behind these links have by default, unless given; `rules` are the processor seconds
    of a task of each rule, as `Rehearsal.rules` gives them, where the tasks' costs shall not say. Raises TaskError from
    whatever a task raised.
    """
    codec = BlockCodec(classes, key, worthwhile=gain_needed(links.bandwidth))
    middle, large = dict[str, bytes](), dict[str, bytes]()
    tiles = TileStorage(TieredObjects(MemoryObjects(middle), MemoryObjects(large)), KEYS, codec)
    job = SimulatedFunctions(
        program,
        tiles,
        policy or links.policy(),
        machine.cloud(links),
        Adversary(0),
        log=log,
        links=links,
        machine=machine,
        codec=codec,
        tallies={name: Tally() for name in TIERS},
        middle=middle,
        large=large,
        rules=rules or {},
    )
    job.provision()
    job.run()
    if job.story is not None:
        raise TaskError(job.story) from job.error
    for tile in program.wanted():
        storage.put(tiles.get([tile]))
    return _rehearsal(job)


def _rehearsal(job: SimulatedFunctions) -> Rehearsal:
    """What came of a job that is done."""
    return Rehearsal(
        job.counts.ended,
        job.counts.tasks,
        job.counts.executors,
        {name: tally.bytes_read for name, tally in job.tallies.items()},
        {name: tally.bytes_written for name, tally in job.tallies.items()},
        {name: tally.requests for name, tally in job.tallies.items()},
        {rule: statistics.fmean(seconds) for rule, seconds in job.measured.items()},
    )


def calibrated(program: Program, links: Links, machine: Machine, **options: Any) -> Rehearsal:
    """What the job would take, with its tasks as fast as they are here: run once to measure them, and once more.

    Processor time is measured, so that other work on this machine does not matter much; BLAS is to be kept to one
    thread. `options` are those of `run`.
    """
    first = run(program, MemoryStorage(), links, machine, **options)
    return run(program, MemoryStorage(), links, machine, rules=first.rules, **options)
