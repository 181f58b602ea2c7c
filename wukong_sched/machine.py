"""This machine: its processors, its memory, and what this process has of it."""

from __future__ import annotations

import os


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resident_bytes() -> int:
    """Bytes of memory that this process has now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 0


def private_bytes() -> int:
    """Bytes of memory that this process has for itself now; 0 where the system does not say.

    Pages of files are not among them: those that map the same file share them, and the system takes them back when it
    needs room.
    """
    try:
        with open("/proc/self/statm") as statm:
            _, resident, shared = map(int, statm.read().split()[:3])
        return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 0


def machine_bytes() -> int:
    """Bytes of memory of this machine; 8 GiB are assumed where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30
