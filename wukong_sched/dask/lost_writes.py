"""Stores into arrays of this process, of which tasks in other processes write into copies."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from dask._task_spec import DataNode, GraphNode, Task, TaskRef

STORING = frozenset({"load_store_chunk", "store_chunk"})
"""Dask's functions (chunk, target, ...) that write into a target."""
STEPS = 3
"""References from one to the next until the target: out of a fused graph, and to data of the graph."""
LOST = (
    "da.store into a NumPy array writes into a copy of it in another process; compute and assign, target[...] = "
    "x.compute(), or store into Zarr or HDF5, or compute this with scheduler=wukong_sched.dask.get"
)


def refuse_lost_writes(nodes: Mapping[Any, GraphNode]) -> None:
    """Raise TypeError if a task writes into a NumPy array of this process, and does not return what it wrote."""
    for node in nodes.values():
        if any(isinstance(target, np.ndarray) for target in _targets(node, nodes)):
            raise TypeError(LOST)


def _targets(node: GraphNode, known: Mapping[Any, Any]) -> Iterator[Any]:
    """What a node stores into, for good."""
    if type(node) is not Task:
        return
    if node.has_subgraph():
        graph, _, names, *given = node.args
        within = ChainMap(graph, dict(zip(names, given, strict=False)), known)  # type: ignore[arg-type]
        for part in graph.values():
            yield from _targets(part, within)
    elif getattr(node.func, "__name__", "") in STORING and node.kwargs.get("return_stored") is False:
        yield _resolved(node.args[1], known)


def _resolved(value: Any, known: Mapping[Any, Any]) -> Any:
    for _ in range(STEPS):
        value = known.get(value.key) if isinstance(value, TaskRef) else value
    return value.value if isinstance(value, DataNode) else value
