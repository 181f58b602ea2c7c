"""What calls in functions return is what it was then, whoever keeps it or is given it, and changes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wukong_sched.delayed import compute, delayed
from wukong_sched.drivers import serial
from wukong_sched.futures import FunctionExecutor
from wukong_sched.futures.arguments import Slot
from wukong_sched.futures.away import Deliveries, Parcels
from wukong_sched.futures.calls import Call
from wukong_sched.futures.parcel import Lent, Parcel, packed
from wukong_sched.noted import Noted
from wukong_sched.storage import pickled
from wukong_sched.storage.memory import MemoryStorage

PATIENCE = 60.0
"""Seconds after which a test gives up."""


class Marked:
    """Tells whether it travelled."""

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, ("travelled",)


def added(value: Any) -> list[float]:
    """The elements, after one was added to the first of them in place."""
    value[0] += 1
    return list(value)


def run_here(calls: list[Call], directory: Path) -> list[Any]:
    """What calls return if one function runs them all; nobody holds the futures of those whose number is negative."""
    held = [call.future for call in calls if call.number >= 0]
    parcels = Parcels(calls, directory)
    calls.clear()
    program, storage = parcels.program(), MemoryStorage()
    assert program is not None
    serial.run(program, storage)
    for tile, block in storage.get(list(program.wanted())).items():
        Deliveries(parcels).put({tile: block})
    return [future.result(0) for future in held]


@pytest.mark.parametrize("data", [[1.0, 2.0], deque([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0], object)])
def test_what_calls_change_in_place_no_other_sees(data: Any, tmp_path: Path) -> None:
    first = Call(0, copy, (data,), {})
    second = Call(1, copy, (first.future,), {})
    last = [Call(number, added, (need.future,), {}) for number, need in enumerate([first] * 3 + [second] * 2, 2)]
    found = run_here([first, second, *last], tmp_path)
    assert list(found[0]) == list(found[1]) == list(data)
    assert found[2:] == [added(copy(data))] * 5


@pytest.mark.parametrize(
    "kept", [[0, 0], deque([0, 0]), {0: 0, 1: 0}, np.zeros(2), np.zeros(4)[::2], np.zeros(2, object)]
)
@pytest.mark.parametrize("held", [True, False])
def test_what_a_function_keeps_of_what_it_returns_changes_no_result(kept: Any, held: bool, tmp_path: Path) -> None:
    def step(number: int) -> Any:
        kept[1] = number
        return kept

    def taken(value: Any) -> int:
        value[0] = 9
        return int(value[1])

    calls = [Call(number if held else -1, step, (number,), {}) for number in range(4)]
    calls += [Call(number, taken, (each.future,), {}) for number, each in enumerate(calls)]
    found = run_here(calls, tmp_path)
    assert found[-4:] == [0, 1, 2, 3]
    assert [(each[0], each[1]) for each in found[:-4]] == [(0, 0), (0, 1), (0, 2), (0, 3)][: 4 * held]


KEPT = np.zeros(1000)
ADDRESSES: list[int] = []


def noted(array: Any) -> Any:
    """The array; where it is, is noted."""
    ADDRESSES.append(array.ctypes.data)
    return array


def fresh() -> Any:
    return noted(np.ones(1000))


def turned() -> Any:
    return noted(np.ones((10, 100)).T)


def kept() -> Any:
    return noted(KEPT)


def part_of_kept() -> Any:
    return noted(KEPT[10:])


def read_only() -> Any:
    return noted(np.frombuffer(b"12345678"))


@pytest.mark.parametrize(
    ("function", "is_copied"), [(fresh, False), (turned, False), (kept, True), (part_of_kept, True), (read_only, True)]
)
def test_an_array_that_nobody_else_holds_is_handed_on_without_a_copy(
    function: Callable[[], Any], is_copied: bool
) -> None:
    found = Parcel("call", pickled.dumps(function), ())()
    assert (found.ctypes.data != ADDRESSES.pop()) is is_copied


def test_an_array_that_a_call_was_given_a_copy_of_is_handed_on_without_another() -> None:
    found = Parcel("call", pickled.dumps(noted), packed((Slot(0),), {}))(Lent(KEPT))
    assert found.ctypes.data == ADDRESSES.pop() != KEPT.ctypes.data


def test_what_is_plain_is_handed_on_without_being_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    values = (None, True, 1, 1.5, 1j, "text", b"bytes")
    parcels = [Parcel("call", pickled.dumps(copy), (value,)) for value in values]
    monkeypatch.delattr(pickled, "dumps")
    assert [parcel().open() for parcel in parcels] == list(values)


def test_what_a_delayed_call_returns_is_pickled_only_if_it_travels() -> None:
    body = pickled.loads(pickled.dumps(Noted(Marked, ((), {})).packed()))
    assert type(body().open()) is Marked
    assert pickled.loads(pickled.dumps(body())).open() == "travelled"


@pytest.mark.parametrize("takers", [1, 2])
def test_what_one_call_alone_is_given_travels_too(takers: int, tmp_path: Path) -> None:
    made = Call(-1, Marked, (), {})
    calls = [made, *(Call(number, lambda value: type(value).__name__, (made.future,), {}) for number in range(takers))]
    del made
    assert run_here(calls, tmp_path) == ["str"] * takers


def test_what_cannot_be_pickled_is_the_same_for_all_in_one_process(tmp_path: Path) -> None:
    made = Call(-1, threading.Lock, (), {})
    calls = [
        made,
        *(Call(number, lambda lock: lock.acquire(blocking=False), (made.future,), {}) for number in range(3)),
    ]
    del made
    assert sorted(run_here(calls, tmp_path)) == [False, False, True]


@pytest.mark.parametrize("data", [[1.0, 2.0], np.array([1.0, 2.0])])
def test_results_that_calls_in_functions_change_come_back_as_they_were(data: Any) -> None:
    with FunctionExecutor("functions", workers=1) as pool:
        first = pool.submit(copy, data)
        last = [pool.submit(added, first) for _ in range(4)]
        assert [future.result(PATIENCE) for future in last] == [[2.0, 2.0]] * 4
        assert list(first.result(PATIENCE)) == [1.0, 2.0]


def solved(number: int) -> Any:
    return np.multiply(np.ones(4), number, out=KEPT[:4])


def test_a_work_array_that_calls_return_is_of_each_as_it_was_then() -> None:
    with FunctionExecutor("functions", workers=1) as pool:
        assert [each[0] for each in pool.map(solved, range(40))] == list(range(40))
    found = compute(*map(delayed(solved), range(10)), executor="functions", workers=1)
    assert [each[0] for each in found] == list(range(10))
