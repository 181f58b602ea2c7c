"""Delayed calls, as Dask has them: ``delayed(f)(x)`` is not called but noted, and `compute` runs what was noted.

A delayed value stands for itself wherever it is an argument, also within containers, dicts' keys among them, iterators
of those, and dataclasses. On it, operators, indexing, attributes and method calls are delayed too. Everything that one
`compute` needs is one program, and what several values share is computed once. Pure calls are named by a hash of
function and arguments, so that two of them that are the same are one; others are named at random. Operators, indexing
and attributes are pure; calls are if that is asked for.

>>> @delayed
... def double(x):
...     return 2 * x
>>> total = delayed(sum)([double(i) for i in range(4)])
>>> (total + 1).compute(executor="serial")
13
"""

from __future__ import annotations

import contextlib
import operator
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from types import MethodType
from typing import Any, Final, cast, overload

from wukong_sched.causes import exception_of
from wukong_sched.choice import choice, counted
from wukong_sched.drivers import serial
from wukong_sched.drivers.named import Progress, driver_of, run_named
from wukong_sched.drivers.pump import inside_task
from wukong_sched.errors import TaskError
from wukong_sched.explicit import Explicit
from wukong_sched.futures.arguments import KEYED, Slot, filled, slotted
from wukong_sched.futures.parcel import Failed, Returned
from wukong_sched.noted import Noted
from wukong_sched.storage import pickled
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.trace import Trace

__all__ = ["Delayed", "compute", "delayed", "persist"]

AWAY = frozenset({"functions"})
"""Executors in other processes: what they call must be packed."""


def _operator(function: Callable[..., Any]) -> Callable[..., Delayed]:
    return lambda *args: _noted(function, args, {}, pure=True)


def _reflected(function: Callable[..., Any]) -> Callable[..., Delayed]:
    return lambda self, other: _noted(function, (other, self), {}, pure=True)


