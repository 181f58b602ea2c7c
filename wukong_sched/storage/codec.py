"""One array as bytes: a short header, then raw or compressed data; never a pickle.

Layout (little endian)::

    magic 4s | version B | codec B | order B | dimensions B | dtype length H | shape class B | reserved B
    checksum Q (xxh3 of everything else) | payload length Q | shape Q * dimensions | dtype | zeros up to 64 | payload

Codecs: RAW (the array's memory), BLOSC (frames ``length Q, data`` of at most 1 GiB of input each: blosc itself ends
at 2 GiB), ZEROS (no payload). Fortran order is kept. Whether compression pays is decided by a sample from the block's
middle: random doubles do not compress (1.06 at 0.5 GB/s), integers (8) do.

A matrix whose other triangle is zero to the bit is **packed** first: of each panel of 32 rows only the columns that
reach the diagonal are kept, so that a triangle of order n moves n^2/2 + 16 n elements, at the speed of memory.

The payload begins at a multiple of 64 bytes, so that a raw block can live where it was received.
"""

from __future__ import annotations

import ast
import enum
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wukong_sched.errors import InfrastructureError

Array = npt.NDArray[Any]
Buffer = bytes | bytearray | memoryview

HEADER = struct.Struct("<4sBBBBHBxQQ")
CHECKSUM_AT = 12
MAGIC = b"SATL"
VERSION = 2
ALIGNMENT = 64
FRAME = 1 << 30
"""Bytes of input per blosc frame."""
SAMPLE = 1 << 16
"""Bytes tried, to decide whether to compress."""
WORTHWHILE = 1.3
"""Ratio that the sample must reach."""
BLOSC_SPEED = 1.5e9
"""Bytes a second that blosc with byte shuffle and lz4 takes in, one thread."""
PANEL = 32
"""Rows of a triangular tile that are cut alike."""
RECORD = "record"
"""The base of dtypes whose elements are `numpy.record`."""
PACKED_FROM = 4096
"""Bytes below which a triangular tile is moved in full."""


class Codec(enum.IntEnum):
    """How the payload is written."""

    RAW = 0
    BLOSC = 1
    ZEROS = 2


class Triangle(enum.IntEnum):
    """Which part of a matrix, as it lies in memory row by row, the payload holds."""

    NONE = 0
    UPPER = 1
    LOWER = 2


class CorruptTile(InfrastructureError):
    """An encoded tile is not what its header says."""


def gain_needed(bandwidth: float) -> float:
    """Ratio from which compressing beats sending as it is, over a link of so many bytes a second.

    >>> gain_needed(75e6), gain_needed(2e9)
    (1.3, inf)
    """
    return max(WORTHWHILE, 1 / (1 - bandwidth / BLOSC_SPEED)) if bandwidth < BLOSC_SPEED else math.inf


def encode(block: Array, *, compress: bool = True, worthwhile: float = WORTHWHILE) -> list[Buffer]:
    """The pieces, one after the other, of an encoded block; a raw payload is the block's own memory, not a copy.

    `worthwhile` is the ratio that a sample must reach to be compressed. Raises TypeError for dtypes that hold Python
    objects or that no text describes.

    >>> import numpy as np
    >>> b"".join(encode(np.zeros((2, 3))))[:4]
    b'SATL'
    """
    dtype = _describe(block.dtype)
    fortran = block.flags.f_contiguous and not block.flags.c_contiguous
    flat = np.ascontiguousarray(block.T if fortran else block)
    memory = _bytes(flat)
    zero = not memory[_middle(memory)].any() and not memory.any()
    triangle = Triangle.NONE if zero else _triangle(flat)
    if triangle:
        memory = _pack(flat, triangle)
    needed = worthwhile if compress else math.inf
    codec, payload = (Codec.ZEROS, []) if zero else _payload(memory, flat.itemsize, needed)
    head = bytearray(_payload_at(block.ndim, len(dtype)))
    length = sum(map(len, payload))
    HEADER.pack_into(head, 0, MAGIC, VERSION, codec, fortran, block.ndim, len(dtype), triangle, 0, length)
    head[HEADER.size : HEADER.size + 8 * block.ndim + len(dtype)] = struct.pack(f"<{block.ndim}Q", *block.shape) + dtype
    struct.pack_into("<Q", head, CHECKSUM_AT, checksum([head, *payload]))
    return [head, *payload]


