from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sarray as sa
from sarray.elementwise import BINARY, BITS, FLOATS, TRUTHS, UNARY
from tests.arrays.drawn import NUMBERS, chunk, chunked, dense

RENAMED = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "bitwise_invert": "invert", "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift", "pow": "power",
}  # fmt: skip
"""The standard's names -> NumPy's."""

OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.and_,
    operator.or_, operator.xor, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip


def numpy_function(name: str) -> Any:
    return getattr(np, RENAMED.get(name, name))


def same(found: Any, expected: Any) -> None:
    """Equal in type, shape and every bit (of NaN: in being NaN)."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found)[~np.isnan(found)], np.signbit(expected)[~np.isnan(expected)])


def tried(function: Any, *arguments: Any) -> Any:
    """What NumPy gives, or the type of what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*arguments)
        except TypeError:
            return TypeError
        except OverflowError:
            return OverflowError


def compare(ours: Any, theirs: Any, expected: Any) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected):
            theirs(*ours)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(theirs(*ours).compute(executor="serial"), expected)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_functions_of_one_array_are_numpys(name: str, dtype: str) -> None:
    values = np.array([-2, -1, 0, 0.5, 1, 3, 100, 7]).astype(dtype)
    if values.dtype.kind == "f":
        values[:3] = -0.0, np.nan, np.inf
    compare([sa.from_array(values, 3)], getattr(sa, name), tried(numpy_function(name), values))


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=25)
@given(data=st.data())
def test_functions_of_two_arrays_are_numpys(name: str, data: st.DataObject) -> None:
    left, x = data.draw(chunked(2, NUMBERS, most=6))
    shape = data.draw(st.sampled_from([left.shape, left.shape[1:], (1,), (left.shape[0], 1), ()]))
    right = np.abs(data.draw(dense(NUMBERS, shape)))
    right = np.minimum(right, 7) if right.dtype.kind in "iu" else right
    y = chunk(data.draw, right, 2)
    compare([x, y], getattr(sa, name), tried(numpy_function(name), left, right))


@pytest.mark.parametrize("call", OPERATORS, ids=lambda call: call.__name__)
@settings(max_examples=25)
@given(
    pair=chunked((0, 2), NUMBERS, most=6), scalar=st.sampled_from([True, 2, -3, 1.5, 2j, np.float32(0.1), np.int8(5)])
)
def test_scalars_are_weak_as_in_numpy(call: Any, pair: tuple[NDArray[Any], sa.Array], scalar: Any) -> None:
    values, x = pair
    compare([x, scalar], call, tried(call, values, scalar))
    compare([scalar, x], call, tried(call, scalar, values))


@pytest.mark.parametrize("exponent", [2, 3, 0, 0.5, -1.0, 2.0])
@pytest.mark.parametrize("dtype", ["i4", "f4", "f8", "c16"])
def test_powers_have_numpys_bits(exponent: float, dtype: str) -> None:
    values = (np.random.default_rng(0).random(50) * 9 + 1).astype(dtype)
    with np.errstate(invalid="ignore"):
        same((sa.from_array(values, 7) ** exponent).compute(), values**exponent)
        same((exponent ** sa.from_array(values, 7)).compute(), exponent**values)


def test_integers_divide_to_float64() -> None:
    same((sa.asarray([1, 2, 3]) / 2).compute(), np.array([0.5, 1.0, 1.5]))


@given(chunked((1, 3), ("f8",)))
def test_a_chain_with_a_diamond_is_numpys(pair: tuple[NDArray[Any], sa.Array]) -> None:
    values, x = pair
    with np.errstate(all="ignore"):
        inner = values * 2 + 1
        expected = np.where(inner > 0, inner**2, -inner) - inner
        y = x * 2 + 1
        same(sa.where(y > 0, y**2, -y).__sub__(y).compute(executor="serial"), expected)


def test_clip_round_astype_and_parts() -> None:
    values = np.array([-1.5, 0.5, np.nan, 2.5])
    x = sa.from_array(values, 3)
    same(sa.clip(x, -1, 1).compute(), np.clip(values, -1, 1))
    same(sa.clip(x, max=1).compute(), np.clip(values, None, 1))
    same(sa.clip(x).compute(), values)
    same(sa.clip(x, sa.asarray([0.0, 1, 2, 3]), None).compute(), np.clip(values, [0.0, 1, 2, 3], None))
    same(sa.round(x * 1.25, 1).compute(), np.round(values * 1.25, 1))
    same(sa.astype(sa.where(sa.isnan(x), 0, x), "i4").compute(), np.nan_to_num(values).astype("i4"))
    z = sa.asarray(np.array([1 + 2j, 3 - 1j]))
    same(sa.compute(z.real, z.imag, z.conj()), np.array([[1, 3], [2, -1], [1 - 2j, 3 + 1j]]))


