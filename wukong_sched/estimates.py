"""What tasks take and what they move, as far as an executor can tell: the policy's rates, corrected by what it saw."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from wukong_sched.policy import Policy
from wukong_sched.program import Program, Task, Tile

SAMPLE = 64
"""Ready tasks by which all are judged."""


@dataclass(slots=True)
class Estimates:
    """Of one executor; `is_here` tells which tiles are in its memory."""

    program: Program
    is_here: Callable[[Tile], bool]
    corrections: dict[str, float] = field(default_factory=dict)
    """Rule -> how much longer its tasks take than the policy says, as far as was measured here."""

    def seconds(self, policy: Policy, task: Task) -> float:
        """Seconds of a task."""
        return policy.seconds(self.program.cost(task)) * self.corrections.get(task[0], 1.0)

    def load(self, policy: Policy, task: Task) -> float:
        """Seconds of a task, with what it must fetch."""
        program, seconds = self.program, self.seconds(policy, task)
        fetched = [tile for tile in program.inputs(task) if not (self.is_here(tile) or program.is_cheap(tile[0]))]
        moving = policy.fetches(sum(map(program.nbytes, fetched)))
        return max(seconds, moving) if program.streams(task) else seconds + moving

    def moved(self, ready: Sequence[Task], is_open: Callable[[Tile], bool]) -> int:
        """Bytes that move if ready tasks (a sample of them) run elsewhere: what is here is fetched, or stored first."""
        tiles = {tile for task in ready[:SAMPLE] for tile in self.program.inputs(task)}
        here = [tile for tile in tiles if self.is_here(tile)]
        new = [tile for tile in here if is_open(tile) and not self.program.is_wanted(tile)]
        return sum(map(self.program.nbytes, here)) + sum(map(self.program.nbytes, new))

    def stored(self, tiles: Collection[Tile]) -> int:
        """Bytes of those of these tiles that go through the store."""
        return sum(self.program.nbytes(tile) for tile in tiles if self.program.is_task_array(tile[0]))

    def learn(self, rules: Collection[str], planned: float, seconds: float) -> None:
        """Correct the estimates of the rules that just ran: wholly if they took longer, by half if they took less."""
        ratio = min(max(seconds / planned, 1e-3), 1e6) if planned else 1.0
        for rule in rules:
            self.corrections[rule] = self.corrections.get(rule, 1.0) * max(ratio, 0.5 + 0.5 * ratio)
