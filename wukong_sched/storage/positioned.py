"""Reading and writing at a place in a file, all of it, however little a single call takes."""

from __future__ import annotations

import os

MOST = 1 << 30
"""Bytes of one call: what the system takes at once."""


def read_at(descriptor: int, memory: memoryview, position: int) -> None:
    """Fill the memory with what stands in the file from this position on; OSError if the file ends before."""
    while memory:
        count = os.preadv(descriptor, [memory[:MOST]], position)
        if not count:
            raise OSError(f"the file ends at byte {position}, {len(memory)} bytes early: somebody cut it")
        memory, position = memory[count:], position + count


def write_at(descriptor: int, memory: memoryview, position: int) -> None:
    """Write all of the memory into the file from this position on; OSError from whatever the disk refuses."""
    while memory:
        count = os.pwrite(descriptor, memory[:MOST], position)
        memory, position = memory[count:], position + count
