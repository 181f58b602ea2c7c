"""Functions on this machine that several tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.functions.settings import FunctionSettings

HANDLER = "sarray.lambda_entry.handler"


@pytest.fixture(scope="package")
def functions() -> Iterator[LocalFunctions]:
    """Two sandboxes that stay warm."""
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as running:
        yield running
