"""Arguments of calls: what stands for a result in them, what is handed on as it is, and what travels once."""

from __future__ import annotations

import multiprocessing
import re
import threading
import time
from collections import OrderedDict, defaultdict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.delayed import compute, delayed
from wukong_sched.futures import FunctionExecutor
from wukong_sched.futures.arguments import Slot, filled, replaced, slotted
from wukong_sched.futures.away import Parcels
from wukong_sched.futures.calls import Call

PATIENCE = 60.0
"""Seconds after which a test gives up."""


class Pair(NamedTuple):
    """A named tuple."""

    left: Any
    right: Any


@dataclass(frozen=True)
class Box:
    """A dataclass that cannot be changed, with a field that its constructor does not take."""

    content: Any
    label: str = field(default="box", init=False)


def handed(value: Any) -> Any:
    """What arrived."""
    return value


leaves = st.one_of(st.integers(), st.text(max_size=2), st.just(Slot(0)), st.just(Slot(1)))
nests = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Box, inner),
        st.dictionaries(st.text(max_size=2), inner, max_size=2),
    ),
    max_leaves=8,
)


@given(nests)
def test_what_is_taken_out_is_put_back_and_the_rest_is_the_same_object(value: Any) -> None:
    marks = [object(), object()]
    marked = filled(value, marks)
    found = slotted(marked, lambda part: Slot(marks.index(part)) if part in marks else None)
    assert filled(found, marks) == marked
    assert (slotted(marked, lambda part: None)) is marked
    assert filled(marked, []) is marked


def test_futures_are_found_in_every_kind_of_container(pool: FunctionExecutor) -> None:
    one = pool.submit(abs, -1)
    given = [Pair(one, 2), Box(one), {one, 5}, frozenset((one,)), slice(one, None)]
    expected = [Pair(1, 2), Box(1), {1, 5}, frozenset((1,)), slice(1, None)]
    assert [pool.submit(handed, value).result(PATIENCE) for value in given] == expected


def test_delayed_values_are_found_in_every_kind_of_container() -> None:
    one = delayed(abs)(-1)
    given = (Pair(one, 2), Box(one), {5, one}, [slice(one, None)])
    assert compute(*given, executor="serial") == (Pair(1, 2), Box(1), {1, 5}, [slice(1, None)])
    assert delayed([1, 2, 3])[one:].compute(executor="serial") == [2, 3]
    assert delayed(Box)(one).content.compute(executor="serial") == 1


def test_a_list_that_holds_no_future_is_handed_on_as_it_is(threads: FunctionExecutor) -> None:
    seen: list[int] = []
    threads.submit(list.append, seen, threads.submit(abs, -1)).result(PATIENCE)
    assert seen == [1]


def test_what_holds_itself_is_handed_on(pool: FunctionExecutor) -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    assert pool.submit(len, ring).result(PATIENCE) == 2
    assert pool.submit(lambda one, ring: ring[1] is ring, pool.submit(abs, -1), ring).result(PATIENCE)


def test_what_is_shared_is_looked_at_once_and_stays_shared() -> None:
    seen: list[Any] = []
    mark = object()
    nest: Any = [mark, 1]
    for _ in range(60):
        nest = [nest, nest]
    assert filled(nest, []) is nest
    found = replaced(nest, lambda part: seen.append(part) or "found")  # type: ignore[func-returns-value]
    for _ in range(60):
        assert found[0] is found[1]
        found = found[0]
    assert (found, seen) == (["found", 1], [mark])


def test_what_holds_itself_is_handed_on_with_results_beside_it() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    mark = object()
    found = filled([Slot(0), ring, {"a": [Slot(0)]}], [mark])
    assert found[1] is ring
    assert (found[0], found[2]) == (mark, {"a": [mark]})


def test_what_is_nested_too_deep_to_look_at_is_handed_on(pool: FunctionExecutor) -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    future = pool.submit(abs, -1)
    if pool.executor == "threads":
        found = pool.submit(lambda one, nest: (one, nest is deep), future, deep)
        assert found.result(PATIENCE) == (1, True)
    else:  # where it cannot be pickled, the call fails alone
        assert isinstance(pool.submit(len, deep).exception(PATIENCE), Exception)
    assert future.result(PATIENCE) == 1


def test_ordered_dicts_and_deques_hold_futures(pool: FunctionExecutor) -> None:
    one = pool.submit(abs, -1)
    given = [OrderedDict(b=one, a=2), deque([one, 5], maxlen=2), deque([[one]])]
    got = [pool.submit(handed, value).result(PATIENCE) for value in given]
    assert got == [OrderedDict(b=1, a=2), deque([1, 5]), deque([[1]])]
    assert list(map(type, got)) == [OrderedDict, deque, deque]
    assert [each.maxlen for each in got[1:]] == [2, None]


