"""Stores into what other processes would have a copy of, and write into that.

Tasks in other processes get a target pickled, so a write reaches the target itself only if that is a reference to
something they share: a Zarr array whose chunks are in files or objects. Whatever else is among a graph's data, arrays,
open HDF5 files, objects of classes nobody knows, is refused. What a task returns as a target, a function that opens it,
is its user's business.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

from dask._task_spec import DataNode, GraphNode, Task, TaskRef

STORING = frozenset({"load_store_chunk", "store_chunk"})
"""Dask's functions (chunk, target, ...) that write into a target."""
STEPS = 3
"""References from one to the next until the target: out of a fused graph, and to data of the graph."""
WRAPPED = ("_store", "store", "fs", "sync_fs")
"""Where Zarr's stores, and file systems, have what they wrap."""
IN_PROCESS = ("Memory", "KVStore", "dict")
"""What the names of classes have in them that keep chunks in this process."""
ON_MACHINE = (*IN_PROCESS, "Local", "Zip", "Directory")
"""The same of those that keep them on this machine."""
LOST = (
    "da.store from functions writes into a copy of this {kind} {where}, and the copy is lost; compute and assign, "
    "target[...] = x.compute(), or store into Zarr that functions reach, x.to_zarr(path) on this machine's disk or "
    "x.to_zarr(url) in object storage for a cloud's, or compute this with scheduler=wukong_sched.dask.get; if every "
    "process can open the target, give dask.delayed(open_it)(...) for it"
)


def refuse_lost_writes(nodes: Mapping[Any, GraphNode], elsewhere: bool = False) -> None:
    """Raise TypeError if a task writes into data of the graph that other processes, or machines, do not share."""
    where = "on another machine" if elsewhere else "in another process"
    for node in nodes.values():
        for target in _targets(node, nodes):
            if not is_shared(target, elsewhere):
                kind = f"{type(target).__module__}.{type(target).__qualname__}"
                raise TypeError(LOST.format(kind=kind, where=where))


def is_shared(target: Any, elsewhere: bool = False) -> bool:
    """Whether what is written into a target's copy in another process is written into the target.

    With `elsewhere`, in a process of another machine.

    >>> is_shared(bytearray(8))
    False
    """
    if not type(target).__module__.startswith("zarr."):
        return False
    apart = ON_MACHINE if elsewhere else IN_PROCESS
    return not any(name in type(layer).__name__ for layer in _layers(target.store) for name in apart)


def _layers(store: Any) -> Iterator[Any]:
    """A store, and what it wraps."""
    yield store
    for name in WRAPPED:
        if name in getattr(store, "__dict__", {}):
            yield from _layers(vars(store)[name])


def _targets(node: GraphNode, known: Mapping[Any, Any]) -> Iterator[Any]:
    """What of the graph's data a node stores into."""
    if type(node) is not Task:
        return
    if node.has_subgraph():
        graph, _, names, *given = node.args
        within = ChainMap(graph, dict(zip(names, given, strict=False)), known)  # type: ignore[arg-type]
        for part in graph.values():
            yield from _targets(part, within)
    elif getattr(node.func, "__name__", "") in STORING:
        target = _resolved(node.args[1], known)
        if not isinstance(target, TaskRef | GraphNode):
            yield target


def _resolved(value: Any, known: Mapping[Any, Any]) -> Any:
    for _ in range(STEPS):
        value = known.get(value.key, value) if isinstance(value, TaskRef) else value
    return value.value if isinstance(value, DataNode) else value
