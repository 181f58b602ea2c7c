"""Arrays evaluated by the serial driver, their programs verified first."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

import sarray as sa
from sarray.lower import lower
from sarray.lowering.builder import Limits
from wukong_sched.drivers import serial
from wukong_sched.program import verify_program
from wukong_sched.storage.memory import MemoryStorage

LIMITS = Limits(task_bytes=2**30, workers=2)
LAPACK = ("float32", "float64", "complex64", "complex128")


def evaluate(*arrays: sa.Array, limits: Limits = LIMITS, verify: bool = True) -> list[NDArray[Any]]:
    """Values of the arrays; every block is checked to have the shape and type that its array promises."""
    expressions = [array.expression for array in arrays]
    program = lower(expressions, limits).program
    if verify:
        verify_program(program)
    storage = MemoryStorage()
    serial.run(program, storage)
    return [_assembled(expression, storage) for expression in expressions]


def _assembled(expression: Any, storage: MemoryStorage) -> NDArray[Any]:
    whole = np.empty(expression.shape, expression.dtype)
    for index in product(*map(range, expression.numblocks)):
        tile = (expression.name, index)
        block = storage.get([tile])[tile]
        place = tuple(slice(*grid.bounds(n)) for grid, n in zip(expression.chunks, index, strict=True))
        assert (block.shape, block.dtype) == (whole[place].shape, whole.dtype)
        whole[place] = block
    return whole


def value(array: sa.Array, **options: Any) -> NDArray[Any]:
    """Value of one array."""
    return evaluate(array, **options)[0]


def filled(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "float64") -> NDArray[Any]:
    """Numbers of a type: normal ones, or small integers, or bool."""
    kind = np.dtype(dtype)
    numbers = rng.standard_normal(shape)
    if kind.kind == "c":
        return (numbers + 1j * rng.standard_normal(shape)).astype(kind)
    if kind.kind in "biu":
        return rng.integers(0, 2 if kind.kind == "b" else 100, shape).astype(kind)
    return numbers.astype(kind)


@st.composite
def cuts(draw: st.DrawFn, extent: int, empty: bool = True) -> tuple[int, ...]:
    """Sizes that add up to an extent: 3 blocks or more in half of the cases, some of them without elements."""
    least = 3 if extent >= 3 and draw(st.booleans()) else 1
    inner = st.integers(0 if empty else 1, extent if empty else max(1, extent - 1))
    edges = draw(st.lists(inner, min_size=least - 1, max_size=6, unique=not empty))
    if not empty:
        edges = [edge for edge in edges if 0 < edge < extent]
    bounds = [0, *sorted(edges), extent]
    return tuple(high - low for low, high in pairwise(bounds))
