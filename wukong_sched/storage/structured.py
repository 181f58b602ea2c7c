"""Blocks of every kind as bytes, and back.

* An array goes through the codec.
* A **tree** (tuples, lists, and classes from a list that the composition root hands in, with arrays, numbers, strings
  and None as leaves) is written as its arrays, one encoded after the other, beneath a description in JSON. It is never
  a pickle: what is made on reading is an array, a number or one of the classes on the list, nothing else.
* Anything else is pickled under the job's key, if there is one.

Layout of a tree: ``magic 4s | version B | reserved 3s | description length Q | checksum Q | description``, zeros up to
a multiple of 64 bytes, then each encoded array, each filled up to a multiple of 64. The description is
``{"tree": node, "lengths": [bytes of each encoded array]}`` with nodes ``["array", n]``, ``["scalar", n]``,
``["value", json]``, ``["tuple", nodes]``, ``["list", nodes]`` and ``["class", qualified name, nodes]``.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wukong_sched.storage import signed
from wukong_sched.storage.codec import (
    ALIGNMENT,
    MAGIC,
    WORTHWHILE,
    Array,
    Buffer,
    CorruptTile,
    checksum,
    decode,
    encode,
)

TREE = struct.Struct("<4sB3sQQ")
TREE_MAGIC = b"SATT"
VERSION = 1
RESERVED = bytes(3)
VALUES = (type(None), bool, int, float, str)
"""Types of leaves that JSON keeps as they are."""

Node = list[Any]


class BlockCodec:
    """Encodes and decodes blocks of one job.

    `classes` are the dataclasses and named tuples that may be written as trees; `key` signs what must be pickled, and
    without one such blocks are refused; arrays are compressed where a sample reaches the ratio `worthwhile`.

    >>> import numpy as np
    >>> codec = BlockCodec()
    >>> codec.decode(b"".join(codec.encode((np.arange(3), None, 0.5))))
    (array([0, 1, 2]), None, 0.5)
    """

    def __init__(
        self,
        classes: Iterable[type] = (),
        key: bytes | None = None,
        *,
        compress: bool = True,
        worthwhile: float = WORTHWHILE,
    ) -> None:
        self._classes = {qualified(kind): kind for kind in classes}
        self._fields = {name: _field_names(kind) for name, kind in self._classes.items()}
        self._key = key
        self._options: dict[str, Any] = {"compress": compress, "worthwhile": worthwhile}

    def encode(self, block: Any, name: object = "?") -> list[Buffer]:
        """The pieces of an encoded block.

        Raises TypeError for what is neither an array nor a tree, if there is no key to sign it with.
        """
        try:
            return encode(block, **self._options) if type(block) is np.ndarray else self._encode_tree(block)
        except TypeError as error:
            if self._key is None:
                raise TypeError(
                    f"block {name} of type {type(block).__name__} cannot be stored: {error}; give the job a key, and "
                    "it is pickled and signed"
                ) from error
        return signed.sign(block, self._key, name)

    def decode(self, data: Buffer, name: object = "?") -> Any:
        """The block; raises CorruptTile if it is damaged, SignatureError if it is pickled and not by this job."""
        magic = bytes(memoryview(data)[:4])
        return DECODERS.get(magic, BlockCodec._decode_array)(self, data, name)

    def _decode_array(self, data: Buffer, name: object) -> Array:
        return decode(data, name)

    def _verify(self, data: Buffer, name: object) -> Any:
        if self._key is None:
            raise signed.SignatureError(f"{name}: pickled, and this job has no key to check it with; it is not loaded")
        return signed.verify(data, self._key, name)

    # ---- trees

    def _encode_tree(self, block: Any) -> list[Buffer]:
        arrays: list[Array] = []
        tree = self._node(block, arrays)
        encoded = [encode(array, **self._options) for array in arrays]
        lengths = [sum(map(len, pieces)) for pieces in encoded]
        description = json.dumps({"tree": tree, "lengths": lengths}).encode()
        head = TREE.pack(TREE_MAGIC, VERSION, RESERVED, len(description), checksum([description])) + description
        padded: list[Buffer] = [head, bytes(-len(head) % ALIGNMENT)]
        for pieces, length in zip(encoded, lengths, strict=True):
            padded += [*pieces, bytes(-length % ALIGNMENT)]
        return padded

    def _node(self, block: Any, arrays: list[Array]) -> Node:
        kind = type(block)
        if kind is np.ndarray or isinstance(block, np.generic):
            arrays.append(np.asarray(block))
            return ["array" if kind is np.ndarray else "scalar", len(arrays) - 1]
        if kind in VALUES:
            return ["value", block]
        if kind is tuple or kind is list:
            return [kind.__name__, [self._node(child, arrays) for child in block]]
        name = qualified(kind)
        if self._classes.get(name) is not kind:
            raise TypeError(f"{name} is no array and not among the classes that may be stored")
        return ["class", name, [self._node(getattr(block, field), arrays) for field in self._fields[name]]]

    def _decode_tree(self, data: Buffer, name: object) -> Any:
        view = memoryview(data)
        description = _description(view, name)
        text = json.loads(bytes(description))
        position = _filled(view, TREE.size + len(description), name)
        arrays = []
        for length in text["lengths"]:
            arrays.append(decode(view[position : position + length], name))
            position = _filled(view, position + length, name)
        if position != len(view):
            raise CorruptTile(f"tile {name}: {len(view)} bytes, where its description tells of {position}")
        return self._build(text["tree"], arrays, name)

    def _build(self, node: Node, arrays: list[Array], name: object) -> Any:
        return BUILDERS[node[0]](self, node, arrays, name)

    def _children(self, node: Node, arrays: list[Array], name: object) -> list[Any]:
        return [self._build(child, arrays, name) for child in node[-1]]

    def _instance(self, node: Node, arrays: list[Array], name: object) -> Any:
        kind = self._classes.get(node[1])
        if kind is None:
            raise CorruptTile(
                f"tile {name}: holds a {node[1]}, which is not among the classes that may be read: "
                f"{sorted(self._classes)}"
            )
        fields = dict(zip(self._fields[node[1]], self._children(node, arrays, name), strict=True))
        return kind(**fields)


def qualified(kind: type) -> str:
    """The name under which a class is written.

    >>> from fractions import Fraction
    >>> qualified(Fraction)
    'fractions.Fraction'
    """
    return f"{kind.__module__}.{kind.__qualname__}"


def _field_names(kind: type) -> tuple[str, ...]:
    if dataclasses.is_dataclass(kind) and all(field.init for field in dataclasses.fields(kind)):
        return tuple(field.name for field in dataclasses.fields(kind))
    names = getattr(kind, "_fields", None)
    if names is None:
        raise TypeError(f"{qualified(kind)} cannot be stored as a tree: expected a dataclass or a named tuple")
    return tuple(names)


def _filled(view: memoryview, end: int, name: object) -> int:
    """Where the next part begins: a multiple of 64 bytes, with zeros up to there."""
    start = -(-end // ALIGNMENT) * ALIGNMENT
    if any(view[end:start]):
        raise CorruptTile(f"tile {name}: what lies between its parts is not zero; the stored data is damaged")
    return start


def _description(view: memoryview, name: object) -> memoryview:
    if len(view) < TREE.size:
        raise CorruptTile(f"tile {name}: {len(view)} bytes are fewer than a header's {TREE.size}")
    _, version, reserved, length, expected = TREE.unpack_from(view)
    description = view[TREE.size : TREE.size + length]
    if (version, reserved, len(description)) != (VERSION, RESERVED, length) or checksum([description]) != expected:
        raise CorruptTile(f"tile {name}: the checksum of its description does not fit; the stored data is damaged")
    return description


BUILDERS: dict[str, Callable[[BlockCodec, Node, list[Array], object], Any]] = {
    "array": lambda codec, node, arrays, name: arrays[node[1]],
    "scalar": lambda codec, node, arrays, name: arrays[node[1]][()],
    "value": lambda codec, node, arrays, name: node[1],
    "tuple": lambda codec, node, arrays, name: tuple(codec._children(node, arrays, name)),
    "list": lambda codec, node, arrays, name: codec._children(node, arrays, name),
    "class": BlockCodec._instance,
}

DECODERS: dict[bytes, Callable[[BlockCodec, Buffer, object], Any]] = {
    MAGIC: BlockCodec._decode_array,
    TREE_MAGIC: BlockCodec._decode_tree,
    signed.MAGIC: BlockCodec._verify,
}
