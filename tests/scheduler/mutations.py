"""The protocol less one rule, or with one rule wrong: each mutation is a small subclass of what it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wukong_sched.backlog import Backlog
from wukong_sched.coordination.memory import Record
from wukong_sched.coordination.protocol import Lease, Reply, View
from wukong_sched.drivers.adversary import FaultyCoordination
from wukong_sched.drivers.exploration import Watched
from wukong_sched.drivers.virtual import Process
from wukong_sched.executor_state import ExecutorState, Phase
from wukong_sched.ledger import Ledger
from wukong_sched.messages import Commit, Delete, Event, Finish, Give, Instruction, Ran, Wait, identity
from wukong_sched.program import SINK, Program, Task, Tile
from wukong_sched.resume import Plan

# ---- what an executor does


class AnnouncesBeforeItStores(ExecutorState):
    """Commits first, then stores what the commits announced."""

    late: tuple[list[Instruction], Callable[[float], list[Instruction]]]

    def _flush(self, *given: Any, **others: Any) -> list[Instruction]:
        said = super()._flush(*given, **others)
        if self.phase is not Phase.STORING:
            return said
        self.late, self.after = (said, self.after), self._store_now
        return self._send()

    def _store_now(self, now: float) -> list[Instruction]:
        self.phase = Phase.STORING
        return self.late[0]

    def handle(self, event: Event, now: float) -> list[Instruction]:
        return self.late[1](now) if self.phase is Phase.STORING else super().handle(event, now)


class FreesWhatItHasRead(ExecutorState):
    """Deletes a tile that it alone reads once it has read it, not when the reader is discharged."""

    def handle(self, event: Event, now: float) -> list[Instruction]:
        read = [tile for tile, _, total in self.ledger.consumed if total == 1]
        said = super().handle(event, now)
        return [Delete(tuple(read)), *said] if read and isinstance(event, Ran) else said


class NeverFlushesIdle(ExecutorState):
    """With nothing to run it waits for the others, however long."""

    def handle(self, event: Event, now: float) -> list[Instruction]:
        idle = self.phase is Phase.PEEKING
        said = super().handle(event, now)
        flushes = self.phase in (Phase.STORING, Phase.COMMITTING)
        if idle and flushes and self.frontier.pending and not self.backlog.ready:
            return self._enter(Phase.WAITING, Wait(1.0))
        return said


class RunsTheSinkItself(ExecutorState):
    """Says done when it has made all wanted tiles, stored or not."""

    made: int = 0

    def _go_on(self, now: float) -> list[Instruction]:
        said = super()._go_on(now)
        outputs = [tile for _, tiles, _ in self.batch.steps for tile in tiles] if said[0] != Finish() else []
        self.made += sum(map(self.program.is_wanted, outputs))
        return said

    def _advance(self, now: float) -> list[Instruction]:
        if self.made >= self.program.wanted_count:
            self.backlog.owed.add(SINK)
        return super()._advance(now)


class GivesItsOwnName(ExecutorState):
    """Gives away what it would run next, the task that it is named after too."""

    def __init__(self, program: Program, *rest: Any) -> None:
        super().__init__(program, *rest)
        self.backlog = self.frontier.backlog = _GivesTheNewest(program, "nobody")


class _GivesTheNewest(Backlog):
    def split_ready(self, parts: int) -> tuple[Give, ...]:
        self.ready.reverse()
        gives = super().split_ready(parts)
        self.ready.reverse()
        return gives


class NeverRenews(ExecutorState):
    """Lets the lease run out while it works."""

    def handle(self, event: Event, now: float) -> list[Instruction]:
        self.renewed = now
        return super().handle(event, now)


class GoesOnWhenGone(ExecutorState):
    """Takes GONE for the reply that it hoped for."""

    def handle(self, event: Event, now: float) -> list[Instruction]:
        if type(event).__name__ == "Gone" and self.phase is Phase.COMMITTING:
            self.seq += 1
            return self._send() if self.commits else self.after(now)
        return super().handle(event, now)


class SharesWhileAnnouncing(ExecutorState):
    """Gives tasks away although it has announced some of a tile's edges."""

    def _advance(self, now: float) -> list[Instruction]:
        announced, self.ledger.announced = self.ledger.announced, {}
        shared = self._share(self.idle) if self.idle and announced and SINK not in self.backlog.owed else None
        self.ledger.announced = announced
        return super()._advance(now) if shared is None else shared


class CountsArrivalsAnnounced(ExecutorState):
    """Notes how many were told of a tile, not how far in the list of its consumers it got."""

    def __init__(self, program: Program, *rest: Any) -> None:
        super().__init__(program, *rest)
        self.ledger = self.frontier.ledger = _LeavesOutLocals(program)


