"""The choice of super-tiles: it fits, keeps workers busy, and reads little."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sarray.lowering.supertile import NEARLY, Product, balance, choose, task_bytes

MEGABYTE = 2**20
SQUARE = Product((6, 6), 1, 8 * MEGABYTE, 8 * MEGABYTE, 8 * MEGABYTE)


def tasks(product: Product, tile: tuple[int, int]) -> int:
    return product.batch * -(-product.blocks[0] // tile[0]) * -(-product.blocks[1] // tile[1])


products = st.builds(
    Product,
    blocks=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    batch=st.integers(1, 3),
    a_bytes=st.integers(1, 100),
    b_bytes=st.integers(1, 100),
    c_bytes=st.integers(1, 100),
)


@given(products, st.integers(1, 20_000), st.integers(1, 64))
def test_a_chosen_tile_fits_or_is_a_single_block(product: Product, limit: int, workers: int) -> None:
    tile = choose(product, limit, workers, 4)
    assert tile == (1, 1) or task_bytes(product, tile) <= limit


@given(products, st.integers(1, 64))
def test_workers_have_several_tasks_each_and_are_as_busy_as_with_single_blocks(product: Product, workers: int) -> None:
    tile = choose(product, 10**9, workers, 4)
    assert tile == (1, 1) or tasks(product, tile) >= 4 * workers
    assert balance(product, tile, workers) >= NEARLY * balance(product, (1, 1), workers)


def test_two_workers_share_36_blocks_in_twelve_equal_tasks_and_large_squares_in_squares() -> None:
    assert choose(SQUARE, 2**30, 2, 4) == (1, 3)
    assert balance(SQUARE, (1, 3), 2) == 1.0
    assert choose(replace(SQUARE, blocks=(24, 24)), 2**40, 2, 4) == (6, 12)


def test_less_memory_makes_smaller_tiles() -> None:
    areas = [down * across for down, across in (choose(SQUARE, limit * MEGABYTE, 2, 4) for limit in (40, 100, 1000))]
    assert areas == sorted(areas)
    assert areas[0] == 1
    assert areas[-1] == 3
