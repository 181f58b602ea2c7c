"""Whoever wants the job to fail: a bounded number of faults, drawn from a seed.

Each fault has a place in the simulator where it may strike. An adversary decides at each such place, from its seed
alone, whether it does. The number of faults of a run is bounded, so that a run must end.
"""

from __future__ import annotations

import contextlib
import copy
import enum
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.program import Program
from wukong_sched.storage.protocol import Storage

Piece = TypeVar("Piece")


class Fault(enum.Enum):
    """What may go wrong."""

    CRASH = "an executor dies: before, in the middle of, or after the effect of what it does"
    STALL = "an executor stands still for longer than its lease"
    LOSE = "an invocation is lost"
    DOUBLE = "an invocation is delivered twice"
    DELAY = "an invocation is delivered late, after others"
    THROTTLE = "an invocation is refused, as too many"
    SILENCE = "the reply of a commit is lost"
    ECHO = "a commit is delivered once more, much later"
    LINGER = "a delete takes effect much later"
    EXPIRE = "the lease of a living executor expires"
    FORGET = "the coordination store falls back by one write"
    WIPE = "the coordination store restarts empty"
    VANISH = "a stored tile that nobody wants for itself is lost"
    REFUSE = "a request to the tile store fails: a few times in a row, or as often as it is made"


HARMLESS = frozenset(Fault) - {Fault.FORGET, Fault.VANISH, Fault.WIPE}
"""Faults after which everything stored and written down is still there."""


@dataclass(slots=True)
class Adversary:
    """Strikes at most `faults` times, each kind about once in `rarity` of its opportunities; delays the rest."""

    seed: int
    faults: int = 0
    kinds: Sequence[Fault] = tuple(Fault)
    rarity: float = 50.0
    """Opportunities between two strikes of one kind, on average."""
    jitter: float = 0.0
    """Each delay is multiplied by a number between 1 - jitter and 1 + jitter."""
    torn: bool = False
    """Whether requests that carry many tiles take effect piece by piece."""
    struck: list[Fault] = field(default_factory=list)
    _random: random.Random = field(init=False)
    _next: dict[Fault, int] = field(init=False)
    """Opportunities left until each kind strikes."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._next = {kind: self._gap() for kind in self.kinds} if self.faults else {}

    def _gap(self) -> int:
        return 1 + int(self._random.expovariate(1 / self.rarity))

    def strikes(self, kind: Fault) -> bool:
        """Whether this fault happens, here and now."""
        left = self._next.get(kind)
        if left is None or len(self.struck) >= self.faults:
            return False
        self._next[kind] = left - 1 if left > 1 else self._gap()
        if left > 1:
            return False
        self.struck.append(kind)
        return True

    def delay(self, seconds: float) -> float:
        """How long something takes that should take so many seconds."""
        if not self.jitter:
            return seconds
        return seconds * (1 + self.jitter * (2 * self._random.random() - 1))

    def draw(self) -> float:
        """A number between 0 and 1."""
        return self._random.random()

    def refusals(self, most: int) -> int:
        """How many times in a row a request is refused."""
        return self._random.randint(1, most) if self.strikes(Fault.REFUSE) else 0

    def much_later(self, seconds: float) -> float:
        """A time of the order of the one given."""
        return seconds * 2 * self._random.random()

    def pieces(self, things: tuple[Piece, ...]) -> list[tuple[Piece, ...]]:
        """Things that travel together, in the pieces and the order in which they arrive."""
        if not self.torn or len(things) < 2:
            return [things]
        order = self._random.sample(things, len(things))
        cut = self._random.randint(0, len(things) - 1)
        return [tuple(order[:cut]), tuple(order[cut:])] if cut else [tuple(order)]

    def choose(self, things: Sequence[Piece]) -> Piece:
        """One of these."""
        return self._random.choice(things)


class FaultyCoordination(MemoryCoordination):
    """A coordination store that can be made to fail."""

    KEPT = ("_state", "_epoch", "_story", "_records", "_arrived", "_consumed")

    def expire(self, id: str) -> None:
        """End the lease of a record, whatever its holder does."""
        record = self._records.get(id)
        if record is not None:
            record.expiry = self._clock()

    @contextlib.contextmanager
    def forgetting(self) -> Iterator[None]:
        """What is written within is lost: a replica without it takes over."""
        kept = copy.deepcopy({name: getattr(self, name) for name in self.KEPT})
        yield
        for name, value in kept.items():
            setattr(self, name, value)

    def ids(self) -> list[str]:
        """All records."""
        return list(self._records)

    def empty(self) -> bool:
        """Whether nothing is left here."""
        return not (self._records or self._arrived or self._consumed)


def disturb(
    adversary: Adversary,
    program: Program,
    storage: Storage,
    coordination: FaultyCoordination,
    say: Callable[[str], None],
) -> None:
    """Faults of the stores, between any two steps of whoever uses them."""
    strikes = adversary.strikes
    if strikes(Fault.EXPIRE) and (ids := coordination.ids()):
        id = adversary.choose(ids)
        say(f"FAULT lease of {id} expires")
        coordination.expire(id)
    if strikes(Fault.VANISH) and (tiles := [tile for tile in storage.tiles() if not program.is_wanted(tile)]):
        tile = adversary.choose(tiles)
        say(f"FAULT {tile} vanishes")
        storage.delete([tile])
    if strikes(Fault.WIPE):
        say("FAULT coordination wiped")
        coordination.sweep()
