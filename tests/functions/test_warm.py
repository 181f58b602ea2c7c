"""What a warm process keeps, and what it fetches ahead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.functions.events import JobName, Message
from wukong_sched.functions.readahead import MOST, Reader
from wukong_sched.functions.warm import Recent, WarmStorage
from wukong_sched.program import Tile
from wukong_sched.storage.memory import MemoryStorage

TILES = [("t", (number,)) for number in range(12)]
STEPS = st.lists(st.tuples(st.sampled_from(["keep", "find", "forget"]), st.sampled_from(TILES)), max_size=60)


def block(tile: Tile) -> Any:
    """As many bytes as the tile's number says, times 8."""
    return np.full(tile[1][0], float(tile[1][0]))


@given(steps=STEPS, limit=st.integers(0, 400))
def test_what_is_kept_is_right_recent_and_bounded(steps: list[tuple[str, Tile]], limit: int) -> None:
    recent, order = Recent(limit), dict[Tile, None]()
    for what, tile in steps:
        if what == "keep" and tile not in order and (found := block(tile)).nbytes <= limit and found.nbytes:
            recent.keep(tile, found)
            order[tile] = None
            while sum(8 * each[1][0] for each in order) > limit:
                del order[next(iter(order))]
        elif what == "find":
            known = recent.find(tile)
            assert (known is not None) == (tile in order)
            if known is not None:
                np.testing.assert_array_equal(known, block(tile))
                order[tile] = order.pop(tile)
        elif what == "forget":
            recent.forget(tile)
            order.pop(tile, None)
        assert (recent.nbytes, len(recent)) == (sum(8 * each[1][0] for each in order), len(order))


class Watched(MemoryStorage):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tile] = []

    def get(self, tiles: Sequence[Tile]) -> dict[Tile, Any]:
        self.asked += tiles
        return super().get(tiles)


def test_a_warm_store_asks_once_and_not_for_what_it_put_itself() -> None:
    inner = Watched()
    storage = WarmStorage(inner, Recent(10_000))
    storage.put({TILES[1]: block(TILES[1])})
    inner.put({TILES[2]: block(TILES[2])})
    for _ in range(3):
        assert set(storage.get(TILES[1:4])) == {TILES[1], TILES[2]}
    assert inner.asked == [TILES[2], TILES[3], TILES[3], TILES[3]]
    storage.delete([TILES[1], TILES[2]])
    assert storage.get(TILES[1:3]) == {}
    assert list(storage.tiles()) == []


@given(
    count=st.integers(0, 40),
    limit=st.integers(0, 400),
    skipped=st.sets(st.integers(0, 40)),
    twice=st.sets(st.integers(0, 40)),
)
def test_what_is_read_ahead_is_what_is_asked_for(count: int, limit: int, skipped: set[int], twice: set[int]) -> None:
    tiles = [("t", (number,)) for number in range(count)]
    read: list[Tile] = []

    def fetch(tile: Tile) -> int:
        read.append(tile)
        return tile[1][0]

    with ThreadPoolExecutor(1) as helper:
        reader = Reader(fetch, tiles, lambda tile: 10, helper, limit)
        for number in range(count):
            for _ in range((number not in skipped) + (number in twice)):
                assert reader(tiles[number]) == number
        assert len(reader._ahead) <= MOST
        reader.close()
    asked = sum((number not in skipped) + (number in twice) for number in range(count))
    assert len(read) <= asked + len(skipped)


def test_an_error_of_reading_ahead_comes_to_who_asks() -> None:
    def fetch(tile: Tile) -> int:
        if tile == TILES[1]:
            raise LookupError("gone")
        return 1

    with ThreadPoolExecutor(1) as helper:
        reader = Reader(fetch, TILES[:3], lambda tile: 1, helper, 100)
        assert reader(TILES[0]) == 1
        with pytest.raises(LookupError, match="gone"):
            reader(TILES[1])
        assert reader(TILES[2]) == 1


@given(
    job=st.text(),
    id=st.text(),
    share=st.integers(1, 10**6),
    sent=st.floats(0, 2e9),
    every=st.floats(0, 100),
    tiles=st.dictionaries(st.text(), st.binary()),
)
def test_messages_survive_json(
    job: str, id: str, share: int, sent: float, every: float, tiles: dict[str, bytes]
) -> None:
    message = Message(JobName(job, "hash", "numpy", True), id, share, sent, every, tiles)
    assert Message.from_event(json.loads(message.to_json())) == message
