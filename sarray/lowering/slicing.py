"""Slices: ``x[1:, 3, None, ::-1]`` as a window with squeezed and new axes.

A slice goes down through elementwise functions, views and sources, as far as its steps allow: what is not asked for is
not computed, and a slice of a source is a source.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from sarray.expression import Expression, express
from sarray.grid import cut
from sarray.lowering import elementwise, source, views, window
from wukong_sched.grid import Grid

Cuts = tuple[range, ...]
"""For each axis the elements that are selected."""

Memo = dict[tuple[str, Cuts], Expression]
"""What has been sliced already on the way down."""

DEPTH = 64
"""Expressions that a slice goes down through."""


def sliced(expression: Expression, index: Any) -> Expression:
    """Basic indexing: ints, slices, None and Ellipsis; IndexError or TypeError for anything else."""
    entries = _completed(index if isinstance(index, tuple) else (index,), expression.shape)
    positions = [entry for entry in entries if entry is not None]
    cuts = tuple(map(_cut, positions, expression.shape, range(expression.ndim)))
    found = windowed(expression, cuts)
    axes: list[int | None] = []
    axis = 0
    for entry in entries:
        if entry is None:
            axes.append(None)
            continue
        if isinstance(entry, slice):
            axes.append(axis)
        axis += 1
    return views.viewed(found, tuple(axes))


def _completed(index: tuple[Any, ...], shape: tuple[int, ...]) -> list[Any]:
    """One entry per axis and new axis, with the ellipsis written out."""
    entries = [_basic(entry) for entry in index]
    given = sum(entry is not None and entry is not Ellipsis for entry in entries)
    if given > len(shape):
        raise IndexError(f"too many indices: {given} for an array of {len(shape)} dimensions, shape {shape}")
    ellipses = [place for place, entry in enumerate(entries) if entry is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can have one ellipsis ('...') only")
    place = ellipses[0] if ellipses else len(entries)
    return entries[:place] + [slice(None)] * (len(shape) - given) + entries[place + 1 :]


def _basic(entry: Any) -> Any:
    if entry is None or entry is Ellipsis or isinstance(entry, slice):
        return entry
    if isinstance(entry, (bool, np.bool_)) or not hasattr(entry, "__index__") or getattr(entry, "ndim", False):
        raise TypeError(
            f"index {entry!r}: arrays take ints, slices, None and ...; compute first (x.compute()[index]), or write a "
            "mask as a product (x * mask) or with where(mask, x, 0)"
        )
    return operator.index(entry)


def _cut(entry: int | slice, extent: int, axis: int) -> range:
    """The elements selected, with step 1 where there are fewer than two."""
    if isinstance(entry, slice):
        elements = range(*entry.indices(extent))
        if len(elements) >= 2:
            return elements
        return range(elements.start, elements.start + 1) if elements else range(0)
    if not -extent <= entry < extent:
        raise IndexError(f"index {entry} is out of bounds for axis {axis} of extent {extent}")
    return range(entry % extent, entry % extent + 1)


def windowed(expression: Expression, cuts: Cuts, depth: int = DEPTH, memo: Memo | None = None) -> Expression:
    """The elements that `cuts` select, pushed down as far as that saves work."""
    if all(each == range(extent) for each, extent in zip(cuts, expression.shape, strict=True)):
        return expression
    memo = {} if memo is None else memo
    key = expression.name, cuts
    if key not in memo:
        push = PUSHES.get(expression.op) if depth else None
        memo[key] = (push(expression, cuts, depth - 1, memo) if push else None) or _window(expression, cuts)
    return memo[key]


def _window(expression: Expression, cuts: Cuts) -> Expression:
    chunks = tuple(_grid(grid, each) for grid, each in zip(expression.chunks, cuts, strict=True))
    starts, steps = tuple(each.start for each in cuts), tuple(each.step for each in cuts)
    return express("slice", window.infer, (expression,), starts, steps, chunks)


def _grid(grid: Grid, each: range) -> Grid:
    """Chunks of the result: cut where the source's are, so that a block comes from a single one."""
    if each.step == 1:
        return cut(grid, each.start, each.stop)
    if each.step == -1:
        return Grid.of(cut(grid, each[-1], each.start + 1).sizes()[::-1])
    return Grid.regular(len(each), max(1, grid.size // abs(each.step)))


def _push_elementwise(expression: Expression, cuts: Cuts, depth: int, memo: Memo) -> Expression | None:
    inputs = [windowed(each, _for_input(each.shape, expression.shape, cuts), depth, memo) for each in expression.inputs]
    return express("elementwise", elementwise.infer, tuple(elementwise.aligned("slice", inputs)), *expression.params)


def _for_input(own: Sequence[int], shape: Sequence[int], cuts: Cuts) -> Cuts:
    """The cuts of an input that broadcasts to the shape."""
    offset = len(shape) - len(own)
    pairs = zip(own, shape[offset:], cuts[offset:], strict=True)
    return tuple(range(1) if extent == 1 and full != 1 else each for extent, full, each in pairs)


def _push_view(expression: Expression, cuts: Cuts, depth: int, memo: Memo) -> Expression | None:
    axes, inner = expression.params[0], expression.inputs[0]
    below = [range(extent) for extent in inner.shape]
    for axis, each in zip(axes, cuts, strict=True):
        if axis is not None:
            below[axis] = each
        elif each != range(1):
            return None
    return views.viewed(windowed(inner, tuple(below), depth, memo), axes)


def _push_source(expression: Expression, cuts: Cuts, depth: int, memo: Memo) -> Expression | None:
    if not source.is_cuttable(expression) or any(each.step != 1 for each in cuts):
        return None
    return source.part(expression, tuple((each.start, each.stop) for each in cuts))


PUSHES = {"elementwise": _push_elementwise, "view": _push_view, "source": _push_source}
"""Operations that a slice goes through."""
