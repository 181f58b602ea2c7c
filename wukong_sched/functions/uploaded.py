"""Blocks that a client has put into the object store, read by functions as a source's blocks are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from wukong_sched.errors import InfrastructureError
from wukong_sched.functions.places import STORES
from wukong_sched.storage.codec import decode, encode
from wukong_sched.storage.keys import Keys, safe
from wukong_sched.storage.objects import Objects, Pieces, Tally, size

Array = npt.NDArray[Any]
Index = tuple[int, ...]
BATCH = 64 << 20
"""Bytes that are put at once."""


@cache
def store_at(address: str) -> Objects:
    """The object store at an address; one for each process."""
    return STORES[urlsplit(address).scheme](address, Tally())


@dataclass(frozen=True, slots=True)
class UploadedBlocks(Mapping[Index, Array]):
    """Arrays by tile index, in the object store at `address`."""

    address: str
    prefix: str
    numblocks: Index

    def key(self, index: Index) -> str:
        """Where a block is.

        >>> UploadedBlocks("file:///tmp", "jobs/1/sources/a", (2, 2)).key((1, 0))
        'jobs/1/sources/a[1,0]'
        """
        return f"{self.prefix}[{','.join(map(str, index))}]"

    def __getitem__(self, index: Index) -> Array:
        key = self.key(index)
        found = store_at(self.address).get([key])
        if key not in found:
            raise InfrastructureError(f"block {index} of a source is not in {self.address}; its job may be over")
        return decode(found[key], key)

    def __iter__(self) -> Iterator[Index]:
        return iter(product(*map(range, self.numblocks)))

    def __len__(self) -> int:
        return int(np.prod(self.numblocks, dtype=object))


def upload(
    blocks: Iterable[tuple[Index, Array]], address: str, job: str, name: str, numblocks: Index
) -> UploadedBlocks:
    """Put blocks below a job's own prefix, where they go when it is swept."""
    found = UploadedBlocks(address, f"{Keys(job).job_prefix}sources/{safe(name)}", numblocks)
    waiting: dict[str, Pieces] = {}
    for index, block in blocks:
        waiting[found.key(index)] = encode(block)
        if sum(map(size, waiting.values())) >= BATCH:
            store_at(address).put(waiting)
            waiting = {}
    if waiting:
        store_at(address).put(waiting)
    return found
