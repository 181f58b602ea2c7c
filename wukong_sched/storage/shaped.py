"""A network like the cloud's, put between the processes of one machine and their stores.

Whoever asks a store waits as long as it would in the cloud: the latency of the request, then for its bytes to pass the
network interface of his function, a token bucket that all threads of a process share. What the real request took is
part of that time. Waiting is sleeping: it takes no processor time, so that many functions fit on few cores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from wukong_sched.links import Service
from wukong_sched.storage.codec import Buffer
from wukong_sched.storage.objects import Objects, Pieces, size

PAGE = 1000
"""Keys that one request deletes."""


class Network:
    """The network interface of one process: a token bucket of `bandwidth` bytes a second, which never fills up.

    `clock` tells the time in seconds and `sleep` lets it pass; the simulator hands in virtual ones. Threads may share
    it: their bytes pass one after the other, in the order in which their requests end.

    >>> slept = []
    >>> network = Network(100.0, lambda: 0.0, slept.append)
    >>> network.passed(0.0, 0.5, 100)
    >>> network.passed(0.0, 0.5, 100)
    >>> slept
    [1.5, 2.5]
    """

    def __init__(
        self,
        bandwidth: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bandwidth, self.clock, self._sleep = bandwidth, clock, sleep
        self._free = 0.0
        """When the bytes that are on their way have passed."""
        self._lock = threading.Lock()

    def passed(self, began: float, latency: float, nbytes: int = 0) -> None:
        """Return when a request that began then, and moves so many bytes, is over."""
        pause = self.ends(began, latency, nbytes) - self.clock()
        if pause > 0:
            self._sleep(pause)

    def ends(self, began: float, latency: float, nbytes: int = 0) -> float:
        """When such a request is over; its bytes pass from now on."""
        until = began + latency
        if nbytes:
            with self._lock:
                until = self._free = max(until, self._free) + nbytes / self.bandwidth
        return until


class ShapedObjects:
    """A store behind a network: every request takes as long as it would there."""

    def __init__(self, objects: Objects, service: Service, network: Network) -> None:
        self._objects, self._service, self._network = objects, service, network

    def put(self, values: Mapping[str, Pieces]) -> None:
        began = self._network.clock()
        self._objects.put(values)
        wait = self._service.wait(len(values), self._service.write)
        self._network.passed(began, wait, sum(map(size, values.values())))

    def get(self, keys: Sequence[str]) -> dict[str, Buffer]:
        began = self._network.clock()
        found = self._objects.get(keys)
        wait = self._service.wait(len(keys), self._service.read)
        self._network.passed(began, wait, sum(map(len, found.values())))
        return found

    def delete(self, keys: Sequence[str]) -> Sequence[str]:
        began = self._network.clock()
        absent = self._objects.delete(keys)
        self._network.passed(began, self._service.wait(-(-len(keys) // PAGE), self._service.write))
        return absent

    def keys(self, prefix: str) -> Iterable[str]:
        began = self._network.clock()
        found = self._objects.keys(prefix)
        self._network.passed(began, self._service.read)
        return found

    def sweep(self, prefix: str) -> None:
        began = self._network.clock()
        self._objects.sweep(prefix)
        self._network.passed(began, self._service.read + self._service.write)


_: type[Objects] = ShapedObjects
