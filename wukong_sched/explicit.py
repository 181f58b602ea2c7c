"""Explicit programs: a DAG from a plain mapping ``{key: (function, *arguments)}``, as in Dask's graphs.

An argument that is a key stands for that key's value, also inside lists, dictionaries and nested tasks (tuples that
begin with a callable). A value that is no task is data, or, if it is a key itself, another name for that key's value.

Only what the wanted keys need is kept. Tasks are numbered in the order in which a depth-first walk from the wanted keys
finishes them, and run in that order as far as they can: what one wanted key needs comes before what only later ones
need, and leaves of one subtree are neighbours. Edges are kept in two flat arrays each way (compressed sparse rows).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from wukong_sched.errors import ProgramError
from wukong_sched.program import SINK, BlockReader, Range, Task, Tile
from wukong_sched.rule import Costed
from wukong_sched.storage.blocks import said

RULE, VALUE, LITERAL = "task", "value", "literal"
WIDE = 1000
"""Arguments from which the list of them is kept: fan-ins of many are looked at as often as some of them arrive."""
Numbers = npt.NDArray[np.int64]
Rows = tuple[Numbers, Numbers]
"""Where each row begins (and the end of the last), and the rows one after the other."""


class Elsewhere(ABC):
    """Data that is not in the mapping itself."""

    nbytes: int

    @abstractmethod
    def load(self) -> Any:
        """The data."""


class Explicit:
    """A program with one task for each key.

    Array ``value`` holds what tasks return, array ``literal`` the data of the mapping; `tile_of` finds a key's tile.

    >>> program = Explicit.from_mapping({"a": 1, "b": (sum, ["a", 2]), "c": (pow, "b", "a")}, ["c"])
    >>> len(program), program.inputs(program.task_of("c"))
    (2, [('value', (0,)), ('literal', (0,))])
    """

    __slots__ = (
        "_bodies",
        "_inputs",
        "_leaves",
        "_literals",
        "_places",
        "_readers",
        "_value_bytes",
        "_wanted",
        "_wide",
    )

    def __init__(
        self,
        bodies: Sequence[Any],
        literals: Sequence[Any],
        inputs: Sequence[Sequence[int]],
        places: Mapping[Hashable, int],
        wanted: Sequence[int],
        value_bytes: int,
    ) -> None:
        self._bodies = bodies
        self._literals = literals
        self._places = places
        self._wanted = dict.fromkeys(wanted)
        self._value_bytes = value_bytes
        self._wide: dict[int, list[Tile]] = {}
        self._leaves = [number for number, row in enumerate(inputs) if all(place < 0 for place in row)]
        self._inputs = _rows(inputs)
        self._readers = _transposed(self._inputs, len(bodies), len(literals))

    @staticmethod
    def from_mapping(mapping: Mapping[Any, Any], wanted: Iterable[Hashable], value_bytes: int = 1024) -> Explicit:
        """The program that computes the wanted keys; `value_bytes` is what a result is taken to need.

        Raises ProgramError for a key that is missing or tasks that wait for each other. Linear in keys and edges.
        """
        return _Builder(mapping, list(dict.fromkeys(wanted))).program(value_bytes)

    def with_data(self, change: Callable[[Any, int], Any]) -> Explicit:
        """The same program, with every piece of data replaced by `change` of it and its bytes."""
        same = copy(self)
        same._literals = [
            value if isinstance(value, Elsewhere) else change(value, self._nbytes_of(value)) for value in self._literals
        ]
        return same

    def _nbytes_of(self, value: Any) -> int:
        nbytes = said(value)
        return self._value_bytes if nbytes is None else nbytes

    def tile_of(self, key: Hashable) -> Tile:
        """Where the key's value is; ProgramError if the wanted keys do not need it."""
        if key not in self._places:
            raise ProgramError(f"key {key!r} is not part of this program; name it among the wanted keys")
        return _tile(self._places[key])

    def key_of(self, tile: Tile) -> Hashable:
        """The key whose value the tile is, the first of several; found by looking through all, for messages."""
        place = tile[1][0] if tile[0] == VALUE else ~tile[1][0]
        return next(key for key, found in self._places.items() if found == place)

    def task_of(self, key: Hashable) -> Task:
        """The task that computes the key; ProgramError if it is data."""
        array, index = self.tile_of(key)
        if array != VALUE:
            raise ProgramError(f"key {key!r} is data, not a task")
        return RULE, index

    def __len__(self) -> int:
        return len(self._bodies)

    def inputs(self, task: Task) -> list[Tile]:
        """Tiles of the arguments."""
        number = task[1][0]
        found = self._wide.get(number)
        if found is None:
            found = [_tile(place) for place in _row(self._inputs, number)]
            if len(found) > WIDE:
                self._wide[number] = found
        return found

    def outputs(self, task: Task) -> list[Tile]:
        """The task's one value."""
        return [(VALUE, task[1])]

    def producer(self, tile: Tile) -> Task | None:
        """The task of a value."""
        return (RULE, tile[1]) if tile[0] == VALUE and 0 <= tile[1][0] < len(self._bodies) else None

    def consumers(self, tile: Tile) -> list[Task]:
        """Tasks that have the tile among their arguments."""
        place = tile[1][0] if tile[0] == VALUE else len(self._bodies) + tile[1][0]
        tasks: list[Task] = [(RULE, (number,)) for number in _row(self._readers, place)]
        return [*tasks, SINK] if self.is_wanted(tile) else tasks

    def is_task_array(self, array: str) -> bool:
        """Whether these are values of tasks."""
        return array == VALUE

    def is_cheap(self, array: str) -> bool:
        """Never."""
        return False

    def wanted(self) -> Iterator[Tile]:
        """Tiles of the wanted keys, each once."""
        return map(_tile, self._wanted)

    def is_wanted(self, tile: Tile) -> bool:
        """Whether a wanted key has this tile."""
        return tile[0] == VALUE and tile[1][0] in self._wanted

    @property
    def wanted_count(self) -> int:
        """Number of distinct wanted tiles."""
        return len(self._wanted)

    @property
    def in_order(self) -> bool:
        """Yes."""
        return True

    def leaves(self) -> tuple[Range, ...]:
        """One range: from the first leaf to the last."""
        return ((RULE, 0, 0, len(self._leaves)),) if self._leaves else ()

    def expand(self, leaves: Range) -> Iterator[Task]:
        """So many leaves, from the so manieth on."""
        return ((RULE, (self._leaves[at],)) for at in range(leaves[2], leaves[3]))

    def tasks(self) -> Iterator[Task]:
        """Every task."""
        return ((RULE, (number,)) for number in range(len(self)))

    def nbytes(self, tile: Tile) -> int:
        """Bytes of data if it tells them, else the assumed size of a value."""
        if tile[0] == VALUE:
            return self._value_bytes
        return self._nbytes_of(self._literals[tile[1][0]])

    def cost(self, task: Task) -> Costed | None:
        """Unknown."""
        return None

    def operation(self, task: Task) -> str:
        """Name of the function."""
        body = self._bodies[task[1][0]]
        return str(getattr(body[0], "__name__", body[0]))

    def streams(self, task: Task) -> bool:
        """Never."""
        return False

    def read(self, tile: Tile) -> Any:
        """Data of the mapping."""
        found = self._literals[tile[1][0]]
        return found.load() if isinstance(found, Elsewhere) else found

    def run(self, task: Task, block: BlockReader) -> list[Any]:
        """Call the function with every key among its arguments replaced by the key's value."""
        return [_evaluated(self._bodies[task[1][0]], block)]


