"""Objects in Redis or Valkey: one server, one behind TLS, or a cluster.

A value up to 512 KiB is one string under its key. A larger one is split into parts below 8 MiB (jemalloc rounds
exactly 8 MiB, with its header, up to 10), and its key holds the list of them: total length, number, and a nonce of
the writer. The parts go first, each in the same slot as its key, the key last and only if it is absent and all parts
are there: so a value is there whole or not at all, though the server be restarted empty, and two writers do not mix.

Each string begins with 16 bytes that say which of the two it is, so that a value is where arrays are aligned.
"""

from __future__ import annotations

import itertools
import secrets
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from wukong_sched.storage.cluster import Deployment, escaped, raised
from wukong_sched.storage.codec import Buffer
from wukong_sched.storage.objects import Objects, Pieces, StoreFull, Tally, cut, size
from wukong_sched.storage.resp import Argument, Command, ServerError
from wukong_sched.storage.retry import Retry

HEAD = struct.Struct("<4sIQ")
WHOLE, SPLIT = b"WHOL", b"PART"
SMALL = 1 << 19
"""Bytes up to which a value is one string."""
PART = (8 << 20) - 4096
"""Bytes of each part but the last."""
SECONDS = 7 * 86400
"""Time after which the server forgets a value that nobody has deleted."""
PARTS = 4
"""Parts that are on their way at once."""
JOIN = """
if redis.call('EXISTS', unpack(KEYS, 2)) < #KEYS - 1 then return 0 end
if ARGV[2] == '0' then return redis.call('SET', KEYS[1], ARGV[1], 'NX') end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2])
"""
"""Script that makes parts a value; 0 if some were lost."""


