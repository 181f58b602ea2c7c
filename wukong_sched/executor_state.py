"""The core of one executor: ``handle(event, now) -> [Instruction]``. It knows no clock, network or randomness.

The rules (numbers as in docs/protocol.md):

1. The record is the truth. `todo` is what we owe: tasks all of whose inputs are stored. A retry begins with the
   record's todo and an empty memory (rules 1, 4).
2. Register before invoke: new records are written inside our commit; we invoke them after its reply (2, 10).
3. Store before announce: the tiles that leave are stored, then announced by the commit that discharges the tasks
   that made them. Tasks that the commit completes join our todo, which is ownership (5, 7).
4. What is local stays local: an edge whose ends both run here costs no I/O at all. A fan-in whose other inputs have
   arrived runs here without storing our own input: one plain read tells (6).
5. While there is work here, results may be held back; with nothing runnable we peek, announce what others wait for,
   perhaps wait a bounded moment, and then commit all that we hold (8). What only we are still to read may be retained
   when the rest is discharged, or announced with its producer still owed, as long as there is work or we wait
   (`wukong_sched.ledger`).
6. We give away from our todo only, never the task that we are named after (9), and nothing while what an earlier
   attempt announced has not been made again here: whoever else made it would announce those edges again.
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
from collections.abc import Callable, Collection, Sequence

from wukong_sched.backlog import Backlog, Cuts
from wukong_sched.errors import ProtocolError
from wukong_sched.estimates import Estimates
from wukong_sched.frontier import Batch, Frontier
from wukong_sched.ledger import Ledger, Part
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

LOOKS = 8
"""How often one looks for what others owe, in the time that storing, fetching and invoking would take; twice as often
where a tile was announced alone, for what comes back comes from level to level of a tree."""
EAGER = 16
"""How much sooner the first look comes than the last: who works alike ends at nearly the same time."""
WEARY = 24
"""Part of what was waited after which one looks again at the earliest: looks take time, of whom one waits for too."""
MOMENT = 0.1
"""Seconds of work that count in any case: they cost a function of 3 GB what one request to write to S3 costs."""


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
        self.frontier = Frontier(program, self.backlog, self.ledger)
        self.batch = Batch()
        """What runs, or is to run once it is fetched."""
        self.commits: list[Commit] = []
        """Still to be sent, one after the other."""
        self.joined: list[Task] = []
        self.freed: list[Tile] = []
        self.after: Callable[[float], list[Instruction]] = self._finish
        """What follows when all commits are through."""
        self.waited = self.rests = 0.0
        """Seconds waited since something ran here, and since when."""
        self.idled = 0.0
        """Seconds waited before that."""
        self.part: Collection[Task] = ()
        """What the commits under way discharge."""
        self.storing: tuple[Tile, ...] = ()
        self.renewed = self.began = 0.0
        """When the lease was last renewed, and when it was taken."""
        self.estimates = Estimates(program, self._is_here)

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
        self.renewed = self.began = now
        if event.waited > 0:
            self.policy = self.policy.started(event.waited)
        self.policy = self.policy.attempted(event.attempts)
        return self._advance(now)

    def _fetched(self, event: Fetched, now: float) -> list[Instruction]:
        if event.missing:
            return self._lose(event.missing[0])
        self._observe(self.batch.needs, event.seconds)
        return self._run(now)

    def _ran(self, event: Ran, now: float) -> list[Instruction]:
        self.idle = event.idle
        if event.left:
            return self._cut_short(event, now)
        self.estimates.learn((task for task, _, _ in self.batch.steps), self.batch.seconds, event.seconds)
        return self._advance(now)

    def _missed(self, event: Fetched, now: float) -> list[Instruction]:
        return self._lose(event.missing[0])

    def _raised(self, event: Raised, now: float) -> list[Instruction]:
        return self._commit([Commit(self.seq, failure=event.story)], self._finish)

    def _peeked(self, event: Peeked, now: float) -> list[Instruction]:
        self.frontier.arrived(event.arrived)
        if self.backlog:
            return self._advance(now)
        if not self.waited and (part := self.frontier.shared_part(self.policy, idle=True)):
            return self._flush(part=part)
        self.rests = self.rests if self.waited else now
        waited = max(self.waited, now - self.rests)
        held, alone, patience = self.ledger.nbytes, bool(self.ledger.announced), self.policy.patience
        longest = patience(held) / (2 * LOOKS if alone else LOOKS)
        look = max(min(longest, max(longest / EAGER, waited)), waited / WEARY, self.ledger.pause)
        worked = max(MOMENT, self.rests - self.began - self.idled)
        left = patience(held, worked - self.idled, alone) - waited  # all waits together cost as much as the work
        if left > 0 and not self.policy.yields(now + min(look, left), self.deadline):
            self.waited = waited + look
            return self._enter(Phase.WAITING, Wait(min(look, left)))
        return self._flush()

    def _woke(self, event: Woke, now: float) -> list[Instruction]:
        return self._peek()

    def _stored(self, event: Stored, now: float) -> list[Instruction]:
        self.idle = event.idle
        self._observe(self.storing, event.seconds)
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
        if self.policy.yields(now, self.deadline) or self._is_late(now):
            return self._flush(yields=True)
        if now - self.renewed >= self.policy.renewal:
            return self._commit([self.ledger.renewal(self.seq)], self._advance)
        idle, self.idle = self.idle, 0
        shared = self._share(idle) if idle and not self.ledger.will_repeat() else None
        if shared is not None:
            return shared
        may_look = self.ledger.may_look(now)
        if may_look and (self.ledger.announced or self.frontier.answers):
            self.ledger.seen = now
            if awaited := self.frontier.awaited_part(self.policy):
                return self._flush(part=awaited)
        age = self.ledger.age(now) if may_look else 0.0
        if self.ledger.open and not self.policy.holds(self.ledger.nbytes, age):
            return self._relieve(now)
        return self._go_on(now)

    def _go_on(self, now: float) -> list[Instruction]:
        """Run what can run here; see whether more has become runnable; or end."""
        if self.backlog:
            room = max(0.0, (self.deadline - now) / 2)
            self.batch = self.frontier.plan(self.policy, self.estimates.corrections, self._seconds, room, now)
            if self.batch.steps:
                self.idled += self.waited
                self.waited = 0.0
                return self._begin(now)
        if self.frontier.pending:
            return self._peek()
        return self._flush() if self.ledger else self._finish(now)

    def _relieve(self, now: float) -> list[Instruction]:
        """We hold too much, or for too long: discharge all, or only what others wait for, if that is all they need."""
        wanted = not self.policy.holds(self.ledger.nbytes, self.ledger.patience(now))
        part = self.frontier.shared_part(self.policy, wanted=wanted)
        if part is None:
            return self._flush()
        self.ledger.looked(now)
        return self._flush(part=part) if part else self._go_on(now)

    def _share(self, idle: int) -> list[Instruction] | None:
        """Give others a part of our work; None if there is none to give, or it is not worth it."""
        left, moves = self.backlog.left(), self.policy.fetches(1) > 0
        load = self._load if moves else self._seconds
        if left:
            leaf = self.backlog.next_leaf()
            assert leaf is not None
            parts = self.policy.parts(left * load(leaf), 0, left, idle)
            cuts, gives = self.backlog.split_leaves(parts) if parts > 1 else ([], ())
            if gives:
                return self._give(cuts, gives)
        ready = self.backlog.ready
        nbytes = self.estimates.moved(ready, self.ledger.open.__contains__) if moves else 0
        parts = self.policy.parts(self.backlog.work(load), nbytes, len(ready), idle) if len(ready) > 1 else 1
        gives = self.backlog.split_ready(parts) if parts > 1 else ()
        if gives:
            return self._flush(gives, part=self.frontier.given_part(gives, self.policy))
        pending = self.frontier.pending and self.ledger
        if not pending or not self.policy.exposes(self.batch.seconds):
            return None
        return self._peek() if self.policy.retains(self.ledger.nbytes) else self._flush()

    # ---- what is under way

    def _begin(self, now: float) -> list[Instruction]:
        if self.batch.needs:
            return self._enter(Phase.FETCHING, Fetch(tuple(self.batch.needs)))
        return self._run(now)

    def _run(self, now: float) -> list[Instruction]:
        limit = (self.deadline - now) / 2
        # What comes after the time limit is our successor's to read.
        last = self.policy.yields(now + self.batch.seconds, self.deadline)
        ahead = () if last else self.frontier.ahead(self.batch, self.policy)
        return self._enter(Phase.RUNNING, Run(tuple(self.batch.steps), limit, ahead))

    def _cut_short(self, event: Ran, now: float) -> list[Instruction]:
        """The tasks took so much longer than we thought that some have not begun, though we count them as run.

        Run them, if there is time for one like those that ran. If not, hand over with what did run.
        """
        each = event.seconds / (len(self.batch.steps) - event.left)
        self.batch.steps = self.batch.steps[-event.left :]
        if not self.policy.yields(now + each, self.deadline):
            return self._run(now)
        return self._flush(yields=True, part=self.ledger.unmake([task for task, _, _ in self.batch.steps]))

    def _peek(self) -> list[Instruction]:
        return self._enter(Phase.PEEKING, Peek(tuple(self.frontier.pending)))

    def _lose(self, tile: Tile) -> list[Instruction]:
        """Renew; if the record is still ours, say that the tile is lost."""
        return self._commit([self.ledger.renewal(self.seq), Commit(self.seq + 1, lost=tile)], self._finish)

    def _give(self, cuts: Cuts, gives: tuple[Give, ...]) -> list[Instruction]:
        """Give leaves away; nothing is discharged."""

        def given(now: float) -> list[Instruction]:
            self.backlog.apply(cuts)
            return [Invoke(tuple(give.id for give in gives)), *self._advance(now)]

        return self._commit([self.ledger.renewal(self.seq, cuts, gives)], given)

    def _flush(self, gives: Sequence[Give] = (), yields: bool = False, part: Part | None = None) -> list[Instruction]:
        """Store and announce all that we hold and discharge all that ran; or so for a part of it."""
        ran = self.ledger.ran
        part = Part(ran) if part is None or len(part.tasks) == len(ran) else part
        cuts = self.backlog.settle() if part.tasks is ran else self.backlog.settle(ran.difference(part.tasks))
        commits = self.ledger.commits(self.seq, self.policy.edges, cuts, gives, yields, part)

        def flushed(now: float) -> list[Instruction]:
            ids = tuple(give.id for give in gives)
            self.idle = max(0, self.idle - len(ids))
            said = self._flushed(commits[-1], cuts, part, now)
            return [*said, *([Invoke(ids)] if ids else []), *self._next(yields, now)]

        self.storing = (*self.ledger.leaving(part.tasks), *part.alone)
        if self.storing:
            self.commits, self.after, self.part = commits[:], flushed, part.tasks
            return self._enter(Phase.STORING, Store(self.storing))
        return self._commit(commits, flushed, part.tasks)

    def _flushed(self, commit: Commit, cuts: Cuts, part: Part, now: float) -> list[Instruction]:
        """Adopt what the commit did: who owes what, and which tiles are still of use here."""
        self.backlog.apply(cuts)
        dropped = self.frontier.committed(commit, self.joined, part, self.policy, now)
        self.ledger.settled += [item for _, rest in cuts for item in rest if len(item) == 2]
        freed, self.joined, self.freed = tuple(self.freed), [], []
        return [*([Delete(freed)] if freed else []), *([Drop(dropped)] if dropped else [])]

    def _next(self, yields: bool, now: float) -> list[Instruction]:
        if not yields:
            return self._advance(now)
        again = self.backlog.owed or self.backlog.left()
        return [*([Invoke((self.id,))] if again else []), *self._finish(now)]

    def _commit(
        self, commits: list[Commit], after: Callable[[float], list[Instruction]], part: Collection[Task] = ()
    ) -> list[Instruction]:
        self.commits, self.after, self.part = commits[:], after, part
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
        return self.estimates.seconds(self.policy, task)

    def _load(self, task: Task) -> float:
        return self.estimates.load(self.policy, task)

    def _is_here(self, tile: Tile) -> bool:
        return tile in self.ledger.open or tile in self.frontier.kept

    def _observe(self, tiles: Collection[Tile], seconds: float) -> None:
        """Learn from how long it took to move these tiles."""
        if seconds > 0:
            self.policy = self.policy.observed(self.estimates.stored(tiles), seconds)

    def _is_late(self, now: float) -> bool:
        """Whether the next task would end after the time limit, as far as we know; a successor has longer.

        Only whoever has run something knows how fast it is, and has got somewhere.
        """
        task = self.backlog.next() if self.deadline < math.inf and self.estimates.corrections else None
        return task is not None and self.policy.yields(now + self._seconds(task), self.deadline)


TRANSITIONS: dict[tuple[Phase, type], Callable[..., list[Instruction]]] = {
    (Phase.NEW, Started): ExecutorState._started,
    (Phase.NEW, Refused): ExecutorState._end,
    (Phase.FETCHING, Fetched): ExecutorState._fetched,
    (Phase.FETCHING, Raised): ExecutorState._raised,
    (Phase.RUNNING, Ran): ExecutorState._ran,
    (Phase.RUNNING, Raised): ExecutorState._raised,
    (Phase.RUNNING, Fetched): ExecutorState._missed,
    (Phase.PEEKING, Peeked): ExecutorState._peeked,
    (Phase.WAITING, Woke): ExecutorState._woke,
    (Phase.STORING, Stored): ExecutorState._stored,
    (Phase.COMMITTING, Committed): ExecutorState._committed,
    **{(phase, Gone): ExecutorState._end for phase in Phase if phase not in (Phase.NEW, Phase.ENDED)},
}
