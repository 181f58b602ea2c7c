"""Blocks that are no arrays: trees come back without a pickle, pickles only with the job's signature."""

import dataclasses
import os
import pickle
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kernels.qr import QR, Panel, Reflectors, form_q, geqrt
from wukong_sched.storage import signed
from wukong_sched.storage.codec import CorruptTile
from wukong_sched.storage.signed import SignatureError, sign, verify
from wukong_sched.storage.structured import BlockCodec, qualified


def joined(pieces):
    return b"".join(map(bytes, pieces))


@dataclasses.dataclass(frozen=True)
class Pair:
    left: object
    right: object


class Named(NamedTuple):
    first: object
    second: object


CODEC = BlockCodec([Pair, Named])
LEAVES = st.one_of(
    hnp.arrays(st.sampled_from(["f8", "c8", "i2", "?"]), hnp.array_shapes(min_dims=0, max_side=4)),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    hnp.from_dtype(np.dtype("f4")),
)
TREES = st.recursive(
    LEAVES,
    lambda t: st.one_of(
        st.lists(t, max_size=3), st.lists(t, max_size=3).map(tuple), st.builds(Pair, t, t), st.builds(Named, t, t)
    ),
    max_leaves=8,
)


def same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Pair):
        return same(one.left, other.left) and same(one.right, other.right)
    return one == other or (one != one and other != other)


@given(TREES)
def test_trees_come_back(tree):
    data = joined(CODEC.encode(tree))
    assert same(CODEC.decode(data), tree)
    assert data[:4] in (b"SATT", b"SATL")


def test_reflectors_come_back_and_still_apply(rng):
    a = rng.standard_normal((20_000, 60))
    codec = BlockCodec([QR, Reflectors, Panel])
    factored = geqrt(a)
    data = joined(codec.encode(factored))
    back = codec.decode(bytearray(data))
    assert type(back) is QR and type(back.q.pieces[0]) is Panel
    assert np.array_equal(form_q(back.q), form_q(factored.q)) and np.array_equal(back.r, factored.r)
    assert back.q.pieces[0].v.flags.f_contiguous and back.q.pieces[0].v.flags.writeable


def test_triangles_within_a_tree_are_packed(rng):
    r = np.triu(rng.standard_normal((256, 256)))
    assert sum(map(len, CODEC.encode((r, r)))) < 1.15 * r.nbytes


def test_a_raw_part_lies_where_it_was_received(rng):
    data = bytearray(joined(CODEC.encode((rng.standard_normal(1000),))))
    (back,) = CODEC.decode(data)
    back[:] = 0
    assert back.flags.aligned and not any(data[-8000:])


def test_every_flipped_bit_is_noticed():
    tree = Pair(np.arange(5.0), (np.random.default_rng(3).random(20), None, "text"))
    encoded = bytearray(joined(CODEC.encode(tree)))
    for bit in range(32, 8 * len(encoded)):
        encoded[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptTile, match="tile Q-17"):
            CODEC.decode(encoded, "Q-17")
        encoded[bit // 8] ^= 1 << bit % 8
    assert same(CODEC.decode(encoded), tree)


@pytest.mark.parametrize("tree", [(np.arange(5.0), 1), (-0.0,), ()])
def test_truncated_and_extended_trees_are_refused(tree):
    encoded = joined(CODEC.encode(tree))
    for damaged in (*(encoded[:length] for length in range(4, len(encoded))), encoded + b"\0", encoded + bytes(64)):
        with pytest.raises(CorruptTile, match="tile Q-17"):
            CODEC.decode(damaged, "Q-17")


def test_a_class_that_is_not_on_the_list_is_neither_written_nor_read():
    with pytest.raises(TypeError, match="not among the classes"):
        BlockCodec().encode(Pair(1, 2))
    with pytest.raises(CorruptTile, match="not among the classes"):
        BlockCodec([Named]).decode(joined(CODEC.encode(Pair(1, 2))))
    with pytest.raises(TypeError, match="expected a dataclass or a named tuple"):
        BlockCodec([dict])


def test_a_namesake_is_not_taken_for_the_class():
    impostor = dataclasses.make_dataclass("Pair", ["left"])
    impostor.__module__, impostor.__qualname__ = Pair.__module__, Pair.__qualname__
    assert qualified(impostor) == qualified(Pair)
    with pytest.raises(TypeError, match="not among the classes"):
        CODEC.encode(impostor(1))


# ---- signed

KEY = b"k" * 32


@pytest.mark.parametrize(
    "block", [{"a": {1, 2}}, 1 + 2j, np.array([{}, None], dtype=object), np.rec.array([(1, 2.0)]), b"bytes"]
)
def test_what_is_no_tree_is_signed(block):
    codec = BlockCodec(key=KEY)
    data = joined(codec.encode(block, "t"))
    assert data[:4] == signed.MAGIC
    back = codec.decode(data, "t")
    assert type(back) is type(block) and repr(back) == repr(block)


def test_functions_are_signed_too():
    step = 3
    data = joined(BlockCodec(key=KEY).encode(lambda x: x + step, "t"))
    assert BlockCodec(key=KEY).decode(data, "t")(4) == 7


def test_without_a_key_nothing_is_pickled_or_loaded():
    with pytest.raises(TypeError, match="give the job a key"):
        BlockCodec().encode({1}, "t")
    with pytest.raises(SignatureError, match="no key"):
        BlockCodec().decode(joined(sign(1, KEY, "t")), "t")


class Bomb:
    def __reduce__(self):
        return os.mkdir, (self.path,)


def bomb(path):
    trap = Bomb()
    trap.path = str(path)
    return trap


def test_nothing_is_loaded_before_its_signature_is_checked(tmp_path):
    path = tmp_path / "sprung"
    data = bytearray(joined(sign(bomb(path), KEY, "t")))
    flipped = bytearray(data)
    flipped[-1] ^= 1
    attempts = [(data, b"other key", "t"), (data, KEY, "another tile"), (flipped, KEY, "t"), (data[:20], KEY, "t")]
    for attempt in attempts:
        with pytest.raises(SignatureError, match="not loaded"):
            verify(*attempt)
    assert not path.exists()
    verify(data, KEY, "t")
    assert path.exists()


def test_the_right_magic_is_not_enough(tmp_path):
    path = tmp_path / "sprung"
    forged = signed.MAGIC + bytes(32) + pickle.dumps(bomb(path))
    with pytest.raises(SignatureError):
        BlockCodec(key=KEY).decode(forged, "t")
    assert not path.exists()
