"""Tasks that Dask has fused: a small graph within one task, run without ordering it anew at each call.

Dask's own `execute_graph` finds a static order for every such graph whenever it runs one. Here its tasks run as the one
result needs them, depth first, and what a task has made is let go of with its last reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

from dask._task_spec import GraphNode, Task, TaskRef

from wukong_sched.dask.graph import Call, value_of


class Fused(Call):
    """A call of a fused task, all of whose arguments are values of keys."""

    __slots__ = ()

    def __call__(self, *values: Any) -> Any:
        node: Any = self.node
        graph, key, names, *given = node.args
        found = dict(zip(self.needs, map(value_of, values), strict=True))
        return evaluated(graph, key, {name: found[each.key] for name, each in zip(names, given, strict=True)})


def unfused(call: Call) -> Call:
    """The same call, which runs the graph within its task, if there is one, as this module does."""
    node = call.node
    if type(node) is Task and node.has_subgraph() and all(type(each) is TaskRef for each in node.args[3:]):
        return Fused(node, call.needs)
    return call


def evaluated(graph: Mapping[Any, GraphNode], key: Hashable, values: dict[Any, Any]) -> Any:
    """The value of a key of the graph; `values` are those of keys from outside, and is used up.

    >>> import operator
    >>> graph = {"b": Task("b", operator.add, TaskRef("a"), 1), "c": Task("c", operator.mul, TaskRef("b"), 2)}
    >>> evaluated(graph, "c", {"a": 3})
    8
    """
    readers = Counter(need for node in graph.values() for need in node.dependencies)
    path = [key]
    while path:
        if path[-1] in values:
            path.pop()
            continue
        node = graph[path[-1]]
        missing = [need for need in node.dependencies if need not in values]
        if missing:
            path += missing
            continue
        values[path.pop()] = node(values)
        for need in node.dependencies:
            readers[need] -= 1
            if not readers[need]:
                del values[need]
    return values[key]
