"""The counting store is a store, and counts right."""

from __future__ import annotations

import pytest

from tests.stores.storage_suite import StorageSuite
from wukong_sched.storage.counting import CountingStorage
from wukong_sched.storage.memory import MemoryStorage


class TestCounting(StorageSuite):
    @pytest.fixture
    def storage(self) -> CountingStorage:
        return CountingStorage(MemoryStorage(), lambda tile: 1)


def test_bytes_and_requests_are_counted() -> None:
    storage = CountingStorage(MemoryStorage(), lambda tile: 10 ** tile[1][0])
    storage.put({("x", (1,)): "a", ("x", (2,)): "b"})
    assert (storage.requests, storage.bytes_written, storage.bytes_read) == (2, 110, 0)
    assert storage.get([("x", (2,)), ("x", (3,))]) == {("x", (2,)): "b"}
    assert (storage.requests, storage.bytes_written, storage.bytes_read) == (4, 110, 100)
    storage.delete([("x", (1,))])
    assert list(storage.tiles()) == [("x", (2,))]
