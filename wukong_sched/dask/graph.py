"""Dask's graphs as explicit programs.

A Dask graph maps keys to nodes: tasks (the current specification, or tuples as in older graphs), aliases, and data. A
node says which keys it needs, so nothing inside it is searched, and data is never taken for a key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from dask._task_spec import Alias, DataNode, GraphNode, convert_legacy_graph
from dask.sizeof import sizeof
from dask.utils import key_split

from wukong_sched.errors import ProgramError
from wukong_sched.explicit import Explicit

Graph = Mapping[Any, GraphNode]
Wrap = Callable[["Call"], Callable[..., Any]]


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


class MissingKey(ProgramError, KeyError):
    """A key that is asked for, or that a task needs, is not in the graph; Dask raises KeyError."""

    def __str__(self) -> str:
        return str(self.args[0])


def value_of(found: Any) -> Any:
    """What a tile holds, data or result."""
    return found.value if type(found) is Held else found


def nodes_of(graph: Any) -> Graph:
    """The graph with every entry as a node, however old its form."""
    found: Graph = convert_legacy_graph(graph if isinstance(graph, Mapping) else graph.__dask_graph__())
    return found


def keys_in(keys: Any) -> Iterator[Hashable]:
    """The keys in nested lists of keys."""
    if isinstance(keys, list):
        for part in keys:
            yield from keys_in(part)
    else:
        yield keys


def program_of(nodes: Graph, keys: Any, wrap: Wrap = lambda call: call) -> Explicit:
    """The program that computes these keys, one task for each node that computes something.

    `wrap` makes of a node's call what is called instead. Raises MissingKey for a key that is not in the graph.

    >>> import operator
    >>> program = program_of(nodes_of({"a": 1, "b": (operator.add, "a", 2), "c": "b"}), ["c"])
    >>> len(program), program.operation(program.task_of("c"))
    (1, 'b')
    """
    bodies = _Bodies(nodes, wrap)
    return Explicit.from_mapping(bodies, map(bodies.check, keys_in(keys)))


class _Bodies(Mapping[Any, Any]):
    """The graph as `Explicit.from_mapping` wants it; only what the keys need is looked at."""

    def __init__(self, nodes: Graph, wrap: Wrap) -> None:
        self._nodes, self._wrap = nodes, wrap
        self._bodies: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        found = self._bodies.get(key)
        if found is None:
            node = self._nodes[key]
            found = self._bodies[key] = self._body(node)
            for need in node.dependencies:
                self.check(need, f" that {key!r} needs")
        return found

    def check(self, key: Hashable, why: str = "") -> Hashable:
        """The key, if it is there."""
        if key not in self._nodes:
            raise MissingKey(f"key {key!r}{why} is not in the graph, which has {len(self._nodes)} keys")
        return key

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
