"""What every tile store must do, to be inherited: a subclass gives the fixture `storage`, an empty store."""

import numpy as np
import pytest

A, B, C = ("a", (0,)), ("a", (1,)), ("B/ü[%", (-1, 2, 3))
NAMES = [A, B, C, ("a", ()), ("A", (0,)), ("n" * 700, (7,)), ("a[0]", (0,)), ("{a}", (0,)), ("*?", (5,)), ("a.", (0,))]


class StorageSuite:
    def test_what_is_put_is_got(self, storage):
        blocks = {A: np.arange(3), B: np.eye(40, order="F"), C: np.random.default_rng(1).random((3, 0, 2))}
        storage.put(blocks)
        found = storage.get(list(blocks))
        assert list(map(tuple, found)) == list(blocks)
        for tile, block in blocks.items():
            assert found[tile].dtype == block.dtype and np.array_equal(found[tile], block)

    def test_what_is_not_there_is_left_out(self, storage):
        storage.put({A: np.ones(2)})
        assert set(storage.get([B, A, C])) == {A}
        assert storage.get([]) == {}

    def test_the_first_value_stays(self, storage):
        storage.put({A: np.zeros(3)})
        storage.put({A: np.ones(3), B: np.ones(3)})
        found = storage.get([A, B])
        assert not found[A].any() and found[B].all()

    def test_deleted_tiles_are_gone_and_can_come_again(self, storage):
        storage.put({A: np.zeros(3), B: np.zeros(3)})
        storage.delete([A, C])
        storage.delete([A])
        assert set(storage.get([A, B])) == {B}
        storage.put({A: np.ones(3)})
        assert storage.get([A])[A].all()

    def test_names_are_kept_apart_and_listed(self, storage):
        storage.put({tile: np.full(1, number) for number, tile in enumerate(NAMES)})
        assert sorted(storage.tiles()) == sorted(NAMES)
        assert [int(block[0]) for block in storage.get(NAMES).values()] == list(range(len(NAMES)))
        storage.delete(NAMES)
        assert list(storage.tiles()) == []

    def test_many_tiles_go_at_once(self, storage):
        blocks = {("many", (i, j)): np.full(3, i * 30 + j) for i in range(10) for j in range(30)}
        storage.put(blocks)
        found = storage.get(list(blocks))
        assert all(np.array_equal(found[tile], block) for tile, block in blocks.items())
        storage.delete(list(blocks))
        assert storage.get(list(blocks)) == {}

    @pytest.mark.parametrize("nbytes", [1, 65_535, 65_536, 524_288, 524_289, 8 << 20, (17 << 20) + 5])
    def test_every_size_comes_back_to_the_bit(self, storage, rng, nbytes):
        block = rng.integers(0, 256, nbytes, np.uint8)
        storage.put({A: block})
        back = storage.get([A])[A]
        assert np.array_equal(back, block)
        storage.delete([A])
        assert storage.get([A]) == {} and list(storage.tiles()) == []


class EncodedStorageSuite(StorageSuite):
    """Of stores outside of this process."""

    def test_blocks_are_the_readers_own(self, storage, rng):
        for tile, block in ((A, np.arange(4.0)), (B, rng.random(200_000))):
            storage.put({tile: block})
            storage.get([tile])[tile][:] = -1
            assert np.array_equal(storage.get([tile])[tile], block)

    def test_trees_come_back(self, storage):
        storage.put({A: (np.arange(3), [None, 1.5])})
        array, rest = storage.get([A])[A]
        assert array.tolist() == [0, 1, 2] and rest == [None, 1.5]

    def test_a_sweep_leaves_wanted_tiles(self, storage_for):
        storage = storage_for(lambda tile: tile == B)
        storage.put({A: np.arange(3), B: np.arange(4), C: np.arange(3 << 20)})
        assert set(storage.tiles()) == {A, B, C}
        storage.sweep()
        assert set(storage.tiles()) == {B}
        storage.sweep()
        assert storage.get([A, B])[B].tolist() == [0, 1, 2, 3]
        storage.delete([B])

    def test_jobs_do_not_see_each_other(self, storage_for):
        one, other = storage_for(), storage_for(job="other")
        one.put({A: np.arange(3)})
        assert other.get([A]) == {} and list(other.tiles()) == []
        other.sweep()
        assert set(one.tiles()) == {A}
