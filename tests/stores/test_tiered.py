"""Which tier a value goes to, what travels inline, and what is counted where."""

import numpy as np
import pytest

from wukong_sched.errors import InfrastructureError
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.tiered import OBJECTS, REDIS, Link, Placement, TieredObjects
from wukong_sched.storage.tiles import TileStorage

KEY = "jobs/1/tiles/a[0]"


@pytest.fixture
def tiers(tmp_path):
    """Return two stores in files."""
    return FilesystemObjects(tmp_path / "middle"), FilesystemObjects(tmp_path / "large")


def test_price_and_size_decide():
    sizes = [1 << bits for bits in range(31)]
    chosen = [Placement().in_middle(KEY, nbytes) for nbytes in sizes]
    assert chosen == sorted(chosen, reverse=True) and chosen[0] and not chosen[-1]
    assert not Placement().in_middle("tiles/a[0]", 1)


@pytest.mark.parametrize(
    ("middle", "large", "nbytes", "expected"),
    [
        (REDIS, OBJECTS, 1 << 20, True),
        (REDIS, Link(OBJECTS.latency, 75e6, 0.0, 0.0), 100 << 20, False),
        (Link(0.0006, 1e6, 0.0, 0.0), OBJECTS, 1 << 20, False),
        (Link(0.0006, 1e9, 0.0, 0.0), OBJECTS, 1 << 30, True),
        (Link(0.5, 1e9, 0.0, 0.0), OBJECTS, 1, False),
        (REDIS, Link(0.0, 75e6, 0.0, 0.0), 1, False),
    ],
    ids=["as published", "memory dear", "slow", "fast and free", "far", "objects near and free"],
)
def test_links_alone_move_the_border(middle, large, nbytes, expected):
    assert Placement(middle=middle, large=large).in_middle(KEY, nbytes) is expected


def test_each_value_is_in_its_tier(tiers):
    middle, large = tiers
    objects = TieredObjects(middle, large, placement=Placement(middle=Link(0, 1e9, 0, 1.0), large=Link(0, 1e9, 100, 0)))
    objects.put({"jobs/1/s": [bytes(100)], "jobs/1/l": [bytes(101)], "tiles/w": [b"w"]})
    assert list(middle.keys("")) == ["jobs/1/s"] and sorted(large.keys("")) == ["jobs/1/l", "tiles/w"]
    assert sorted(objects.keys("jobs/1/")) == ["jobs/1/l", "jobs/1/s"]
    assert objects.delete(["jobs/1/s", "jobs/1/l", "jobs/1/none"]) == ["jobs/1/none"]
    assert (middle.tally.deletes, large.tally.deletes) == (3, 2)


class Unreachable(FilesystemObjects):
    """A store that has gone."""

    def sweep(self, prefix):
        raise InfrastructureError("gone")


def test_if_one_tier_cannot_be_swept_the_other_is(tiers, tmp_path):
    gone, large = Unreachable(tmp_path / "gone"), tiers[1]
    large.put({"jobs/1/l": [b"l"]})
    with pytest.raises(InfrastructureError, match="gone"):
        TieredObjects(gone, large).sweep("jobs/1/")
    assert not list(large.keys(""))


def test_small_values_travel_inline(tiers):
    sender, receiver = (TileStorage(TieredObjects(*tiers), Keys("1")) for _ in range(2))
    tiles = [("a", (n,)) for n in range(4)]
    sender.put({tile: np.full(50, n) for n, tile in enumerate(tiles[:3])} | {tiles[3]: np.random.random(90_000)})
    keys = [sender.keys.key(tile) for tile in tiles]
    sent = sender.objects.inline(keys, 1 << 20)
    assert list(sent) == keys[:3]
    receiver.objects.hints = sent
    read = tiers[0].tally.gets
    found = receiver.get(tiles[:3])
    assert [int(block[0]) for block in found.values()] == [0, 1, 2] and tiers[0].tally.gets == read
    assert receiver.objects.tally.bytes_read == sum(map(len, sent.values()))
    found[tiles[0]][:] = 7
    assert receiver.get(tiles[:1])[tiles[0]][0] == 0
    assert list(receiver.objects.inline(keys, 1 << 20)) == keys[:3]


def test_inline_values_keep_within_the_limit(tiers):
    objects = TieredObjects(*tiers)
    objects.put({f"jobs/1/{n}": [bytes(100)] for n in range(10)})
    sent = objects.inline([f"jobs/1/{n}" for n in range(10)], 350)
    assert len(sent) == 3 and sum(len(key) + len(value) for key, value in sent.items()) <= 350


def test_a_hint_is_only_a_hint(tiers):
    objects = TieredObjects(*tiers)
    objects.put({"jobs/1/a": [b"x"]})
    assert bytes(TieredObjects(*tiers).get(["jobs/1/a"])["jobs/1/a"]) == b"x"
    objects.delete(["jobs/1/a"])
    assert objects.inline(["jobs/1/a"], 1000) == {}


def test_small_values_are_not_remembered_for_ever(tiers):
    objects = TieredObjects(*tiers, placement=Placement(remembered=1000))
    objects.put({f"jobs/1/{n}": [bytes(100)] for n in range(30)})
    assert list(objects.inline([f"jobs/1/{n}" for n in range(30)], 1 << 20)) == [f"jobs/1/{n}" for n in range(20, 30)]
