"""Functions behind a network like the cloud's: the same values, in no less time than their bytes take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.lambda_entry import CLASSES
from tests.functions.conftest import HANDLER
from tests.functions.programs import chain
from tests.functions.test_arrays import computed
from tests.functions.test_jobs import left, wanted
from wukong_sched.drivers.functions import POLICY, LocalFunctions, run
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.links import AWS
from wukong_sched.storage.memory import MemoryStorage


@pytest.fixture(scope="module")
def shaped() -> Iterator[LocalFunctions]:
    """Four warm sandboxes."""
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=4, provisioned=4), CLASSES, shape="aws") as running:
        yield running


def test_the_policy_knows_the_network(functions: LocalFunctions, shaped: LocalFunctions) -> None:
    assert functions.policy == POLICY
    assert shaped.policy == AWS.policy()


def test_sources_take_as_long_as_from_s3(shaped: LocalFunctions, rng: np.random.Generator) -> None:
    a = rng.standard_normal((65_536, 32))
    _, r = sa.tsqr(sa.from_array(a, chunks=(8192, 32)))
    (found,), usage = computed([r], shaped)
    np.testing.assert_array_equal(found, r.compute())
    assert usage.bytes_read["source"] == a.nbytes
    # Reading ahead hides some of that from the executors, but their bytes pass no sooner.
    assert usage.billed_seconds >= AWS.objects.read + a.nbytes / AWS.bandwidth


def test_stores_take_as_long_as_redis_and_s3(shaped: LocalFunctions, rng: np.random.Generator) -> None:
    a = rng.standard_normal((1000, 1000))
    (found,), usage = computed([sa.from_array(a, chunks=500) + 1], shaped)
    np.testing.assert_array_equal(found, a + 1)
    assert sum(usage.bytes_written.values()) >= a.nbytes
    assert usage.billed_seconds >= a.nbytes / AWS.bandwidth


def test_a_chain_is_one_invocation_there_too(shaped: LocalFunctions) -> None:
    program, storage = chain(100), MemoryStorage()
    outcome: Any = run(program, storage, shaped)
    assert storage.get(list(program.wanted())) == {next(program.wanted()): 99}
    assert outcome.usage.executors == 1
    assert left(shaped) == []


def test_sandboxes_that_start_late_are_cold() -> None:
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=1), CLASSES, shape="aws") as functions:
        (value,) = wanted(chain(3), functions).values()
        assert value == 2
        assert functions.service.endpoint.state()["cold"] == 1
