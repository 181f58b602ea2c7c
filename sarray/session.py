"""The composition root: from arrays to values, with the settings that hold, on the executor that is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sarray.config import Settings, checked, settings
from sarray.delivery import Kept, Place, Result
from sarray.expression import Expression
from sarray.lower import Lowered, lower
from sarray.lowering.creation import created
from sarray.lowering.source import Held, source
from sarray.nested import arrays_in, distinct, rebuilt
from sarray.plan import Plan, plan_of
from sarray.session_blas import single_threaded

if TYPE_CHECKING:
    from sarray.remote import SubmittedJob


class HasExpression(Protocol):
    """An array, as far as sessions know."""

    @property
    def expression(self) -> Expression: ...


def compute(
    *arrays: Any,
    executor: str | None = None,
    workers: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    trace: Any = None,
    report: bool = False,
    resume: bool = False,
) -> tuple[Any, ...]:
    """The values of several arrays as NumPy arrays, work that they share done once.

    Arrays may also be in tuples, lists and dicts (``sa.compute(sa.tsqr(x))``); what is no array is given back.
    `workers` tasks run at once. `memory_limit` (``"4GiB"``) bounds the memory of this process but for the results;
    other blocks go to disk beyond it. `progress` says whether to show a bar, `trace` (a `wukong_sched.trace.Trace`)
    records what the scheduler does, `executor` is one of "threads", "serial", "functions" and "aws", or, for
    comparison, "numpywren" and "pywren". Without them `sarray.config` decides. With `report`, what happened and what
    it cost is printed; `sarray.last_report` has it too. With `resume`, functions keep the results under names of their
    own, and make none that is there already.
    Raises MemoryLimitError before anything runs, TaskError from whatever a task raised.

    >>> import sarray as sa
    >>> x = sa.ones((4, 2), chunks=2)
    >>> sa.compute(x.sum(), x.mean(axis=0))
    (array(8.), array([1., 1.]))
    """
    found = list(arrays_in(arrays))
    taken: set[int] = set()
    places = {each.expression.name: Result(each.expression, taken) for each in found}
    asked = asked_for(executor, workers, memory_limit)
    _run([each.expression for each in found], places, asked, progress, trace, report, resume)
    values = iter([places[each.expression.name].values for each in found])
    results: tuple[Any, ...] = rebuilt(arrays, distinct(values))
    return results


def persist(
    *arrays: Any,
    executor: str | None = None,
    workers: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    trace: Any = None,
    report: bool = False,
    resume: bool = False,
) -> tuple[Any, ...]:
    """The same arrays, computed together and kept in memory block by block; arguments as in `compute`.

    >>> import sarray as sa
    >>> (x,) = sa.persist(sa.ones(4, chunks=2) + 1)
    >>> x.plan().tasks, x.chunks
    (2, ((2, 2),))
    """
    found = list(arrays_in(arrays))
    places = {each.expression.name: Kept(each.expression) for each in found}
    asked = asked_for(executor, workers, memory_limit)
    _run([each.expression for each in found], places, asked, progress, trace, report, resume)
    kept = iter([type(each)(_held(places[each.expression.name])) for each in found])
    results: tuple[Any, ...] = rebuilt(arrays, kept)
    return results


def _held(kept: Kept) -> Expression:
    """A source of blocks that exist; the same values have the same name."""
    return source(Held(f"kept-{kept.expression.name}", kept.blocks), kept.expression.chunks, kept.expression.dtype)


def store(
    arrays: Sequence[HasExpression],
    targets: Sequence[Any],
    *,
    executor: str | None = None,
    workers: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    trace: Any = None,
    report: bool = False,
    resume: bool = False,
) -> None:
    """Write arrays into targets block by block; the public face is `sarray.store`, which has the example."""
    from sarray.targets import places_of

    if len(arrays) != len(targets):
        raise ValueError(f"store: {len(arrays)} arrays need as many targets, got {len(targets)}")
    expressions = [each.expression for each in arrays]
    places = places_of(expressions, targets)
    _run(expressions, places, asked_for(executor, workers, memory_limit), progress, trace, report, resume)


def submit(
    *arrays: Any, executor: str | None = None, workers: int | None = None, resume: bool = False, single: bool = False
) -> SubmittedJob:
    """Begin to compute arrays where that goes on without this process, and do not wait.

    The job's `result()` is what `compute` would give (the array itself, if its method was called), `done()` says
    whether it has ended, `cancel()` ends it, `report()` says what it cost, and `id` finds it again: see `attach`.
    `executor` is "functions" or "aws", others raise ValueError. Functions on this machine end with this process,
    unless they have a home: ``sa.config({"functions.home": "~/.sarray"})``.

    >>> import sarray as sa
    >>> job = sa.submit(sa.ones((4, 4), chunks=2).sum(), executor="functions")
    >>> [float(total) for total in job.result()]
    [16.0]
    """
    from sarray import remote
    from sarray.executors import place_of

    _refuse_nested()
    asked = asked_for(executor, workers, None)
    place = place_of(asked)
    wanted = [each.expression for each in arrays_in(arrays)]
    lowered = _lowered(wanted or [created("full", (), np.dtype(bool), False)], asked)  # a job wants something
    return remote.submit(place, lowered, asked, remote.face_of(arrays, single), resume=resume)


def attach(id: str, *, executor: str | None = None, timeout: float | None = None) -> Any:
    """The result of a job that was submitted, by this process or by one that is gone; waits for it.

    The id says where the job runs; the settings that hold here say how that place is found (``functions.home``; for
    AWS the bucket, the cache and the key). Raises LookupError if there is no such job, or its result was fetched
    before, TimeoutError if it still runs after so many seconds; otherwise as `compute`.

    >>> import sarray as sa
    >>> job = sa.ones(4, chunks=2).sum().submit(executor="functions")
    >>> float(sa.attach(job.id))
    4.0
    """
    return job_of(id, executor=executor).result(timeout)


def job_of(id: str, *, executor: str | None = None) -> SubmittedJob:
    """The job of this id, to look at or to cancel; as `attach`, without waiting.

    >>> import sarray as sa
    >>> job = sa.job_of(sa.ones(4, chunks=2).sum().submit(executor="functions").id)
    >>> float(job.result(60)), job.done()
    (4.0, True)
    """
    from sarray import remote
    from sarray.executors import place_of

    if not isinstance(id, str):
        raise TypeError(f"a job's id is a str, as job.id of what submit() returned, not {type(id).__name__}")
    asked = asked_for(executor or id.partition("-")[0], None, None)
    return remote.attach(place_of(asked), id)


def forget(*arrays: Any, executor: str | None = None) -> None:
    """Delete what was stored of these arrays by ``compute(..., resume=True)``, where that executor stores.

    Stored results stay until then: on AWS in the bucket, below ``tiles/``; on this machine as long as the functions.

    >>> import sarray as sa
    >>> total = (sa.arange(4, chunks=2) + 1).sum()
    >>> int(total.compute(executor="functions", resume=True)), sa.forget(total, executor="functions")
    (10, None)
    """
    from sarray import remote
    from sarray.executors import place_of

    asked = asked_for(executor, None, None)
    remote.forget(place_of(asked), [each.expression for each in arrays_in(arrays)])


def plan(*arrays: Any) -> Plan:
    """What computing these arrays together will take; nothing is computed.

    >>> import sarray as sa
    >>> sa.plan(sa.ones((6, 4), chunks=2).sum()).tasks
    7
    """
    return plan_of(_lowered([each.expression for each in arrays_in(arrays)], settings()))


def asked_for(executor: str | None, workers: int | None, memory_limit: int | str | None) -> Settings:
    """The settings that hold, with what the call itself asks for."""
    given = {"executor": executor, "workers": workers, "memory_limit": memory_limit}
    given = {key: value for key, value in given.items() if value is not None}
    return replace(settings(), **checked(given, "compute")) if given else settings()


def _lowered(expressions: Sequence[Expression], asked: Settings) -> Lowered:
    from sarray.executors import limits_of

    return lower(expressions, limits_of(asked))


def _refuse_nested() -> None:
    from wukong_sched.drivers.pump import refuse_nested  # drivers load when something is computed, not with the package

    refuse_nested()


def _run(
    expressions: Sequence[Expression],
    places: Mapping[str, Place],
    asked: Settings,
    progress: bool | None,
    trace: Any,
    report: bool,
    resume: bool,
) -> None:
    from sarray import executors
    from sarray.job import Job, workers_of
    from sarray.reports import remember

    _refuse_nested()
    executor = executors.executor_of(asked)
    if not expressions:
        return
    lowered = _lowered(expressions, asked)
    if executor.place is not None:
        plan_of(lowered).check(asked.functions_memory, 1, "functions.memory to what is needed")
    if asked.memory_limit is not None:
        plan_of(lowered).check(asked.memory_limit, min(workers_of(asked), len(lowered.program)))
    with single_threaded() if lowered.uses_blas else contextlib.nullcontext():
        found = remember(executors.run(Job(lowered, asked, places, progress, trace, resume)))
    if report:
        print(found)
