"""BLAS threads: one per task while jobs run that call BLAS, as before when the last of them has ended.

Tasks run in parallel themselves, and results must not depend on how many threads a library takes. A library that is
loaded only while a task runs is not held back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Pin:
    """Holds BLAS to one thread as long as anybody needs that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limits: Any = None

    def take(self) -> None:
        with self._lock:
            if not self._users:
                self._limits = _limited()
            self._users += 1

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                _take_control()
                self._limits.restore_original_limits()
                self._limits = None


def arithmetic() -> str:
    """What decides the bits of BLAS: for which processor its kernels are, and how many threads it takes.

    >>> with single_threaded():
    ...     arithmetic().endswith(" x1")
    True
    """
    from threadpoolctl import threadpool_info

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    kinds = {library.get("architecture") or library["internal_api"] for library in libraries}
    threads = {library["num_threads"] for library in libraries}
    return f"{' '.join(sorted(map(str.lower, kinds)))} x{max(threads, default=1)}"


def _limited() -> Any:
    from threadpoolctl import threadpool_limits

    _take_control()
    return threadpool_limits(1, user_api="blas")


def _take_control() -> None:
    """Let this thread set limits: threadpoolctl (since 3.7) ignores all threads but the first that has set any."""
    import threadpoolctl

    clear = getattr(getattr(threadpoolctl, "OpenBLASController", None), "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


_PIN = _Pin()


@contextmanager
def single_threaded() -> Iterator[None]:
    """BLAS in one thread per caller, for as long as any `with` of this lasts; restored whatever happens."""
    _PIN.take()
    try:
        yield
    finally:
        _PIN.release()
