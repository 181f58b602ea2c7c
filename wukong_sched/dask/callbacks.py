"""Dask's callbacks (progress bars, profilers), called around tasks that run in this process.

What they are told of the state is what they use: which keys wait, run and have finished, and what depends on what. Of
tasks in other processes no more is known than how many have run: so a progress bar moves, but profiles stay empty.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dask._task_spec import Alias, DataNode
from dask.callbacks import local_callbacks, unpack_callbacks
from dask.core import reverse_dict

from wukong_sched.dask.graph import Call, Graph, nodes_of

State = dict[str, Any]


@dataclass(slots=True)
class Callbacks:
    """The callbacks of one computation."""

    nodes: Graph
    before: list[Callable[..., Any]]
    after: list[Callable[..., Any]]
    state: dict[str, Any]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __bool__(self) -> bool:
        return bool(self.state)

    def progress(self, done: int, tasks: int) -> None:
        """So many tasks have run in other processes; which ones, nobody says."""
        waiting, finished = self.state["waiting"], self.state["finished"]
        with self.lock:
            while waiting and len(finished) < done:
                finished.add(waiting.popitem()[0])

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
    """The callbacks that are active, or given, told of the computation's start and end.

    Those that are told of the start may put data into the graph, as Dask's `Cache` does for keys that it knows.
    """
    with local_callbacks(given) as active, contextlib.ExitStack() as stack:
        if not active:
            yield Callbacks(nodes, [], [], {})
            return
        _, _, before, after, _ = unpack_callbacks(active)  # type: ignore[no-untyped-call]
        graph, state = dict(nodes), State()
        failed = [True]
        for start, _, _, _, finish in active:
            if start:
                start(graph)
            if finish:
                stack.callback(partial(_finished, finish, graph, state, failed))
        graph.update(nodes_of(graph))
        state.update(_state(graph))
        for _, start_state, _, _, _ in active:
            if start_state:
                start_state(graph, state)
        yield Callbacks(graph, before, after, state)
        state["finished"] |= state["waiting"].keys()
        state["waiting"].clear()
        failed.clear()


def _state(graph: Graph) -> State:
    waiting = {key: set(node.dependencies) for key, node in graph.items() if type(node) not in (DataNode, Alias)}
    dependencies = {key: set(node.dependencies) for key, node in graph.items()}
    return {
        "waiting": waiting, "ready": [], "running": set(), "finished": set(), "released": set(),
        "cache": {key: node.value for key, node in graph.items() if type(node) is DataNode},
        "dependencies": dependencies, "dependents": reverse_dict(dependencies),
    }  # fmt: skip


def _finished(finish: Callable[..., Any], nodes: Graph, state: State, failed: list[bool]) -> None:
    finish(nodes, state, bool(failed))
