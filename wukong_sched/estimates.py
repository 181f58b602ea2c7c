"""What tasks take and what they move, as far as an executor can tell: the policy's rates, corrected by what it saw."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from wukong_sched.ledger import produced
from wukong_sched.policy import Policy
from wukong_sched.program import SINK, Program, Task, Tile
from wukong_sched.rule import Costed

SAMPLE = 64
"""Ready tasks by which all are judged."""
FOLLOWERS = 4
"""Tasks that count with the one that they follow from, at most."""
REMEMBERED = 4096
"""Tasks of which one knows by heart what follows from them."""


@dataclass(slots=True)
class Estimates:
    """Of one executor; `is_here` tells which tiles are in its memory."""

    program: Program
    is_here: Callable[[Tile], bool]
    corrections: dict[str, float] = field(default_factory=dict)
    """Rule -> how much longer its tasks take than the policy says, as far as was measured here."""
    unknown: float = 1.0
    """The correction of the rule of unknown cost that was measured last: the best guess for another such rule."""
    _followers: dict[Task, tuple[Task, ...]] = field(default_factory=dict)
    _joining: dict[Task, bool] = field(default_factory=dict)
    """Whether tasks read what more than one task makes: one with very many inputs follows from each of very many."""

    def seconds(self, policy: Policy, task: Task) -> float:
        """Seconds of a task."""
        cost = self.program.cost(task)
        return policy.seconds(cost) * self._correction(task, cost)

    def _correction(self, task: Task, cost: Costed | None) -> float:
        return self.corrections.get(task[0], self.unknown if cost is None else 1.0)

    def load(self, policy: Policy, task: Task) -> float:
        """Seconds of a task, with what it must fetch and with what follows from it alone.

        Whoever runs it goes on with that, for there is nothing else to wait for: what moves with a short task that
        cuts a block into pieces moves for the sake of the long one that reads them.
        """
        program, seconds = self.program, self.seconds(policy, task)
        fetched = [tile for tile in program.inputs(task) if not (self.is_here(tile) or program.is_cheap(tile[0]))]
        moving = policy.fetches(sum(map(program.nbytes, fetched)))
        own = max(seconds, moving) if program.streams(task) else seconds + moving
        return own + sum(self.seconds(policy, follower) for follower in self.followers(task))

    def followers(self, task: Task) -> tuple[Task, ...]:
        """The chain of tasks each of which alone reads what the one before makes, and nothing else that tasks make."""
        found = self._followers.get(task)
        if found is None:
            if len(self._followers) >= REMEMBERED:
                self._followers.clear()
                self._joining.clear()
            found = self._followers[task] = self._chain(task)
        return found

    def _chain(self, task: Task) -> tuple[Task, ...]:
        program, chain = self.program, list[Task]()
        while len(chain) < FOLLOWERS:
            readers = {reader for tile in program.outputs(task) for reader in program.consumers(tile)} - {SINK}
            if len(readers) != 1:
                break
            [task] = readers
            if self._joins(task):
                break
            chain.append(task)
        return tuple(chain)

    def _joins(self, task: Task) -> bool:
        found = self._joining.get(task)
        if found is None:
            found = self._joining[task] = produced(self.program, self.program.inputs(task)) > 1
        return found

    def moved(self, ready: Sequence[Task], is_open: Callable[[Tile], bool]) -> int:
        """Bytes that move if ready tasks (a sample of them) run elsewhere: what is here is fetched, or stored first."""
        tiles = {tile for task in ready[:SAMPLE] for tile in self.program.inputs(task)}
        here = [tile for tile in tiles if self.is_here(tile)]
        new = [tile for tile in here if is_open(tile) and not self.program.is_wanted(tile)]
        return sum(map(self.program.nbytes, here)) + sum(map(self.program.nbytes, new))

    def stored(self, tiles: Collection[Tile]) -> int:
        """Bytes of those of these tiles that go through the store."""
        return sum(self.program.nbytes(tile) for tile in tiles if self.program.is_task_array(tile[0]))

    def learn(self, tasks: Iterable[Task], planned: float, seconds: float) -> None:
        """Correct the estimates of the rules of tasks that just ran, as `planned`: wholly if they took longer.

        By half if they took less.
        """
        ratio = min(max(seconds / planned, 1e-3), 1e6) if planned else 1.0
        change = max(ratio, 0.5 + 0.5 * ratio)
        for rule, task in {task[0]: task for task in tasks}.items():
            cost = self.program.cost(task)
            self.corrections[rule] = found = self._correction(task, cost) * change
            self.unknown = found if cost is None else self.unknown
