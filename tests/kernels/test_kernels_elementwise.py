"""Fused chains: the bits of NumPy step by step, for every function, type, layout and size of piece."""

from __future__ import annotations

import operator
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import kernels.elementwise
from kernels.elementwise import Chain, Step, chain_cost
from kernels.functions import FUNCTIONS
from kernels.reduction import REDUCTIONS, reduce_block

Block = NDArray[Any]
TYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
SPECIAL = {
    "astype": lambda x: x.astype("f8"),
    "pow": operator.pow,
    "real": np.real,
    "imag": np.imag,
    "where": lambda c, x, y: np.where(c.astype(bool), x, y),
}
ARITY = {"where": 3, "clip": 3, "pow": 2, "astype": 1, "real": 1, "imag": 1, "round": 1}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.elementwise, "PIECE", 64)


def _values(dtype: str, shape: tuple[int, ...], seed: int) -> Block:
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.asarray(rng.integers(0, 2, shape)).astype(dtype)
    if kind in "iu":
        info = np.iinfo(dtype)
        return np.asarray(rng.integers(info.min, info.max, shape, dtype, endpoint=True))
    x: Block = np.asarray(rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3, shape))
    flat = x.reshape(-1)
    if flat.size > 8:
        flat[:6] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]
    out = np.zeros(shape, dtype)
    out.real = x
    if kind == "c":
        out.imag = np.roll(x, 1)
    return out


def _reference(name: str, arguments: list[Any]) -> Any:
    function: Callable[..., Any] = SPECIAL.get(name, FUNCTIONS[name])
    return function(*arguments)


