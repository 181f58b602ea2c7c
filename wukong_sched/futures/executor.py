"""`FunctionExecutor`: an executor of `concurrent.futures` whose calls are tasks of this scheduler."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from wukong_sched.choice import counted
from wukong_sched.drivers.crew import Crew
from wukong_sched.drivers.named import Progress
from wukong_sched.futures.away import FunctionsAway
from wukong_sched.futures.bar import Counter, progress_of
from wukong_sched.futures.calls import Call, CallFuture, numbering
from wukong_sched.futures.here import NamedHere, ThreadsHere
from wukong_sched.futures.record import Record, Records
from wukong_sched.futures.waiting import Waiting
from wukong_sched.machine import processors


class Engine(Protocol):
    """What makes jobs of the calls that wait."""

    crew: Crew

    @property
    def log(self) -> Path | None:
        """The file that calls print into; None where they do so in this process."""

    def cancel(self) -> None:
        """Cancel what has not begun."""


Engines = Callable[[int, Waiting, Records], Engine]
ENGINES: Mapping[str, Engines] = {
    "threads": ThreadsHere,
    "functions": FunctionsAway,
    "serial": lambda workers, waiting, records: NamedHere("serial", waiting, records),
    "simulate": lambda workers, waiting, records: NamedHere("simulate", waiting, records),
}
"""How calls run, by the name of the driver."""


def engine_of(executor: str) -> Engines:
    """What runs calls by this name; ValueError if nothing does."""
    if executor not in ENGINES:
        raise ValueError(f"there is no executor of calls {executor!r}; known: {', '.join(ENGINES)}")
    return ENGINES[executor]


def asked_of(executor: str | int | None, workers: int | None, max_workers: int | None) -> tuple[str, int | None]:
    """What runs calls, and how many at once, if that was said; a number alone is that of threads.

    Raises TypeError or ValueError unless numbers are integers of at least 1, and TypeError for more than one of them.

    >>> asked_of("functions", 2, None), asked_of(4, None, None)
    (('functions', 2), ('threads', 4))
    """
    if not isinstance(executor, str):
        if executor is not None and (workers, max_workers) != (None, None):
            raise TypeError(
                f"{executor!r} as the first argument, and workers or max_workers, say twice how many calls run at "
                f'once; write FunctionExecutor("threads", workers={executor!r})'
            )
        return asked_of("threads", workers, max_workers if executor is None else executor)
    if workers is not None and max_workers is not None:
        raise TypeError("workers and max_workers both say how many calls run at once; give one of them")
    return executor, counted("max_workers", max_workers) if workers is None else counted("workers", workers)


class FunctionExecutor(Executor):
    """Runs calls in "threads" of this process, in "functions" (processes of this machine), or by another driver.

    A future among the arguments of a later call stands for its result, also within tuples, lists, sets, dicts' values,
    slices, dataclasses, `OrderedDict` and `deque`; what is submitted together becomes one program, in which that is an
    edge. `workers`, or `max_workers`, calls run at once: as many as this process has processors unless given; a number
    alone, in place of the driver's name, is that of threads. In functions, what is called travels by cloudpickle, and
    exceptions come back with the remote traceback as their cause; an array that many calls are given travels once, and
    each call may change what it is given, and what it returned, which nobody else sees, unlike in threads. `progress`
    shows a bar, or is told (calls done, calls); with `record`, `records` has each job's program and trace.

    >>> with FunctionExecutor() as executor:
    ...     two = executor.submit(pow, 2, 1)
    ...     executor.submit(sum, [two, two, 10]).result(), list(executor.map(abs, [-1, -2]))
    (14, [1, 2])
    """

    def __init__(
        self,
        executor: str | int | None = "threads",
        workers: int | None = None,
        *,
        max_workers: int | None = None,
        progress: bool | Progress = False,
        record: bool = False,
    ) -> None:
        self.executor, asked = asked_of(executor, workers, max_workers)
        engine = engine_of(self.executor)
        self.workers = asked or processors()
        self._records = Records(record)
        self._waiting = Waiting()
        self._engine = engine(self.workers, self._waiting, self._records)
        self._crew = self._engine.crew
        self._waiting.wake = self._crew.call
        self._number = numbering()
        self._counter = Counter(progress_of(progress)) if progress else None
        self._closed, self._owner = False, os.getpid()
        weakref.finalize(self, self._crew.close).atexit = False

    def __repr__(self) -> str:
        return f"FunctionExecutor({self.executor!r}, workers={self.workers})"

    @property
    def records(self) -> list[Record]:
        """The jobs that have ended, if they are recorded."""
        return self._records.records

    @property
    def log(self) -> Path | None:
        """The file that calls in functions print into, to either stream; None where calls print in this process.

        It is there until this program ends. All that runs in as many functions of this program shares it.
        """
        return self._engine.log

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> CallFuture:
        """Call ``fn(*args, **kwargs)``; the future of what it returns. Raises RuntimeError after `shutdown`."""
        call = Call(self._number(), fn, args, kwargs)
        self._add([call])
        return call.future

    def submit_all(self, fn: Callable[..., Any], *iterables: Iterable[Any]) -> list[CallFuture]:
        """The futures of ``fn(*arguments)`` for each tuple of arguments from the iterables, submitted together."""
        number = self._number
        calls = [Call(number(), fn, args, {}) for args in zip(*iterables, strict=False)]
        self._add(calls)
        return [call.future for call in calls]

    def _add(self, calls: list[Call]) -> None:
        if os.getpid() != self._owner:  # before the lock, which a thread that is not here may have held
            raise RuntimeError("this executor's threads are in the process that made it; make another after a fork")
        with self._waiting.changed:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            futures = [call.future for call in calls] if self._counter is not None else []
            self._waiting.add(calls)
            self._crew.call()
        if self._counter is not None:  # without the lock: whoever is told of progress may submit
            self._counter.expect(futures)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """The results of ``fn(*arguments)`` for each tuple of arguments from the iterables, in their order.

        Everything is submitted at once, or, as of Python 3.14, not more than `buffersize` calls ahead of the result
        that is taken: the iterables may be endless then. Each call is a task; how many an executor takes at a time is
        the scheduler's decision, so `chunksize` is checked and changes nothing. Raises TimeoutError from the iterator
        when a result is not there `timeout` seconds after this call, and what a call raised where its result would be.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize must be >= 1, got {chunksize}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be None or >= 1, got {buffersize}")
        deadline = None if timeout is None else time.monotonic() + timeout
        if buffersize is None:
            return _results(self.submit_all(fn, *iterables), deadline)
        later = (self.submit(fn, *args) for args in zip(*iterables, strict=False))
        return _results(list(islice(later, buffersize)), deadline, later)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, cancel those that wait if asked to, and free everything when the others are done."""
        with self._waiting.changed:
            self._closed = True
        if cancel_futures:
            self._engine.cancel()
        self._crew.close()
        if wait:
            self._crew.join()


def _results(futures: list[CallFuture], deadline: float | None, later: Iterable[CallFuture] = ()) -> Iterator[Any]:
    """The results in order; each future is forgotten as soon as its result is taken, and the rest cancelled at last.

    For each that is taken one of the `later` ones, which are submitted as they are read, joins the others.
    """
    more = iter(later)
    futures.reverse()
    try:
        while futures:
            futures[:0] = islice(more, 1)
            yield _taken(futures, deadline)
    finally:
        for future in futures:
            future.cancel()


def _taken(futures: list[CallFuture], deadline: float | None) -> Any:
    future: Future[Any] = futures.pop()
    try:
        return future.result(None if deadline is None else deadline - time.monotonic())
    finally:
        future.cancel()
        del future