@pytest.mark.parametrize("wrap", [lambda it: defaultdict(int, a=it), lambda it: {it: 1}, lambda it: lambda: it])
def test_a_future_that_would_travel_is_told_where_it_stands_for_its_result(wrap: Any) -> None:
    with FunctionExecutor("functions", workers=2) as pool:
        one = pool.submit(abs, -1)
        error = pool.submit(handed, wrap(one)).exception(PATIENCE)
        assert isinstance(error, TypeError)
        for place in ("tuples", "lists", "sets", "dicts' values", "slices", "dataclasses", "OrderedDict", "deque"):
            assert place in str(error)
        assert one.result(PATIENCE) == 1


class Nameless:
    """Can be called, not shown."""

    def __repr__(self) -> str:
        raise ValueError("cannot be shown")

    def __call__(self) -> int:
        return 7


def test_functions_need_no_name_nor_text(pool: FunctionExecutor) -> None:
    assert pool.submit(Nameless()).result(PATIENCE) == 7
    assert pool.submit(partial(handed, 8)).result(PATIENCE) == 8


class Shy(Exception):
    """Can neither be loaded nor shown."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("one text")
        self.lock = threading.Lock()

    def __str__(self) -> str:
        raise ValueError("cannot be shown")


def raise_shy() -> None:
    raise Shy(1, 2)


def test_an_exception_that_can_neither_travel_nor_be_shown_is_named() -> None:
    with FunctionExecutor("functions", workers=2) as pool:
        bad, good = pool.submit(raise_shy), pool.submit(abs, -1)
        error = bad.exception(PATIENCE)
        assert isinstance(error, RuntimeError)
        assert "Shy" in str(error)
        assert "raise Shy(1, 2)" in str(error.__cause__)
        assert good.result(PATIENCE) == 1


@pytest.mark.parametrize(("library", "key"), [("concurrent.futures", ()), ("distributed", ("key",))])
@pytest.mark.parametrize("nested", [False, True])
def test_a_future_of_another_library_is_named_and_does_not_travel(
    library: str, key: tuple[str, ...], nested: bool
) -> None:
    other = pytest.importorskip(library).Future(*key)
    with FunctionExecutor("functions", workers=1) as pool:
        given = pool.submit(repr, {"a": [other]} if nested else other)
        good = pool.submit(abs, -1)
        error = given.exception(PATIENCE)
        assert good.result(PATIENCE) == 1
    assert isinstance(error, TypeError)
    assert re.match(rf"a {library}\S*Future cannot travel to functions; give its result\(\)", str(error))


def test_a_future_of_another_library_is_itself_in_threads(threads: FunctionExecutor) -> None:
    other: Future[int] = Future()
    assert threads.submit(lambda part: part, other).result(PATIENCE) is other


def test_an_array_that_many_calls_are_given_is_in_their_program_once(tmp_path: Path) -> None:
    big = np.arange(100_000.0)
    calls = [Call(number, handed, ([big, number], {"a": big}), {}) for number in range(1000)]
    held = [call.future for call in calls]
    program = Parcels(calls, tmp_path).program()
    assert program is not None
    assert len(held) == len(program) == 1000
    data = {tile for task in program.tasks() for tile in program.inputs(task)}
    assert [program.nbytes(tile) for tile in data] == [big.nbytes]


def test_each_call_may_change_the_array_that_it_is_given() -> None:
    big = np.asfortranarray(np.ones((200, 300)))

    def doubled(scale: Any, parts: dict[str, Any]) -> tuple[float, bool]:
        parts["x"] *= scale
        return float(parts["x"].sum()), bool(parts["x"].flags.f_contiguous)

    with FunctionExecutor("functions", workers=2) as pool:
        two = pool.submit(handed, 2)
        futures = [pool.submit(doubled, two, {"x": big}) for _ in range(20)]
        assert [future.result(PATIENCE) for future in futures] == [(120_000.0, True)] * 20
    assert float(big.sum()) == 60_000.0


def test_whoever_is_told_of_progress_may_submit() -> None:
    told: list[tuple[int, int]] = []
    more = threading.Event()

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 1:
            pool.submit(abs, -2)
            more.set()

    with FunctionExecutor(workers=1, progress=progress) as pool:
        pool.submit(abs, -1)
        assert more.wait(PATIENCE)
    assert (2, 2) in told


def test_a_map_of_endless_data_goes_no_further_ahead_than_its_buffer(pool: FunctionExecutor) -> None:
    read = count()
    results = pool.map(handed, read, buffersize=5)
    assert [next(results) for _ in range(7)] == list(range(7))
    assert next(read) == 5 + 7
    assert list(pool.map(pow, [2, 3, 4], [1, 2], buffersize=10)) == [2, 9]
    with pytest.raises(ValueError, match="buffersize"):
        pool.map(handed, read, buffersize=0)


@pytest.mark.parametrize("executor", ["threads", "functions"])
def test_joblib_gives_up_in_time(executor: str) -> None:
    joblib = pytest.importorskip("joblib")
    import sarray.joblib

    assert sarray.joblib.SarrayBackend.supports_timeout
    with joblib.parallel_backend("sarray", executor=executor, n_jobs=2), pytest.raises(multiprocessing.TimeoutError):
        joblib.Parallel(timeout=0.2)(joblib.delayed(time.sleep)(2) for _ in range(2))
