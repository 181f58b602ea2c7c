"""The contract of a coordination store: five methods, each atomic.

It keeps, for one job: its state, one record per executor (token, seq, attempts, expiry, todo), for each task with
inputs from several executors the set of tiles that have arrived, and for each stored tile the consumers that are
discharged. It knows nothing of the program.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Give, Owed
from wukong_sched.program import Task, Tile


class State(enum.Enum):
    """What a job is at."""

    MISSING = "missing"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    SWEPT = "swept"
    """Over, its results fetched."""


GRAVES = frozenset({State.FAILED, State.CANCELLED, State.SWEPT})
"""What stays of a job when the rest of it is forgotten, so that whoever still waits for it does not begin it again."""

GIVEN_UP = "scheduler"
"""Operation in the story of a job that was given up since one executor was ended again and again; its array is that
executor's id."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The answer to a start: the record is the caller's."""

    seq: int
    todo: tuple[Owed, ...]
    announced: Mapping[Tile, int]
    attempts: int
    """1 for the first."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a commit that was carried out (or had been, and its reply was lost)."""

    joined: tuple[Task, ...]
    freed: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What a plain read shows."""

    state: State
    epoch: int = 0
    story: Story | None = None
    """Why the job failed."""
    startable: tuple[str, ...] = ()
    """Records that a watchdog should invoke: expired, or not started within the grace period."""
    arrived: Mapping[Task, frozenset[Tile]] = field(default_factory=dict)


def invocation(token: str) -> str:
    """Which invocation a token was drawn for, if it says so: what stands before ``~``.

    Functions are retried with the same request id when an attempt of theirs has ended; nobody needs to wait then.

    >>> invocation("8f-1~x7"), invocation("x7")
    ('8f-1', '')
    """
    return token.rpartition("~")[0]


class Coordination(Protocol):
    """One job's records."""

    def create(self, epoch: int, roots: Sequence[Give], arrived: Mapping[Task, frozenset[Tile]]) -> bool:
        """Write the job and its root records, in place of a lost job of an older epoch; False if there is another."""

    def start(self, id: str, token: str) -> Lease | None:
        """Take the record over; None if the job does not run, the record is missing or its lease has not expired.

        An invocation that is delivered again takes over at once what it held, whatever the lease (see `invocation`).
        """

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        """Carry the commit out, all or nothing; None for GONE."""

    def read(self, tasks: Sequence[Task] = ()) -> View:
        """The job's state, and which inputs of these tasks have arrived."""

    def sweep(self, leaves: State = State.MISSING) -> None:
        """Forget the job, but that it is CANCELLED or SWEPT, if that is asked for; MISSING leaves nothing.

        What is there of an earlier grave, or of a failure with its story, is left in place of that. A job that does
        not exist leaves nothing. Leaving LOST lets a job that is DONE be made again, and forgets nothing.
        """
