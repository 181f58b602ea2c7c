from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sarray as sa
from tests.arrays.drawn import cuts

CALLS: list[Any] = [
    lambda rng, size, chunks: rng.random(size, chunks=chunks),
    lambda rng, size, chunks: rng.uniform(-3, 5, size, chunks=chunks, dtype="f4"),
    lambda rng, size, chunks: rng.standard_normal(size, chunks=chunks),
    lambda rng, size, chunks: rng.normal(2, 0.5, size, chunks=chunks),
    lambda rng, size, chunks: rng.integers(-5, 12, size, chunks=chunks),
    lambda rng, size, chunks: rng.integers(0, 255, size, dtype="u1", endpoint=True, chunks=chunks),
]


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=25)
@given(st.data())
def test_values_do_not_depend_on_chunks(call: Any, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 12), max_size=3)))
    chunks = tuple(data.draw(cuts(extent, min(3, extent + 1))) for extent in shape)
    whole = call(sa.random.default_rng(5), shape, -1)
    pieces = call(sa.random.default_rng(5), shape, chunks)
    assert pieces.chunks == chunks
    np.testing.assert_array_equal(whole.compute(executor="serial"), pieces.compute(executor="serial"))


def test_values_do_not_depend_on_the_executor_or_on_being_kept() -> None:
    x = sa.random.default_rng(1).normal(size=(50, 20), chunks=(7, 6))
    first = x.compute(executor="serial")
    kept_sum, second = sa.compute(x.sum(axis=0), x, workers=3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(kept_sum, first.sum(axis=0))


def test_each_call_is_another_stream_and_each_seed_another_generator() -> None:
    rng = sa.random.default_rng(1)
    draws = [rng.random(100).compute(), rng.random(100).compute(), sa.random.default_rng(2).random(100).compute()]
    assert len({draw.tobytes() for draw in draws}) == 3
    assert sa.random.default_rng(1).random(100).compute().tobytes() == draws[0].tobytes()
    assert sa.random.default_rng(rng) is rng
    assert repr(rng) == "sarray.random.Generator(seed=1)"


def test_without_a_seed_a_generator_tells_its_own() -> None:
    rng = sa.random.default_rng()
    again = sa.random.default_rng(rng.seed)
    assert (rng.random(10) == again.random(10)).all()
    assert sa.random.default_rng().seed != rng.seed


def test_moments_and_bounds() -> None:
    rng = sa.random.default_rng(11)
    normal, uniform, whole = sa.compute(
        rng.normal(3, 2, 10**5), rng.uniform(-1, 1, 10**5), rng.integers(3, 9, 10**5, chunks=1000)
    )
    assert abs(normal.mean() - 3) < 0.05 and abs(normal.std() - 2) < 0.05
    assert uniform.min() >= -1 and uniform.max() < 1 and abs(uniform.mean()) < 0.02
    np.testing.assert_array_less(np.bincount(whole)[3:] / 10**5, 1 / 6 + 0.01)
    assert set(whole.tolist()) == set(range(3, 9))


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda rng: sa.random.default_rng(-1), ValueError, r"default_rng\(1\)"),
        (lambda rng: rng.normal(0, -1, 3), ValueError, "scale=-1"),
        (lambda rng: rng.random(3, dtype="i4"), TypeError, r"\.astype\('int32'\)"),
        (lambda rng: rng.integers(5, 5, 3), ValueError, "low < high"),
        (lambda rng: rng.standard_normal(-1), ValueError, r"no negative extents, got \(-1,\)"),
        (lambda rng: rng.random((2, 2.5)), TypeError, r"tuple of ints, got \(2, 2.5\)"),
        (lambda rng: rng.uniform(0, np.inf), OverflowError, "high=inf"),
        (lambda rng: rng.uniform(np.nan, 1), OverflowError, "low=nan"),
        (lambda rng: rng.uniform(-1e308, 1e308), OverflowError, "not finite in float64"),
        (lambda rng: rng.uniform(0, 1e39, dtype="f4"), OverflowError, "not finite in float32"),
        (lambda rng: rng.uniform(5, 1), ValueError, "low=5, high=1"),
        (lambda rng: rng.integers(0, 300, 3, dtype="i1"), ValueError, "wider dtype"),
    ],
)
def test_what_cannot_be_drawn_is_refused(build: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build(sa.random.default_rng(0))


@pytest.mark.parametrize(
    "draw",
    [
        sa.random.random,
        sa.random.standard_normal,
        lambda size, **options: sa.random.normal(1.0, 2.0, size, **options),
        lambda size, **options: sa.random.uniform(-1.0, 1.0, size, **options),
        lambda size, **options: sa.random.integers(10**9, size=size, **options),
    ],
)
def test_functions_without_a_generator_never_repeat(draw: Any) -> None:
    first, second = draw((40, 3), chunks=(7, 2)), draw((40, 3), chunks=(7, 2))
    assert first.shape == (40, 3) and first.chunks[1] == (2, 1)
    first, second = sa.compute(first, second)
    assert not np.any(first == second)
