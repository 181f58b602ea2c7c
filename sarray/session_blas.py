"""BLAS threads: one per task while jobs run that call BLAS, as before when the last of them has ended.

Tasks run in parallel themselves, and results must not depend on how many threads a library takes.
"""

from __future__ import annotations

import importlib
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
                self._limits.restore_original_limits()
                self._limits = None


def _limited() -> Any:
    from threadpoolctl import threadpool_limits

    importlib.import_module("kernels.lapack")  # loads SciPy's BLAS, which could not be held back before it is there
    return threadpool_limits(1, user_api="blas")


_PIN = _Pin()


@contextmanager
def single_threaded() -> Iterator[None]:
    """BLAS in one thread per caller, for as long as any `with` of this lasts; restored whatever happens."""
    _PIN.take()
    try:
        yield
    finally:
        _PIN.release()
