"""What functions move, start and write: counts that say whether what could stay local did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.delivery import Delivery, Place, Result
from sarray.executors import limits_of
from sarray.lower import lower
from sarray.parking import parked
from tests.functions.conftest import HANDLER
from tests.functions.programs import chain, crowd, tree
from wukong_sched.drivers.functions import LocalFunctions, run
from wukong_sched.functions.carried import Wishes
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.usage import Usage
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.trace import Trace, ran, stored, written_in_vain

MB = 10**6


@pytest.fixture(scope="module")
def eight() -> Iterator[LocalFunctions]:
    """Eight sandboxes that stay warm."""
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=8, provisioned=8)) as running:
        yield running


def used(array: Any, functions: LocalFunctions) -> Usage:
    """What computing an array takes; nothing but the array is delivered."""
    with sa.config(executor="functions", workers=functions.function.concurrency) as asked:
        program = lower([array.expression], limits_of(asked)).program
    places: dict[str, Place] = {array.expression.name: Result(array.expression, set())}
    outcome: Any = run(program, Delivery(MemoryStorage(), places), functions, park=parked)
    usage: Usage = outcome.usage
    return usage


def moved(usage: Usage) -> tuple[int, int]:
    """Bytes read, those of sources among them, and bytes written."""
    return sum(usage.bytes_read.values()), sum(usage.bytes_written.values())


def test_a_chain_is_one_invocation_without_reads_and_with_one_write(functions: LocalFunctions) -> None:
    outcome: Any = run(chain(1000), MemoryStorage(), functions)
    usage = outcome.usage
    assert (usage.tasks, usage.executors) == (1000, 1)
    assert (sum(usage.gets.values()), sum(usage.puts.values())) == (0, 1)


def test_tasks_of_unknown_cost_are_shared(functions: LocalFunctions) -> None:
    """Nobody can say how long they take; the first that was measured tells."""
    outcome: Any = run(crowd(40), MemoryStorage(), functions)
    assert outcome.usage.executors >= 2


def test_a_users_function_is_shared_among_the_idle(functions: LocalFunctions) -> None:
    usage = used(sa.map_blocks(nap, sa.ones((20, 4), chunks=(1, 4))), functions)
    assert usage.executors >= 2


def nap(block: Any) -> Any:
    """The block, after a while."""
    import time

    time.sleep(0.05)
    return block + 1.0


def test_a_tree_writes_only_what_crosses_from_one_executor_to_another(eight: LocalFunctions) -> None:
    """4,096 leaves on eight sandboxes. Where executors meet, each fan-in takes one tile that was written.

    Two of them may give up waiting for each other at the same moment; then both write, and one of them in vain.
    """
    program, trace = tree(4096), Trace()
    run(program, MemoryStorage(), eight, wishes=Wishes(trace=trace))
    executors, tiles = ran(trace), stored(trace)
    assert len(executors) == 8191
    assert 2 * len(written_in_vain(trace, program)) <= len(tiles)
    assert len(tiles) <= 16 * len(set().union(*executors.values()))


def test_r_reads_its_source_once_and_little_else(functions: LocalFunctions, rng: np.random.Generator) -> None:
    a = rng.standard_normal((32_768, 64))
    usage = used(sa.tsqr(sa.from_array(a, chunks=(1024, 64)))[1], functions)
    read, written = moved(usage)
    assert usage.bytes_read["source"] == a.nbytes
    assert read - a.nbytes <= MB and written <= MB


@pytest.mark.long
@pytest.mark.parametrize(
    ("work", "most_read", "most_written"),
    [
        (lambda rng: sa.tsqr(sa.from_array(rng.standard_normal((262_144, 128)), chunks=(8192, 128)))[1], 272.5, 4),
        (lambda rng: square(rng) @ square(rng), 540, 130),
        (lambda rng: sa.cholesky(definite(rng)), 300, 140),
    ],
    ids=["tsqr", "gemm", "cholesky"],
)
def test_bytes_at_full_size(
    functions: LocalFunctions, rng: np.random.Generator, work: Any, most_read: float, most_written: float
) -> None:
    """Two sandboxes, MB as the memory holds them."""
    read, written = moved(used(work(rng), functions))
    assert read <= most_read * MB and written <= most_written * MB


def square(rng: np.random.Generator) -> Any:
    return sa.from_array(rng.standard_normal((4000, 4000)), chunks=1000)


def definite(rng: np.random.Generator) -> Any:
    a = rng.standard_normal((4000, 4000))
    return sa.from_array(a + a.T + 8 * np.sqrt(4000) * np.eye(4000), chunks=500)
