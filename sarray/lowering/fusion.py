"""Fusion: which elementwise expressions one task computes together.

A **group** is one task per block of its root. Walking from the results to the inputs, an elementwise expression joins
the group of its users if they all belong to one group and see it in one place; otherwise it is the root of a group of
its own. So chains fuse, and diamonds within a chain; an expression that two groups need is computed once and kept. A
reduction is the root of a group too: what it reduces is computed and reduced in the same task.

Within a group every expression has a **frame**: for each of its axes the axis of the root's blocks that it is, None for
an axis of extent 1 that broadcasts. Transposed, new and squeezed axes change the frame alone, so views cost nothing.
What a group reads are its **leaves**; they are bounded, so that a sum of a thousand arrays does not need a thousand
blocks at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernels.elementwise import Chain, Step
from sarray.expression import Expression, Slot
from sarray.lowering.blocks import largest_block
from sarray.lowering.operand import Operand
from wukong_sched.grid import Grid

Frame = tuple[int | None, ...]

LEAVES = 16
"""Blocks that a fused task may read."""

BLOCKWISE = {"elementwise", "spread"}
REDUCING = {"reduce"}
COSTLY = {"random"}
"""Arrays by formula whose tiles cost more to make again than a task does."""
STORED = "/stored"
"""What follows the name of a source in the name of the array that holds its tiles."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an expression is used."""

    group: str
    """Name of the group's root, or of the expression that reads tiles."""
    frame: Frame | None
    """None: read as tiles."""


@dataclass(frozen=True, slots=True)
class Group:
    """What one task computes of each block, before a reduction if the root is one."""

    leaves: tuple[Operand, ...]
    """What it reads, in the root's frame."""
    chain: Chain | None
    """None: the only leaf as it is."""
    chunks: tuple[Grid, ...]
    """Of the frame."""
    covered: bool
    """Whether the leaves together have the extents of a block; if not, they have to be broadcast."""


@dataclass(slots=True)
class Fusion:
    """The outcome: groups by the name of their root, how to read what is not in tiles of its own name, what to keep."""

    groups: dict[str, Group] = field(default_factory=dict)
    operands: dict[str, Operand] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    """Arrays by formula whose tiles are made once, by tasks."""


def fuse(
    order: Sequence[Expression],
    wanted: Collection[str],
    once: Callable[[str], bool],
    task_bytes: int,
    again: Callable[[Expression], bool] = lambda expression: False,
) -> Fusion:
    """Decide for expressions in order, inputs first; `once` says of an operation whether it reads each tile once.

    `again` says of an array by formula whether it is rather made by all who need it than moved to them.
    """
    uses, roots, inlined = _placed(order, wanted, task_bytes)
    found = Fusion(operands=_operands(order))
    members: dict[str, list[tuple[Expression, Frame]]] = {name: [] for name in roots}
    for expression in order:
        if expression.name in inlined:
            place = inlined[expression.name]
            members[place.group].append((expression, place.frame or ()))
    for name, root in roots.items():
        found.groups[name] = _Assembly(found.operands, members[name]).group(root)
    by_name = {expression.name: expression for expression in order}
    for expression in order:
        costly = expression.op in COSTLY and not again(expression)
        costly = costly and not _made_once(uses[expression.name], by_name, once, expression)
        if costly or expression.name in wanted:
            found.kept.add(expression.name)
    return found


def _placed(
    order: Sequence[Expression], wanted: Collection[str], task_bytes: int
) -> tuple[dict[str, set[Place]], dict[str, Expression], dict[str, Place]]:
    """The uses of every expression, the roots, and the places of those that are computed in somebody's group."""
    uses: dict[str, set[Place]] = {}
    roots: dict[str, Expression] = {}
    inlined: dict[str, Place] = {}
    width: dict[str, int] = {}
    for expression in reversed(order):
        name, places = expression.name, uses.setdefault(expression.name, set())
        if name in wanted and expression.op in ("view", "source"):
            roots[name] = expression
            places.add(Place(name, identity(expression)))
        elif expression.op in BLOCKWISE:
            place = next(iter(places)) if len(places) == 1 else None
            if (
                place is None
                or place.frame is None
                or name in wanted
                or not _fits(expression, place, width, task_bytes)
            ):
                roots[name] = expression
                place = Place(name, identity(expression))
            inlined[name] = place
            width[place.group] = width.get(place.group, 1) + len(expression.inputs) - 1
            places = {place}
        elif expression.op in REDUCING:
            roots[name] = expression
        for child in expression.inputs:
            uses.setdefault(child.name, set()).update(
                _child_place(expression, child, place) for place in _reads(expression, places)
            )
    return uses, roots, inlined


def _reads(expression: Expression, places: Collection[Place]) -> Collection[Place]:
    """The places in which an expression's inputs are read, in its own axes."""
    if expression.op in BLOCKWISE or expression.op == "view":
        return places
    if expression.op in REDUCING:
        return [Place(expression.name, identity(expression.inputs[0]))]
    return [Place(expression.name, None)]


def _child_place(expression: Expression, child: Expression, place: Place) -> Place:
    return place if place.frame is None else Place(place.group, child_frame(expression, child, place.frame))