def test_a_divmod_and_inplace_operators() -> None:
    x = y = sa.asarray([7, 8, 9], chunks=2)
    y += 1
    same(
        sa.compute(*divmod(x, 4), *divmod(60, x), y),
        np.array([*divmod(np.arange(7, 10), 4), *divmod(60, np.arange(7, 10)), [8, 9, 10]]),
    )


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: sa.ones(3) + sa.ones(4), ValueError, r"add: shapes \(3,\) and \(4,\).*x\[:, None\]"),
        (lambda: sa.ones(3) & 1, TypeError, r"bitwise_and\(float64, 1\).*astype"),
        (lambda: sa.ones(3, dtype="u1") + 300, OverflowError, "astype"),
        (lambda: sa.ones(3, dtype="?") - sa.ones(3, dtype="?"), TypeError, "subtract"),
        (lambda: sa.asarray(["a", "b"]), TypeError, "unique"),
        (lambda: sa.asarray([object()]), TypeError, "astype"),
        (lambda: sa.ones(3).astype(object), TypeError, "object"),
        (lambda: sa.asarray(np.array(["2020-01-01"], "M8[D]")), TypeError, "int64"),
        (lambda: sa.ones(3) + "a", TypeError, "unsupported operand"),
        (lambda: sa.ones(3) + None, TypeError, "unsupported operand"),
        (lambda: sa.ones(3) + ["a"] * 3, TypeError, "unique"),
        (lambda: operator.eq(sa.ones(3), None), TypeError, "equal: .*None.*x is None"),
        (lambda: sa.ones(3) == "a", TypeError, "equal: .*'a' of type str"),
        (lambda: operator.eq("a", sa.ones(3)), TypeError, "equal: .*'a' of type str"),
        (lambda: sa.ones(3) != "a", TypeError, "not_equal: .*'a' of type str"),
        (lambda: operator.eq(sa.ones(3), object()), TypeError, "equal: .*of type object"),
        (lambda: sa.where(sa.ones(2) > 0, sa.ones(2), None), TypeError, "where: elements of type object"),
        (lambda: sa.where(True, sa.ones(2), np.datetime64("2020")), TypeError, "where"),
        (lambda: sa.add(sa.ones(2), None), TypeError, "add"),
        (lambda: sa.where(True, sa.ones(2), sa.ones(3)), ValueError, "where"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_built(build: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build()


def test_numpys_floating_point_warnings_follow_the_callers_errstate() -> None:
    x = sa.from_array(np.array([1.0, 0.0, 4.0]), 1)
    with np.errstate(divide="ignore"):
        same((1 / x).compute(workers=2), np.array([1.0, np.inf, 0.25]))


@pytest.mark.parametrize("call", OPERATORS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("other", [[1, 2], (3, 1), [[1], [2]]])
def test_sequences_are_operands_as_in_numpy(call: Any, other: Any) -> None:
    values = np.array([1, 3])
    same(call(sa.asarray(values), other).compute(), call(values, other))
    same(call(other, sa.asarray(values)).compute(), call(other, values))
    same(np.add(sa.asarray(values), other).compute(), np.add(values, other))
    if call is operator.add:
        same((sa.asarray(values) @ [1, 2]).compute(), values @ [1, 2])


def test_a_stranger_with_an_equality_of_its_own_decides() -> None:
    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert (sa.ones(3) == Anything()) is True


@pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "f4", "f8", "c16", "?"])
@pytest.mark.parametrize("decimals", [-1, 0, 1])
def test_rounding_is_numpys(dtype: str, decimals: int) -> None:
    values = np.array([15, 25, 5, 35, 4]).astype(dtype)
    compare([sa.from_array(values, 2), decimals], sa.round, tried(np.round, values, decimals))


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_functions_say_their_types_as_numpy_gives_them(name: str) -> None:
    x = np.ones(1, "i8")
    with np.errstate(all="ignore"):
        dtype = numpy_function(name)(*[x] * (1 if name in UNARY else 2)).dtype
    assert (dtype.kind == "b", dtype == np.float64) == (name in TRUTHS, name in FLOATS or name == "divide")
    assert (tried(numpy_function(name), *[x * 1.0] * (1 if name in UNARY else 2)) is TypeError) == (name in BITS)
    assert f">>> sa.{name}(" in getattr(sa, name).__doc__
