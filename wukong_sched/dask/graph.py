"""Dask's graphs as explicit programs.

A Dask graph maps keys to nodes: tasks (the current specification, or tuples as in older graphs), aliases, and data. A
node says which keys it needs, so nothing inside it is searched, and data is never taken for a key.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from dask._task_spec import Alias, DataNode, GraphNode, Task, TaskRef, convert_legacy_graph
from dask.sizeof import sizeof
from dask.utils import key_split

from wukong_sched.explicit import Explicit
from wukong_sched.storage.blocks import said

Graph = Mapping[Any, GraphNode]
Wrap = Callable[["Call"], Callable[..., Any]]
LARGE = 1 << 16
"""Bytes from which an argument is kept beside the program rather than within it."""


class Held:
    """Data of a graph: kept beside the tasks, so that it is read once by whoever needs it, and never searched."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[type[Held], tuple[Any]]:
        return Held, (self.value,)

    @property
    def nbytes(self) -> int:
        """Bytes, as Dask estimates them."""
        return int(sizeof(self.value))


class Call:
    """One node of a graph, called with the values of the keys that it needs, in their order."""

    __slots__ = ("needs", "node")

    def __init__(self, node: GraphNode, needs: tuple[Hashable, ...]) -> None:
        self.node, self.needs = node, needs

    def __reduce__(self) -> tuple[type[Call], tuple[Any, ...]]:
        return Call, (self.node, self.needs)

    def __call__(self, *values: Any) -> Any:
        return self.node(dict(zip(self.needs, map(value_of, values), strict=True)))

    @property
    def __name__(self) -> str:
        """The operation, as Dask's progress bars name it."""
        return str(key_split(self.node.key))


def value_of(found: Any) -> Any:
    """What a tile holds, data or result."""
    return found.value if type(found) is Held else found


def nodes_of(graph: Any) -> Graph:
    """The graph with every entry as a node, however old its form."""
    found: Graph = convert_legacy_graph(graph if isinstance(graph, Mapping) else graph.__dask_graph__())
    return found


def without_constants(nodes: Graph) -> Graph:
    """The graph with the large arguments of its tasks as data of their own, each once, however many tasks have it."""
    constants: dict[int, DataNode] = {}

    def reference(value: Any) -> Any:
        if (said(value) or 0) < LARGE or isinstance(value, GraphNode):
            return value
        found = constants.setdefault(id(value), DataNode(("constant", id(value)), value))
        return TaskRef(found.key)

    changed = {key: _with_references(node, reference) for key, node in nodes.items()}
    return changed | {node.key: node for node in constants.values()}


def _with_references(node: GraphNode, reference: Callable[[Any], Any]) -> GraphNode:
    if type(node) is not Task:
        return node
    return _fused(node, reference) if node.has_subgraph() else _plain(node, reference)


def _plain(node: Task, reference: Callable[[Any], Any]) -> Task:
    args = [reference(value) for value in node.args]
    kwargs = {name: reference(value) for name, value in node.kwargs.items()}
    same = all(map(operator.is_, (*args, *kwargs.values()), (*node.args, *node.kwargs.values())))
    return node if same else Task(node.key, node.func, *args, **kwargs)


def _fused(node: Task, reference: Callable[[Any], Any]) -> Task:
    """A task that holds a graph: (graph, key, names of what it is given, what it is given)."""
    graph, key, names, *given = node.args
    moved: dict[Any, TaskRef] = {}

    def noted(value: Any) -> Any:
        found = reference(value)
        if found is not value:
            moved[found.key] = found
        return found

    inner = {}
    for name, part in graph.items():
        if type(part) is DataNode and isinstance(found := reference(part.value), TaskRef):
            moved[name] = found
        else:
            inner[name] = _with_references(part, noted)
    return Task(node.key, node.func, inner, key, (*names, *moved), *given, *moved.values()) if moved else node


def keys_in(keys: Any) -> Iterator[Hashable]:
    """The keys in nested lists of keys."""
    if isinstance(keys, list):
        for part in keys:
            yield from keys_in(part)
    else:
        yield keys


def program_of(nodes: Graph, keys: Any, wrap: Wrap = lambda call: call) -> Explicit:
    """The program that computes these keys, one task for each node that computes something.

    `wrap` makes of a node's call what is called instead.

    >>> import operator
    >>> program = program_of(nodes_of({"a": 1, "b": (operator.add, "a", 2), "c": "b"}), ["c"])
    >>> len(program), program.operation(program.task_of("c"))
    (1, 'b')
    """
    return Explicit.from_mapping(_Bodies(nodes, wrap), keys_in(keys))


class _Bodies(Mapping[Any, Any]):
    """The graph as `Explicit.from_mapping` wants it; only what the keys need is looked at."""

    def __init__(self, nodes: Graph, wrap: Wrap) -> None:
        self._nodes, self._wrap = nodes, wrap
        self._bodies: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        found = self._bodies.get(key)
        if found is None:
            found = self._bodies[key] = self._body(self._nodes[key])
        return found

    def _body(self, node: GraphNode) -> Any:
        if type(node) is DataNode:
            return Held(node.value)
        if type(node) is Alias:
            return node.target
        needs = tuple(sorted(node.dependencies, key=str)) if node.dependencies else ()
        return self._wrap(Call(node, needs)), *needs

    def __contains__(self, key: object) -> bool:
        return key in self._nodes

    def __iter__(self) -> Iterator[Any]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)
