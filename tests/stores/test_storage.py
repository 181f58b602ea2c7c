"""Each tile store against the one suite, and against the store in memory under random commands."""

import secrets

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.stores.storage_suite import EncodedStorageSuite, StorageSuite
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.keys import Keys, never
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.storage.redis import RedisObjects
from wukong_sched.storage.tiered import Placement, TieredObjects
from wukong_sched.storage.tiles import TileStorage


class TestMemory(StorageSuite):
    @pytest.fixture
    def storage(self):
        return MemoryStorage()


class Encoded(EncodedStorageSuite):
    @pytest.fixture
    def storage_for(self, objects, job):
        made = []

        def make(is_wanted=never, job=job):
            made.append(TileStorage(objects, Keys(job, is_wanted)))
            return made[-1]

        yield make
        for storage in made:
            storage.sweep()

    @pytest.fixture
    def storage(self, storage_for):
        return storage_for()


class TestFilesystem(Encoded):
    @pytest.fixture
    def objects(self, tmp_path):
        return FilesystemObjects(tmp_path)


class TestRedis(Encoded):
    @pytest.fixture
    def objects(self, valkey):
        objects = RedisObjects(valkey.url)
        yield objects
        objects.close()


class TestTiered(Encoded):
    @pytest.fixture
    def objects(self, valkey, tmp_path):
        redis = RedisObjects(valkey.url)
        placement = Placement(usd_per_second=1e-9)
        yield TieredObjects(redis, FilesystemObjects(tmp_path), placement=placement)
        redis.close()


TILES = st.tuples(st.sampled_from("abAB"), st.lists(st.integers(-1, 2), max_size=2).map(tuple))
BLOCKS = st.sampled_from([np.arange(3), np.zeros((2, 2)), np.random.default_rng(5).random(90_000), np.ones(1)])


class AgainstMemory(RuleBasedStateMachine):
    """The same commands, the same answers."""

    def make(self):
        raise TypeError("a subclass makes the store")

    def __init__(self):
        super().__init__()
        self.reference, self.storage = MemoryStorage(), self.make()

    @rule(blocks=st.dictionaries(TILES, BLOCKS, max_size=4))
    def put(self, blocks):
        self.reference.put(blocks)
        self.storage.put(blocks)

    @rule(tiles=st.lists(TILES, max_size=6, unique=True))
    def get(self, tiles):
        expected, found = self.reference.get(tiles), self.storage.get(tiles)
        assert list(found) == list(expected) or set(found) == set(expected)
        assert all(np.array_equal(found[tile], block) for tile, block in expected.items())

    @rule(tiles=st.lists(TILES, max_size=4))
    def delete(self, tiles):
        self.reference.delete(tiles)
        self.storage.delete(tiles)

    @invariant()
    def listed(self):
        assert sorted(self.storage.tiles()) == sorted(self.reference.tiles())

    def teardown(self):
        self.storage.sweep()
        assert list(self.storage.tiles()) == []


@pytest.mark.parametrize("kind", ["filesystem", "redis", "tiered"])
def test_a_store_agrees_with_memory(kind, valkey, tmp_path):
    files, redis = FilesystemObjects(tmp_path), RedisObjects(valkey.url)
    objects = {"filesystem": files, "redis": redis, "tiered": TieredObjects(redis, files)}[kind]

    class Machine(AgainstMemory):
        def make(self):
            return TileStorage(objects, Keys(secrets.token_hex(6)))

    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=20))
    redis.close()
