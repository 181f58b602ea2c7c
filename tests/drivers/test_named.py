"""Drivers by name say what they cannot make sense of."""

from __future__ import annotations

from typing import Any

import pytest

from wukong_sched.drivers.named import DRIVERS, run_named
from wukong_sched.explicit import Explicit
from wukong_sched.storage.memory import MemoryStorage


@pytest.mark.parametrize(
    ("workers", "error", "told"),
    [
        (0, ValueError, "workers must be greater than 0, got 0"),
        (-2, ValueError, "workers must be greater than 0, got -2"),
        (1.5, TypeError, "workers must be an integer, got 1.5"),
        ("2", TypeError, "workers must be an integer, got '2'"),
    ],
)
@pytest.mark.parametrize("executor", DRIVERS)
def test_what_is_no_number_of_workers_is_refused_by_all(
    executor: str, workers: Any, error: type[Exception], told: str
) -> None:
    program = Explicit.from_mapping({"a": (pow, 2, 5)}, ["a"])
    with pytest.raises(error, match=told):
        run_named(program, MemoryStorage(), executor, workers)


def test_an_executor_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="there is no executor 'processes'; known: threads, serial, functions"):
        run_named(Explicit.from_mapping({"a": (pow, 2, 5)}, ["a"]), MemoryStorage(), "processes")
