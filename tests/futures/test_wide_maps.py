"""A hundred thousand calls in one map: each runs once, in few executors, and its result is in its place."""

from __future__ import annotations

import pytest

from wukong_sched.futures import FunctionExecutor

CALLS = 100_000


def test_a_hundred_thousand_calls_in_one_map(threads: FunctionExecutor) -> None:
    assert list(threads.map(lambda number: 3 * number, range(CALLS))) == list(range(0, 3 * CALLS, 3))


@pytest.mark.long
def test_a_hundred_thousand_calls_in_one_map_on_functions() -> None:
    with FunctionExecutor("functions", workers=2, record=True) as pool:
        assert list(pool.map(lambda number: 3 * number, range(CALLS))) == list(range(0, 3 * CALLS, 3))
    (record,) = pool.records
    assert len(record.program) == record.ran() == CALLS
    assert record.trace is not None
    executors = {id for id, _ in record.trace.histories}
    invocations = len(record.trace.histories)
    assert len(executors) <= invocations <= CALLS / 1000
