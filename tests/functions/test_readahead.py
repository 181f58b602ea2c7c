"""Sources that are read together are read beside each other, each once, and hand over what they are, or raise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from wukong_sched.drivers.graphs import Graph
from wukong_sched.functions.readahead import READERS, ReadAhead
from wukong_sched.program import Tile

SOURCES: list[Tile] = [("a", (number,)) for number in range(READERS)]
CHEAP: Tile = ("c", ())
MADE: Tile = ("v", (0, 0))
SECONDS = 60.0
"""Longer than any machine takes to start a few threads."""


@pytest.fixture
def helper() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(READERS) as running:
        yield running


def ahead(helper: ThreadPoolExecutor, read: Callable[[Tile], int]) -> ReadAhead:
    return ReadAhead(Graph([[] for _ in SOURCES], [(0, 0)]), helper, 1 << 20, read)


def test_sources_are_under_way_together(helper: ThreadPoolExecutor) -> None:
    together, asked = threading.Barrier(READERS), list[Tile]()

    def read(tile: Tile) -> int:
        asked.append(tile)
        together.wait(SECONDS)
        return tile[1][0]

    program = ahead(helper, read)
    program.expect([*SOURCES, CHEAP, MADE])
    assert [program.read(tile) for tile in SOURCES] == list(range(READERS))
    assert sorted(asked) == SOURCES


def test_one_source_is_read_by_who_asks(helper: ThreadPoolExecutor) -> None:
    program = ahead(helper, lambda tile: threading.get_ident())
    program.expect([SOURCES[0], CHEAP])
    assert program.read(SOURCES[0]) == program.read(CHEAP) == threading.get_ident()


def test_what_a_source_raises_comes_to_who_asks_for_it(helper: ThreadPoolExecutor) -> None:
    def read(tile: Tile) -> int:
        if tile == SOURCES[1]:
            raise OSError("gone")
        return tile[1][0]

    program = ahead(helper, read)
    program.expect(SOURCES)
    assert program.read(SOURCES[2]) == 2
    with pytest.raises(OSError, match="gone"):
        program.read(SOURCES[1])


def test_what_nobody_asked_for_is_not_handed_over_later(helper: ThreadPoolExecutor) -> None:
    read = list[Tile]()

    def noted(tile: Tile) -> int:
        read.append(tile)
        return len(read)

    program = ahead(helper, noted)
    program.expect(SOURCES[:2])
    program.expect(SOURCES[2:])
    last = program.read(SOURCES[0])
    assert read[last - 1] == SOURCES[0]


def test_a_single_source_is_read_while_its_reader_is_busy(helper: ThreadPoolExecutor) -> None:
    """And handed over, not read again, when it is fetched."""
    readers = list[int]()

    def noted(tile: Tile) -> int:
        readers.append(threading.get_ident())
        return tile[1][0]

    program = ahead(helper, noted)
    program.expect([SOURCES[3]], True)
    program.expect([SOURCES[3], CHEAP], False)
    assert program.read(SOURCES[3]) == 3
    assert len(readers) == 1 and readers[0] != threading.get_ident()


def test_what_was_expected_in_vain_is_given_up(helper: ThreadPoolExecutor) -> None:
    """A source that nobody asked for is read again by whoever does."""
    may, readers = threading.Event(), list[int]()

    def noted(tile: Tile) -> int:
        readers.append(threading.get_ident())
        may.wait(0 if readers[-1] == threading.get_ident() and len(readers) > READERS else SECONDS)
        return tile[1][0]

    program = ahead(helper, noted)
    program.expect(SOURCES, True)
    threading.Timer(0.05, may.set).start()
    program.close()
    assert program.read(SOURCES[0]) == 0
    assert readers[-1] == threading.get_ident()


def test_what_is_read_ahead_outlives_other_fetches(helper: ThreadPoolExecutor) -> None:
    """A fan-in may come between a leaf that is read ahead and its turn."""
    asked = list[Tile]()

    def noted(tile: Tile) -> int:
        asked.append(tile)
        return tile[1][0]

    program = ahead(helper, noted)
    program.expect(SOURCES[:1], True)
    program.expect([MADE], False)
    program.expect(SOURCES[1:], False)
    assert [program.read(tile) for tile in SOURCES[1:]] == [1, 2, 3]
    program.expect(SOURCES[:1], False)
    assert program.read(SOURCES[0]) == 0
    assert sorted(asked) == SOURCES


def test_nothing_is_read_after_the_end(helper: ThreadPoolExecutor) -> None:
    """What is under way is waited for, so that its bytes are counted."""
    may, done = threading.Event(), list[Tile]()

    def slow(tile: Tile) -> int:
        assert may.wait(SECONDS)
        done.append(tile)
        return 0

    program = ahead(helper, slow)
    program.expect(SOURCES, True)
    threading.Timer(0.05, may.set).start()
    program.close()
    ended = len(done)
    helper.submit(lambda: None).result()
    assert len(done) == ended
