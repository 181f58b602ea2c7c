"""Calls as tasks of functions: processes of their own.

Whatever waits becomes a job, as long as there are fewer jobs than workers; a moment after the last submission, so that
calls that belong together are one program. Results come back when the job is done and, while it runs, a few times a
second. What nobody holds a future of, and another call of the same job needs, does not come back at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from wukong_sched.drivers.crew import Crew
from wukong_sched.drivers.named import local_functions
from wukong_sched.explicit import Explicit
from wukong_sched.futures.arguments import Slot, replaced
from wukong_sched.futures.calls import Arguments, Call, CallFuture, name_of
from wukong_sched.futures.parcel import Failed, Lent, Parcel, Returned, packed
from wukong_sched.futures.record import Records
from wukong_sched.futures.waiting import Unattended, Waiting
from wukong_sched.program import SINK, Tile
from wukong_sched.storage import pickled

QUIET, LONGEST = 0.001, 0.05
"""Seconds without a new call after which a job begins, and that its first call waits at most."""
LARGE = 1 << 12
"""Bytes from which an array among the arguments is data of the program, not part of one call."""
SPARE = 2
"""Jobs beyond one for each worker: of a job that is over, usage is still collected."""


class Parcels:
    """The calls of one job, packed; what cannot be packed fails at once."""

    def __init__(self, calls: list[Call]) -> None:
        self._functions: dict[int, tuple[Any, bytes]] = {}
        self._tasks: dict[int, Any] = {}
        self._lent: dict[int, int] = {}
        """The key of an array among the program's data, by the array's id."""
        self._numbers: dict[CallFuture, int] = {}
        inner = {need for call in calls for need in call.needs}
        with pickled.own_modules_by_value():
            for call in calls:
                if call.starts_away(self._numbers):
                    self._pack(call)
        self._kept = {n: f for f, n in self._numbers.items() if f not in inner or _is_awaited(f)}
        self._refs = {n: ref(f) for f, n in self._numbers.items()}
        self._numbers.clear()
        inner.clear()
        calls.clear()

    def _pack(self, call: Call) -> None:
        try:
            function = self._function(call.function)
            arguments, needed = call.partly_given(self._numbers)
            arguments, lent = self._lend(arguments, len(needed))
            parcel = Parcel(name_of(call.function), function, packed(*arguments))
        except Exception as error:  # whatever the pickling of the function or an argument raises
            call.future.set_exception(error)
        else:
            self._numbers[call.future] = call.number
            self._tasks[call.number] = (parcel, *needed, *lent)

    def _lend(self, arguments: Arguments, first: int) -> tuple[Arguments, list[int]]:
        """The arguments with a slot, from `first` on, in place of each large array, and the arrays' keys.

        As data of the program an array travels once, however many calls have it among their arguments.
        """
        slots: dict[int, Slot] = {}

        def leaf(part: Any) -> Any:
            if type(part) is not np.ndarray or part.nbytes < LARGE or part.dtype.hasobject:
                return part
            key = self._lent.setdefault(id(part), ~len(self._lent))  # below every call's number
            self._tasks.setdefault(key, Lent(part))
            return slots.setdefault(key, Slot(first + len(slots)))

        args, kwargs = replaced(arguments, leaf)
        return (args, kwargs), list(slots)

    def _function(self, function: Callable[..., Any]) -> bytes:
        known = self._functions.get(id(function))
        if known is None:
            known = self._functions[id(function)] = function, pickled.dumps_by_value(function)
        return known[1]

    def program(self) -> Explicit | None:
        """The program that leaves behind what somebody may ask for; None if nothing is left to run."""
        wanted = [n for n, found in self._refs.items() if found() is not None]
        program = Explicit.from_mapping(self._tasks, wanted) if wanted else None
        self._functions.clear()
        if program is not None:
            self._refs = {program.tile_of(n)[1][0]: self._refs[n] for n in wanted}
            self._kept = {program.tile_of(n)[1][0]: future for n, future in self._kept.items()}
        return program

    def future(self, tile: Tile) -> CallFuture | None:
        """Whoever waits for a tile; nobody, once it was delivered."""
        place = tile[1][0]
        found = self._refs.pop(place, None)
        future = found() if found is not None else None
        self._kept.pop(place, None)
        return future

    def waiting(self) -> list[CallFuture]:
        """Futures that have nothing yet."""
        return [future for found in self._refs.values() if (future := found()) is not None]


def _is_awaited(future: CallFuture) -> bool:
    """Whether somebody will be told of its end, although nobody may hold it."""
    return bool(getattr(future, "_done_callbacks", None) or getattr(future, "_waiters", None))


class Deliveries:
    """A store that hands results to futures."""

    def __init__(self, parcels: Parcels) -> None:
        self._parcels = parcels

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        """Deliver, what was not delivered before."""
        for tile, block in blocks.items():
            future = self._parcels.future(tile)
            if future is not None:
                deliver(future, block)

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        """Nothing."""
        return {}

    def delete(self, tiles: Iterable[Tile]) -> None:
        """Nothing to do."""

    def tiles(self) -> Iterable[Tile]:
        """None."""
        return ()


def deliver(future: CallFuture, block: Any) -> None:
    """Resolve a future with what came back."""
    try:
        if isinstance(block, Failed):
            future.set_exception(block.open())
        else:
            future.set_result(block.open() if isinstance(block, Returned) else block)
    except Exception as error:  # whatever loading the result raises, before anything was set
        future.set_exception(error)


class FunctionsAway(Unattended):
    """Jobs in local functions, which share their work themselves."""

    def __init__(self, workers: int, waiting: Waiting, records: Records) -> None:
        super().__init__(waiting)
        self._records = records
        self._workers = workers
        self.crew = Crew(workers + SPARE, self)

    def begin(self) -> None:
        """Make one job of all that waits, and see it through."""
        self._linger()
        calls = self._waiting.take()
        if not calls:
            return
        edges = any(call.needs for call in calls)
        parcels = Parcels(calls)
        try:
            program = parcels.program()
            if program is not None:
                self._run(program, parcels, edges)
        except BaseException as error:  # whatever broke the job
            for future in parcels.waiting():
                future.set_exception(error)

    def _linger(self) -> None:
        deadline, seen = time.monotonic() + LONGEST, -1
        while time.monotonic() < deadline and seen != (seen := len(self._waiting.calls)):
            time.sleep(QUIET)

    def _run(self, program: Explicit, parcels: Parcels, edges: bool) -> None:
        from wukong_sched.drivers import functions
        from wukong_sched.functions.carried import Wishes
        from wukong_sched.functions.filed import filed

        # Without edges there is nothing to be gained from holding a result back.
        policy = functions.POLICY if edges else replace(functions.POLICY, hold_seconds=0.0)
        trace, deliveries, jobs = self._records.trace(), Deliveries(parcels), list[Any]()
        wishes = Wishes(policy, progress=partial(_stream, jobs, deliveries, set()), trace=trace)
        places = local_functions(self._workers)
        functions.run(program, deliveries, places, park=filed, submitted=jobs.append, wishes=wishes)
        self._records.add(program, trace)


def _stream(jobs: list[Any], deliveries: Deliveries, delivered: set[Tile], done: int, total: int) -> None:
    """Deliver what a running job has stored since the last time."""
    for job in jobs:
        arrived = job.coordination.read([SINK]).arrived.get(SINK, frozenset())
        new = [tile for tile in arrived if tile not in delivered]
        if new:
            delivered.update(new)
            deliveries.put(job.storage.get(new))
