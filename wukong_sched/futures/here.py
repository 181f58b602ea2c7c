"""Calls as tasks of this process: nothing is serialised, and each result is the future's as soon as it is there.

On a crew of threads several jobs run at once. A job whose next call could run, but does not begin because the call
before it takes long, while a thread rests, is abandoned: what it has not begun becomes part of a new job. So no call
waits for another one as long as there is a free thread, as with `concurrent.futures.ThreadPoolExecutor`.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from wukong_sched.drivers.crew import Crew, CrewJob
from wukong_sched.drivers.named import run_named
from wukong_sched.explicit import Explicit
from wukong_sched.futures.calls import Call, name_of
from wukong_sched.futures.record import Records
from wukong_sched.futures.waiting import Unattended, Waiting
from wukong_sched.program import Tile

LONG = 0.004
"""Seconds in one call, others waiting behind it, after which a job is stuck;"""
AGAIN = 1e-5
"""and for each call that would have to be put into a new job."""


class CallHere:
    """The body of a call's task: runs it, unless it was taken back."""

    __slots__ = ("__name__", "_begun", "_call", "_ended")

    def __init__(self, call: Call, begun: list[None], ended: list[None]) -> None:
        self.__name__ = name_of(call.function)
        self._call, self._begun, self._ended = call, begun, ended

    def __call__(self, *results: None) -> None:
        """Run the call, unless it, or a call that it needs, was taken back."""
        if self.could_run() and (call := self.take()) is not None:
            self._begun.append(None)
            call.run()
            self._ended.append(None)

    def take(self) -> Call | None:
        """The call, for whoever asks first."""
        try:
            call = self._call
            del self._call  # of several threads one can
        except AttributeError:
            return None
        return call

    def waiting(self) -> Call | None:
        """The call, as long as nobody took it."""
        return getattr(self, "_call", None)

    def could_run(self) -> bool:
        """Whether the call has not begun although all that it needs is there."""
        call = self.waiting()
        return call is not None and (not call.needs or call.is_ready())


class Nowhere:
    """A store for results that are at home already."""

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Keep nothing."""

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        """A sign for each: what executors here tell each other through the store is that a call has run."""
        return dict.fromkeys(tiles)

    def delete(self, tiles: Iterable[Tile]) -> None:
        """Nothing to do."""

    def tiles(self) -> Iterable[Tile]:
        """None."""
        return ()


class Bodies:
    """The tasks of one job's calls."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.begun: list[None] = []
        self.ended: list[None] = []
        """One entry for each call; other than numbers, several threads can add to lists at once."""
        self.bodies = [CallHere(call, self.begun, self.ended) for call in calls]
        self.program = self._program(calls)

    def _program(self, calls: Sequence[Call]) -> Explicit:
        """A task for each call, those without needs first; what a call returns, the next finds in the future."""
        if not any(call.needs for call in calls):  # a map: its tasks are numbered already
            numbers = range(len(calls))
            bodies = [(body,) for body in self.bodies]
            return Explicit(bodies, (), ((),) * len(calls), dict(zip(numbers, numbers, strict=True)), numbers, 1)
        places = {call.future: place for place, call in enumerate(calls)}
        edges = [tuple(places[need] for need in call.needs if need in places) for call in calls]
        order = sorted(range(len(calls)), key=lambda place: bool(edges[place]))  # a leaf is numbered before the others
        number: dict[Hashable, int] = dict(zip(order, range(len(order)), strict=True))
        inner = {place for row in edges for place in row}
        bodies = [(self.bodies[place],) for place in order]
        inputs = [tuple(map(number.__getitem__, edges[place])) for place in order]
        wanted = [number[place] for place in order if place not in inner]
        return Explicit(bodies, (), inputs, number, wanted, 1)

    @property
    def left(self) -> int:
        """Calls that have not begun."""
        return len(self.bodies) - len(self.begun)

    def could_go_on(self) -> bool:
        """Whether a call has not begun although it could."""
        return any(body.could_run() for body in self.bodies)

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for body in self.bodies:
            if (call := body.waiting()) is not None:
                call.future.cancel()

    def fail(self, error: BaseException) -> None:
        """The job broke: let nobody wait for what it has not begun."""
        for body in self.bodies:
            call = body.take()
            if call is not None and call.starts():
                call.future.set_exception(error)


