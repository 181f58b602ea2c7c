"""``executor="functions"``: the same values, to the bit, as in threads."""

import numpy as np
import pytest

import sarray as sa


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
