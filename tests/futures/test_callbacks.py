"""What a callback raises, be it meant to end a program, is logged, and harms nobody."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from wukong_sched.futures import CallFuture, FunctionExecutor

PATIENCE = 60.0
"""Seconds after which a test gives up."""
ENDS = [SystemExit, KeyboardInterrupt, GeneratorExit, ArithmeticError]


def wait_for(event: threading.Event) -> bool:
    return event.wait(PATIENCE)


def raises(kind: type[BaseException]) -> Any:
    def callback(future: Any) -> None:
        raise kind("from a callback")

    return callback


def logged(caplog: pytest.LogCaptureFixture) -> list[type[BaseException] | None]:
    return [record.exc_info[0] for record in caplog.records if record.exc_info is not None]


@pytest.mark.parametrize("kind", ENDS)
def test_other_calls_do_not_notice(pool: FunctionExecutor, kind: type[BaseException]) -> None:
    slow = pool.submit(time.sleep, 0.2)
    futures = [pool.submit(abs, -number) for number in range(50)]
    for future in (slow, futures[3]):
        with suppress(kind):  # raised here if the call is done already
            future.add_done_callback(raises(kind))
    assert [future.result(PATIENCE) for future in futures] == list(range(50))
    assert pool.submit(abs, -7).result(PATIENCE) == 7


@pytest.mark.parametrize("kind", ENDS)
def test_later_callbacks_are_called_and_calls_that_need_the_result_run(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    gate, told = threading.Event(), threading.Event()
    with FunctionExecutor(workers=2) as pool, caplog.at_level(logging.ERROR, "concurrent.futures"):
        slow = pool.submit(wait_for, gate)
        slow.add_done_callback(raises(kind))
        slow.add_done_callback(lambda future: told.set())
        while not slow.running():
            told.wait(0.001)
        later = pool.submit(lambda seen: seen, slow)  # parked behind the same future
        gate.set()
        assert slow.result(PATIENCE) and told.wait(PATIENCE)
        assert later.result(PATIENCE)
    assert logged(caplog) == [kind]


def test_a_future_that_is_cancelled_or_fails_shields_as_well(caplog: pytest.LogCaptureFixture) -> None:
    cancelled, failed = CallFuture(), CallFuture()
    for future in (cancelled, failed):
        future.add_done_callback(raises(SystemExit))
    assert cancelled.cancel()
    failed.set_exception(ValueError("of the call"))
    assert isinstance(failed.exception(), ValueError)
    assert logged(caplog) == [SystemExit] * 2
