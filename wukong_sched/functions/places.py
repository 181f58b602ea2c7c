"""Where things are: a cloud put together from addresses, alike for a client and inside a function.

Tiles are in Redis and in an object store (files of this machine, or S3), records in the same Redis, functions behind
an invoker. A function finds the addresses in its environment, beside the key that programs are signed with.

With a `shape`, all of that is behind a network like a cloud's (`wukong_sched.links`): each request of this process, a
client's too, and each block of a source takes as long as it would there.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from wukong_sched.coordination.protocol import Coordination
from wukong_sched.coordination.redis import RedisCoordination
from wukong_sched.coordination.shaped import ShapedCoordination
from wukong_sched.functions.cloud import Invoker, JobStorage
from wukong_sched.functions.shaped_invoker import ShapedInvoker
from wukong_sched.links import AWS, LOCAL, Links, shape
from wukong_sched.program import Tile
from wukong_sched.storage.blocks import nbytes_of
from wukong_sched.storage.cluster import Deployment
from wukong_sched.storage.codec import gain_needed
from wukong_sched.storage.job_files import JobFiles
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import Objects, Tally
from wukong_sched.storage.redis import RedisObjects
from wukong_sched.storage.resp import Address
from wukong_sched.storage.shaped import Network, ShapedObjects
from wukong_sched.storage.structured import BlockCodec
from wukong_sched.storage.tiered import TieredObjects
from wukong_sched.storage.tiles import TileStorage

T = TypeVar("T")

REDIS, OBJECTS, LEASE, GRACE, KEY = "WUKONG_REDIS", "WUKONG_OBJECTS", "WUKONG_LEASE", "WUKONG_GRACE", "WUKONG_KEY"
SHAPE = "WUKONG_SHAPE"
"""Variables of a function's environment."""


def _files(address: str, tally: Tally) -> Objects:
    return JobFiles(unquote(urlsplit(address).path), tally)


def _bucket(address: str, tally: Tally) -> Objects:
    from wukong_sched.storage.s3 import S3Objects

    return S3Objects(urlsplit(address).netloc, tally=tally)


STORES: Mapping[str, Callable[[str, Tally], Objects]] = {"file": _files, "s3": _bucket}
"""Object stores by the scheme of their address."""
LINKS: Mapping[str, Links] = {"file": LOCAL, "s3": AWS}
"""How fast the way to these stores is, if nothing shapes it."""


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
    shape: str = ""
    """Name of a network in `links.SHAPES` that all traffic is given; empty: the one that is there."""
    inside: bool = False
    """Whether this process is a function; else it is a client."""

    def __post_init__(self) -> None:
        Address.parse(self.redis)
        parts = urlsplit(self.objects)
        if parts.scheme not in STORES or not (parts.netloc or parts.path):
            known = ", ".join(f"{name}://" for name in STORES)
            raise ValueError(
                f"{self.objects!r} names no object store; its address begins with one of {known} and names a place"
            )
        shape(self.shape)

    def __repr__(self) -> str:
        return f"Addresses(redis={urlsplit(self.redis).hostname!r}, objects={self.objects!r})"

    def environment(self, key: bytes) -> dict[str, str]:
        """The variables that a function finds them by; secret, as the key is."""
        lease, grace = str(self.lease), str(self.grace)
        where = {REDIS: self.redis, OBJECTS: self.objects, SHAPE: self.shape}
        return {**where, LEASE: lease, GRACE: grace, KEY: key.hex()}

    @staticmethod
    def found(environment: Mapping[str, str]) -> tuple[Addresses, bytes]:
        """The addresses and the key in a function's environment; raises ValueError for what makes no sense.

        >>> Addresses.found(Addresses("unix:///s", "file:///tmp").environment(b"key"))[1]
        b'key'
        """
        lease, grace = _seconds(environment, LEASE), _seconds(environment, GRACE)
        try:
            key = bytes.fromhex(environment[KEY])
        except ValueError:
            raise ValueError(f"{KEY} is no key, and is not shown: expected hexadecimal digits") from None
        shaped = environment.get(SHAPE, "")
        return Addresses(environment[REDIS], environment[OBJECTS], lease, grace, shaped, inside=True), key

    @property
    def links(self) -> Links:
        """The network between functions and stores."""
        return shape(self.shape) or LINKS[urlsplit(self.objects).scheme]


