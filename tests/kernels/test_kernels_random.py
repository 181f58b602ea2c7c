"""Random blocks: the same values however an array is cut, in the right distribution, up to the tails."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import kernels.philox
from kernels.philox import Runs, Way, _scattered, _single, _spanned, key_words, run_draws
from kernels.random import integers_block, integers_cost, normal_block, normal_cost, uniform_block, uniform_cost

Block = NDArray[Any]
N = 200_000


def _integers(key: Any, shape: Any, offset: Any, extent: Any) -> Block:
    return integers_block(key, shape, offset, extent, low=-5, high=10**12)


WAYS = [(2000, 3, 90), (0, 1, 10**9), (10**9, 1, 10**12), (10**9, 10**6, 1)]
"""Prices of a start, a draw and a counter: as measured; and those that make each way the cheapest."""
KERNELS: list[Callable[..., Block]] = [uniform_block, normal_block, _integers]


@st.composite
def _boxes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.integers(1, 9), max_size=4)))
    offset = tuple(draw(st.integers(0, n)) for n in shape)
    return shape, offset, tuple(draw(st.integers(0, n - o)) for n, o in zip(shape, offset, strict=True))


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=150, deadline=None)
@given(box=_boxes(), way=st.sampled_from(WAYS), piece=st.sampled_from([1, 3, 8, 1 << 15]))
def test_a_block_is_a_slice_of_the_whole(
    kernel: Callable[..., Block], box: Any, way: tuple[float, float, float], piece: int
) -> None:
    shape, offset, extent = box
    whole = kernel(11, shape, (0,) * len(shape), shape)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("START", "DRAW", "COUNTER", "PIECE"), (*way, piece), strict=True):
            patch.setattr(kernels.philox, name, value)
        block = kernel(11, shape, offset, extent)
    index = tuple(slice(o, o + e) for o, e in zip(offset, extent, strict=True))
    assert_array_equal(block, whole[index], strict=True)
    assert block.flags.c_contiguous


@pytest.mark.parametrize("shape", [(50_000, 3), (3, 50_000), (400, 400)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_large_blocks_are_slices_of_the_whole(kernel: Callable[..., Block], shape: tuple[int, int]) -> None:
    whole = kernel((1, 2), shape, (0, 0), shape)
    for offset, extent in [
        ((1, 1), (2, 2)),
        ((0, 1), (shape[0], 2)),
        ((1, 0), (2, shape[1])),
        ((2, 2), (shape[0] - 2, 1)),
    ]:
        rows, columns = (slice(o, o + e) for o, e in zip(offset, extent, strict=True))
        assert_array_equal(kernel((1, 2), shape, offset, extent), whole[rows, columns])


def test_far_elements_need_no_walk() -> None:
    huge = (10**12, 10**6)
    corner = normal_block(5, huge, (10**12 - 2, 10**6 - 3), (2, 3))
    last = normal_block(5, huge, (10**12 - 1, 10**6 - 1), (1, 1))
    assert corner[1, 2] == last[0, 0]


def test_draws_are_philoxs() -> None:
    words = np.random.SeedSequence([1, 1, 7]).generate_state(2, np.uint64)
    raw = np.random.Philox(key=words).random_raw(10)
    assert_array_equal(uniform_block(7, (10,), (0,), (10,)), (raw >> np.uint64(11)) * 2.0**-53)
    assert_array_equal(uniform_block(7, (10,), (0,), (10,), "f4"), (raw >> np.uint64(40)) * np.float32(2.0**-24))


@pytest.mark.parametrize(
    ("step", "length", "expected"),
    [
        (64, 32, (_spanned, 512)),
        (10**6, 4, (_scattered, 4096)),
        (10**6, 1000, (_single, 32)),
        (10**6, 10**5, (_single, 1)),
        (1000, 2, (_scattered, 4096)),
    ],
)
def test_the_cheapest_way_is_taken(step: int, length: int, expected: tuple[Way, int]) -> None:
    assert kernels.philox._cheapest(Runs(length, 1000, step, iter([0]))) == expected


def test_short_runs_are_handed_on_together() -> None:
    """A hundred runs of a thousand draws, far apart, come 32 at a time: as many draws as one piece has."""
    pieces = [(run, column, draws.shape) for run, column, draws in run_draws(3, Runs(1000, 100, 10**6, iter([7])))]
    assert pieces == [(0, 0, (32, 1000)), (32, 0, (32, 1000)), (64, 0, (32, 1000)), (96, 0, (4, 1000))]


@pytest.mark.parametrize("start", [0, 1, 4, 1023, 2**33 + 3, 2**61])
def test_the_rounds_in_numpy_are_philoxs(start: int) -> None:
    words = key_words(9)
    philox = np.random.Philox(key=words)
    philox.advance(start)
    counters = np.arange(start, start + 7, dtype=np.uint64)
    assert_array_equal(kernels.philox._philox(counters, words).reshape(-1), philox.random_raw(28))


def test_values_are_pinned() -> None:
    assert uniform_block(0, (3,), (0,), (3,)).tolist() == PINNED["uniform"]
    np.testing.assert_allclose(normal_block(0, (3,), (0,), (3,)), PINNED["normal"], rtol=1e-14)
    assert integers_block(0, (3,), (0,), (3,), high=1000).tolist() == PINNED["integers"]


def test_keys_give_unrelated_values() -> None:
    keys: list[Any] = [0, 1, (0, 1), (1, 0), 2**100, 2**32, ()]
    values = [normal_block(key, (N,), (0,), (N,)) for key in keys]
    correlation = np.corrcoef(values) - np.eye(len(keys))
    assert np.abs(correlation).max() < 5 / math.sqrt(N)


@pytest.mark.parametrize("key", [-1, (3, -2)])
def test_negative_keys_are_refused(key: Any) -> None:
    with pytest.raises(ValueError, match="a key is a non-negative integer"):
        uniform_block(key, (1,), (0,), (1,))


def test_numpy_integers_are_keys() -> None:
    one: Any = np.int64(7)
    assert_array_equal(uniform_block(one, (3,), (0,), (3,)), uniform_block(7, (3,), (0,), (3,)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_uniform_is_uniform(dtype: str) -> None:
    x = uniform_block(3, (N,), (0,), (N,), dtype)
    assert x.dtype == np.dtype(dtype)
    assert x.min() >= 0 and x.max() < 1
    assert scipy.stats.kstest(x, "uniform").pvalue > 1e-4
    y = uniform_block(3, (N,), (0,), (N,), dtype, low=-2, high=6)
    np.testing.assert_allclose(y, x * 8 - 2, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_normal_is_normal(dtype: str) -> None:
    x = normal_block(3, (N,), (0,), (N,), dtype)
    assert x.dtype == np.dtype(dtype)
    assert scipy.stats.kstest(x, "norm").pvalue > 1e-4
    assert abs(scipy.stats.skew(x)) < 0.03 and abs(scipy.stats.kurtosis(x)) < 0.06
    neighbours = np.corrcoef(x[:-1], x[1:])[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(N)
    y = normal_block(3, (N,), (0,), (N,), dtype, loc=10, scale=0.5)
    np.testing.assert_allclose(y, x * 0.5 + 10, rtol=1e-6)


@pytest.mark.parametrize("draw", [0, 1, 2**64 - 1, 2**64 - 2, 2**63, 2**63 - 1])
def test_extreme_draws_give_finite_normals_and_uniforms_below_one(draw: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.philox._Stream, "take", lambda self, start, count: np.full(count, draw, np.uint64))
    normal = float(normal_block(0, (1,), (0,), (1,))[0])
    probability = ((draw >> 11) + 0.5) * 2.0**-54
    assert math.isfinite(normal) and abs(normal) < 8.4
    assert abs(normal) == -scipy.special.ndtri(probability)
    assert 0 <= uniform_block(0, (1,), (0,), (1,))[0] < 1
    assert 0 <= uniform_block(0, (1,), (0,), (1,), "f4")[0] < 1
    assert integers_block(0, (1,), (0,), (1,), high=7)[0] == draw * 7 >> 64


@settings(max_examples=100, deadline=None)
@given(low=st.integers(-(2**63), 2**63 - 1), width=st.integers(1, 2**64), draw=st.integers(0, 2**64 - 1))
def test_integers_are_the_upper_half_of_the_product(low: int, width: int, draw: int) -> None:
    high = min(low + width, 2**63)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels.philox._Stream, "take", lambda self, start, count: np.full(count, draw, np.uint64))
        value = int(integers_block(0, (1,), (0,), (1,), low=low, high=high)[0])
    assert value == low + (draw * (high - low) >> 64)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_integers_of_every_type_fill_their_range(dtype: str) -> None:
    info = np.iinfo(dtype)
    x = integers_block(2, (N,), (0,), (N,), dtype, low=int(info.min), high=int(info.max) + 1)
    assert x.dtype == np.dtype(dtype)
    edges = np.linspace(float(info.min), float(info.max) + 1, 17)
    assert scipy.stats.chisquare(np.histogram(x.astype("f8"), edges)[0]).pvalue > 1e-4
    small = integers_block(2, (N,), (0,), (N,), dtype, low=3, high=8)
    assert scipy.stats.chisquare(np.bincount(small, minlength=8)[3:]).pvalue > 1e-4
    assert np.bincount(small).nonzero()[0].tolist() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(0, 0, "i8"), (5, 4, "i8"), (0, 257, "u1"), (-1, 5, "u4"), (0, 3, "?")]
)
def test_impossible_integers_say_why(low: int, high: int, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"integers from {low} to below {high} do not fit, or there are none"):
        integers_block(0, (1,), (0,), (1,), dtype, low=low, high=high)


@pytest.mark.parametrize("kernel", [uniform_block, normal_block])
@pytest.mark.parametrize("dtype", ["f2", "i4", "c16"])
def test_other_types_are_refused(kernel: Callable[..., Block], dtype: str) -> None:
    with pytest.raises(TypeError, match="random values are float32 or float64"):
        kernel(0, (1,), (0,), (1,), dtype)


def test_costs() -> None:
    assert uniform_cost(10, "f8").flops < normal_cost(10, "f8").flops
    assert integers_cost(10, "i1").bytes_out == 10


PINNED: dict[str, list[float]] = {
    "uniform": [0.0668020093396563, 0.07901298235490295, 0.005777118030780293],
    "normal": [-1.833003777387363, -1.7564419081877358, 2.7601706238599215],
    "integers": [66, 79, 5],
}
