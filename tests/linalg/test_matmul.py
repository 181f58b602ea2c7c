"""matmul against NumPy: every shape, type and chunking, and the same bits whatever the super-tile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sarray as sa
from sarray.lower import lower
from sarray.lowering.builder import Limits
from tests.linalg.evaluation import LIMITS, cuts, filled, value

SMALL = Limits(task_bytes=600, workers=3)
TYPES = ("bool", "int8", "uint16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128")
Case = tuple[sa.Array, sa.Array, np.ndarray, np.ndarray]
TOLERANCE = {"float16": 1e-2, "float32": 1e-5, "complex64": 1e-5}


def check(product: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """The product is within the bound of any order of summation, |A| |B| k eps, from NumPy's (which has as much)."""
    expected = np.matmul(a, b)
    bound = 2 * (a.shape[-1] + 2) * np.finfo(float).eps * np.matmul(abs(a), abs(b))
    assert product.shape == np.shape(expected)
    assert (abs(product - expected) <= bound).all()


@st.composite
def factors(draw: st.DrawFn) -> tuple[sa.Array, sa.Array, np.ndarray, np.ndarray]:
    """Two matrices in any chunks, and as they are."""
    m, k, n = (draw(st.integers(0, 12)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    x = sa.asarray(a, chunks=(draw(cuts(m)), draw(cuts(k))))
    y = sa.asarray(b, chunks=(draw(cuts(k)), draw(cuts(n))))
    return x, y, a, b


@given(factors())
def test_any_chunks_give_numpys_product(case: Case) -> None:
    x, y, a, b = case
    check(value(x @ y), a, b)


@given(factors(), st.integers(1, 5000), st.integers(1, 8))
def test_the_super_tile_does_not_change_a_bit(case: Case, task_bytes: int, workers: int) -> None:
    x, y, _, _ = case
    if x.chunks[1] == y.chunks[0]:
        plain, other = value(x @ y), value(x @ y, limits=Limits(task_bytes, workers), verify=False)
        assert plain.tobytes() == other.tobytes()


@given(factors())
def test_transposes_are_read_where_they_lie(case: Case) -> None:
    x, y, a, b = case
    check(value(y.T @ x.T), b.T, a.T)


def test_gram_matrix_reads_the_tiles_of_x_alone(rng: np.random.Generator) -> None:
    a = rng.standard_normal((40, 5))
    x = sa.asarray(a, chunks=(3, -1))
    program = lower([(x.T @ x).expression], LIMITS).program
    sources = {name for name in program.arrays if not program.is_task_array(name)}
    assert len(sources) == 1
    check(value(x.T @ x), a.T, a)


SHAPES = [
    ((7,), (7,)),
    ((7,), (7, 4)),
    ((5, 7), (7,)),
    ((2, 5, 7), (7,)),
    ((7,), (3, 7, 4)),
    ((3, 1, 5, 7), (4, 7, 6)),
    ((3, 5, 7), (3, 7, 2)),
    ((2, 40, 50), (2, 50, 33)),
    ((1, 1), (1, 1)),
    ((0, 3), (3, 4)),
    ((3, 0), (0, 4)),
    ((0,), (0,)),
    ((0, 2, 3), (3, 2)),
    ((2, 3, 0), (0, 2)),
]


@pytest.mark.parametrize("chunks", [1, 3, -1])
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_vectors_and_stacks_multiply_as_in_numpy(
    left: tuple[int, ...], right: tuple[int, ...], chunks: int, rng: np.random.Generator
) -> None:
    if chunks == 1 and max(left) > 10:
        chunks = 17
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    product = sa.matmul(sa.asarray(a, chunks=chunks), sa.asarray(b, chunks=chunks))
    for limits in (LIMITS, SMALL):
        check(value(product, limits=limits), a, b)


def test_stacks_that_are_cut_differently_are_cut_alike(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((6, 3, 4)), rng.standard_normal((6, 4, 2))
    product = sa.asarray(a, chunks=(2, -1, 2)) @ sa.asarray(b, chunks=(3, 3, -1))
    assert product.chunks[0] == (2, 2, 2)
    check(value(product), a, b)


@pytest.mark.parametrize("right", TYPES)
@pytest.mark.parametrize("left", TYPES)
def test_types_are_numpys(left: str, right: str, rng: np.random.Generator) -> None:
    a, b = filled(rng, (5, 7), left), filled(rng, (7, 4), right)
    product = value(sa.asarray(a, chunks=3) @ sa.asarray(b, chunks=2), verify=False)
    expected = a @ b
    assert product.dtype == expected.dtype
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(product, expected)
    else:
        tolerance = max(TOLERANCE.get(left, 1e-13), TOLERANCE.get(right, 1e-13), TOLERANCE.get(str(expected.dtype), 0))
        np.testing.assert_allclose(product, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def test_float16_is_summed_in_float32() -> None:
    ones = np.ones((1, 4096), np.float16)
    product = value(sa.asarray(ones, chunks=(1, 100)) @ sa.asarray(ones.T, chunks=100))
    assert float(product[0, 0]) == 4096.0


@pytest.mark.parametrize("chunks", [(30, 30), (7, -1), (-1, 4), (1, 30)])
def test_long_sums_of_few_blocks_are_dealt_out(chunks: tuple[int, int], rng: np.random.Generator) -> None:
    a = rng.standard_normal((100, 3))
    x = sa.asarray(a, chunks=(2, -1))
    y = sa.asarray(a, chunks=chunks)
    check(value(x.T @ y), a.T, a)


def test_nan_and_infinity_spread_as_in_numpy() -> None:
    a, b = np.ones((4, 4)), np.ones((4, 4))
    a[1, 2], b[3, 0] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(value(sa.asarray(a, chunks=2) @ sa.asarray(b, chunks=2)), a @ b)


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ((3, 4), (5, 2), r"\(3, 4\) and \(5, 2\) do not fit: 4 columns against 5 rows"),
        ((), (3,), r"write a \* b for scalars"),
        ((2, 3, 4), (3, 4, 5), r"do not broadcast: \(2,\) against \(3,\)"),
        ((3,), (4,), r"\(3,\) and \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_when_built(
    left: tuple[int, ...], right: tuple[int, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        sa.matmul(np.ones(left), np.ones(right))


def test_threads_give_the_same_bits_as_the_serial_driver(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((60, 50)), rng.standard_normal((50, 70))
    product = sa.asarray(a, chunks=16) @ sa.asarray(b, chunks=16)
    assert product.compute().tobytes() == value(product).tobytes()
