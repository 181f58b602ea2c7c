"""Names as keys and as text: different ones stay different, and come back."""

import re

from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.coordination.wire import owed_text, task_text, to_owed, to_task
from wukong_sched.storage.cluster import slot
from wukong_sched.storage.keys import Keys, from_words, in_words
from wukong_sched.storage.objects import cut, size

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TILES = st.tuples(TEXT, st.lists(st.integers(), max_size=3).map(tuple))
NATURAL = st.integers(0, 10**9)
RANGES = st.tuples(TEXT, NATURAL, NATURAL, NATURAL)


@given(TILES, TEXT, st.booleans())
def test_a_key_is_safe_and_gives_its_tile_back(tile, job, wanted):
    keys = Keys(job, lambda tile: wanted)
    key = keys.key(tile)
    assert keys.tile(key) == tile
    assert re.fullmatch(r"[a-z0-9_\-.,\[\]%/]+", key) and ".." not in key.split("/") and "//" not in key[:5]
    assert key.startswith("tiles/") if wanted else key.startswith(keys.job_prefix + "tiles/")


@given(TILES, TILES)
def test_different_tiles_have_different_keys_whatever_the_case(one, other):
    keys = Keys("1")
    assert (keys.key(one).lower() == keys.key(other).lower()) is (one == other)


@given(st.one_of(TILES, RANGES), st.one_of(TILES, RANGES))
def test_entries_of_a_todo_come_back(one, other):
    assert to_owed(owed_text(one)) == one
    assert (owed_text(one) == owed_text(other)) is (one == other)


@given(TILES)
def test_tasks_and_tiles_come_back(tile):
    assert to_task(task_text(tile)) == tile == from_words(in_words(tile))


@given(st.text("abc{", max_size=4), st.text("abc{", min_size=1, max_size=4), st.text("abc{}", max_size=4))
def test_a_hash_tag_alone_decides_on_the_slot(before, tag, after):
    before = before.replace("{", "")
    assert slot(f"{before}{{{tag}}}{after}") == slot("{" + tag + "}")
    assert slot(tag.replace("{", "") or "a") == slot("{" + (tag.replace("{", "") or "a") + "}")


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(1, 7))
def test_parts_are_cut_to_measure(pieces, length):
    parts = [bytes(part) for part in cut(pieces, length)]
    assert b"".join(parts) == b"".join(pieces)
    assert all(len(part) == length for part in parts[:-1]) and all(parts)
    assert len(parts) == -(-size(pieces) // length)