class Operators:
    """Python's operators, delayed."""

    __slots__ = ()

    __add__, __radd__ = _operator(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _operator(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul), _reflected(operator.mul)
    __matmul__, __rmatmul__ = _operator(operator.matmul), _reflected(operator.matmul)
    __truediv__, __rtruediv__ = _operator(operator.truediv), _reflected(operator.truediv)
    __floordiv__, __rfloordiv__ = _operator(operator.floordiv), _reflected(operator.floordiv)
    __mod__, __rmod__ = _operator(operator.mod), _reflected(operator.mod)
    __pow__, __rpow__ = _operator(operator.pow), _reflected(operator.pow)
    __divmod__, __rdivmod__ = _operator(divmod), _reflected(divmod)
    __lshift__, __rlshift__ = _operator(operator.lshift), _reflected(operator.lshift)
    __rshift__, __rrshift__ = _operator(operator.rshift), _reflected(operator.rshift)
    __and__, __rand__ = _operator(operator.and_), _reflected(operator.and_)
    __or__, __ror__ = _operator(operator.or_), _reflected(operator.or_)
    __xor__, __rxor__ = _operator(operator.xor), _reflected(operator.xor)
    __lt__, __le__ = _operator(operator.lt), _operator(operator.le)
    __gt__, __ge__ = _operator(operator.gt), _operator(operator.ge)
    __neg__, __pos__ = _operator(operator.neg), _operator(operator.pos)
    __abs__, __invert__ = _operator(operator.abs), _operator(operator.invert)
    __getitem__, __round__ = _operator(operator.getitem), _operator(round)


class Delayed(Operators):
    """A value that is not computed yet."""

    __slots__ = ("_body", "_length", "_needs", "key")

    def __init__(self, key: str, body: Noted, needs: tuple[Delayed, ...], length: int | None = None) -> None:
        self.key, self._body, self._needs, self._length = key, body, needs, length

    def compute(self, **options: Any) -> Any:
        """The value; options and errors as of `compute`."""
        return compute(self, **options)[0]

    def persist(self, **options: Any) -> Delayed:
        """The same value, computed now and kept in this process; options and errors as of `compute`."""
        (kept,) = persist(self, **options)
        return cast("Delayed", kept)

    def visualize(self, *args: Any, **options: Any) -> None:
        """Delayed values are not drawn here: raises TypeError."""
        raise TypeError("a delayed value cannot be drawn; sa.plan(...) says what arrays do, dask.delayed draws its own")

    def __repr__(self) -> str:
        return f"Delayed({self.key!r})"

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> Any:
        return _noted(operator.eq, (self, other), {}, pure=True)

    def __ne__(self, other: object) -> Any:
        return _noted(operator.ne, (self, other), {}, pure=True)

    def __call__(self, /, *args: Any, pure: bool = False, dask_key_name: str = "", **kwargs: Any) -> Delayed:
        """A call of the value; `dask_key_name` names the result."""
        return _noted(_called, (self, *args), kwargs, pure=pure, key=dask_key_name)

    def __getattr__(self, name: str) -> Attribute:
        """An attribute of the value; names that begin with an underscore are not taken for one."""
        if name.startswith("_"):
            raise AttributeError(f"a delayed value has no attribute {name!r}; write delayed(getattr)(x, {name!r})")
        noted = _noted(getattr, (self, name), {}, pure=True)
        return Attribute(noted.key, noted._body, noted._needs)

    def __iter__(self) -> Iterator[Delayed]:
        """The parts of a value whose number is known by `nout`."""
        return (self[place] for place in range(len(self)))

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("how many parts a delayed value has is not known before it is computed; give nout=")
        return self._length

    def __bool__(self) -> bool:
        raise TypeError("whether a delayed value is true is not known before it is computed; call .compute() first")

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("a delayed value cannot be changed; delay a function that returns a changed one")


class Attribute(Delayed):
    """An attribute of a delayed value; called, it is a method."""

    __slots__ = ()

    def __call__(self, /, *args: Any, pure: bool = False, dask_key_name: str = "", **kwargs: Any) -> Delayed:
        """A call of the method."""
        (_, name), _ = self._body._arguments
        return _noted(_method, (self._needs[0], name, *args), kwargs, pure=pure, key=dask_key_name)


class Leaf(Delayed):
    """A function, or data, that was delayed itself."""

    __slots__ = ("_nout", "_pure", "_value")

    def __init__(self, key: str, value: Any, pure: bool, nout: int | None) -> None:
        super().__init__(key, Noted(_same, ((value,), {})), (), nout)
        self._value, self._pure, self._nout = value, pure, nout

    @property
    def __wrapped__(self) -> Any:
        """What was delayed."""
        return self._value

    @property
    def __name__(self) -> str:
        return str(self._value.__name__)

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        """Within a class: a method, whose calls are delayed."""
        return self if owner is None else MethodType(self, owner)

    def __call__(self, /, *args: Any, pure: bool | None = None, dask_key_name: str = "", **kwargs: Any) -> Delayed:
        """A call of the function."""
        asked = self._pure if pure is None else pure
        return _noted(self._value, args, kwargs, pure=asked, key=dask_key_name, nout=self._nout)


def _same(value: Any) -> Any:
    return value


def _called(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _method(owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
    return getattr(owner, name)(*args, **kwargs)


def _slots(value: Any) -> tuple[Any, tuple[Delayed, ...]]:
    """The value with slots for what is delayed in it, and that."""
    needs: dict[str, Delayed] = {}
    slots: dict[str, Slot] = {}

    def found(part: Any) -> Slot | None:
        if not isinstance(part, Delayed):
            return None
        needs[part.key] = part
        return slots.setdefault(part.key, Slot(len(slots)))

    return slotted(value, found, KEYED), tuple(needs.values())


def _noted(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    pure: bool,
    key: str = "",
    nout: int | None = None,
) -> Delayed:
    """A call that is delayed."""
    arguments, needs = _slots((args, kwargs))
    body = Noted(function, arguments)
    token = body.token([need.key for need in needs]) if pure else uuid.uuid4().hex
    return Delayed(key or f"{body.__name__}-{token}", body, needs, nout)


_OPTIONS_ONLY: Final = object()


@overload
def delayed(
    obj: Any, name: str | None = None, pure: bool | None = None, nout: int | None = None, traverse: bool = True
) -> Delayed:
    """A delayed function, or data."""


@overload
def delayed(
    *, name: str | None = None, pure: bool | None = None, nout: int | None = None, traverse: bool = True
) -> Callable[[Any], Delayed]:
    """A decorator with these options."""


def delayed(
    obj: Any = _OPTIONS_ONLY,
    name: str | None = None,
    pure: bool | None = None,
    nout: int | None = None,
    traverse: bool = True,
) -> Any:
    """A function whose calls are delayed, or data as a delayed value; also as a decorator, with or without options.

    `name` is the key of data; `pure` says that a function returns the same for the same arguments; `nout` how many
    parts it returns, which can then be unpacked. What is delayed within data is found in containers and dataclasses,
    unless `traverse` is false. Raises ValueError unless nout is None or at least 0.

    >>> first, second = delayed(divmod, nout=2)(17, 5)
    >>> compute(first, second, executor="serial")
    (3, 2)
    """
    if obj is _OPTIONS_ONLY:
        return partial(delayed, name=name, pure=pure, nout=nout, traverse=traverse)
    if nout is not None and (type(nout) is not int or nout < 0):
        raise ValueError(f"nout must be None or a number of parts, at least 0; got {nout!r}")
    if isinstance(obj, Delayed):
        return obj
    value, needs = _slots(obj) if traverse else (obj, ())
    if needs:
        body = Noted(_same, ((value,), {}))
        return Delayed(name or f"{type(obj).__name__}-{body.token([need.key for need in needs])}", body, needs, nout)
    kind = getattr(obj, "__name__", type(obj).__name__)
    token = Noted(_same, ((obj,), {})).token([]) if pure else uuid.uuid4().hex
    return Leaf(name or f"{kind}-{token}", obj, bool(pure), nout)


def compute(
    *args: Any,
    traverse: bool = True,
    executor: str | None = None,
    workers: int | None = None,
    scheduler: Any = None,
    num_workers: int | None = None,
    optimize_graph: bool = True,
    progress: Progress | None = None,
    trace: Trace | None = None,
) -> tuple[Any, ...]:
    """The values of all arguments; what is delayed in tuples, lists and dicts too, unless `traverse` is false.

    `executor` is "threads", "serial", "functions" or "simulate"; unless given, what an open `Client` or Dask's
    configuration says, or else "threads". `workers`, `progress` and `trace` are as of
    `wukong_sched.drivers.named.run_named`. Of Dask, `scheduler` (`wukong_sched.choice`) and `num_workers` say the same;
    `optimize_graph` changes nothing. Within a task everything is computed where the task is, one after the other.
    Raises what a task raised, with a note that names the task; ValueError for an executor that there is not, and
    TypeError or ValueError unless `workers` is None or an integer of at least 1.

    >>> x = delayed(10)
    >>> compute(x, [x + 1, 2], {"a": x * x}, executor="serial")
    (10, [11, 2], {'a': 100})
    """
    asked = counted("num_workers", num_workers) if workers is None else workers
    executor, workers = choice(executor, asked, scheduler)
    driver_of(executor)
    nested = inside_task()
    executor = "serial" if nested else executor
    value, wanted = _slots(args) if traverse else _at_top(args)
    if not wanted:
        return args
    with pickled.own_modules_by_value() if executor in AWAY else contextlib.nullcontext():
        tasks = _tasks(wanted, (lambda body: body.packed()) if executor in AWAY else (lambda body: body))
    program, storage = Explicit.from_mapping(tasks, [need.key for need in wanted]), MemoryStorage()
    try:
        if nested:
            serial.run(program, storage)
        else:
            run_named(program, storage, executor, workers, progress=progress, trace=trace)
    except TaskError as error:
        cause = exception_of(error, program)
        raise cause from cause.__cause__
    tiles = [program.tile_of(need.key) for need in wanted]
    found = storage.get(tiles)
    results: tuple[Any, ...] = filled(value, [_opened(found[tile]) for tile in tiles])
    return results


def persist(*args: Any, traverse: bool = True, **options: Any) -> tuple[Any, ...]:
    """The arguments with all that is delayed in them computed and kept in this process, in one job.

    What is delayed in containers too, unless `traverse` is false; other options are those of `compute`.

    >>> (kept,) = persist(delayed(sum)([1, 2]), executor="serial")
    >>> (kept + 1).compute(executor="serial")
    4
    """
    value, wanted = _slots(args) if traverse else _at_top(args)
    values = compute(*wanted, traverse=False, **options)
    kept: tuple[Any, ...] = filled(value, [_known(*pair) for pair in zip(wanted, values, strict=True)])
    return kept


def _known(given: Delayed, value: Any) -> Delayed:
    return Delayed(given.key, Noted(_same, ((value,), {})), (), given._length)


def _at_top(args: tuple[Any, ...]) -> tuple[Any, tuple[Delayed, ...]]:
    wanted = {each.key: each for each in args if isinstance(each, Delayed)}
    places = {key: Slot(place) for place, key in enumerate(wanted)}
    return tuple(places[each.key] if isinstance(each, Delayed) else each for each in args), tuple(wanted.values())


def _tasks(wanted: tuple[Delayed, ...], body: Callable[[Noted], Any]) -> dict[str, tuple[Any, ...]]:
    """A task for each value that the wanted ones need."""
    tasks: dict[str, tuple[Any, ...]] = {}
    stack = list(wanted)
    while stack:
        value = stack.pop()
        if value.key not in tasks:
            tasks[value.key] = (body(value._body), *(need.key for need in value._needs))
            stack.extend(value._needs)
    return tasks


def _opened(block: Any) -> Any:
    if isinstance(block, Failed):
        raise block.open()
    return block.open() if isinstance(block, Returned) else block