class _LeavesOutLocals(Ledger):
    def _parts(self, seq: int, limit: int, tiles: Iterable[Tile]) -> list[Commit]:
        kept = []
        for commit in super()._parts(seq, limit, tiles):
            arrivals = tuple(edge for edge in commit.arrivals if edge[0] not in self.ran)
            kept.append(replace(commit, arrivals=arrivals))
        return kept


class DischargesWhatItAnnounces(ExecutorState):
    """Owes a task no more once one of its tiles is announced, though another is nowhere but here."""

    def __init__(self, program: Program, *rest: Any) -> None:
        super().__init__(program, *rest)
        self.ledger = self.frontier.ledger = _OwesNoMaker(program)


class _OwesNoMaker(Ledger):
    def commits(self, *given: Any) -> list[Commit]:
        *parts, last = super().commits(*given)
        makers = dict.fromkeys(map(self.maker, given[-1].alone))
        cuts = tuple((item, tuple(task for task in rest if task not in makers)) for item, rest in last.cuts)
        return [*parts, replace(last, discharged=tuple({**dict.fromkeys(last.discharged), **makers}), cuts=cuts)]


class ForgetsWhatItAnnouncedAlone(ExecutorState):
    """Does not write down that a tile was announced whose maker it still owes."""

    def __init__(self, program: Program, *rest: Any) -> None:
        super().__init__(program, *rest)
        self.ledger = self.frontier.ledger = _WritesNothingDown(program)


class _WritesNothingDown(Ledger):
    def commits(self, *given: Any) -> list[Commit]:
        *parts, last = super().commits(*given)
        kept = tuple(pair for pair in last.announced if pair[0] not in given[-1].alone)
        return [*parts, replace(last, announced=kept)]


class DischargesReadersAlone(ExecutorState):
    """Takes every task for one that was told of what it read: what it discharges is not closed."""

    def __init__(self, program: Program, *rest: Any) -> None:
        super().__init__(program, *rest)
        self.ledger = self.frontier.ledger = _IsNotClosed(program)


class _IsNotClosed(Ledger):
    def is_told(self, tile: Tile, task: Task) -> bool:
        return True


class RunsAgainWhatJoined(ExecutorState):
    """Takes every task that joins its todo for one that is still to run."""

    def __init__(self, program: Program, *rest: Any) -> None:
        super().__init__(program, *rest)
        self.backlog = self.frontier.backlog = _ForgetsWhatRan(program, self.id)


class _ForgetsWhatRan(Backlog):
    def committed(
        self, discharged: Iterable[Task], joined: Sequence[Task], gives: Sequence[Give], ran: Any = ()
    ) -> None:
        super().committed((), joined, gives, ran)
        self.owed.difference_update(discharged)


# ---- what the coordination store does


class CountsArrivals(FaultyCoordination):
    """A counter for each task, as in Wukong: an arrival that is delivered again counts again."""

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        record = self._records.get(id)
        if record is not None and record.token == token and record.seq == commit.seq + 1:
            self._announce(commit)
        return super().commit(id, token, commit)

    def _announce(self, commit: Commit) -> tuple[Task, ...]:
        joined = []
        for task, tile, total in commit.arrivals:
            tiles = self._arrived.setdefault(task, set())
            tiles.add((f"{tile}, time {len(tiles)}", ()))
            if len(tiles) == total:
                joined.append(task)
        return tuple(joined)


class FreesAtTheFirstConsumer(FaultyCoordination):
    """Frees a tile when one of its consumers is discharged."""

    def _consume(self, commit: Commit) -> tuple[Tile, ...]:
        return tuple(tile for tile, _, _ in commit.consumed)


class RetriesFromTheStart(FaultyCoordination):
    """A retry begins with what the record owed first."""

    def _register(self, gives: Sequence[Give]) -> None:
        super()._register(gives)
        self.first = {**getattr(self, "first", {}), **{give.id: give.todo for give in gives}}

    def start(self, id: str, token: str) -> Lease | None:
        lease = super().start(id, token)
        return None if lease is None else replace(lease, todo=self.first[id])


class RetriesFromNothing(FaultyCoordination):
    """A retry begins with what it had in memory: nothing."""

    def start(self, id: str, token: str) -> Lease | None:
        lease = super().start(id, token)
        return lease if lease is None or lease.attempts == 1 else replace(lease, todo=())


class NoToken(FaultyCoordination):
    """Whoever comes with the right number may commit."""

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        record = self._records.get(id)
        return super().commit(id, record.token if record else token, commit)


