"""The codec: what goes in comes out, to the bit; damage is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wukong_sched.storage.codec import HEADER, Codec, CorruptTile, decode, encode


def joined(block, **options):
    return b"".join(bytes(piece) for piece in encode(block, **options))


def codec_of(data):
    return Codec(HEADER.unpack_from(data)[2])


ANY = st.one_of(
    hnp.scalar_dtypes(), hnp.unicode_string_dtypes(max_len=3), hnp.array_dtypes(hnp.scalar_dtypes(), max_size=2)
).filter(lambda dtype: dtype.names is None)


@given(
    ANY.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))),
    st.booleans(),
    st.booleans(),
)
def test_what_goes_in_comes_out(block, fortran, compress):
    block = np.asfortranarray(block) if fortran else block
    back = decode(joined(block, compress=compress))
    assert back.dtype == block.dtype and back.shape == block.shape and back.tobytes() == block.tobytes()
    assert back.flags.writeable


def test_strided_blocks_are_kept_by_value():
    block = np.arange(60.0).reshape(6, 10)[::2, ::-3]
    assert np.array_equal(decode(joined(block)), block)


def test_fortran_order_is_kept():
    block = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    assert decode(joined(block)).flags.f_contiguous


@pytest.mark.parametrize(
    ("block", "codec"),
    [
        (np.zeros((100, 100)), Codec.ZEROS),
        (np.random.default_rng(7).standard_normal((200, 200)), Codec.RAW),
        (np.arange(40_000), Codec.BLOSC),
        (np.triu(np.random.default_rng(7).standard_normal((200, 200))), Codec.RAW),
    ],
)
def test_a_sample_decides(block, codec):
    data = joined(block)
    assert codec_of(data) is codec
    assert np.array_equal(decode(data), block)
    if codec is Codec.BLOSC:
        assert len(data) < block.nbytes / 1.3


def test_minus_zero_is_not_zero():
    assert np.signbit(decode(joined(np.full(5, -0.0)))).all()


def test_frames_join(monkeypatch):
    monkeypatch.setattr("wukong_sched.storage.codec.FRAME", 1000)
    block = np.arange(5000, dtype=np.int32)
    assert np.array_equal(decode(joined(block)), block)


@given(st.data())
def test_a_flipped_bit_names_the_tile(data):
    block = data.draw(st.sampled_from([np.arange(4000), np.random.default_rng(3).random(50)]))
    encoded = bytearray(joined(block))
    start = HEADER.size + 8 * block.ndim + len(block.dtype.str)
    position = data.draw(st.integers(start, len(encoded) - 1))
    encoded[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptTile, match="tile Q-17"):
        decode(encoded, "Q-17")


def test_what_is_no_tile_is_refused():
    with pytest.raises(CorruptTile, match="fewer than a header"):
        decode(b"abc")
    with pytest.raises(CorruptTile, match="not an encoded tile"):
        decode(b"x" * 100)


def test_objects_are_refused():
    with pytest.raises(TypeError, match="Python objects"):
        encode(np.array([{}]))