class ThreadsHere:
    """Jobs on a crew of threads."""

    def __init__(self, workers: int, waiting: Waiting, records: Records) -> None:
        self.changed, self._waiting, self._records = waiting.changed, waiting, records
        self._jobs: dict[CrewJob, Bodies] = {}
        self._seen: dict[CrewJob, tuple[tuple[int, int], float]] = {}
        """How many calls of a job had begun and ended, and since when."""
        self.crew = Crew(workers, self)

    @property
    def log(self) -> None:
        """Calls print in this process."""
        return None

    def waits(self) -> bool:
        """Whether calls wait."""
        return bool(self._waiting)

    def is_empty(self) -> bool:
        """Whether no calls wait or are parked."""
        return self._waiting.is_empty()

    def runs(self) -> bool:
        """Whether a job has calls that it has not begun."""
        return any(bodies.left for bodies in self._jobs.values())

    def begin(self) -> None:
        """Make one job of all that waits."""
        with self._waiting.taken() as calls:
            if not calls:
                return
            bodies, trace = Bodies(calls), self._records.trace()
            job = CrewJob(self.crew, bodies.program, Nowhere(), self._ended, trace=trace)
            with self.changed:
                self._jobs[job] = bodies
                if len(calls) > 1:
                    self.crew.reserve()
        job.begin()

    def _ended(self, job: CrewJob, error: BaseException | None) -> None:
        with self.changed:
            bodies = self._jobs.pop(job, None)
            self._seen.pop(job, None)
        self._records.add(job.program, job.trace)
        if error is not None and bodies is not None:
            bodies.fail(error)

    def look(self) -> None:
        """Take back what jobs have not begun, although they could, because a call takes long."""
        now = time.monotonic()
        for job, bodies in list(self._jobs.items()):
            state = len(bodies.begun), len(bodies.ended)
            before, since = self._seen.get(job, (None, now))
            if state != before:
                self._seen[job] = state, now
            elif state[0] > state[1] and now - since >= LONG + AGAIN * bodies.left and bodies.could_go_on():
                self._take_back(job, bodies)

    def cancel(self) -> None:
        """Cancel what has not begun, in jobs that run too."""
        with self.changed:
            for job, bodies in list(self._jobs.items()):
                self._take_back(job, bodies)
            futures = self._waiting.futures()
        for future in futures:  # without the lock: callbacks are called
            future.cancel()

    def _take_back(self, job: CrewJob, bodies: Bodies) -> None:
        job.abandon()
        del self._jobs[job]
        self._seen.pop(job, None)
        self._records.add(job.program, job.trace)
        self._waiting.put_back([call for body in bodies.bodies if (call := body.take()) is not None])


class NamedHere(Unattended):
    """Jobs that a driver runs in this process, one after the other."""

    def __init__(self, executor: str, waiting: Waiting, records: Records) -> None:
        super().__init__(waiting)
        self._records = records
        self._executor = executor
        self.crew = Crew(1, self)

    def begin(self) -> None:
        """Make one job of all that waits."""
        with self._waiting.taken() as calls:
            if not calls:
                return
            bodies, trace = Bodies(calls), self._records.trace()
            self._jobs.append(bodies)
        try:
            run_named(bodies.program, Nowhere(), self._executor, 1, trace=trace)
        except BaseException as error:  # whatever broke the job
            bodies.fail(error)
        self._jobs.remove(bodies)
        self._records.add(bodies.program, trace)
