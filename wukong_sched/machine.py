"""This machine: its processors, its memory, and what this process has of it."""

from __future__ import annotations

import os


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resident_bytes() -> int:
    """Bytes of memory that this process has now; 0 where the system does not say."""
    return _pages()[0]


def private_bytes() -> int:
    """Bytes of memory that this process has for itself now; 0 where the system does not say.

    Pages of files are not among them: those that map the same file share them, and the system takes them back when it
    needs room.
    """
    resident, shared = _pages()
    return resident - shared


def _pages() -> tuple[int, int]:
    """Bytes of this process's pages, and of those among them that are files' or shared."""
    try:
        with open("/proc/self/statm") as statm:
            _, resident, shared = map(int, statm.read().split()[:3])
        size = os.sysconf("SC_PAGE_SIZE")
        return resident * size, shared * size
    except (OSError, ValueError, AttributeError):
        return 0, 0


def machine_bytes() -> int:
    """Bytes of memory of this machine; 8 GiB are assumed where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30
