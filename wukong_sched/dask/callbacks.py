"""Dask's callbacks (progress bars, profilers), called around tasks that run in this process.

What they are told of the state is what they use: which keys wait, run and have finished.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dask.callbacks import local_callbacks, unpack_callbacks

from wukong_sched.dask.graph import Call, Graph

State = Mapping[str, Any]


@dataclass(slots=True)
class Callbacks:
    """The callbacks of one computation."""

    nodes: Graph
    before: list[Callable[..., Any]]
    after: list[Callable[..., Any]]
    state: dict[str, Any]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __bool__(self) -> bool:
        return bool(self.before or self.after)

    def wrap(self, call: Call) -> Callable[..., Any]:
        """The call, with callbacks around it."""
        return Watched(call, self)

    def starts(self, key: Hashable) -> None:
        """A task begins; callbacks are called one at a time, as Dask's schedulers do."""
        with self.lock:
            self.state["waiting"].pop(key, None)
            self.state["running"].add(key)
            for callback in self.before:
                callback(key, self.nodes, self.state)

    def ends(self, key: Hashable, result: Any) -> None:
        """A task has ended."""
        with self.lock:
            self.state["running"].discard(key)
            self.state["finished"].add(key)
            for callback in self.after:
                callback(key, result, self.nodes, self.state, threading.get_ident())


@dataclass(frozen=True, slots=True)
class Watched:
    """A call between its callbacks."""

    call: Call
    callbacks: Callbacks

    def __call__(self, *values: Any) -> Any:
        key = self.call.node.key
        self.callbacks.starts(key)
        result = self.call(*values)
        self.callbacks.ends(key, result)
        return result

    @property
    def __name__(self) -> str:
        """The operation."""
        return self.call.__name__


@contextlib.contextmanager
def watching(nodes: Graph, given: Any = None) -> Iterator[Callbacks]:
    """The callbacks that are active, or given, told of the computation's start and end."""
    with local_callbacks(given) as active, contextlib.ExitStack() as stack:
        _, _, before, after, _ = unpack_callbacks(active)  # type: ignore[no-untyped-call]
        state = {"waiting": dict.fromkeys(nodes, ()), "ready": [], "running": set(), "finished": set(), "cache": {}}
        failed = [True]
        for start, start_state, _, _, finish in active:
            if start:
                start(nodes)
            if finish:
                stack.callback(partial(_finished, finish, nodes, state, failed))
            if start_state:
                start_state(nodes, state)
        yield Callbacks(nodes, before, after, state)
        failed.clear()


def _finished(finish: Callable[..., Any], nodes: Graph, state: State, failed: list[bool]) -> None:
    finish(nodes, state, bool(failed))
