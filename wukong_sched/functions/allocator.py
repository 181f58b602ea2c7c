"""How a function's process keeps memory between tasks.

The C library gives every large block back to the system when it is freed, and gets the next one as pages that have to
be mapped and cleared one by one: for blocks of some megabytes that takes as long as to fill them. A warm function keeps
what it has freed for its next blocks instead, and gives it back when memory grows short.

Blocks of up to 32 MB are kept, which is the most that glibc allows; threads share one heap, since those of their own
would be smaller than that. Where the C library is another, nothing changes.

Source: glibc manual, "Malloc Tunable Parameters".
"""

from __future__ import annotations

import ctypes
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Parameters of mallopt."""
LARGEST = 32 << 20
"""Bytes of the largest block that is kept."""
NEVER = (1 << 31) - 1


def keep_freed() -> bool:
    """Keep freed memory from now on; False where the C library cannot."""
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    values = {ARENA_MAX: 1, MMAP_THRESHOLD: LARGEST, TRIM_THRESHOLD: NEVER}
    accepted: int = sum(mallopt(name, value) for name, value in values.items())
    return accepted == len(values)


def give_back() -> None:
    """Give freed memory back to the system."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