def _same_bits(actual: Block, expected: Any) -> None:
    expected = np.asarray(expected)
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    assert_array_equal(actual, expected)
    if actual.dtype.kind == "f":
        number = ~np.isnan(expected)
        assert_array_equal(np.signbit(actual[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_function_has_numpys_bits(name: str, dtype: str) -> None:
    function = FUNCTIONS[name]
    arity = ARITY.get(name) or getattr(function, "nin", 1)
    arguments = [_values(dtype, (7, 41), seed) for seed in range(arity)]
    try:
        expected = _reference(name, arguments)
    except (TypeError, ValueError):
        with pytest.raises((TypeError, ValueError)):
            Chain(arity, (), (Step(name, tuple(range(arity)), dtype),))(*arguments)
        return
    chain = Chain(arity, (), (Step(name, tuple(range(arity)), expected.dtype.str),))
    _same_bits(chain(*arguments), expected)
    kind = arguments[0].dtype.str
    in_place = Chain(arity, (), (Step("astype", (0,), kind), Step(name, (arity, *range(1, arity)), expected.dtype.str)))
    _same_bits(in_place(*arguments), expected)
    by_columns = chain(*[np.asfortranarray(a) for a in arguments])
    assert by_columns.flags.f_contiguous
    _same_bits(by_columns, expected)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("exponent", [2, 1, 3, 0, -1, 0.5, 2.0, 1.0, -1.0, 2.5, True, np.float32(2)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pow_of_a_constant_is_the_operators(dtype: str, exponent: Any) -> None:
    x = _values(dtype, (300,), 0)
    try:
        expected = x**exponent
    except (ValueError, OverflowError) as error:
        with pytest.raises(type(error)):
            Chain(1, (exponent,), (Step("pow", (0, 1), "i8"),))(x)
        return
    _same_bits(Chain(1, (exponent,), (Step("pow", (0, 1), expected.dtype.str),))(x), expected)


SHAPES = st.sampled_from(
    [(), (1,), (5,), (300,), (3, 5), (17, 19), (1, 200), (200, 1), (4, 5, 6), (2, 1, 90), (0,), (3, 0, 2), (2, 3, 4, 5)]
)


@st.composite
def _broadcast(draw: st.DrawFn) -> tuple[Block, Block]:
    """Two blocks that broadcast, in odd layouts."""
    shape = draw(SHAPES)
    smaller = tuple(1 if draw(st.booleans()) else n for n in shape)[draw(st.integers(0, max(0, len(shape)))) :]
    blocks = [
        _values(draw(st.sampled_from(["f4", "f8", "i4", "c16"])), s, draw(st.integers(0, 9))) for s in (shape, smaller)
    ]
    changes = [
        lambda x: x,
        np.asfortranarray,
        lambda x: x[::-1] if x.ndim else x,
        lambda x: np.repeat(x, 2, -1)[..., ::2] if x.ndim else x,
    ]
    first, second = (draw(st.sampled_from(changes))(b) for b in blocks)
    if draw(st.booleans()):
        first = first.astype(first.dtype.newbyteorder())
    first.flags.writeable = False
    return (first, second) if draw(st.booleans()) else (second, first)


@settings(max_examples=200, deadline=None)
@given(_broadcast())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_chains_broadcast_with_numpys_bits(blocks: tuple[Block, Block]) -> None:
    x, y = blocks
    with np.errstate(all="ignore"):
        # Arrays all the way: NumPy computes with its scalars by other means.
        a = np.asarray(x * 2)
        b = np.asarray(a + y)
        c = np.asarray(b * b)
        d = np.asarray(c - x)
        e = np.greater(np.abs(d), 1)
        expected = np.where(e, d, y)
        steps = (
            Step("multiply", (0, 2), a.dtype.str),
            Step("add", (4, 1), b.dtype.str),
            Step("multiply", (5, 5), c.dtype.str),
            Step("subtract", (6, 0), d.dtype.str),
            Step("abs", (7,), np.abs(d).dtype.str),
            Step("greater", (8, 3), "?"),
            Step("where", (9, 7, 1), expected.dtype.str),
        )
        chain = Chain(2, (2, 1), steps)
        kept = x.copy(), y.copy()
        result = chain(x, y)
    _same_bits(result, expected)
    assert result.dtype.isnative and (result.flags.c_contiguous or result.flags.f_contiguous)
    assert_array_equal(x, kept[0])
    assert_array_equal(y, kept[1])


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_receives_the_result_in_any_layout(order: Any) -> None:
    chain = Chain(1, (2,), (Step("multiply", (0, 1), "f8"), Step("exp", (2,), "f8")))
    x = np.linspace(0, 1, 1000).reshape(20, 50)
    whole = np.zeros((40, 100), order=order)
    out = whole[::2, ::2]
    assert chain(x, out=out) is out
    assert_array_equal(out, np.exp(x * 2))
    assert not whole[1::2].any() and not whole[:, 1::2].any()


def test_scratch_is_used_again() -> None:
    steps = tuple(Step("add", (n, 0), "f8") for n in range(30))
    plan, kinds = kernels.elementwise._plan(1, steps)
    assert len(kinds) == 1 and len(plan) == 30


def test_python_scalars_are_weak_and_numpy_scalars_are_not() -> None:
    x = np.ones(3, "f4")
    assert_array_equal(Chain(1, (2.5,), (Step("add", (0, 1), "f4"),))(x), x + 2.5, strict=True)
    assert_array_equal(Chain(1, (np.float64(2.5),), (Step("add", (0, 1), "f8"),))(x), x + np.float64(2.5), strict=True)
    with pytest.raises(OverflowError):
        Chain(1, (300,), (Step("add", (0, 1), "u1"),))(np.ones(3, "u1"))


def test_keyword_arguments_reach_the_function() -> None:
    x = np.array([1.256, 2.347])
    assert_array_equal(Chain(1, (), (Step("round", (0,), "f8", (("decimals", 1),)),))(x), [1.3, 2.3])


def test_warnings_are_numpys() -> None:
    chain = Chain(1, (), (Step("log", (0,), "f8"),))
    with pytest.warns(RuntimeWarning, match="divide by zero encountered in log"):
        chain(np.zeros(1000))
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isneginf(chain(np.zeros(1000))).all()


def test_chains_pickle_small_and_say_what_they_take() -> None:
    chain = Chain(1, (2, 1), (Step("multiply", (0, 1), "f8"), Step("add", (3, 2), "f8")))
    assert pickle.loads(pickle.dumps(chain)) == chain
    assert len(pickle.dumps(chain)) < 400
    with pytest.raises(ValueError, match="takes 1 blocks, not 2"):
        chain(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="shape mismatch"):
        Chain(2, (), (Step("add", (0, 1), "f8"),))(np.ones(2), np.ones(3))


@settings(max_examples=150, deadline=None)
@given(blocks=_broadcast(), name=st.sampled_from(sorted(REDUCTIONS)), data=st.data())
def test_reduced_agrees_with_reducing_the_value(blocks: tuple[Block, Block], name: str, data: st.DataObject) -> None:
    x, y = (np.asarray(np.arctan(np.nan_to_num(b.real.astype("f8")))) for b in blocks)
    chain = Chain(2, (), (Step("add", (0, 1), "f8"),))
    value = np.asarray(x + y)
    axes = (
        data.draw(st.none() | st.sets(st.integers(0, max(0, value.ndim - 1)), max_size=value.ndim).map(tuple))
        if value.ndim
        else None
    )
    keepdims = data.draw(st.booleans())
    result = chain.reduced(name, x, y, axis=axes, keepdims=keepdims)
    expected = reduce_block(name, value, axes, keepdims=keepdims)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    if name in ("sum", "prod"):
        bound = 1e-13 * (np.abs(value).sum() + 1) if name == "sum" else 0
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=bound)
    else:
        assert_array_equal(result, expected)
    assert_array_equal(result, chain.reduced(name, x, y, axis=axes, keepdims=keepdims))


def test_a_sum_in_pieces_is_as_accurate_as_pairwise() -> None:
    x = np.full(1_000_000, 0.1, "f4")
    total = Chain(1, (1,), (Step("multiply", (0, 1), "f4"),)).reduced("sum", x)
    assert abs(float(total) - 100_000) < 0.05


def test_cost_counts_steps_and_traffic() -> None:
    chain = Chain(2, (), (Step("add", (0, 1), "f8"), Step("exp", (2,), "f4")))
    cost = chain_cost(chain, [100, 10], [8, 4])
    assert (cost.flops, cost.bytes_in, cost.bytes_out) == (200, 840, 400)
