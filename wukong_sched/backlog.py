"""What an executor has to do: ranges of leaves, and ready tasks.

Which ready task goes first, and whether a leaf may go before it, is `wukong_sched.ready`'s matter; leaves are taken one
by one. What is given away comes from the other end: the ready tasks that would go last, the rear of all leaves. An
executor never gives away the task that it is named after, nor the first leaf of the range that it is named after
(PROTOCOL rule 9).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from wukong_sched.messages import Give, Owed, identity
from wukong_sched.program import SINK, Program, Range, Task
from wukong_sched.ready import InOrder, Ready, Stack


@dataclass(slots=True)
class Leaves:
    """A range of the record's todo, the first few of which have been taken."""

    item: Range
    """As the record has it."""
    position: int
    """Number of the first task that was not taken."""
    tasks: Iterator[Task]
    first: Task = field(init=False)
    """The next of these leaves, as long as there is one."""

    def __post_init__(self) -> None:
        self.first = next(self.tasks, SINK)

    def __len__(self) -> int:
        return self.item[3] - self.position

    def take(self) -> Task:
        """The next leaf, which is taken."""
        task, self.first = self.first, next(self.tasks, SINK)
        self.position += 1
        return task

    def rest(self, start: int, stop: int) -> tuple[Owed, ...]:
        """The part from start to stop as todo; nothing if it is empty."""
        rule, piece, _, _ = self.item
        return ((rule, piece, start, stop),) if start < stop else ()


Cuts = list[tuple[Range, tuple[Owed, ...]]]


@dataclass(slots=True)
class Backlog:
    """Ready tasks and leaves of one executor."""

    program: Program
    id: str
    ready: Ready = field(init=False)
    """Tasks that could run."""
    owed: set[Task] = field(default_factory=set)
    """Single tasks of the record's todo that have not been discharged."""
    leaves: list[Leaves] = field(default_factory=list)
    began: set[Task] = field(default_factory=set)
    """Single tasks that this executor began with."""

    def __post_init__(self) -> None:
        self.ready = InOrder() if self.program.in_order else Stack()

    def __bool__(self) -> bool:
        return bool(self.ready or self.left())

    def load(self, todo: Sequence[Owed]) -> None:
        """Begin with a record's todo."""
        for item in todo:
            if len(item) == 4:
                self.leaves.append(Leaves(item, item[2], self.program.expand(item)))
            else:
                self.owed.add(item)
        self.ready.refill([item for item in reversed(todo) if len(item) == 2 and item != SINK])
        self.leaves.reverse()
        self.began = set(self.ready)

    def next(self) -> Task | None:
        """The next task to run; None if there is none."""
        leaves = self._turn()
        if leaves is not None:
            return leaves.first
        return self.ready.first() if self.ready else None

    def next_leaf(self) -> Task | None:
        """The leaf that is taken next, though perhaps after ready tasks; None if there is none."""
        leaves = self._open()
        return leaves.first if leaves else None

    def is_leaf_next(self) -> bool:
        """Whether a leaf runs next."""
        return self._turn() is not None

    def _open(self) -> Leaves | None:
        """The leaves from which the next one is taken."""
        return next((leaves for leaves in reversed(self.leaves) if len(leaves)), None)

    def _turn(self) -> Leaves | None:
        """The leaves, if the next task to run is one of them."""
        if self.ready and not self.program.in_order:
            return None
        leaves = self._open()
        return None if leaves is None or (self.ready and self.ready.first() < leaves.first) else leaves

    def take(self) -> Task:
        """The next task to run; there must be one."""
        leaves = self._turn()
        return self.ready.take() if leaves is None else leaves.take()

    def left(self) -> int:
        """Number of leaves that were not taken yet."""
        return sum(map(len, self.leaves))

    def settle(self, retained: Collection[Task] = ()) -> Cuts:
        """What remains of each range when everything taken from it is discharged, but for what is retained."""
        used = [leaves for leaves in self.leaves if leaves.position > leaves.item[2]]
        return [(leaves.item, self._rest(leaves, retained)) for leaves in used]

    def _rest(self, leaves: Leaves, retained: Collection[Task]) -> tuple[Owed, ...]:
        rule, piece, first, stop = leaves.item
        taken = self.program.expand((rule, piece, first, leaves.position)) if retained else ()
        return (*(task for task in taken if task in retained), *leaves.rest(leaves.position, stop))

    def apply(self, cuts: Sequence[tuple[Range, tuple[Owed, ...]]]) -> None:
        """The record was cut: adopt its ranges."""
        rest = dict(cuts)
        kept = []
        for leaves in self.leaves:
            for item in rest.get(leaves.item, (leaves.item,)):
                if len(item) == 4:
                    leaves.item = item
                    kept.append(leaves)
                else:
                    self.owed.add(item)
        self.leaves = kept

    def split_leaves(self, parts: int) -> tuple[Cuts, tuple[Give, ...]]:
        """Keep the first of so many equal parts of all leaves and give the others away."""
        order = [leaves for leaves in reversed(self.leaves) if len(leaves)]
        order.sort(key=lambda leaves: identity(leaves.item) != self.id)
        total = sum(map(len, order))
        ends = [-(-total * part // parts) for part in range(1, parts + 1)]
        shares: list[list[Owed]] = [[] for _ in range(parts)]
        cuts: Cuts = []
        before = 0
        for leaves in order:
            first, stop = leaves.position, leaves.item[3]
            edges = [min(max(first + end - before, first), stop) for end in ends]
            for share, low, high in zip(shares, [first, *edges], edges, strict=False):
                share.extend(leaves.rest(low, high))
            if edges[0] < stop:
                cuts.append((leaves.item, leaves.rest(leaves.item[2], edges[0])))
            before += len(leaves)
        return cuts, tuple(Give(identity(share[0]), tuple(share)) for share in shares[1:] if share)

    def split_ready(self, parts: int) -> tuple[Give, ...]:
        """Give away those of the ready tasks that would go last, in so many parts less our own.

        Those that we began with come last: they were on their way once already, and would wait for another start.
        """
        ready = self.ready.from_last()
        tasks = [task for task in ready if task not in self.began]
        tasks += [task for task in ready if task in self.began and identity(task) != self.id]
        given = len(tasks) * (parts - 1) // parts
        edges = [given * part // (parts - 1) for part in range(parts)]
        groups = [tasks[start:stop] for start, stop in pairwise(edges) if start < stop]
        return tuple(Give(identity(group[-1]), tuple(reversed(group))) for group in groups)

    def committed(
        self, discharged: Iterable[Task], joined: Sequence[Task], gives: Sequence[Give], ran: Collection[Task] = ()
    ) -> None:
        """The record has moved: tasks left it, joined it (some of which may have run), and were given away.

        What is discharged has run, and is not among the ready; only what joined or was given changes those.
        """
        given = {task for give in gives for task in give.todo if len(task) == 2}
        gone = given.union(discharged)
        if given or joined:
            known = gone.union(self.ready, (SINK,), ran)
            kept = [task for task in self.ready if task not in given]
            self.ready.refill([*kept, *(task for task in reversed(joined) if task not in known)])
        self.owed.update(joined)
        self.owed -= gone

    def work(self, seconds: Callable[[Task], float]) -> float:
        """Estimated seconds of the ready tasks, from a sample of at most 64."""
        sample = self.ready[:64]
        return sum(map(seconds, sample)) * len(self.ready) / len(sample) if sample else 0.0
