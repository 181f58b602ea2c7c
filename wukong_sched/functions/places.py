"""Where things are: a cloud put together from addresses, alike for a client and inside a function.

Tiles are in Redis and in an object store (files of this machine, or S3), records in the same Redis, functions behind
an invoker. A function finds the addresses in its environment, beside the key that programs are signed with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from wukong_sched.coordination.protocol import Coordination
from wukong_sched.coordination.redis import RedisCoordination
from wukong_sched.functions.cloud import Invoker, JobStorage
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import Objects, Tally
from wukong_sched.storage.redis import RedisObjects
from wukong_sched.storage.structured import BlockCodec
from wukong_sched.storage.tiered import TieredObjects
from wukong_sched.storage.tiles import TileStorage

REDIS, OBJECTS, LEASE, GRACE, KEY = "WUKONG_REDIS", "WUKONG_OBJECTS", "WUKONG_LEASE", "WUKONG_GRACE", "WUKONG_KEY"
"""Variables of a function's environment."""


def _files(address: str, tally: Tally) -> Objects:
    return FilesystemObjects(unquote(urlsplit(address).path), tally)


def _bucket(address: str, tally: Tally) -> Objects:
    from wukong_sched.storage.s3 import S3Objects

    return S3Objects(urlsplit(address).netloc, tally=tally)


STORES: Mapping[str, Callable[[str, Tally], Objects]] = {"file": _files, "s3": _bucket}
"""Object stores by the scheme of their address."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the stores of one cloud are."""

    redis: str
    """``unix:///path``, ``redis://host:port`` or ``rediss://user:password@host:port``."""
    objects: str
    """``file:///directory`` or ``s3://bucket``."""
    lease: float = 30.0
    """Seconds for which an executor that has gone silent is taken to be alive."""
    grace: float = 10.0
    """Seconds until an executor that did not start is invoked again."""

    def __post_init__(self) -> None:
        scheme = urlsplit(self.objects).scheme
        if scheme not in STORES:
            known = ", ".join(f"{name}://" for name in STORES)
            raise ValueError(f"{self.objects!r} names no object store; its address begins with one of {known}")

    def __repr__(self) -> str:
        return f"Addresses(redis={urlsplit(self.redis).hostname!r}, objects={self.objects!r})"

    def environment(self, key: bytes) -> dict[str, str]:
        """The variables that a function finds them by; secret, as the key is."""
        lease, grace = str(self.lease), str(self.grace)
        return {REDIS: self.redis, OBJECTS: self.objects, LEASE: lease, GRACE: grace, KEY: key.hex()}

    @staticmethod
    def found(environment: Mapping[str, str]) -> tuple[Addresses, bytes]:
        """The addresses and the key in a function's environment.

        >>> Addresses.found(Addresses("unix:///s", "file:///tmp").environment(b"key"))[1]
        b'key'
        """
        lease, grace = float(environment[LEASE]), float(environment[GRACE])
        key = bytes.fromhex(environment[KEY])
        return Addresses(environment[REDIS], environment[OBJECTS], lease, grace), key


class Places:
    """The cloud at these addresses.

    `classes` may be stored as trees of arrays; what else is no array is pickled and signed.
    """

    def __init__(self, addresses: Addresses, invoker: Invoker, classes: Sequence[type] = ()) -> None:
        self.addresses, self._invoker, self._classes = addresses, invoker, tuple(classes)
        self._tallies = {"inline": Tally(), "redis": Tally(), "object": Tally()}
        self._redis = RedisObjects(addresses.redis, self._tallies["redis"])
        large = STORES[urlsplit(addresses.objects).scheme](addresses.objects, self._tallies["object"])
        self._objects = TieredObjects(self._redis, large, tally=self._tallies["inline"])

    def storage(self, keys: Keys, key: bytes) -> JobStorage:
        """One job's tiles."""
        return TileStorage(self._objects, keys, BlockCodec(self._classes, key))

    def objects(self) -> Objects:
        """All tiers."""
        return self._objects

    def inline(self, keys: Sequence[str], limit: int) -> Mapping[str, bytes]:
        """Small values at hand."""
        return self._objects.inline(keys, limit)

    def receive(self, values: Mapping[str, bytes]) -> None:
        """Values that came with an invocation."""
        self._objects.hints = values

    def coordination(self, job: str) -> Coordination:
        """One job's records."""
        addresses = self.addresses
        return RedisCoordination(addresses.redis, job, lease=addresses.lease, grace=addresses.grace)

    def invoker(self) -> Invoker:
        """Who starts functions."""
        return self._invoker

    def tallies(self) -> Mapping[str, Tally]:
        """By tier."""
        return self._tallies

    def close(self) -> None:
        """End all connections."""
        self._redis.close()
