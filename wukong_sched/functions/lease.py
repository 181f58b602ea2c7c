"""One executor's hold on its record, renewed while a task runs longer than a lease lasts.

A renewal is an empty commit: it moves the record's number, of which the executor's core knows nothing, so the numbers
of the core's own commits are shifted by the renewals before them. If a renewal, or a commit, finds that the record is
not ours any more, `gone` says so to whoever runs the next task.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wukong_sched.coordination.protocol import Coordination, Lease, Reply, State, View
from wukong_sched.errors import InfrastructureError
from wukong_sched.messages import Commit, Give, Owed
from wukong_sched.program import Task, Tile


class KeptLease:
    """The coordination store, as one executor uses it; a helper thread may call `renew`.

    `ending` is told of a commit that ends the job, before it does.
    """

    def __init__(self, coordination: Coordination, ending: Callable[[Commit], None] = lambda commit: None) -> None:
        self._inner, self.ending = coordination, ending
        self._lock = threading.Lock()
        self._id = self._token = ""
        self._seq = self._renewals = 0
        self._announced: tuple[tuple[Tile, int], ...] = ()
        self._active = self.started = False
        self.attempts = 0
        """Starts of the record since its last commit, this one among them."""
        self.is_suspect = False
        """Whether earlier attempts were ended, and this one has not got beyond them yet."""
        self._taken: Lease | None = None
        """The answer to a start whose executor has not been told of it yet."""
        self._unsure: Commit | None = None
        """A renewal of which nobody knows whether it was carried out."""
        self.gone = threading.Event()
        self.given: dict[str, tuple[Owed, ...]] = {}
        """What the records that this executor made began with."""

    def create(self, epoch: int, roots: Sequence[Give], arrived: Mapping[Task, frozenset[Tile]]) -> bool:
        return self._inner.create(epoch, roots, arrived)

    def take(self, id: str, token: str) -> Lease | None:
        """Start ahead: the executor's own start, with the same token, will find it done."""
        self._taken = self.start(id, token)
        return self._taken

    def start(self, id: str, token: str) -> Lease | None:
        lease, self._taken = self._taken, None
        if lease is not None and token == self._token:
            return lease
        lease = self._inner.start(id, token)
        if lease is not None:
            self._id, self._token, self._seq = id, token, lease.seq
            self._announced = tuple(lease.announced.items())
            self._active = self.started = True
            self.attempts = lease.attempts
            self.is_suspect = lease.attempts > 1
        return lease

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        if commit.done or commit.failure is not None:
            self.ending(commit)
        with self._lock:
            if self._unsure is not None:
                self._renew(self._unsure)
            self._seq = commit.seq + self._renewals
            reply = self._inner.commit(id, token, replace(commit, seq=self._seq) if self._renewals else commit)
            self._seq += 1
            self._announced = commit.announced
            self.is_suspect = self.is_suspect and not commit.moves_on
        self.given.update((give.id, give.todo) for give in commit.gives)
        if reply is None or commit.yields or commit.done:
            self._active = False
        if reply is None:
            self.gone.set()
        return reply

    def read(self, tasks: Sequence[Task] = ()) -> View:
        return self._inner.read(tasks)

    def sweep(self, leaves: State = State.MISSING) -> None:
        self._inner.sweep(leaves)

    def renew(self) -> None:
        """Renew, unless a commit does it just now."""
        if self._active and self._lock.acquire(blocking=False):
            try:
                self._renew(self._unsure or Commit(self._seq, announced=self._announced))
            finally:
                self._lock.release()

    def _renew(self, commit: Commit) -> None:
        """One renewal; if its reply is lost it is sent again before anything else is."""
        if not self._active:
            return
        self._unsure = commit
        reply = self._inner.commit(self._id, self._token, commit)
        self._unsure = None
        self._seq += 1
        self._renewals += 1
        if reply is None:
            self._active = False
            self.gone.set()

    def close(self) -> None:
        """No more renewals."""
        self._active = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A record that was taken over by one invocation."""

    lease: KeptLease
    taken: Lease
    mark: str
    """Never used before; names what the executor reports."""
    token: str
    began: float
    """When, by `time.monotonic`."""

    @staticmethod
    def take(coordination: Coordination, id: str, request: str) -> Turn | None:
        """Take the record over, for an invocation with this request id; None if it is not to be had."""
        began, mark, lease = time.monotonic(), uuid.uuid4().hex, KeptLease(coordination)
        token = f"{request}~{mark}" if request else mark
        taken = lease.take(id, token)
        return None if taken is None else Turn(lease, taken, mark, token, began)


@dataclass(slots=True)
class Renewer:
    """A thread of this process that renews whichever lease it holds."""

    seconds: float
    """Between two renewals."""
    lease: KeptLease | None = None
    _held: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def hold(self, lease: KeptLease) -> None:
        """Renew this lease from now on."""
        self.lease = lease
        self._held.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
            self._thread.start()

    def drop(self) -> None:
        """Renew nothing."""
        self._held.clear()
        if self.lease is not None:
            self.lease.close()
            self.lease = None

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._held.wait()
            pause.wait(self.seconds)
            lease = self.lease
            try:
                if lease is not None:
                    lease.renew()
            except InfrastructureError:
                continue