class RedisObjects:
    """Values in a Redis, given by its URL or as a deployment whose connections several stores share.

    They expire after `ttl` seconds (0: never), should their job never be swept.
    """

    def __init__(
        self, server: str | Deployment, tally: Tally | None = None, *, ttl: int = SECONDS, retry: Retry | None = None
    ) -> None:
        self.tally = Tally() if tally is None else tally
        self._ttl = ttl
        self._expiry: list[Argument] = ["EX", ttl] if ttl else []
        if isinstance(server, str):
            server = Deployment(server, retry, lambda: self.tally.add(retries=1))
        self._server = server

    def close(self) -> None:
        """End all connections."""
        self._server.close()

    def put(self, values: Mapping[str, Pieces]) -> None:
        heads: dict[str, Command] = {}
        full: dict[str, ServerError] = {}
        lost: dict[str, Pieces] = {}
        there = self._there([key for key, pieces in values.items() if size(pieces) > SMALL])
        for key, pieces in values.items():
            if key in there:
                continue
            if size(pieces) <= SMALL:
                heads[key] = self._set(key, b"".join([HEAD.pack(WHOLE, 1, size(pieces)), *pieces]))
                continue
            try:
                heads[key] = self._put_parts(key, pieces)
            except ServerError as error:
                full[key] = out_of_memory(error)
        for key, reply in zip(heads, self._server.send(list(heads.values())), strict=True):
            if isinstance(reply, ServerError):
                full[key] = out_of_memory(reply)
            if reply != b"OK" and size(values[key]) > SMALL:
                self._forget_parts(key, heads[key])
            if reply == 0:
                lost[key] = values[key]
        stored = [size(pieces) for key, pieces in values.items() if key not in full]
        self.tally.add(written=sum(stored), puts=len(values))
        if full:
            raise StoreFull(f"Redis at {self._server.address} is full: {next(iter(full.values()))}", [*full, *lost])
        if lost:
            self.put(lost)

    def _there(self, keys: Sequence[str]) -> set[str]:
        """Those that are in the store already: asked before large values are sent for nothing."""
        replies = self._server.send([Command(key, ["EXISTS", key]) for key in keys])
        return {key for key, reply in zip(keys, map(raised, replies), strict=True) if reply}

    def _set(self, key: str, value: Buffer) -> Command:
        return Command(key, ["SET", key, value, "NX", *self._expiry])

    def _put_parts(self, key: str, pieces: Pieces) -> Command:
        """Store the parts; the command that makes them a value."""
        nonce = secrets.token_bytes(16)
        whole = size(pieces)
        count = -(-whole // PART)
        head = HEAD.pack(SPLIT, count, whole) + nonce
        parts = zip(part_keys(key, nonce, count), cut(pieces, PART), strict=True)
        try:
            for name, part in parts:  # one after the other: each is large
                raised(self._server.one(Command(name, ["SET", name, part, *self._expiry])))
        except ServerError:
            self._unlink(part_keys(key, nonce, count))
            raise
        names = [key, *part_keys(key, nonce, count)]
        return Command(key, ["EVAL", JOIN, len(names), *names, head, self._ttl])

    def _forget_parts(self, key: str, head: Command) -> None:
        """The parts of a value that did not become one: another writer came first, or there was no room."""
        data = bytes(head.arguments[-2])  # type: ignore[arg-type]
        (current,) = self._server.send([Command(key, ["GET", key])])
        if current is None or isinstance(current, ServerError) or bytes(current) != data:
            self._unlink(parts_of(key, data))

    def get(self, keys: Sequence[str]) -> dict[str, Buffer]:
        found: dict[str, Buffer] = {}
        replies = self._server.send([Command(key, ["GET", key]) for key in keys])
        for key, reply in zip(keys, map(raised, replies), strict=True):
            if reply is None:
                continue
            value = whole_value(reply) if reply[:4] == WHOLE else self._join(key, bytes(reply))
            if value is not None:
                found[key] = value
        self.tally.add(read=sum(map(len, found.values())), gets=len(keys))
        return found

    def _join(self, key: str, head: bytes) -> Buffer | None:
        _, _, length = HEAD.unpack_from(head)
        view = np.empty(length, np.uint8).data
        targets = [view[start : start + PART] for start in range(0, length, PART)]
        commands = [Command(n, ["GET", n], t) for n, t in zip(parts_of(key, head), targets, strict=True)]
        for start in range(0, len(commands), PARTS):
            wave = commands[start : start + PARTS]
            received = map(raised, self._server.send(wave))
            if any(reply is not command.target for reply, command in zip(received, wave, strict=True)):
                return None  # deleted meanwhile
        return view

    def delete(self, keys: Sequence[str]) -> Sequence[str]:
        heads = self._server.send([Command(key, ["GETRANGE", key, 0, HEAD.size + 15]) for key in keys])
        split = {key: bytes(head) for key, head in zip(keys, map(raised, heads), strict=True) if head[:4] == SPLIT}
        self._unlink(itertools.chain(keys, *(parts_of(key, head) for key, head in split.items())))
        self.tally.add(deletes=len(keys))
        return [key for key, head in zip(keys, heads, strict=True) if not head]

    def _unlink(self, names: Iterable[str]) -> None:
        for reply in self._server.send([Command(name, ["UNLINK", name]) for name in names]):
            raised(reply)

    def keys(self, prefix: str) -> Iterable[str]:
        return [name for name in self._scan(prefix) if not name.startswith("{")]

    def _scan(self, prefix: str) -> set[str]:
        """Values and parts of values."""
        self.tally.add(gets=1)
        return {name for name in self._server.scan("*" + escaped(prefix) + "*") if belongs(name, prefix)}

    def sweep(self, prefix: str) -> None:
        self._unlink(self._scan(prefix))
        self.tally.add(deletes=1)


def whole_value(reply: Buffer) -> Buffer:
    """The value in a string that holds it whole."""
    view = memoryview(reply)[HEAD.size :]
    return memoryview(bytearray(view)) if view.readonly else view


def part_keys(key: str, nonce: bytes, count: int) -> list[str]:
    """Keys of the parts, in the slot of the value's key."""
    return [f"{{{key}}}{nonce.hex()}.{number}" for number in range(count)]


def parts_of(key: str, head: bytes) -> list[str]:
    """Keys of the parts that a value's string lists."""
    _, count, _ = HEAD.unpack_from(head)
    return part_keys(key, head[HEAD.size :], count)


def out_of_memory(error: ServerError) -> ServerError:
    """The error, if it says that the server is full; any other is raised."""
    if error.code != "OOM":
        raise error
    return error


def belongs(name: str, prefix: str) -> bool:
    """Whether a key is of a value, or of a part of one, that begins so."""
    return name.startswith((prefix, "{" + prefix))


_: type[Objects] = RedisObjects
