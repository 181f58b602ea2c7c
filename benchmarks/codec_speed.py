"""The row of the codec: how fast blocks that do not compress become bytes, and bytes blocks.

Neither way copies them: a store sends a block's own memory, and a block lives where it was received. What is timed is
what every tile pays: the sample that is compressed, the search for zeros and triangles, and the checksum.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import numpy as np
from function_work import Facts, Once, Setting

from wukong_sched.storage.codec import decode, encode

BLOCKS = 4
"""Blocks that take turns: more than a processor's cache holds, as the next tile is in no cache either."""
ORDER = 2000
"""Rows and columns of a block; of float64, 32 MB."""


@contextlib.contextmanager
def codec(setting: Setting) -> Iterator[Once]:
    """Make the blocks, and yield what encodes and decodes each of them once."""
    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal((setting.scaled(ORDER), ORDER)) for _ in range(BLOCKS)]
    received = [bytearray(b"".join(encode(block))) for block in blocks]
    gigabytes = sum(block.nbytes for block in blocks) / 1e9

    def once() -> Facts:
        began = time.perf_counter()
        for block in blocks:
            encode(block)
        encoded = time.perf_counter()
        for data in received:
            decode(data)
        ended = time.perf_counter()
        speeds = {"encoded": gigabytes / (encoded - began), "decoded": gigabytes / (ended - encoded)}
        return {"seconds": ended - began, **speeds}

    yield once
