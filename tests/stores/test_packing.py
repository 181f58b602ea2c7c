"""The codec's triangles, alignment, headers and sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.storage.codec import (
    CHECKSUM_AT,
    HEADER,
    PANEL,
    Codec,
    CorruptTile,
    Triangle,
    decode,
    encode,
    gain_needed,
)


def joined(block, **options):
    return bytearray(b"".join(map(bytes, encode(block, **options))))


def header(data):
    _, _, codec, _, _, _, triangle, _, length = HEADER.unpack_from(data)
    return Codec(codec), Triangle(triangle), length


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.sampled_from([np.triu, np.tril]),
    st.integers(-2, 2),
    st.sampled_from(["f4", "f8", "c16", ">f8", "i4"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_triangles_come_back(m, n, part, offset, dtype, fortran, seed):
    block = part((np.random.default_rng(seed).random((m, n)) * 100).astype(dtype), offset)
    back = decode(joined(np.asfortranarray(block) if fortran else block))
    assert same(back, block) and back.flags.writeable


@pytest.mark.parametrize(("part", "triangle"), [(np.triu, Triangle.UPPER), (np.tril, Triangle.LOWER)])
@pytest.mark.parametrize("shape", [(640, 640), (900, 300), (300, 900)])
def test_a_triangle_moves_as_one(rng, part, triangle, shape):
    block = part(rng.standard_normal(shape))
    data = joined(block)
    codec, found, length = header(data)
    assert (codec, found) == (Codec.RAW, triangle)
    assert length <= 8 * (np.count_nonzero(block) + PANEL * max(shape))
    assert header(joined(np.asfortranarray(block)))[2] <= 8 * (np.count_nonzero(block) + PANEL * max(shape))


@pytest.mark.parametrize("spot", [(300, 2), (639, 0), (639, 600)])
@pytest.mark.parametrize("value", [1e-300, -0.0])
def test_one_element_below_is_not_lost(rng, spot, value):
    block = np.triu(rng.standard_normal((640, 640)))
    block[spot] = value
    assert same(decode(joined(block)), block)


def test_a_triangle_that_compresses_is_compressed():
    block = np.triu(np.arange(640 * 640).reshape(640, 640))
    codec, triangle, length = header(joined(block))
    assert (codec, triangle) == (Codec.BLOSC, Triangle.UPPER) and length < block.nbytes / 20
    assert same(decode(joined(block)), block)


@given(st.integers(0, 5), st.sampled_from(["f8", "<U7", "S3", "i1"]))
def test_the_payload_is_aligned(ndim, dtype):
    data = joined(np.ones((1,) * ndim, dtype))
    assert (len(data) - header(data)[2]) % 64 == 0


def test_a_raw_block_stays_where_it_was_received(rng):
    block = rng.random(1000)
    data = joined(block)
    back = decode(data)
    back[:] = 0
    assert not any(data[-8000:])
    assert same(decode(bytes(joined(block))), block)


WHERE = ["fields", "nested", "offsets", "aligned", "backwards", "overlapping", "titles", "records", "parts"]
STRUCTURED = [
    np.dtype([("x", "f8"), ("ü", "i2", (2, 3)), ("s", "U3")]),
    np.dtype([("inner", [("a", "u1"), ("b", ">i8")])]),
    np.dtype({"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [3, 16], "itemsize": 32}),
    np.dtype([("a", "i1"), ("b", "f8")], align=True),
    np.dtype({"names": ["a", "b"], "formats": ["i4", "f8"], "offsets": [8, 0]}),
    np.dtype({"names": ["whole", "low"], "formats": ["<i8", "<i4"], "offsets": [0, 0]}),
    np.dtype([(("title", "x"), "f8"), ("y", [("z", "S2", (2,))], (3, 1))]),
    np.dtype((np.record, [("a", "i4"), ("b", np.dtype((np.record, [("c", "f8")])), (2,))])),
    np.dtype(("i4", [("low", "i2"), ("high", "i2")])),
]


@pytest.mark.parametrize("dtype", STRUCTURED, ids=WHERE)
def test_structured_dtypes_come_back(rng, dtype):
    block = np.zeros((50, 3), dtype)
    for name in dtype.names:
        if block[name].dtype.kind in "iuf":
            block[name] = rng.integers(0, 100, block[name].shape)
    back = decode(joined(block))
    assert back.dtype == dtype and back.dtype.fields == dtype.fields and (back == block).all()
    assert (back.dtype.type, back.dtype.isalignedstruct) == (dtype.type, dtype.isalignedstruct)


@pytest.mark.parametrize("dtype", [np.dtypes.StringDType(), object, [("o", object)]])
def test_dtypes_that_hold_objects_are_refused(dtype):
    with pytest.raises(TypeError, match="cannot be stored"):
        encode(np.empty(3, dtype))


@given(st.integers(4, 127), st.integers(0, 7))
def test_a_flipped_bit_of_the_header_names_the_tile(position, bit):
    data = joined(np.arange(16.0).reshape(2, 8))
    data[position] ^= 1 << bit
    with pytest.raises(CorruptTile, match="tile Q-17"):
        decode(data, "Q-17")


def test_truncated_and_extended_tiles_are_refused(rng):
    data = joined(rng.random(100))
    for damaged in (data[:-1], data + b"\0", data[: HEADER.size + 3]):
        with pytest.raises(CorruptTile, match="tile Q"):
            decode(damaged, "Q")


def test_the_checksum_stands_where_it_is_said(rng):
    data = joined(rng.random(3))
    assert data[CHECKSUM_AT : CHECKSUM_AT + 8] == HEADER.unpack_from(data)[7].to_bytes(8, "little")


def test_a_fast_link_needs_no_compression(rng):
    block = np.arange(100_000)
    assert header(joined(block, worthwhile=gain_needed(75e6)))[0] is Codec.BLOSC
    assert header(joined(block, worthwhile=gain_needed(10e9)))[0] is Codec.RAW
    assert gain_needed(1e9) == pytest.approx(3.0)


@pytest.mark.long
def test_blocks_above_2_gib_come_back():
    block = np.zeros((1 << 28) + 3000, np.float64)
    block[::1000] = np.arange(len(block[::1000]))
    data = joined(block)
    assert header(data)[0] is Codec.BLOSC and block.nbytes > 1 << 31
    assert np.array_equal(decode(data), block)
    block[-5000:] = np.random.default_rng(3).random(5000)
    raw = bytearray().join(map(bytes, encode(block, compress=False)))
    assert np.array_equal(decode(raw), block)