class _Argument:
    """Stands for a key's value in a task's body."""

    __slots__ = ("tile",)

    def __init__(self, tile: Tile) -> None:
        self.tile = tile

    def __reduce__(self) -> tuple[type[_Argument], tuple[Tile]]:
        return _Argument, (self.tile,)


def _evaluated(body: Any, block: BlockReader) -> Any:
    if isinstance(body, _Argument):
        return block(body.tile)
    if isinstance(body, list):
        return [_evaluated(part, block) for part in body]
    if type(body) is dict:
        return {key: _evaluated(part, block) for key, part in body.items()}
    if _is_task(body):
        return body[0](*(_evaluated(part, block) for part in body[1:]))
    return body


def _is_task(value: Any) -> bool:
    return type(value) is tuple and bool(value) and callable(value[0])


def _tile(place: int) -> Tile:
    return (VALUE, (place,)) if place >= 0 else (LITERAL, (~place,))


def _row(rows: Rows, number: int) -> list[int]:
    starts, items = rows
    if not 0 <= number < len(starts) - 1:
        return []
    found: list[int] = items[starts[number] : starts[number + 1]].tolist()
    return found


def _rows(rows: Sequence[Sequence[int]]) -> Rows:
    starts = np.fromiter(accumulate(map(len, rows), initial=0), np.int64, len(rows) + 1)
    return starts, np.fromiter((item for row in rows for item in row), np.int64, int(starts[-1]))


def _transposed(rows: Rows, tasks: int, literals: int) -> Rows:
    """For each value, then each literal, the tasks that read it, ascending."""
    starts, items = rows
    owners = np.repeat(np.arange(tasks, dtype=np.int64), np.diff(starts))
    items = np.where(items >= 0, items, tasks + ~items)
    order = np.argsort(items, kind="stable")
    counts = np.bincount(items, minlength=tasks + literals)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]), owners[order]


