"""Large constants of Dask's tasks as data of their own.

What a task holds travels within the program, to every process. A large argument is therefore taken out, and read by
whoever runs a task that has it: arrays, bytes, text, frames, and what else Dask's `sizeof` knows the size of, wherever
they are among the arguments, also within nested tasks and lists, tuples and dicts. A list or dict of many small things
is taken out whole. What a function closes over stays with the function.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from dask._task_spec import DataNode, Dict, GraphNode, List, NestedContainer, Task, TaskRef, Tuple
from dask.sizeof import sizeof

from wukong_sched.storage.blocks import said

Graph = Mapping[Any, GraphNode]
Pick = Callable[[Any], Any]
"""Gives what stands for an argument: itself, or a reference to a constant."""
LARGE = 1 << 16
"""Bytes from which an argument is kept beside the program rather than within it."""
NUMBERS = frozenset({int, float, bool, complex, type(None)})
"""Kinds of what is never large, and what there is most of."""
DEEP = 8
"""Containers within each other that are looked into; one that holds itself has no end."""
EMPTY: Mapping[type, Task] = {list: List(), tuple: Tuple(), dict: Dict()}


def without_constants(nodes: Graph) -> Graph:
    """The graph with the large arguments of its tasks as data of their own, each once, however many tasks have it.

    >>> from dask._task_spec import Task
    >>> sorted(map(str, without_constants({"a": Task("a", len, bytes(LARGE)), "b": Task("b", len, b"")})))[1:]
    ['a', 'b']
    """
    constants: dict[int, DataNode] = {}

    def pick(value: Any) -> Any:
        known = constants.get(id(value))
        if known is None and not is_large(value):
            return value
        found = known or constants.setdefault(id(value), DataNode(("constant", id(value)), value))
        return TaskRef(found.key)

    changed = {key: _changed(node, pick) for key, node in nodes.items()}
    return changed | {node.key: node for node in constants.values()}


def is_large(value: Any) -> bool:
    """Whether a value, with all that it contains, has `LARGE` bytes; no more of it is looked at than says so.

    >>> is_large([b"a" * LARGE]), is_large({"k": b"a"})
    (True, False)
    """
    nbytes, rest = 0, [value]
    while rest and nbytes < LARGE:
        part = rest.pop()
        if isinstance(part, list | tuple | dict | set | frozenset):
            nbytes += sys.getsizeof(part)
            rest.extend(part.values() if isinstance(part, dict) else part)
        else:
            nbytes += said(part) or int(sizeof(part))
    return nbytes >= LARGE


def _changed(node: GraphNode, pick: Pick) -> GraphNode:
    if type(node) is not Task and not isinstance(node, NestedContainer):
        return node
    return _fused(node, pick) if node.has_subgraph() else _plain(node, pick)


def _plain(node: Task, pick: Pick) -> Task:
    args = [_argument(value, pick) for value in node.args]
    kwargs = {name: _argument(value, pick) for name, value in node.kwargs.items()}
    same = all(map(operator.is_, (*args, *kwargs.values()), (*node.args, *node.kwargs.values())))
    return node if same else _like(node, args, kwargs)


def _like(node: Task, args: list[Any], kwargs: dict[str, Any]) -> Task:
    """A node of the same kind; containers' own constructors would take lists of pairs for something else."""
    made: Task = object.__new__(type(node))
    Task.__init__(made, node.key, node.func, *args, **kwargs)
    return made


def _argument(value: Any, pick: Pick, depth: int = 0) -> Any:
    if isinstance(value, DataNode):
        found = _argument(value.value, pick, depth)
        return value if found is value.value else found
    if isinstance(value, GraphNode | TaskRef):
        return _changed(value, pick) if isinstance(value, GraphNode) else value
    if type(value) in NUMBERS:
        return value
    if type(value) not in EMPTY or depth == DEEP or not is_large(value):
        return pick(value)
    parts = list(chain(*value.items()) if type(value) is dict else value)
    found = [_argument(part, pick, depth + 1) for part in parts]
    if all(map(operator.is_, found, parts)):
        return pick(value)
    empty = EMPTY[type(value)]
    return _like(empty, found, empty.kwargs)


def _fused(node: Task, pick: Pick) -> Task:
    """A task that holds a graph: (graph, key, names of what it is given, what it is given)."""
    graph, key, names, *before = node.args
    given = [_argument(value, pick) for value in before]
    moved: dict[Any, TaskRef] = {}

    def noted(value: Any) -> Any:
        found = pick(value)
        if found is not value:
            moved[found.key] = found
        return found

    inner: dict[Any, GraphNode] = {}
    for name, part in graph.items():
        if type(part) is DataNode and isinstance(found := pick(part.value), TaskRef):
            moved[name] = found
        else:
            inner[name] = _changed(part, noted)
    if not moved and all(map(operator.is_, given, before)):
        return node
    return Task(node.key, node.func, inner, key, (*names, *moved), *given, *moved.values())
