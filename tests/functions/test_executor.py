"""``executor="functions"``: the same values, to the bit, as in threads."""

import subprocess
import sys
import time

import numpy as np
import pytest

import sarray as sa
from tests.house.tree import ROOT
from wukong_sched.errors import MemoryLimitError

PROGRAM = """
import sarray as sa
print(float((sa.ones((8, 2), chunks=2) + 1).sum().compute(executor="functions", workers=1)))
"""


@pytest.fixture
def x() -> sa.Array:
    return sa.random.default_rng(3).standard_normal((2_000, 30), chunks=(300, 30))


def test_functions_compute_what_threads_compute(x: sa.Array) -> None:
    q, r = sa.tsqr(x)
    arrays = (q, r, x.T @ x, (x * 2 + 1).mean(axis=0))
    expected = sa.compute(*arrays, executor="threads")
    found = sa.compute(*arrays, executor="functions", workers=2)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_task_raises_comes_back(x: sa.Array) -> None:
    with pytest.raises(sa.TaskError, match="not positive definite"):
        sa.cholesky(-sa.eye(40, chunks=10)).compute(executor="functions", workers=2)


def test_warm_functions_end_quietly_with_the_interpreter() -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("32.0\n", "", 0)


def test_a_task_larger_than_a_function_is_refused_before_anything_runs() -> None:
    x = sa.random.default_rng(0).random((4000, 4000), chunks=4000)
    with (
        sa.config(functions_memory="128MiB"),
        pytest.raises(MemoryLimitError, match=r"the memory limit is 128\.0 MiB; .*set functions\.memory"),
    ):
        sa.svd(x).S.compute(executor="functions", workers=2)


def test_a_function_of_one_second_hands_over_and_goes_on() -> None:
    with sa.config(functions_timeout=1.0):
        x = sa.map_blocks(slow, sa.ones(8, chunks=1), dtype=float)
        assert x.sum().compute(executor="functions", workers=2) == 8


def slow(block: np.ndarray) -> np.ndarray:
    time.sleep(0.3)
    return block