def _same(value: Any) -> Any:
    return value


class _Builder:
    """Sorts a mapping into tasks and data, and numbers them."""

    def __init__(self, mapping: Mapping[Any, Any], wanted: list[Hashable]) -> None:
        self.mapping = mapping
        self.wanted = wanted
        self.needs: dict[Hashable, list[Hashable]] = {}
        self.order: list[Hashable] = []

    def program(self, value_bytes: int) -> Explicit:
        for key in self.wanted:
            if key not in self.mapping:
                raise ProgramError(f"wanted key {key!r} is not in the mapping of {len(self.mapping)} keys")
            self._visit(key)
        places, tasks, literals = self._numbered()
        bodies, inputs = [], []
        for key in tasks:
            inputs.append(list(dict.fromkeys(places[need] for need in self.needs[key])))
            bodies.append(self._body(key, places))
        wanted = dict.fromkeys(places[key] for key in self.wanted)
        return Explicit(bodies, literals, inputs, places, tuple(wanted), value_bytes)

    def _visit(self, root: Hashable) -> None:
        """Add what the key needs and is not there yet to the order, arguments first."""
        if root in self.needs:
            return
        path: dict[Hashable, Iterator[Hashable]] = {root: self._enter(root)}
        stack = [root]
        while stack:
            key = stack[-1]
            for need in path[key]:
                if need in path:
                    raise ProgramError(f"keys wait for each other: {_cycle(stack, need)}")
                if need not in self.needs:
                    path[need] = self._enter(need)
                    stack.append(need)
                    break
            else:
                self.order.append(stack.pop())
                del path[key]

    def _enter(self, key: Hashable) -> Iterator[Hashable]:
        found = list(dict.fromkeys(self._keys_in(self.mapping[key])))
        self.needs[key] = found
        return iter(found)

    def _is_key(self, value: Any) -> bool:
        try:
            return value in self.mapping
        except TypeError:
            return False

    def _keys_in(self, value: Any) -> Iterable[Hashable]:
        """Keys that occur in a task or alias."""
        if _is_task(value):
            return [key for part in value[1:] for key in self._keys_in(part)]
        if isinstance(value, list):
            return [key for part in value for key in self._keys_in(part)]
        if type(value) is dict:
            return [key for part in value.values() for key in self._keys_in(part)]
        return [value] if self._is_key(value) else []

    def _is_data(self, key: Hashable) -> bool:
        return not self.needs[key] and not _is_task(self.mapping[key])

    def _numbered(self) -> tuple[dict[Hashable, int], list[Hashable], list[Any]]:
        """Place of every key (below 0: data), tasks by number, data by number."""
        wanted = set(self.wanted)
        places: dict[Hashable, int] = {}
        alias: dict[Hashable, Hashable] = {}
        literals: list[Any] = []
        tasks: list[Hashable] = []
        for key in self.order:
            if self._is_data(key) and key not in wanted:
                places[key] = ~len(literals)
                literals.append(self.mapping[key])
            elif self._is_alias(key) and (key not in wanted or self._target(key, alias) not in places):
                alias[key] = target = self._target(key, alias)
                if target in places:
                    places[key] = places[target]
            else:
                tasks.append(key)
        places.update((key, number) for number, key in enumerate(tasks))
        places.update((key, places[target]) for key, target in alias.items())
        return places, tasks, literals

    def _is_alias(self, key: Hashable) -> bool:
        return self._is_key(self.mapping[key])

    def _target(self, key: Hashable, alias: Mapping[Hashable, Hashable]) -> Hashable:
        target: Hashable = self.mapping[key]
        return alias.get(target, target)

    def _body(self, key: Hashable, places: Mapping[Hashable, int]) -> Any:
        value = self.mapping[key]
        return self._filled(value, places) if _is_task(value) else (_same, self._filled(value, places))

    def _filled(self, value: Any, places: Mapping[Hashable, int]) -> Any:
        """The value with keys replaced."""
        if _is_task(value):
            return (value[0], *(self._filled(part, places) for part in value[1:]))
        if isinstance(value, list):
            return [self._filled(part, places) for part in value]
        if type(value) is dict:
            return {key: self._filled(part, places) for key, part in value.items()}
        return _Argument(_tile(places[value])) if self._is_key(value) else value


def _cycle(stack: Sequence[Hashable], key: Hashable) -> str:
    return " <- ".join(repr(part) for part in (*stack[stack.index(key) :], key))
