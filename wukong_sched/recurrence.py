"""Implicit programs: systems of affine recurrences, of constant size however many tasks they have.

`Recurrences` joins rules into a `wukong_sched.program.Program`. Every question is answered by code that was compiled
once for the rule's form (see `wukong_sched.compiled`); what happens here is to find the right piece of code for an
array or rule, by one dictionary. Those dictionaries (`inputs_of`, `outputs_of`, `run_of`: by rule; `producer_of`,
`consumers_of`: by array) are public, so that a scheduler can look a function up itself.

An array is a source, or written by tasks, or cheap: its tiles are made again by whoever reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, combinations
from typing import Any

from wukong_sched.domain import Domain
from wukong_sched.errors import ProgramError
from wukong_sched.leaves import leaf_domains
from wukong_sched.linked import Linked, Wanted, link_all, link_wanted, tiles_of
from wukong_sched.program import SINK, BlockReader, Index, Range, Task, Tile
from wukong_sched.rule import ArrayInfo, Costed, Rule, Source

Consumers = Callable[[Index], "list[Task]"]
Test = Callable[[Index], "Task | None"]
"""Something at the indices of an array's wanted tiles, None at others."""


class Recurrences:
    """A program made of rules.

    `arrays` tells the sizes of the tiles of every array that a rule names; `sources` where those come from that no
    rule writes; `wanted` which tiles must be left behind. Raises ProgramError for whatever can be seen in the rules
    without expanding them; `wukong_sched.program.verify_program` finds the rest on small instances.

    >>> double = Rule("double", "for i in range(n)", ("Y[i]",), ("X[i]",), lambda index, x: 2 * x, {}, {"n": 10**6})
    >>> class Ones:
    ...     def read(self, index): return 1
    >>> info = ArrayInfo(nbytes=8)
    >>> program = Recurrences([double], {"X": info, "Y": info}, {"X": Ones()}, [("Y", (10**6,))])
    >>> len(program), program.inputs(("double", (7,))), program.producer(("Y", (9,))), program.leaves()
    (1000000, [('X', (7,))], ('double', (9,)), (('double', 0, 0, 1000000),))
    """

    __slots__ = (
        "_cheap",
        "_given",
        "_length",
        "_linked",
        "_task_arrays",
        "_tests",
        "_wanted",
        "arrays",
        "consumers_of",
        "inputs_of",
        "outputs_of",
        "producer_of",
        "rules",
        "run_of",
        "sources",
    )

    def __init__(
        self,
        rules: Sequence[Rule],
        arrays: Mapping[str, ArrayInfo],
        sources: Mapping[str, Source],
        wanted: Sequence[Wanted],
    ) -> None:
        self.rules = tuple(rules)
        self.arrays = arrays
        self.sources = sources
        self._linked = link_all(self.rules)
        tasks = {name: linked for name, linked in self._linked.items() if not linked.rule.cheap}
        self._cheap = _writers(linked for linked in self._linked.values() if linked.rule.cheap)
        self._task_arrays = _writers(tasks.values())
        self._check_arrays()
        self._given = tuple(wanted)
        self._wanted = self._link_wanted(self._given)
        self._tests = {array: _producer(array, found) for array, found in _writers(self._wanted).items()}
        self._length: int | None = None
        self.inputs_of: dict[str, Callable[[Index], list[Tile]]] = {n: rule.inputs for n, rule in tasks.items()}
        self.outputs_of: dict[str, Callable[[Index], list[Tile]]] = {n: rule.outputs for n, rule in tasks.items()}
        self.run_of: dict[str, Callable[[Index, BlockReader], Sequence[Any]]] = {n: r.run for n, r in tasks.items()}
        self.producer_of: dict[str, Callable[[Index], Task | None]] = dict.fromkeys((*sources, *self._cheap), _nobody)
        self.producer_of.update((array, _producer(array, found)) for array, found in self._task_arrays.items())
        self.consumers_of: dict[str, Consumers] = dict.fromkeys(arrays, _none)
        self.consumers_of.update(self._consumers(tasks.values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Recurrences, (self.rules, self.arrays, self.sources, self._given)

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(rule.points().count() for rule in self._linked.values() if not rule.rule.cheap)
        return self._length

    def inputs(self, task: Task) -> list[Tile]:
        """Distinct tiles that the task reads; for a fold the fixed ones first, then step by step."""
        return self.inputs_of[task[0]](task[1])

    def outputs(self, task: Task) -> list[Tile]:
        """Tiles that the task writes."""
        return self.outputs_of[task[0]](task[1])

    def producer(self, tile: Tile) -> Task | None:
        """The task that writes the tile, if any."""
        return self.producer_of[tile[0]](tile[1])

    def consumers(self, tile: Tile) -> list[Task]:
        """Distinct tasks that read the tile; the sink, last, if it is wanted."""
        return self.consumers_of[tile[0]](tile[1])

    def is_task_array(self, array: str) -> bool:
        """Whether tasks write this array."""
        return array in self._task_arrays

    def is_cheap(self, array: str) -> bool:
        """Whether a cheap rule writes this array."""
        return array in self._cheap

    def wanted(self) -> Iterator[Tile]:
        """The wanted tiles, in lexicographic order within an array."""
        return chain.from_iterable(map(tiles_of, self._wanted))

    def is_wanted(self, tile: Tile) -> bool:
        """Whether the tile is in a wanted box."""
        test = self._tests.get(tile[0])
        return test is not None and test(tile[1]) is not None

    @property
    def wanted_count(self) -> int:
        """Number of wanted tiles."""
        return sum(wanted.points().count() for wanted in self._wanted)

    @property
    def in_order(self) -> bool:
        """No: a recurrence's indices say nothing of which task is to go first."""
        return False

    def leaves(self) -> tuple[Range, ...]:
        """All tasks without a produced input, found from the rules' conditions (see `wukong_sched.leaves`)."""
        return tuple(
            (name, number, 0, part.count())
            for name, rule in self._linked.items()
            if not rule.rule.cheap
            for number, part in enumerate(self._pieces(rule))
        )

    def expand(self, leaves: Range) -> Iterator[Task]:
        """The tasks of a range in lexicographic order; the first is found by counting, not by walking."""
        name, piece, start, stop = leaves
        return ((name, point) for point in self._pieces(self._linked[name])[piece].walk(start, stop))

    def tasks(self) -> Iterator[Task]:
        """Every task; for tests of small programs."""
        return ((name, p) for name, rule in self._linked.items() if not rule.rule.cheap for p in rule.points())

    def nbytes(self, tile: Tile) -> int:
        """Bytes of the tile: exact if the array's grids are known, else of its largest tile."""
        info = self.arrays[tile[0]]
        if not info.grids:
            return info.nbytes
        total = info.itemsize
        for grid, position in zip(info.grids, tile[1][len(tile[1]) - len(info.grids) :], strict=True):
            total *= grid if isinstance(grid, int) else grid.chunk(position)
        return total

    def cost(self, task: Task) -> Costed | None:
        """Cost of one task of the rule."""
        return self._linked[task[0]].rule.cost

    def operation(self, task: Task) -> str:
        """The user's word for the rule."""
        return self._linked[task[0]].rule.operation

    def streams(self, task: Task) -> bool:
        """Whether the rule folds."""
        return bool(self._linked[task[0]].rule.fold)

    def read(self, tile: Tile) -> Any:
        """The block of a source tile, or of a cheap one, made now."""
        if (source := self.sources.get(tile[0])) is not None:
            return source.read(tile[1])
        for linked, slot in self._cheap.get(tile[0], ()):
            task = linked.bound(linked.producers, tile[0], slot)(tile[1])
            if task is not None:
                return linked.run(task[1], self.read)[linked.outputs(task[1]).index(tile)]
        raise ProgramError(
            f"tile {tile} is neither of a source nor of a cheap array; its task {self.producer(tile)} must run"
        )

    def run(self, task: Task, block: BlockReader) -> Sequence[Any]:
        """Run the task's kernel."""
        return self.run_of[task[0]](task[1], block)

    def _pieces(self, rule: Linked) -> tuple[Domain, ...]:
        if rule.leaves is None:
            rule.leaves = leaf_domains(rule.code.form, rule.sizes, rule.points(), partial(self._produced, rule))
        return rule.leaves

    def _produced(self, rule: Linked, slot: int) -> list[bool]:
        names = rule.slots[slot]
        return [name in self._task_arrays for name in ((names,) if isinstance(names, str) else names)]

    def _consumers(self, tasks: Iterable[Linked]) -> Iterator[tuple[str, Consumers]]:
        readers: dict[str, list[Consumers]] = {array: [] for array in self._tests}
        for rule in tasks:
            for array, slots in rule.readers().items():
                functions = [rule.bound(rule.consumers, array, slot) for slot in slots]
                reader = functions[0] if len(functions) == 1 else _distinct(functions)
                readers.setdefault(array, []).append(reader)
        for array, functions in readers.items():
            reader = functions[0] if len(functions) == 1 else _all(functions)
            yield array, _with_sink(reader, self._tests[array]) if array in self._tests else reader

    def _check_arrays(self) -> None:
        ranks: dict[str, int] = {}
        known = {*self.sources, *self._cheap, *self._task_arrays}
        for name, rule in self._linked.items():
            for array, slot in rule.arrays(rule.code.ranks):
                if array not in known:
                    raise ProgramError(f"rule {name!r} reads {array!r}, which is no source and which no rule writes")
                if array not in self.arrays:
                    raise ProgramError(
                        f"rule {name!r} names {array!r}, of which `arrays` knows nothing; give an ArrayInfo"
                    )
                if ranks.setdefault(array, rule.code.ranks[slot]) != rule.code.ranks[slot]:
                    raise ProgramError(
                        f"rule {name!r} refers to {array!r} with {rule.code.ranks[slot]} index positions, "
                        f"another rule with {ranks[array]}"
                    )
            for array, _ in rule.arrays(rule.code.read if rule.rule.cheap else ()):
                if array in self._task_arrays:
                    raise ProgramError(
                        f"cheap rule {name!r} reads {array!r}, which tasks write; make one of them the other kind"
                    )
        kinds = (self.sources.keys(), self._cheap.keys(), self._task_arrays.keys())
        for array in sorted(name for one, other in combinations(kinds, 2) for name in one & other):
            raise ProgramError(f"array {array!r} is two of: source, cheap, written by tasks; rename one")

    def _link_wanted(self, wanted: Iterable[Wanted]) -> list[Linked]:
        """The wanted rules, those given twice once; their arrays must be written by tasks."""
        found = []
        for given in wanted:
            linked = link_wanted(given)
            for array, slot in linked.arrays(linked.code.written):
                if array not in self._task_arrays:
                    kind = "cheap" if array in self._cheap else "a source" if array in self.sources else "unknown"
                    raise ProgramError(
                        f"wanted array {array!r} is {kind}, but only tiles that tasks write can be wanted; copy it"
                    )
                writer, theirs = self._task_arrays[array][0]
                if (mine := linked.code.ranks[slot]) != (rank := writer.code.ranks[theirs]):
                    raise ProgramError(
                        f"wanted {array!r} has {mine} extents, but its tiles have {rank} index positions"
                    )
            found.append(linked)
        return found


def _writers(rules: Iterable[Linked]) -> dict[str, list[tuple[Linked, int]]]:
    found: dict[str, list[tuple[Linked, int]]] = {}
    for rule in rules:
        for array, slot in rule.arrays(rule.code.written):
            found.setdefault(array, []).append((rule, slot))
    return found


def _producer(array: str, writers: Sequence[tuple[Linked, int]]) -> Callable[[Index], Task | None]:
    functions: list[Test] = [rule.bound(rule.producers, array, slot) for rule, slot in writers]
    if len(functions) == 1:
        return functions[0]

    def first(index: Index) -> Task | None:
        for function in functions:
            if (task := function(index)) is not None:
                return task
        return None

    return first


def _nobody(index: Index) -> Task | None:
    return None


def _none(index: Index) -> list[Task]:
    return []


def _all(functions: Sequence[Consumers]) -> Consumers:
    return lambda index: [task for function in functions for task in function(index)]


def _distinct(functions: Sequence[Consumers]) -> Consumers:
    every = _all(functions)
    return lambda index: list(dict.fromkeys(every(index)))


def _with_sink(function: Consumers, wanted: Test) -> Consumers:
    def consumers(index: Index) -> list[Task]:
        return function(index) if wanted(index) is None else [*function(index), SINK]

    return consumers
