"""The core of one executor: ``handle(event, now) -> [Instruction]``. It knows no clock, network or randomness.

The rules (numbers as in docs/protocol.md):

1. The record is the truth. `todo` is what we owe: tasks all of whose inputs are stored. A retry begins with the
   record's todo and an empty memory (rules 1, 4).
2. Register before invoke: new records are written inside our commit; we invoke them after its reply (2, 10).
3. Store before announce: the tiles that leave are stored, then announced by the commit that discharges the tasks
   that made them. Tasks that the commit completes join our todo, which is ownership (5, 7).
4. What is local stays local: an edge whose ends both run here costs no I/O at all. A fan-in whose other inputs have
   arrived runs here without storing our own input: one plain read tells (6).
5. While there is work here, results may be held back; with nothing runnable we peek, perhaps wait a bounded moment,
   and then commit all that we hold (8).
6. We give away from our todo only, never the task that we are named after (9), and nothing while a tile of ours is
   announced in part: whoever else ran its producer would announce those edges again.
7. Freed are stored tiles all of whose consumers are discharged; we delete them after the commit's reply (10).
8. Before the time limit we commit everything, yield, and the same id is invoked again (11).
   Whoever has not committed for long renews the lease by an empty commit before going on (5).
9. A missing input: renew first. If we are gone, stop silently; if not, report the lost tile (12, 14).
10. The sink runs from todo only, and its commit ends the job (13).
11. GONE: stop at once, no write, invoke or delete any more (5).

An exception in a task ends the job with its story. What happens in which phase is the table at the end.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence

from wukong_sched.backlog import Backlog, Cuts
from wukong_sched.errors import ProtocolError
from wukong_sched.ledger import Ledger
from wukong_sched.messages import (
    Commit,
    Committed,
    Delete,
    Drop,
    Event,
    Fetch,
    Fetched,
    Finish,
    Give,
    Gone,
    Instruction,
    Invoke,
    Peek,
    Peeked,
    Raised,
    Ran,
    Refused,
    Run,
    Started,
    Store,
    Stored,
    Wait,
    Woke,
)
from wukong_sched.policy import Policy
from wukong_sched.program import SINK, Program, Task, Tile

Step = tuple[Task, list[Tile], list[Tile]]
MOST_STEPS = 1024
"""Tasks of one Run, however short they are."""


class Phase(enum.Enum):
    """What the executor waits for."""

    NEW = enum.auto()
    FETCHING = enum.auto()
    RUNNING = enum.auto()
    PEEKING = enum.auto()
    WAITING = enum.auto()
    STORING = enum.auto()
    COMMITTING = enum.auto()
    ENDED = enum.auto()


class ExecutorState:
    """One executor, from its start to its end."""

    def __init__(self, program: Program, policy: Policy, id: str, deadline: float = math.inf) -> None:
        self.program, self.policy, self.id, self.deadline = program, policy, id, deadline
        self.phase = Phase.NEW
        self.seq = 0
        self.idle = 0
        self.backlog = Backlog(program, id)
        self.ledger = Ledger(program)
        self.pending: dict[Task, int] = {}
        """Fan-ins of which some inputs are here -> how many are not."""
        self.kept: dict[Tile, int] = {}
        """Stored tiles still in memory -> ready tasks that will read them."""
        self.steps: list[Step] = []
        self.needs: tuple[Tile, ...] = ()
        """What must be fetched before the steps can run."""
        self.planned = 0.0
        """Estimated seconds of the steps."""
        self.commits: list[Commit] = []
        """Still to be sent, one after the other."""
        self.joined: list[Task] = []
        self.freed: list[Tile] = []
        self.after: Callable[[float], list[Instruction]] = self._finish
        """What follows when all commits are through."""
        self.waited = False
        self.renewed = 0.0
        """When the lease was last renewed."""
        self.corrections: dict[str, float] = {}
        """Rule -> how much longer its tasks take than the policy says, as far as was measured here."""

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """What to do about an event at a time; the last instruction is the one whose outcome is the next event."""
        transition = TRANSITIONS.get((self.phase, type(event)))
        if transition is None:
            raise ProtocolError(f"executor {self.id} in phase {self.phase.name} cannot take {type(event).__name__}")
        return transition(self, event, now)

    # ---- events

    def _started(self, event: Started, now: float) -> list[Instruction]:
        self.seq, self.idle = event.seq, event.idle
        self.backlog.load(event.todo)
        self.ledger.announced = dict(event.announced)
        self.renewed = now
        return self._advance(now)

    def _fetched(self, event: Fetched, now: float) -> list[Instruction]:
        if event.missing:
            return self._lose(event.missing[0])
        return self._run()

    def _ran(self, event: Ran, now: float) -> list[Instruction]:
        self.idle = event.idle
        self._learn(event.seconds)
        return self._advance(now)

    def _missed(self, event: Fetched, now: float) -> list[Instruction]:
        return self._lose(event.missing[0])

    def _raised(self, event: Raised, now: float) -> list[Instruction]:
        return self._commit([Commit(self.seq, failure=event.story)], self._finish)

    def _peeked(self, event: Peeked, now: float) -> list[Instruction]:
        for task, arrived in event.arrived.items():
            missing = [tile for tile in self._produced(task) if tile not in self.ledger.open and tile not in arrived]
            if not missing:
                del self.pending[task]
                self.backlog.ready.append(task)
        if self.backlog.ready:
            return self._advance(now)
        patience = 0.0 if self.waited else self.policy.patience(self.ledger.nbytes)
        self.waited = True
        if patience > 0:
            return self._enter(Phase.WAITING, Wait(patience))
        return self._flush()

    def _woke(self, event: Woke, now: float) -> list[Instruction]:
        return self._peek()

    def _stored(self, event: Stored, now: float) -> list[Instruction]:
        return self._send()

    def _committed(self, event: Committed, now: float) -> list[Instruction]:
        self.seq += 1
        self.renewed = now
        self.joined += event.joined
        self.freed += event.freed
        return self._send() if self.commits else self.after(now)

    def _end(self, event: Event, now: float) -> list[Instruction]:
        return self._finish(now)

    # ---- decisions

    def _advance(self, now: float) -> list[Instruction]:
        """Nothing is under way: choose what to do next."""
        if SINK in self.backlog.owed:
            return self._commit([Commit(self.seq, (SINK,), done=True)], self._finish)
        if self.policy.yields(now, self.deadline):
            return self._flush(yields=True)
        if now - self.renewed >= self.policy.renewal:
            return self._commit([self.ledger.renewal(self.seq)], self._advance)
        idle, self.idle = self.idle, 0
        shared = self._share(idle) if idle and not self.ledger.announced else None
        if shared is not None:
            return shared
        if self.ledger.open and not self.policy.holds(self.ledger.nbytes, now - self.ledger.since):
            return self._flush()
        if self.backlog and self._plan(now):
            return self._begin()
        if self.pending:
            return self._peek()
        return self._flush() if self.ledger else self._finish(now)

    def _share(self, idle: int) -> list[Instruction] | None:
        """Give others a part of our work; None if there is none to give, or it is not worth it."""
        left = self.backlog.left()
        if left:
            leaves = next(leaves for leaves in self.backlog.leaves if len(leaves))
            parts = self.policy.parts(left * self._seconds(leaves.first(self.program)), left, idle)
            cuts, gives = self.backlog.split_leaves(parts) if parts > 1 else ([], ())
            if gives:
                return self._give(cuts, gives)
        work = self.backlog.work(self._seconds)
        parts = self.policy.parts(work, len(self.backlog.ready), idle) if len(self.backlog.ready) > 1 else 1
        gives = self.backlog.split_ready(parts) if parts > 1 else ()
        if gives or (self.pending and self.ledger and self.policy.exposes(self.planned)):
            return self._flush(gives)
        return None

    def _plan(self, now: float) -> bool:
        """Choose the tasks of the next Run, and what must be fetched for them."""
        quantum, batch_bytes = self.policy.quantum, self.policy.batch_bytes
        self.steps, self.planned, needs = [], 0.0, dict[Tile, int]()
        nbytes = 0
        while self.planned < quantum and nbytes < batch_bytes and len(self.steps) < MOST_STEPS:
            rule = self.backlog.next_rule()
            new = rule not in self.corrections
            if rule is None or (new and self.steps):
                break
            task = self.backlog.take()
            self.planned += self._seconds(task)
            drops: list[Tile] = []
            for tile in self._use(task, drops):
                if tile not in needs:
                    nbytes += self.program.nbytes(tile)
                needs[tile] = len(self.steps)
            self.steps.append((task, self._make(task, drops, now), drops))
            if new:
                break  # alone, to show what a task of its rule takes before many of them run in one go
        for tile, last in needs.items():
            self.steps[last][2].append(tile)
        self.needs = tuple(needs)
        self.waited = False
        return bool(self.steps)

    def _use(self, task: Task, drops: list[Tile]) -> list[Tile]:
        """Account for the inputs of a task that is about to run; the tiles that must be fetched for it."""
        program, ledger, kept = self.program, self.ledger, self.kept
        owed = task in self.backlog.owed
        needs: list[Tile] = []
        stored = False
        for tile in program.inputs(task):
            if not owed and ledger.is_local(tile, task):
                if ledger.used(tile):
                    drops.append(tile)
                continue
            if program.is_task_array(tile[0]):
                stored = True
                ledger.consumed.append((tile, task, ledger.total(tile)))
            elif program.is_cheap(tile[0]):
                continue
            if tile in kept:
                kept[tile] -= 1
                if not kept[tile]:
                    del kept[tile]
                    drops.append(tile)
            elif tile not in ledger.open:
                needs.append(tile)
        if stored or owed:
            ledger.settled.append(task)
        return [] if program.streams(task) else needs

    def _make(self, task: Task, drops: list[Tile], now: float) -> list[Tile]:
        """Account for the outputs of a task that is about to run, and find who can run next."""
        ledger, pending, ready = self.ledger, self.pending, self.backlog.ready
        ledger.ran.add(task)
        outputs = self.program.outputs(task)
        for tile in outputs:
            consumers = ledger.edges(tile)
            if not consumers:
                drops.append(tile)
                continue
            ledger.made(tile, len(consumers), now)
            for consumer in reversed(consumers):
                if consumer in pending:
                    pending[consumer] -= 1
                elif consumer != SINK:
                    pending[consumer] = len(self._produced(consumer)) - 1
                else:
                    continue
                if not pending[consumer]:
                    del pending[consumer]
                    ready.append(consumer)
        return outputs

    def _produced(self, task: Task) -> list[Tile]:
        produced_by_task = self.program.is_task_array
        return [tile for tile in self.program.inputs(task) if produced_by_task(tile[0])]

    # ---- what is under way

    def _begin(self) -> list[Instruction]:
        if self.needs:
            return self._enter(Phase.FETCHING, Fetch(self.needs))
        return self._run()

    def _run(self) -> list[Instruction]:
        return self._enter(Phase.RUNNING, Run(tuple(self.steps)))

    def _peek(self) -> list[Instruction]:
        return self._enter(Phase.PEEKING, Peek(tuple(self.pending)))

    def _lose(self, tile: Tile) -> list[Instruction]:
        """Renew; if the record is still ours, say that the tile is lost."""
        return self._commit([self.ledger.renewal(self.seq), Commit(self.seq + 1, lost=tile)], self._finish)

    def _give(self, cuts: Cuts, gives: tuple[Give, ...]) -> list[Instruction]:
        """Give leaves away; nothing is discharged."""

        def given(now: float) -> list[Instruction]:
            self.backlog.apply(cuts)
            return [Invoke(tuple(give.id for give in gives)), *self._advance(now)]

        return self._commit([self.ledger.renewal(self.seq, cuts, gives)], given)

    def _flush(self, gives: Sequence[Give] = (), yields: bool = False) -> list[Instruction]:
        """Store and announce all that we hold, discharge all that ran."""
        cuts = self.backlog.settle()
        commits = self.ledger.commits(self.seq, self.policy.edges, cuts, gives, yields)

        def flushed(now: float) -> list[Instruction]:
            ids = tuple(give.id for give in gives)
            return [*self._flushed(commits[-1], cuts), *([Invoke(ids)] if ids else []), *self._next(yields, now)]

        stores = tuple(self.ledger.open)
        if stores:
            self.commits, self.after = commits[:], flushed
            return self._enter(Phase.STORING, Store(stores))
        return self._commit(commits, flushed)

    def _flushed(self, commit: Commit, cuts: Cuts) -> list[Instruction]:
        """Adopt what the commit did: who owes what, and which tiles are still of use here."""
        self.backlog.apply(cuts)
        self.backlog.committed(commit.discharged, self.joined, commit.gives)
        memory = [*self.ledger.open, *self.kept]
        self.pending = {}
        self.ledger.clear(dict(commit.announced))
        kept: dict[Tile, int] = dict.fromkeys(memory, 0)
        for task in self.backlog.ready if memory else ():
            for tile in self.program.inputs(task):
                if tile in kept:
                    kept[tile] += 1
        self.kept = {tile: count for tile, count in kept.items() if count}
        dropped = tuple(tile for tile, count in kept.items() if not count)
        freed, self.joined, self.freed = tuple(self.freed), [], []
        return [*([Delete(freed)] if freed else []), *([Drop(dropped)] if dropped else [])]

    def _next(self, yields: bool, now: float) -> list[Instruction]:
        if not yields:
            return self._advance(now)
        again = self.backlog.owed or self.backlog.left()
        return [*([Invoke((self.id,))] if again else []), *self._finish(now)]

    def _commit(self, commits: list[Commit], after: Callable[[float], list[Instruction]]) -> list[Instruction]:
        self.commits, self.after = commits[:], after
        return self._send()

    def _send(self) -> list[Instruction]:
        return self._enter(Phase.COMMITTING, self.commits.pop(0))

    def _finish(self, now: float) -> list[Instruction]:
        return self._enter(Phase.ENDED, Finish())

    def _enter(self, phase: Phase, instruction: Instruction) -> list[Instruction]:
        self.phase = phase
        return [instruction]

    # ---- estimates

    def _seconds(self, task: Task) -> float:
        return self.policy.seconds(self.program.cost(task)) * self.corrections.get(task[0], 1.0)

    def _learn(self, seconds: float) -> None:
        """Correct the estimates of the rules that just ran: wholly if they took longer, by half if they took less."""
        ratio = min(max(seconds / self.planned, 1e-3), 1e6) if self.planned else 1.0
        for rule in {task[0] for task, _, _ in self.steps}:
            self.corrections[rule] = self.corrections.get(rule, 1.0) * max(ratio, 0.5 + 0.5 * ratio)


TRANSITIONS: dict[tuple[Phase, type], Callable[..., list[Instruction]]] = {
    (Phase.NEW, Started): ExecutorState._started,
    (Phase.NEW, Refused): ExecutorState._end,
    (Phase.FETCHING, Fetched): ExecutorState._fetched,
    (Phase.FETCHING, Raised): ExecutorState._raised,
    (Phase.FETCHING, Gone): ExecutorState._end,
    (Phase.RUNNING, Ran): ExecutorState._ran,
    (Phase.RUNNING, Raised): ExecutorState._raised,
    (Phase.RUNNING, Fetched): ExecutorState._missed,
    (Phase.RUNNING, Gone): ExecutorState._end,
    (Phase.PEEKING, Peeked): ExecutorState._peeked,
    (Phase.PEEKING, Gone): ExecutorState._end,
    (Phase.WAITING, Woke): ExecutorState._woke,
    (Phase.WAITING, Gone): ExecutorState._end,
    (Phase.STORING, Stored): ExecutorState._stored,
    (Phase.STORING, Gone): ExecutorState._end,
    (Phase.COMMITTING, Committed): ExecutorState._committed,
    (Phase.COMMITTING, Gone): ExecutorState._end,
}