class NoSequence(FaultyCoordination):
    """A commit whose reply was lost is carried out again."""

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        record = self._records.get(id)
        return super().commit(id, token, replace(commit, seq=record.seq) if record else commit)


class StartsTwice(FaultyCoordination):
    """A second delivery of a message starts as the first one did."""

    def start(self, id: str, token: str) -> Lease | None:
        record = self._records.get(id)
        if record is None or not record.token or self._clock() >= record.expiry:
            return super().start(id, token)
        return Lease(record.seq, tuple(record.todo), dict(record.announced), record.attempts)

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        record = self._records.get(id)
        return super().commit(id, record.token if record else token, commit)


class RegistersAtTheStart(FaultyCoordination):
    """A given record exists once its message has come."""

    def _register(self, gives: Sequence[Give]) -> None:
        if not self._records:
            super()._register(gives)
        else:
            self.waiting = {**getattr(self, "waiting", {}), **{give.id: give for give in gives}}

    def start(self, id: str, token: str) -> Lease | None:
        give = getattr(self, "waiting", {}).pop(id, None)
        if give is not None:
            self._records[id] = Record(dict.fromkeys(give.todo), self._clock())
        return super().start(id, token)


class ForgetsHowFarItAnnounced(FaultyCoordination):
    """A retry is not told of edges that were announced before."""

    def start(self, id: str, token: str) -> Lease | None:
        lease = super().start(id, token)
        return None if lease is None else replace(lease, announced={})


class HidesWhatExpired(FaultyCoordination):
    """The watchdog sees nothing to start."""

    def read(self, tasks: Sequence[Task] = ()) -> View:
        return replace(super().read(tasks), startable=())


# ---- what the client does


@dataclass(slots=True)
class SweepsOnce(Watched):
    """No second sweep."""

    swept: list[float] = field(default_factory=list)

    def sweep(self) -> Process:
        self.swept.append(self.timeline.now)
        return super(SweepsOnce, self).sweep() if len(self.swept) == 1 else iter(())  # type: ignore[return-value]


@dataclass(slots=True)
class ResumesOneByOne(Watched):
    """Runs again what makes a missing tile, but not what follows from it; counts on every stored tile."""

    def beginning(self, stored: frozenset[Tile]) -> Plan:
        missing = [tile for tile in self.program.wanted() if tile not in stored]
        again: dict[Task, None] = {}
        arrived, todo = {}, []
        while missing:
            task = self.program.producer(missing.pop())
            if task is None or task in again:
                continue
            again[task] = None
            missing += [tile for tile in self.program.inputs(task) if tile not in stored]
        for task in [*again, SINK]:
            tiles = self.program.wanted() if task == SINK else self.program.inputs(task)
            inputs = [tile for tile in tiles if self.program.is_task_array(tile[0])]
            arrived[task] = stored.intersection(inputs)
            if len(arrived[task]) == len(inputs):
                todo.append(task)
                del arrived[task]
        return Plan(Give(identity(todo[0]), tuple(todo)), arrived)


MUTATIONS: dict[str, dict[str, Any]] = {
    "announce before store": {"core": AnnouncesBeforeItStores},
    "count instead of bits": {"records": CountsArrivals},
    "free at the first consumer": {"records": FreesAtTheFirstConsumer},
    "free when read": {"core": FreesWhatItHasRead},
    "retry from the start": {"records": RetriesFromTheStart},
    "retry from nothing": {"records": RetriesFromNothing},
    "no token": {"records": NoToken},
    "no sequence number": {"records": NoSequence},
    "start while the lease lives": {"records": StartsTwice},
    "register at the start": {"records": RegistersAtTheStart},
    "no watchdog": {"records": HidesWhatExpired},
    "no idle flush": {"core": NeverFlushesIdle},
    "sink runs locally": {"core": RunsTheSinkItself},
    "gives its own name away": {"core": GivesItsOwnName},
    "goes on when gone": {"core": GoesOnWhenGone},
    "shares while announcing": {"core": SharesWhileAnnouncing},
    "counts arrivals announced": {"core": CountsArrivalsAnnounced},
    "discharges what it announces": {"core": DischargesWhatItAnnounces},
    "forgets what it announced alone": {"core": ForgetsWhatItAnnouncedAlone},
    "discharges readers alone": {"core": DischargesReadersAlone},
    "runs again what joined": {"core": RunsAgainWhatJoined},
    "forgets how far it announced": {"records": ForgetsHowFarItAnnounced},
    "resume one by one": {"simulation": ResumesOneByOne},
    "no second sweep": {"simulation": SweepsOnce},
}
"""Name -> what `explore` is to use instead."""