def _fits(expression: Expression, place: Place, width: Mapping[str, int], task_bytes: int) -> bool:
    """Whether the group can read this expression's inputs too."""
    block = math.prod(largest_block(expression.chunks)) * expression.dtype.itemsize
    bound = max(4, min(LEAVES, task_bytes // (2 * max(1, block))))
    return width.get(place.group, 1) + len(expression.inputs) - 1 <= bound


def identity(expression: Expression) -> Frame:
    """The frame of a root."""
    return tuple(range(expression.ndim))


def child_frame(expression: Expression, child: Expression, frame: Frame) -> Frame:
    """The frame of an input, from that of the expression that reads it."""
    if expression.op == "view":
        axes: tuple[int | None, ...] = expression.params[0]
        where = {axis: frame[number] for number, axis in enumerate(axes) if axis is not None}
        return tuple(where.get(axis) for axis in range(child.ndim))
    if expression.op not in BLOCKWISE:
        return frame
    offset = expression.ndim - child.ndim
    return tuple(
        None if extent == 1 and expression.shape[offset + axis] != 1 else frame[offset + axis]
        for axis, extent in enumerate(child.shape)
    )


def _operands(order: Sequence[Expression]) -> dict[str, Operand]:
    """How to read the tiles of sources and views."""
    operands: dict[str, Operand] = {}
    for expression in order:
        if expression.op == "source":
            operands[expression.name] = Operand(expression.name + STORED, identity(expression), expression.ndim)
        elif expression.op == "view":
            inner = _operand(operands, expression.inputs[0])
            axes = tuple(None if axis is None else inner.axes[axis] for axis in expression.params[0])
            operands[expression.name] = Operand(inner.name, axes, inner.tile_ndim)
    return operands


def _operand(operands: Mapping[str, Operand], expression: Expression) -> Operand:
    return operands.get(expression.name) or Operand(expression.name, identity(expression), expression.ndim)


def _made_once(
    places: Collection[Place], by_name: Mapping[str, Expression], once: Callable[[str], bool], expression: Expression
) -> bool:
    """Whether every tile is needed by a single task."""
    if len(places) != 1:
        return False
    (place,) = places
    user = by_name[place.group]
    if place.frame is None:
        return once(user.op) and len([i for i in user.inputs if i.name == expression.name]) <= 1
    grids = user.inputs[0].chunks if user.op in REDUCING else user.chunks
    return all(len(grid) == 1 or axis in place.frame for axis, grid in enumerate(grids))


Value = tuple[str, int]
"""``leaf``, ``constant`` or ``step``, and its number among those."""


class _Assembly:
    """Puts the chain of one group together."""

    def __init__(self, operands: Mapping[str, Operand], members: Sequence[tuple[Expression, Frame]]) -> None:
        self._operands = operands
        self._members = members
        self._values: dict[str, Value] = {}
        self._leaves: dict[Operand, int] = {}
        self._constants: list[Any] = []
        self._steps: list[tuple[str, tuple[Value, ...], str, tuple[tuple[str, Any], ...]]] = []
        self._ndim = 0

    def group(self, root: Expression) -> Group:
        """The group of this root."""
        frame_of = root.inputs[0] if root.op in REDUCING else root
        self._ndim = frame_of.ndim
        for member, frame in self._members:
            self._values[member.name] = self._computed(member, frame)
        result = self._resolved(frame_of, identity(frame_of))
        leaves = tuple(self._leaves)
        return Group(
            leaves, self._chain() if result[0] == "step" else None, frame_of.chunks, _covers(leaves, frame_of.chunks)
        )

    def _computed(self, member: Expression, frame: Frame) -> Value:
        inputs = [self._resolved(each, child_frame(member, each, frame)) for each in member.inputs]
        if member.op == "spread":
            return inputs[0]
        name, arguments, keywords = member.params
        values = tuple(inputs[arg.number] if isinstance(arg, Slot) else self._constant(arg) for arg in arguments)
        keywords = () if name == "astype" else keywords
        self._steps.append((name, values, member.dtype.str, keywords))
        return "step", len(self._steps) - 1

    def _resolved(self, expression: Expression, frame: Frame) -> Value:
        """A member's value, or a leaf."""
        while expression.op == "view" and expression.name not in self._values:
            (child,) = expression.inputs
            expression, frame = child, child_frame(expression, child, frame)
        if expression.name in self._values:
            return self._values[expression.name]
        leaf = self._framed(_operand(self._operands, expression), frame)
        return "leaf", self._leaves.setdefault(leaf, len(self._leaves))

    def _framed(self, operand: Operand, frame: Frame) -> Operand:
        axes: list[int | None] = [None] * self._ndim
        for axis, place in zip(operand.axes, frame, strict=True):
            if place is not None:
                axes[place] = axis
        return Operand(operand.name, tuple(axes), operand.tile_ndim)

    def _constant(self, value: Any) -> Value:
        self._constants.append(value)
        return "constant", len(self._constants) - 1

    def _chain(self) -> Chain:
        first = {"leaf": 0, "constant": len(self._leaves), "step": len(self._leaves) + len(self._constants)}
        steps = (
            Step(name, tuple(first[kind] + number for kind, number in values), dtype, keywords)
            for name, values, dtype, keywords in self._steps
        )
        return Chain(len(self._leaves), tuple(self._constants), tuple(steps))


def _covers(leaves: Sequence[Operand], chunks: Sequence[Grid]) -> bool:
    return all(any(leaf.axes[axis] is not None for leaf in leaves) for axis in _wide(chunks))


def _wide(chunks: Sequence[Grid]) -> Iterator[int]:
    return (axis for axis, grid in enumerate(chunks) if grid.total != 1)
