"""What an executor has at hand, and what it can run next.

A fan-in of which some inputs are here is *pending* until the others are here too, or a peek shows that they have
arrived. Steps of the next Run are taken from the backlog and accounted for as if they had run: that makes further tasks
ready, which join the same Run. Tiles that were stored or fetched stay in memory, *kept*, while tasks will read them
that became ours with that; where moving a tile costs something, as long as there is room and it has any readers that
did not run here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from wukong_sched.backlog import Backlog
from wukong_sched.ledger import Ledger, Part
from wukong_sched.messages import Commit, Give
from wukong_sched.policy import Policy
from wukong_sched.program import SINK, Program, Task, Tile

Step = tuple[Task, list[Tile], list[Tile]]
MOST_STEPS = 1024
"""Tasks of one Run, however short they are."""
SOON = 256
"""Ready tasks whose inputs are not forgotten for want of room: looking at all of very many would take too long."""


@dataclass(slots=True)
class Batch:
    """What is to run next, in one go."""

    steps: list[Step] = field(default_factory=list)
    needs: dict[Tile, int] = field(default_factory=dict)
    """What must be fetched first -> the last step that reads it."""
    seconds: float = 0.0
    """Estimate."""


@dataclass(slots=True)
class Frontier:
    """Pending tasks and kept tiles of one executor."""

    program: Program
    backlog: Backlog
    ledger: Ledger
    pending: dict[Task, int] = field(default_factory=dict)
    """Fan-ins of which some inputs are here -> how many are not."""
    kept: dict[Tile, int] = field(default_factory=dict)
    """Stored tiles still in memory -> tasks that may yet read them here."""
    partners: set[Task] = field(default_factory=set)
    """Tasks of several tiles of which one was read here: whoever holds the others may wait for what comes back."""
    answers: set[Task] = field(default_factory=set)
    """Pending fan-ins that need what is left with a partner."""

    # ---- the next Run

    def plan(
        self, policy: Policy, known: Collection[str], seconds: Callable[[Task], float], most: float, now: float
    ) -> Batch:
        """Choose the tasks of the next Run, of at most so many seconds, and what must be fetched for them.

        What that takes counts like work, for others are given a share only between two Runs.
        A task of a rule that is not known runs alone, to show what such tasks take before many of them run in one go.
        So does one that takes more seconds than that.
        """
        batch, nbytes, moving, backlog = Batch(), 0, 0.0, self.backlog
        quantum, batch_bytes = min(policy.quantum, most), policy.batch_bytes
        steps, needs = batch.steps, batch.needs
        while not steps or (batch.seconds + moving < quantum and nbytes < batch_bytes and len(steps) < MOST_STEPS):
            task = backlog.next()
            if task is None:
                break
            new, takes = task[0] not in known, seconds(task)
            if steps and (new or batch.seconds + takes > most):
                break
            backlog.take()
            batch.seconds += takes
            drops: list[Tile] = []
            for tile in self.use(task, drops):
                if tile not in needs:
                    nbytes += self.program.nbytes(tile)
                    moving = policy.fetches(nbytes)
                needs[tile] = len(steps)
            steps.append((task, self.make(task, drops, now), drops))
            if new:
                break
        if needs:
            self._let_go(batch, policy)
        return batch

    def ahead(self, batch: Batch, policy: Policy) -> tuple[Tile, ...]:
        """Sources that may be read while a batch runs, where that takes time: those of the leaf that comes next.

        One leaf ahead is ours, come what may: of what we share we keep the first.
        """
        task = self.backlog.next_leaf() if policy.fetches(1) and self.backlog.is_leaf_next() else None
        if task is None or self.program.streams(task):
            return ()
        size, free = self.program.nbytes, policy.batch_bytes
        sources = [tile for tile in self.program.inputs(task) if self._is_source(tile) and tile not in self.kept]
        return tuple(sources) if sum(map(size, [*batch.needs, *sources])) <= free else ()

    def _is_source(self, tile: Tile) -> bool:
        return not (self.program.is_task_array(tile[0]) or self.program.is_cheap(tile[0]))

    def _let_go(self, batch: Batch, policy: Policy) -> None:
        """What is fetched is dropped with its last reader in this Run, or kept for later ones."""
        readers: dict[Tile, int] = {}
        if policy.keeps(1):
            for task, _, _ in batch.steps:
                for tile in self.program.inputs(task):
                    if tile in batch.needs:
                        readers[tile] = readers.get(tile, 0) + 1
        for tile, last in batch.needs.items():
            left = self._readers(tile) - readers[tile] if readers else 0
            if left > 0 and self.ledger.maker(tile) not in self.ledger.ran:
                self.kept[tile] = left
            else:
                batch.steps[last][2].append(tile)
        if readers:
            batch.steps[-1][2].extend(self._evict(policy))

    def _readers(self, tile: Tile) -> int:
        """Tasks that read a tile."""
        return self.ledger.total(tile) - self.program.is_wanted(tile)

    def _evict(self, policy: Policy) -> list[Tile]:
        """Tiles to forget because there is no room: those kept first, unless a task reads them that runs soon."""
        size = self.program.nbytes
        total = sum(map(size, self.kept))
        if not self.kept or policy.keeps(total) or not policy.keeps(1):
            return []
        wanted = self._read_by(self.backlog.ready.soon(SOON))
        dropped = []
        for tile in [tile for tile in self.kept if tile not in wanted]:
            if policy.keeps(total):
                break
            total -= size(tile)
            dropped.append(tile)
            del self.kept[tile]
        return dropped

    def _read_by(self, tasks: Collection[Task]) -> set[Tile]:
        inputs = self.program.inputs
        return {tile for task in tasks for tile in inputs(task)}

    def use(self, task: Task, drops: list[Tile]) -> list[Tile]:
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
                self._read_from(tile)
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

    def _read_from(self, tile: Tile) -> None:
        maker = self.ledger.maker(tile)
        if maker not in self.ledger.ran and len(self.program.outputs(maker)) > 1:
            self.partners.add(maker)

    def make(self, task: Task, drops: list[Tile], now: float) -> list[Tile]:
        """Account for the outputs of a task that is about to run, and find who can run next."""
        ledger, pending, ready, kept = self.ledger, self.pending, self.backlog.ready, self.kept
        ledger.ran.add(task)
        outputs = self.program.outputs(task)
        for tile in outputs:
            if kept:
                kept.pop(tile, None)  # announced in part by an earlier attempt, and fetched by this one
            consumers = ledger.edges(tile)
            if not consumers:
                drops.append(tile)
                continue
            ledger.made(tile, len(consumers), now)
            for consumer in reversed(consumers):
                if consumer in pending:
                    pending[consumer] -= 1
                elif consumer != SINK:
                    pending[consumer] = ledger.fan_in(consumer) - 1
                    if self.partners and not self.partners.isdisjoint(map(ledger.maker, self.produced(consumer))):
                        self.answers.add(consumer)
                else:
                    continue
                if not pending[consumer]:
                    del pending[consumer]
                    ready.add(consumer)
        return outputs

    def produced(self, task: Task) -> list[Tile]:
        """Inputs of the task that tasks write."""
        produced_by_task = self.program.is_task_array
        return [tile for tile in self.program.inputs(task) if produced_by_task(tile[0])]

    # ---- what others do

    def arrived(self, bits: Mapping[Task, Collection[Tile]]) -> None:
        """Which inputs have arrived of the tasks peeked at: those that miss nothing are ready."""
        for task, there in bits.items():
            if not any(tile not in self.ledger.open and tile not in there for tile in self.produced(task)):
                del self.pending[task]
                self.backlog.ready.add(task)

    def shared(self, policy: Policy, idle: bool = False, wanted: bool = True) -> list[Tile]:
        """Open tiles that others wait for, as far as we can tell: `wanted` ones, and those of several readers.

        A tile that only one task is still to read stays here, for that task will run where most of its inputs are. So
        does one whose readers are all ready to run here. With nothing to do we also offer what is to meet others'
        tiles elsewhere: of all who hold inputs of a fan-in, the holder of the first that it names (an accumulator, as
        rules are written) keeps all that it has and waits for the others, so that no two wait for each other, and no
        two store what one of them could have kept. But a tile that can be announced alone is, whoever holds the first.
        """
        ready, found = set(self.backlog.ready), []
        for tile, count in self.ledger.open.items():
            if self.program.is_wanted(tile):
                if wanted or count > 1:
                    found.append(tile)
                continue
            readers = [task for task in self.ledger.edges(tile) if task not in self.ledger.ran and task not in ready]
            if readers and (count > 1 or (idle and self._is_offered(tile, readers[0], policy))):
                found.append(tile)
        return found

    def _is_offered(self, tile: Tile, reader: Task, policy: Policy) -> bool:
        """Whether a tile with one reader is to meet others' elsewhere, or may as well, there being more beside it."""
        if self._first(reader) not in self.ledger.open:
            return True
        size, outputs = self.program.nbytes, self.program.outputs(self.ledger.maker(tile))
        beside = sum(size(other) for other in outputs if other != tile and other in self.ledger.open)
        return beside > size(tile) and policy.stays(beside)

    def _first(self, task: Task) -> Tile:
        """The input that a task names first, of those that tasks write."""
        return self.produced(task)[0]

    def parting(self, tiles: Collection[Tile], policy: Policy) -> Part:
        """What to discharge and to announce so that others can have these open tiles, and no more.

        That is the least closed part with their makers, unless much that nobody waits for would leave with it: then
        the makers of that are retained, with all that follows from them, and the tiles announced alone.
        """
        tasks = self.ledger.closure(tiles)
        beside = [tile for tile in self.ledger.leaving(tasks) if tile not in tiles]
        if not beside or not policy.stays(sum(map(self.program.nbytes, beside))):
            return Part(tasks)
        less = self.ledger.without(tasks, beside)
        return Part(less, tuple(t for t in self.ledger.open if t in tiles and self.ledger.maker(t) not in less))

    def shared_part(self, policy: Policy, idle: bool = False, wanted: bool = True) -> Part | None:
        """What must go so that others can go on, ours being retained; None if ours is not worth that."""
        if not policy.fetches(1):
            return None
        ledger, size = self.ledger, self.program.nbytes
        part = self.parting(set(self.shared(policy, idle, wanted)), policy)
        going = (*ledger.leaving(part.tasks), *part.alone)
        return part if policy.retains(ledger.nbytes - sum(map(size, going))) else None

    def awaited_part(self, policy: Policy) -> Part:
        """What must go so that those can go on who announced a tile without the rest, and wait for what comes back.

        If we did so too, that is all that others wait for; if not, what meets the rest of what we have read a part of.
        """
        if not self.ledger.announced:
            return self.parting(self._answering(policy), policy)
        return self.parting({t for t in self.shared(policy, idle=True) if not self.program.is_wanted(t)}, policy)

    def _answering(self, policy: Policy) -> set[Tile]:
        """Open tiles that meet what was worth leaving with a partner."""
        maker, size, found = self.ledger.maker, self.program.nbytes, set[Tile]()
        for task in tuple(self.answers):
            needs = self.produced(task) if task in self.pending else []
            if any(maker(tile) in self.partners and policy.stays(size(tile)) for tile in needs):
                found.update(t for t in needs if t in self.ledger.open and self._is_offered(t, task, policy))
            else:
                self.answers.remove(task)
        return found

    def given_part(self, gives: Sequence[Give], policy: Policy) -> Part | None:
        """What must go so that these can be given away: nothing if they read nothing that is held here."""
        if not policy.retains(self.ledger.nbytes):
            return None
        inputs = self._read_by([task for give in gives for task in give.todo if len(task) == 2])
        here = inputs.intersection(self.ledger.open)
        return self.parting(here.union(self.shared(policy)), policy) if here else Part(())

    def committed(
        self, commit: Commit, joined: list[Task], part: Part, policy: Policy, now: float
    ) -> tuple[Tile, ...]:
        """Adopt what the commit did: who owes what, and which tiles are still of use here; those to forget."""
        tiles = (*self.ledger.leaving(part.tasks), *part.alone)
        everything = len(part.tasks) == len(self.ledger.ran)
        readers = self._remaining(tiles, commit, joined, policy)
        self.ledger.discharge(part, dict(commit.announced), now)
        self.backlog.committed(commit.discharged, joined, commit.gives, self.ledger.ran)
        self._forget_pending(tiles, everything)
        self.kept = {tile: count for tile, count in readers.items() if count > 0}
        return (*(tile for tile, count in readers.items() if count <= 0), *self._evict(policy))

    def _remaining(
        self, tiles: Collection[Tile], commit: Commit, joined: Collection[Task], policy: Policy
    ) -> dict[Tile, int]:
        """Readers that may yet run here, of the tiles that leave and of those that are kept.

        Where moving a tile costs something, all that did not run here; else those alone that join because it leaves.
        """
        ledger, costs, inputs = self.ledger, policy.keeps(1), self.program.inputs
        left = {tile: ledger.open[tile] - self.program.is_wanted(tile) if costs else 0 for tile in tiles}
        readers = {**self.kept, **left}
        given = {task for give in commit.gives for task in give.todo if len(task) == 2}
        gone = given if costs else given.difference(joined)
        come = set[Task]() if costs else set(joined).difference(given, ledger.ran, (SINK,))
        for change, tasks in ((-1, gone), (1, come)):
            for task in tasks:
                for tile in inputs(task):
                    if tile in readers:
                        readers[tile] += change
        return readers

    def _forget_pending(self, tiles: Collection[Tile], everything: bool) -> None:
        """A fan-in none of whose inputs is ours alone any more belongs to whoever completes it."""
        if everything:
            self.pending.clear()
            return
        local = self.ledger.is_local
        for tile in tiles:
            for task in self.program.consumers(tile):
                if task in self.pending and not any(local(other, task) for other in self.program.inputs(task)):
                    del self.pending[task]
