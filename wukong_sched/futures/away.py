"""Calls as tasks of functions: processes of their own.

Whatever waits becomes a job, as long as there are fewer jobs than workers; a moment after the last submission, so that
calls that belong together are one program. Results come back when the job is done and, while it runs, some twenty times
a second, less often if there are so many that looking for them takes long. What nobody holds a future of, and another
call of the same job needs, does not come back at all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from wukong_sched.coordination.protocol import GIVEN_UP
from wukong_sched.drivers.crew import Crew
from wukong_sched.drivers.named import local_functions
from wukong_sched.errors import InfrastructureError
from wukong_sched.explicit import Explicit
from wukong_sched.futures.arguments import Slot, replaced
from wukong_sched.futures.calls import Arguments, Call, CallFuture, name_of
from wukong_sched.futures.parcel import TRAVELS, Dropped, Failed, Lent, Parcel, Returned, no_future, packed
from wukong_sched.futures.record import Records
from wukong_sched.futures.tickets import Ticket, Tickets
from wukong_sched.futures.waiting import Unattended, Waiting
from wukong_sched.program import SINK, Tile
from wukong_sched.storage import pickled

if TYPE_CHECKING:
    from wukong_sched.functions.submitted import Submitted

QUIET, LONGEST = 0.001, 0.05
"""Seconds without a new call after which a job begins, and that its first call waits at most."""
LARGE = 1 << 12
"""Bytes from which an array among the arguments is data of the program, not part of one call."""
RARELY = 10
"""Times as long as a look for results took that none is taken after it."""
SPARE = 2
"""Jobs beyond one for each worker: of a job that is over, usage is still collected."""


class Parcels:
    """The calls of one job, packed; what cannot be packed fails at once."""

    def __init__(self, calls: list[Call], directory: Path | None = None) -> None:
        self.tickets = Tickets(len(calls), directory)
        self._functions: dict[int, tuple[Any, bytes]] = {}
        self._tasks: dict[int, Any] = {}
        self._keys: dict[int, int] = {}
        """The keys of data of the program, by the id of the object that each stands for."""
        self._numbers: dict[CallFuture, int] = {}
        self._places: dict[int, int] = {}
        """The call's number for each task of the program."""
        self._blamed: set[int] = set()
        inner = {need for call in calls for need in call.needs}
        with pickled.own_modules_by_value():
            for place, call in enumerate(calls):
                if call.starts_away(self._numbers, ticket := self.tickets.ticket(place)):
                    self._pack(call, place, ticket)
        self._kept = {n: f for f, n in self._numbers.items() if f not in inner or _is_awaited(f)}
        self._refs = {n: ref(f) for f, n in self._numbers.items()}
        self._functions.clear()
        self._numbers.clear()
        inner.clear()

    def _pack(self, call: Call, place: int, ticket: Ticket) -> None:
        try:
            function = self._function(call.function)
            arguments, needs = call.partly_given()
            arguments, lent = self._lend(arguments, len(needs))
            needed = [self._number(need) for need in needs]
            parcel = Parcel(name_of(call.function), function, packed(*arguments), ticket)
        except (Exception, SystemExit) as error:  # whatever the pickling of the function or an argument raises
            error.add_note(TRAVELS)
            if call.future.starts():
                call.future.set_exception(error)
        else:
            self._numbers[call.future] = place
            self._tasks[place] = (parcel, *needed, *lent)

    def _lend(self, arguments: Arguments, first: int) -> tuple[Arguments, list[int]]:
        """The arguments with a slot, from `first` on, in place of each large array, and the arrays' keys.

        As data of the program an array travels once, however many calls have it among their arguments.
        """
        slots: dict[int, Slot] = {}

        def leaf(part: Any) -> Any:
            if type(part) is not np.ndarray:
                return no_future(part)
            if part.nbytes < LARGE or part.dtype.hasobject:
                return part
            return slots.setdefault(self._data(part, Lent), Slot(first + len(slots)))

        args, kwargs = replaced(arguments, leaf)
        return (args, kwargs), list(slots)

    def _number(self, need: CallFuture) -> int:
        """The key of a call of this job, or of what one raised that failed before."""
        return self._numbers[need] if need in self._numbers else self._data(need.exception(), Failed)

    def _data(self, value: Any, kind: Callable[[Any], Any]) -> int:
        """The key, below every call's number, of what stands for this object among the program's data."""
        key = self._keys.setdefault(id(value), ~len(self._keys))
        if key not in self._tasks:
            self._tasks[key] = kind(value)
        return key

    def _function(self, function: Callable[..., Any]) -> bytes:
        known = self._functions.get(id(function))
        if known is None:
            known = self._functions[id(function)] = function, pickled.dumps_by_value(function)
        return known[1]

    def program(self) -> Explicit | None:
        """The program that leaves behind what somebody may ask for; None if nothing is left to run."""
        futures = ((n, found()) for n, found in self._refs.items())
        wanted = [n for n, future in futures if future is not None and not future.cancelled()]
        program = Explicit.from_mapping(self._sharing(wanted), wanted) if wanted else None
        if program is not None:
            self._places = {program.tile_of(n)[1][0]: n for n in wanted}
        return program

    def _sharing(self, wanted: list[int]) -> Mapping[int, Any]:
        """The tasks, each told which results are not for it alone."""
        calls = (task for task in self._tasks.values() if type(task) is tuple)
        takers = Counter(need for _, *needs in calls for need in needs if need >= 0)
        if not takers:
            return self._tasks
        takers.update(wanted)
        shared = {number for number, count in takers.items() if count > 1}
        return {number: _sharing(task, shared) for number, task in self._tasks.items()}

    def future(self, tile: Tile) -> CallFuture | None:
        """Whoever waits for a tile; nobody, once it was delivered."""
        return self._future(self._places[tile[1][0]])

    def _future(self, number: int) -> CallFuture | None:
        found = self._refs.pop(number, None)
        future = found() if found is not None else None  # as long as it is kept
        self._kept.pop(number, None)
        return future

    def blame(self, error: BaseException) -> bool:
        """The calls that were begun again and again, and never ended, are what the error is about; False if none was.

        They fail, and with them what needs them; what is left can be tried without them.
        """
        times = {number: self.tickets.ticket(number).times() for number in self._tasks if number >= 0}
        most = max(times.values(), default=0)
        blamed = [number for number, each in times.items() if each == most > 1 and number not in self._blamed]
        for number in blamed:
            self._blamed.add(number)
            self._tasks[number] = Failed(error)
        return bool(blamed)

    def cancel(self) -> None:
        """Cancel what has not begun, also where nobody holds the future."""
        for number, found in self._refs.copy().items():
            future = found()
            (self.tickets.ticket(number) if future is None else future).cancel()

    def fail(self, error: BaseException) -> None:
        """Nothing more will come."""
        for found in self._refs.copy().values():
            if (future := found()) is not None and future.starts():
                future.set_exception(error)


