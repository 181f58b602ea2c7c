"""Wanted tiles are on their way while other tasks run; the store that is asked for then waits for them, or raises."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from wukong_sched.drivers.graphs import Graph
from wukong_sched.functions.writebehind import WriteBehind, early
from wukong_sched.links import AWS
from wukong_sched.program import Tile
from wukong_sched.storage.memory import MemoryStorage

FIRST, SECOND = ("v", (0, 0)), ("v", (1, 0))
SECONDS = 60.0
"""Longer than any machine takes to start a thread."""


class Gated(MemoryStorage):
    """Puts nothing before it may; a tile that is called bad never."""

    def __init__(self) -> None:
        super().__init__()
        self.may, self.began = threading.Event(), threading.Event()
        self.puts: list[list[Tile]] = []

    def put(self, blocks: Mapping[Tile, Any]) -> None:
        self.began.set()
        assert self.may.wait(SECONDS)
        self.puts.append(list(blocks))
        if ("bad", ()) in blocks:
            raise OSError("no room")
        super().put(blocks)


@pytest.fixture
def helper() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as running:
        yield running


@pytest.fixture
def inner() -> Gated:
    return Gated()


def test_a_tile_is_on_its_way_before_it_is_asked_for(inner: Gated, helper: ThreadPoolExecutor) -> None:
    storage = WriteBehind(inner, helper)
    storage.begin(FIRST, 1.0)
    assert inner.began.wait(SECONDS)
    assert not list(inner.tiles())
    inner.may.set()
    storage.put({FIRST: 1.0, SECOND: 2.0})
    assert sorted(inner.puts) == [[FIRST], [SECOND]]
    assert storage.get([FIRST, SECOND]) == {FIRST: 1.0, SECOND: 2.0}


def test_a_tile_is_put_once(inner: Gated, helper: ThreadPoolExecutor) -> None:
    inner.may.set()
    storage = WriteBehind(inner, helper)
    storage.begin(FIRST, 1.0)
    storage.put({FIRST: 1.0})
    storage.close()
    assert inner.puts == [[FIRST]]


def test_what_went_wrong_is_raised_where_the_tile_is_stored(inner: Gated, helper: ThreadPoolExecutor) -> None:
    inner.may.set()
    storage = WriteBehind(inner, helper)
    storage.begin(("bad", ()), 1.0)
    with pytest.raises(OSError, match="no room"):
        storage.put({("bad", ()): 1.0})


def test_nothing_is_written_after_the_end(inner: Gated, helper: ThreadPoolExecutor) -> None:
    """What waits for a thread is given up, what is under way is waited for, whether it succeeds or not."""
    storage = WriteBehind(inner, helper)
    for number in range(4):
        storage.begin(("v", (number, 0)), float(number))
    storage.begin(("bad", ()), 0.0)
    assert inner.began.wait(SECONDS)
    threading.Timer(0.05, inner.may.set).start()
    storage.close()
    written = len(inner.puts)
    assert 1 <= written <= 2
    helper.submit(lambda: None).result()
    assert len(inner.puts) == written


@pytest.mark.parametrize(("numbers", "tiles"), [(1, []), (10**6, [FIRST])])
def test_what_begins_early(numbers: int, tiles: list[Tile]) -> None:
    """Wanted tiles whose bytes take longer than any request; neither small ones nor what may yet stay here."""
    program = Graph([[], []], [(0, 0)], outputs=[2, 1])
    block = np.zeros(numbers)
    assert [tile for tile, _ in early(program, AWS.policy(), ("leaf", (0,)), [block, block])] == tiles
    assert not list(early(program, AWS.policy(), ("leaf", (1,)), [block]))
