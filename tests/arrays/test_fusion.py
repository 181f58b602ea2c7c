from __future__ import annotations

import operator
import pickle
from functools import reduce
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.lower import lower
from sarray.lowering.builder import Limits

LIMITS = Limits(2**30, 2)


def program(*arrays: sa.Array, limits: Limits = LIMITS) -> Any:
    return lower([array.expression for array in arrays], limits).program


def values(*shape: int) -> sa.Array:
    return sa.from_array(np.random.default_rng(0).random(shape), 4)


@pytest.mark.parametrize(
    ("build", "tasks"),
    [
        (lambda x: (x * 2 + 1) ** 2, 9),
        (lambda x: (x + 1) * (x - 1), 9),
        (lambda x: (x * 2) + (x * 2).astype("f4"), 9),
        (lambda x: x - x[:1], 9),
        (lambda x: (x * 2).T + 1, 9),
        (lambda x: (x * 2)[None, :, None, :] + 1, 9),
        (lambda x: x + x.T, 9),
        (lambda x: x + sa.ones((12, 12), chunks=4) + sa.arange(12.0, chunks=4), 9),
        (lambda x: x + sa.random.default_rng(0).random((12, 12), chunks=4), 9),
        (lambda x: sa.where(x > 0.5, sa.exp(x), 0), 9),
        (lambda x: x.sum(), 9 + 1),
        (lambda x: ((x * 2 + 1) ** 2).mean(), 9 + 1),
        (lambda x: (x * 2).sum(axis=0), 9 + 3),
        (lambda x: (x * 2).T.max(axis=0, keepdims=True), 9 + 3),
        (lambda x: x.T, 9),
        (lambda x: x, 9),
        (lambda x: x[1:, 1:] * 2, 9),
        (lambda x: (sa.exp(x) * 2)[:3, 5], 1),
        (lambda x: (sa.exp(x) * 2).rechunk(12), 9 + 1),
        (lambda x: x.rechunk(6) + 1, 4),
        (lambda x: sa.broadcast_to(x[0], (12, 12), chunks=4) * 1, 9),
    ],
)
def test_one_task_per_block(build: Any, tasks: int) -> None:
    x = values(12, 12)
    y = build(x)
    assert len(program(y)) == tasks
    assert y.plan().tasks == tasks


def test_what_two_groups_need_is_computed_once() -> None:
    x = values(12)
    shared = sa.exp(x)
    assert len(program(shared.sum(), shared.max())) == 3 + 2 * (3 + 1)
    assert len(program(shared + 1, shared * 2)) == 3 + 3 + 3


def test_what_is_seen_in_two_places_is_computed_once() -> None:
    y = sa.exp(values(12, 12))
    assert len(program(y + y.T)) == 9 + 9


def test_a_wanted_part_of_a_chain_is_not_computed_twice() -> None:
    x = values(12)
    inner = x * 2
    found = program(inner, inner + 1)
    assert len(found) == 6
    inner_values, outer_values = sa.compute(inner, inner + 1)
    np.testing.assert_array_equal(inner_values + 1, outer_values)


def test_a_long_sum_does_not_need_all_its_blocks_at_once() -> None:
    arrays = [values(8) for _ in range(100)]
    total = reduce(operator.add, arrays)
    widest = max(len(found.inputs(task)) for found in [program(total)] for task in found.tasks())
    assert widest <= 16
    np.testing.assert_allclose(total.compute(), 100 * arrays[0].compute())


def test_a_long_chain_is_one_task_and_needs_no_recursion() -> None:
    x = y = sa.zeros(3)
    for _ in range(3000):
        y = y + 1
    assert len(program(y)) == 1
    assert y[0].compute() == 3000
    assert (x + 1).name == (x + 1).name != (x + 2).name


def test_random_tiles_are_kept_only_if_several_tasks_need_them() -> None:
    once = sa.random.default_rng(0).random((12, 12), chunks=4)
    assert len(program((once + 1).sum(axis=1))) == 9 + 3
    assert len(program(once.sum(), once.mean())) == 9 + 2 * (9 + 1)
    assert len(program(once.rechunk(3))) == 9 + 16


@pytest.mark.parametrize(
    "build",
    [
        lambda x: (x * 2 + 1).sum(),
        lambda x: (x + 1)[1:].rechunk((7, 13)),
        lambda x: sa.tree_reduce(x, max, 16).T,
        lambda x: (x - x.mean(axis=0)).astype("f4"),
    ],
)
def test_a_program_of_a_million_tiles_is_small(build: Any) -> None:
    found = program(build(sa.zeros((10**4, 10**4), chunks=10)))
    assert len(found) > 10**4
    assert len(pickle.dumps(found)) < 4096