def _seconds(environment: Mapping[str, str], name: str) -> float:
    try:
        seconds = float(environment[name])
        if not 0 < seconds < math.inf:
            raise ValueError
    except ValueError:
        raise ValueError(f"{name}={environment[name]!r}: expected seconds, 30 say") from None
    return seconds


class Places:
    """The cloud at these addresses.

    `classes` may be stored as trees of arrays; what else is no array is pickled and signed.
    """

    def __init__(self, addresses: Addresses, invoker: Invoker, classes: Sequence[type] = ()) -> None:
        self.addresses, self._invoker, self._classes = addresses, invoker, tuple(classes)
        self._tallies = {"inline": Tally(), "redis": Tally(), "object": Tally()}
        self._redis = RedisObjects(addresses.redis, self._tallies["redis"])
        self._records = self.server()
        """Connections of all jobs' records: a warm function serves one job after the other."""
        large = STORES[urlsplit(addresses.objects).scheme](addresses.objects, self._tallies["object"])
        self._files = large if isinstance(large, JobFiles) else None
        self._network: Network | None = None
        middle: Objects = self._redis
        if addresses.shape:
            links = addresses.links
            self._network = Network(links.bandwidth if addresses.inside else links.client_bandwidth)
            self._invoker = ShapedInvoker(invoker, links, self._network)
            middle = ShapedObjects(middle, links.redis, self._network)
            large = ShapedObjects(large, links.objects, self._network)
            if addresses.inside:
                time.sleep(max(0.0, links.cold_start - age()))
        self._large = large
        self._objects = TieredObjects(middle, large, tally=self._tallies["inline"])

    def storage(self, keys: Keys, key: bytes) -> JobStorage:
        """One job's tiles, compressed where that is faster than to send them as they are."""
        return self._tiles(self._objects, keys, key)

    def object_storage(self, keys: Keys, key: bytes) -> JobStorage:
        """One job's tiles, all of them in the object store."""
        return self._tiles(self._large, keys, key)

    def _tiles(self, objects: Objects, keys: Keys, key: bytes) -> JobStorage:
        if self._files is not None:
            self._files.current = keys.job_prefix
        gain = gain_needed(self.addresses.links.bandwidth)
        return TileStorage(objects, keys, BlockCodec(self._classes, key, worthwhile=gain))

    @property
    def object_store(self) -> Objects:
        """Where large values are."""
        return self._large

    def server(self) -> Deployment:
        """Connections to the server of the records."""
        return Deployment(self.addresses.redis)

    def reach(self) -> None:
        """Raise InfrastructureError unless Redis can be reached, whose connection is kept."""
        self._redis.get(["reach"])

    def round_trip(self, request: Callable[[], T]) -> T:
        """What a request to the server of the records answers, after as long as it takes on this network."""
        if self._network is None:
            return request()
        began = self._network.clock()
        answer = request()
        self._network.passed(began, self.addresses.links.coordination)
        return answer

    def source(self, read: Callable[[Tile], Any], tile: Tile) -> Any:
        """The block of a source tile: a read from the object store, as far as the network is concerned."""
        if self._network is None:
            return read(tile)
        began = self._network.clock()
        block = read(tile)
        self._network.passed(began, self.addresses.links.objects.read, nbytes_of(block))
        return block

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
        records = RedisCoordination(self._records, job, lease=addresses.lease, grace=addresses.grace)
        if self._network is None:
            return records
        return ShapedCoordination(records, addresses.links.coordination, self._network)

    def invoker(self) -> Invoker:
        """Who starts functions."""
        return self._invoker

    def tallies(self) -> Mapping[str, Tally]:
        """By tier."""
        return self._tallies

    def close(self) -> None:
        """End all connections."""
        self._redis.close()
        self._records.close()


def age() -> float:
    """Seconds since this process began, a sandbox being one; infinitely many where the system does not say."""
    try:
        with open("/proc/self/stat", "rb") as file:
            started = int(file.read().rpartition(b")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, AttributeError):
        return float("inf")
