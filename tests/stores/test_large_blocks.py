"""Blocks beyond 2 GiB, where blosc ends and one call of the system stops: through codec and stores, from end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stores.bucket import Bucket
from wukong_sched.program import Tile
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import Objects
from wukong_sched.storage.redis import RedisObjects
from wukong_sched.storage.s3 import S3Objects
from wukong_sched.storage.tiles import TileStorage

NBYTES = 2**31 + 10**6
NEEDED = 12 << 30
"""Bytes of memory: the block, its copy in the store, the store's own copies, and what comes back."""
CHUNK = 1 << 26
TILE: Tile = ("a", (0,))

pytestmark = pytest.mark.long
Block = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(autouse=True)
def room() -> None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    if free < NEEDED:
        pytest.skip(f"{free / 2**30:.1f} GiB of memory are free; {NEEDED >> 30} are needed")


def incompressible() -> Block:
    """Random bytes, the same again and again, but further apart than a compressor looks."""
    return np.resize(np.random.default_rng(3).integers(0, 256, (1 << 24) + 1, np.uint8), NBYTES)


def compressible() -> Block:
    """Numbers that count upwards, not as many as would fill the last frame."""
    return np.arange(NBYTES // 8)


KINDS: Mapping[str, Callable[[], Block]] = {"incompressible": incompressible, "compressible": compressible}


@contextmanager
def files(path: Path) -> Iterator[Objects]:
    yield FilesystemObjects(path)


@contextmanager
def redis(path: Path) -> Iterator[Objects]:
    with Valkey() as server, closing(RedisObjects(server.url)) as objects:
        yield objects


@contextmanager
def s3(path: Path) -> Iterator[Objects]:
    with closing(S3Objects("b", Bucket())) as objects:
        yield objects


STORES = {"files": files, "redis": redis, "s3": s3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", STORES)
def test_a_block_beyond_2_gib_comes_back_as_it_was(tmp_path: Path, store: str, kind: str) -> None:
    block = KINDS[kind]()
    with ExitStack() as stack:
        storage = TileStorage(stack.enter_context(STORES[store](tmp_path)), Keys("job"))
        storage.put({TILE: block})
        stored = storage.objects.tally.bytes_written  # type: ignore[attr-defined]
        assert (stored > block.nbytes) is (kind == "incompressible")
        (back,) = storage.get([TILE]).values()
        assert (back.dtype, back.shape, back.flags.writeable) == (block.dtype, block.shape, True)
        step = CHUNK // block.itemsize
        for at in range(0, block.size, step):
            np.testing.assert_array_equal(back[at : at + step], block[at : at + step])
        del back
        assert list(storage.tiles()) == [TILE]
        storage.sweep()
        assert list(storage.tiles()) == []


@pytest.mark.parametrize("store", ["files", "s3"])
def test_a_part_that_lies_across_2_gib_is_read(tmp_path: Path, store: str) -> None:
    block = incompressible()
    with ExitStack() as stack:
        objects: Any = stack.enter_context(STORES[store](tmp_path))
        objects.put({"jobs/1/a": [block.data]})
        for start, stop in ((2**31 - 5000, 2**31 + 5000), (2**31 + 1, 2**31 + 9), (NBYTES - 7, NBYTES + 100)):
            assert bytes(objects.read_range("jobs/1/a", start, stop)) == block[start:stop].tobytes()
