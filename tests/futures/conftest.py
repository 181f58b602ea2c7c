"""What the tests of futures share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wukong_sched.futures import FunctionExecutor


@pytest.fixture(params=["threads", "functions"])
def pool(request: pytest.FixtureRequest) -> Iterator[FunctionExecutor]:
    """Two workers, in threads and in functions."""
    with FunctionExecutor(request.param, workers=2) as executor:
        yield executor


@pytest.fixture
def threads() -> Iterator[FunctionExecutor]:
    """Two threads."""
    with FunctionExecutor(workers=2) as executor:
        yield executor