def _sharing(task: Any, shared: set[int]) -> Any:
    """The task of a call, or data, as it is among others."""
    if type(task) is not tuple:
        return task
    parcel, *needs = task
    places = frozenset(place for place, need in enumerate(needs) if need in shared)
    return (parcel.sharing(places), *needs) if places else task


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
    if isinstance(block, Dropped):
        future.drop()
        return
    if not future.starts():
        return
    try:
        if isinstance(block, Failed):
            future.set_exception(block.open())
        else:
            future.set_result(block.open() if isinstance(block, Returned) else block)
    except (Exception, SystemExit) as error:  # whatever loading the result raises, before anything was set
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
        with self._waiting.taken() as calls:
            if not calls:
                return
            edges = any(call.needs for call in calls)
            try:
                parcels = Parcels(calls, local_functions(self._workers).directory)
            except Exception as error:  # whatever keeps functions from starting, or a job from having a file
                _fail(calls, error)
                return
            self._jobs.append(parcels)
        self._see_through(parcels, edges)

    def _see_through(self, parcels: Parcels, edges: bool) -> None:
        try:
            while (program := parcels.program()) is not None and not self._run(program, parcels, edges):
                pass  # once more, without the calls that end their functions
        except BaseException as error:  # whatever broke the job
            parcels.fail(error)
        finally:
            self._jobs.remove(parcels)
            parcels.tickets.close()

    @property
    def log(self) -> Path:
        """The file that functions of this process print into, as long as they run; they are started if need be."""
        from wukong_sched.functions.local import LOG

        return local_functions(self._workers).directory / LOG

    def _linger(self) -> None:
        deadline, seen = time.monotonic() + LONGEST, -1
        while time.monotonic() < deadline and seen != (seen := len(self._waiting.calls)):
            time.sleep(QUIET)

    def _run(self, program: Explicit, parcels: Parcels, edges: bool) -> bool:
        """Run the program; False if it was given up because of calls that are to blame, and can be tried without."""
        from wukong_sched.drivers.functions import POLICY
        from wukong_sched.drivers.pump import refuse_nested
        from wukong_sched.functions import carried
        from wukong_sched.functions.filed import filed

        refuse_nested()
        # Without edges there is nothing to be gained from holding a result back.
        policy = POLICY if edges else replace(POLICY, hold_seconds=0.0)
        trace, deliveries, jobs, again = self._records.trace(), Deliveries(parcels), list[Any](), False
        stream = partial(_stream, jobs, deliveries, set())
        wishes = carried.Wishes(policy, meanwhile=_seldom(stream), trace=trace)
        functions = local_functions(self._workers)
        job = carried.begin(functions, program, wishes, lambda held, name: filed(held, functions.job_directory(name)))
        jobs.append(job)
        try:
            with carried.finished(functions, job):
                try:
                    carried.collect(functions, job, deliveries, wishes)
                except InfrastructureError as error:
                    stream()
                    again = _is_given_up(job) and parcels.blame(error)
                    raise
        except InfrastructureError:
            if not again:
                raise
        self._records.add(program, trace)
        return not again


def _is_given_up(job: Submitted) -> bool:
    """Whether one executor of the job was ended again and again."""
    story = job.coordination.read().story
    return story is not None and story.operation == GIVEN_UP


def _fail(calls: list[Call], error: BaseException) -> None:
    for call in calls:
        if call.future.starts():
            call.future.set_exception(error)


def _seldom(look: Callable[[], None]) -> Callable[[], None]:
    """The same, but for calls so soon after one that took long that looking would be most of what is done."""
    due = 0.0

    def looked() -> None:
        nonlocal due
        began = time.monotonic()
        if began >= due:
            look()
            ended = time.monotonic()
            due = ended + RARELY * (ended - began)

    return looked


def _stream(jobs: list[Any], deliveries: Deliveries, delivered: set[Tile]) -> None:
    """Deliver what a running job has stored since the last time."""
    for job in jobs:
        arrived = job.coordination.read([SINK]).arrived.get(SINK, frozenset())
        new = [tile for tile in arrived if tile not in delivered]
        if new:
            delivered.update(new)
            deliveries.put(job.storage.get(new))