def _describe(dtype: np.dtype[Any]) -> bytes:
    if dtype.hasobject:
        raise TypeError(f"blocks of dtype {dtype} cannot be stored: it holds Python objects; use a numeric dtype")
    text = str(_form(dtype)).encode()
    if len(text) >= 1 << 16:
        raise TypeError(f"blocks of a dtype of {len(text)} characters cannot be stored; use fewer or shorter fields")
    return text


def _form(dtype: np.dtype[Any]) -> Any:
    """The dtype in words and numbers, wherever its fields lie: a name, fields, or a base with a shape or fields."""
    if dtype.subdtype:
        base, shape = dtype.subdtype
        return _form(base), shape
    if dtype.names is None:
        return dtype.str
    if dtype.type is np.void:
        return _fields(dtype)
    return RECORD if dtype.type is np.record else dtype.str, _fields(dtype)


def _fields(dtype: np.dtype[Any]) -> dict[str, Any]:
    assert dtype.names is not None
    fields: list[tuple[Any, ...]] = [dtype.fields[name] for name in dtype.names]  # type: ignore[index]
    return {
        "names": list(dtype.names),
        "formats": [_form(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "titles": [field[2] if len(field) > 2 else None for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def _dtype(text: str) -> np.dtype[Any]:
    return _formed(ast.literal_eval(text) if text[0] in "{(" else text)


def _formed(form: Any) -> np.dtype[Any]:
    """The dtype of a form: of a structured one, perhaps after its base, of a base and a shape, or of a name."""
    made: Callable[[Any], np.dtype[Any]] = np.dtype
    if isinstance(form, dict):
        return made({**form, "formats": [_formed(each) for each in form["formats"]]})
    if isinstance(form, str):
        return made(form)
    base, rest = form
    if isinstance(rest, dict):
        return made((np.record if base == RECORD else base, _formed(rest)))
    return made((_formed(base), rest))


def _payload_at(ndim: int, dtype_length: int) -> int:
    return -(-(HEADER.size + 8 * ndim + dtype_length) // ALIGNMENT) * ALIGNMENT


def _bytes(flat: Array) -> Array:
    return flat.reshape(-1).view(np.uint8) if flat.size and flat.itemsize else np.empty(0, np.uint8)


# ---- triangles


def _triangle(flat: Array) -> Triangle:
    """Which triangle holds all that is not zero."""
    if flat.ndim != 2 or flat.nbytes < PACKED_FROM or min(flat.shape) < 2 * PANEL:
        return Triangle.NONE
    corners = {Triangle.UPPER: flat[-1:, :1], Triangle.LOWER: flat[:1, -1:]}
    for triangle, corner in corners.items():
        if not _any(corner) and not any(_any(part) for part in _panels(flat, triangle, kept=False)):
            return triangle
    return Triangle.NONE


def _any(part: Array) -> bool:
    """Whether any bit is set; minus zero has one."""
    width = part.shape[-1] * part.itemsize
    return bool(part.view(np.uint64 if width % 8 == 0 and part.itemsize % 8 == 0 else np.uint8).any())


def _panels(flat: Array, triangle: Triangle, *, kept: bool) -> Iterator[Array]:
    """Of each panel of rows, the columns that are kept, or the others."""
    rows, columns = flat.shape
    for top in range(0, rows, PANEL):
        bottom = min(top + PANEL, rows)
        cut = min(top if triangle is Triangle.UPPER else bottom, columns)
        left = (triangle is Triangle.LOWER) is kept
        yield flat[top:bottom, :cut] if left else flat[top:bottom, cut:]


def _pack(flat: Array, triangle: Triangle) -> Array:
    panels = list(_panels(flat, triangle, kept=True))
    packed = np.empty(sum(panel.size for panel in panels), flat.dtype)
    position = 0
    for panel in panels:
        packed[position : position + panel.size].reshape(panel.shape)[...] = panel
        position += panel.size
    return packed.view(np.uint8)


def _unpack(packed: Array, shape: tuple[int, ...], triangle: Triangle) -> Array:
    block = np.zeros(shape, packed.dtype)
    position = 0
    for panel in _panels(block, triangle, kept=True):
        panel[...] = packed[position : position + panel.size].reshape(panel.shape)
        position += panel.size
    return block


# ---- compression


def _middle(memory: Array) -> slice:
    start = (memory.size - min(SAMPLE, memory.size)) // 2
    return slice(start, start + SAMPLE)


def _payload(memory: Array, itemsize: int, worthwhile: float) -> tuple[Codec, list[Buffer]]:
    if worthwhile < math.inf and _ratio(memory[_middle(memory)], itemsize) >= worthwhile:
        return Codec.BLOSC, _compress(memory, itemsize)
    return Codec.RAW, [memory.data]


def _blosc() -> Any:
    import blosc

    blosc.set_releasegil(True)
    blosc.set_nthreads(1)
    return blosc


def _squeeze(memory: Array, itemsize: int) -> bytes:
    blosc = _blosc()
    size = min(itemsize, 255)
    squeezed: bytes = blosc.compress_ptr(
        memory.ctypes.data, memory.size // size, size, clevel=1, shuffle=blosc.SHUFFLE, cname="lz4"
    )
    return squeezed


def _ratio(sample: Array, itemsize: int) -> float:
    whole = sample[: sample.size - sample.size % min(itemsize, 255)]
    return whole.size / len(_squeeze(whole, itemsize)) if whole.size else 0.0


def _compress(memory: Array, itemsize: int) -> list[Buffer]:
    frames: list[Buffer] = []
    step = FRAME - FRAME % min(itemsize, 255)
    for start in range(0, memory.size, step):
        part = memory[start : start + step]
        data = _squeeze(part, itemsize if part.size % min(itemsize, 255) == 0 else 1)
        frames += [struct.pack("<Q", len(data)), data]
    return frames


def checksum(pieces: Sequence[Buffer]) -> int:
    """The xxh3 of the pieces, one after the other."""
    import xxhash

    digest = xxhash.xxh3_64()
    for piece in pieces:
        digest.update(piece)
    return digest.intdigest()


# ---- back


def decode(data: Buffer, name: object = "?") -> Array:
    """The block that `encode` wrote; a flipped bit raises CorruptTile naming the tile, never gives a wrong number.

    A raw block in writable memory shares it; everything else is a fresh, writable array.

    >>> import numpy as np
    >>> decode(b"".join(encode(np.arange(3.0))))
    array([0., 1., 2.])
    """
    view = memoryview(data)
    if len(view) < HEADER.size:
        raise CorruptTile(f"tile {name}: {len(view)} bytes are fewer than a header's {HEADER.size}")
    magic, version, codec, fortran, ndim, dtype_length, triangle, expected, length = HEADER.unpack_from(view)
    if magic != MAGIC or version != VERSION:
        raise CorruptTile(f"tile {name}: not an encoded tile of version {VERSION} (magic {magic!r}, version {version})")
    start = _payload_at(ndim, dtype_length)
    if len(view) != start + length or _checksum_of(view, start) != expected:
        raise CorruptTile(f"tile {name}: the checksum of its {length} bytes does not fit; the stored data is damaged")
    shape = struct.unpack_from(f"<{ndim}Q", view, HEADER.size)
    dtype = _dtype(bytes(view[HEADER.size + 8 * ndim :][:dtype_length]).decode())
    flat = _restore(view[start:], Codec(codec), dtype, shape[::-1] if fortran else shape, Triangle(triangle))
    return flat.T if fortran else flat


def _checksum_of(view: memoryview, start: int) -> int:
    head = bytearray(view[:start])
    struct.pack_into("<Q", head, CHECKSUM_AT, 0)
    return checksum([head, view[start:]])


def _restore(
    payload: memoryview, codec: Codec, dtype: np.dtype[Any], shape: tuple[int, ...], triangle: Triangle
) -> Array:
    if not triangle:
        return DECODERS[codec](payload, dtype, shape)
    size = sum(panel.size for panel in _panels(np.broadcast_to(np.empty((), "u1"), shape), triangle, kept=True))
    return _unpack(DECODERS[codec](payload, dtype, (size,)), shape, triangle)


def _decode_raw(payload: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    block = np.frombuffer(payload, dtype).reshape(shape)
    return block if block.flags.writeable and block.flags.aligned else block.copy()


def _decode_zeros(payload: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    return np.zeros(shape, dtype)


def _decode_blosc(payload: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    block = np.empty(shape, dtype)
    address, position = block.ctypes.data, 0
    while position < len(payload):
        (length,) = struct.unpack_from("<Q", payload, position)
        position += 8
        address += _blosc().decompress_ptr(bytes(payload[position : position + length]), address)
        position += length
    return block


DECODERS = {Codec.RAW: _decode_raw, Codec.BLOSC: _decode_blosc, Codec.ZEROS: _decode_zeros}
