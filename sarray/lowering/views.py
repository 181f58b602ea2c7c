"""Views: the same elements under other axes; permuted, new ones of extent 1, and squeezed ones.

Whoever reads a view reads the tiles beneath it (see `operand.py`); only a view that is wanted itself becomes a rule,
which copies each block. ``Y[i, j] = X[j, i]``.
"""

from __future__ import annotations

from collections.abc import Sequence

from sarray.expression import Expression, Inferred, express
from sarray.grid import whole
from sarray.lowering.rechunk import rechunked
from wukong_sched.grid import Grid

Axes = tuple[int | None, ...]
"""For each axis of the view the axis of its input that it is; None for a new one."""


def infer(inputs: tuple[Expression, ...], axes: Axes) -> Inferred:
    """Shape, dtype and chunks of the view."""
    (source,) = inputs
    shape = tuple(1 if axis is None else source.shape[axis] for axis in axes)
    chunks = tuple(Grid.regular(1, 1) if axis is None else source.chunks[axis] for axis in axes)
    return shape, source.dtype, chunks


def viewed(expression: Expression, axes: Axes) -> Expression:
    """The view with these axes; a view of a view is one view, and one that changes nothing the expression itself."""
    if expression.op == "view":
        inner: Axes = expression.params[0]
        axes = tuple(None if axis is None else inner[axis] for axis in axes)
        return viewed(expression.inputs[0], axes)
    if axes == tuple(range(expression.ndim)):
        return expression
    expression = joined(expression, [axis for axis in range(expression.ndim) if axis not in axes])
    return express("view", infer, (expression,), axes)


def transposed(expression: Expression, axes: Sequence[int] | None = None) -> Expression:
    """Axes in another order, reversed by default."""
    return viewed(expression, tuple(range(expression.ndim))[::-1] if axes is None else tuple(axes))


def expanded(expression: Expression, axis: int) -> Expression:
    """A new axis of extent 1 in front of `axis`."""
    axes: list[int | None] = list(range(expression.ndim))
    return viewed(expression, (*axes[:axis], None, *axes[axis:]))


def squeezed(expression: Expression, *dropped: int) -> Expression:
    """Without these axes, which must have one block of extent 1."""
    return viewed(expression, tuple(axis for axis in range(expression.ndim) if axis not in dropped))


def flops(expression: Expression) -> float:
    """None: nothing is computed."""
    return 0.0


def spread_infer(inputs: tuple[Expression, ...], shape: tuple[int, ...], chunks: tuple[Grid, ...]) -> Inferred:
    """Shape, dtype and chunks of an array broadcast to a shape."""
    return shape, inputs[0].dtype, chunks


def spread(expression: Expression, shape: tuple[int, ...], chunks: tuple[Grid, ...]) -> Expression:
    """Broadcast to `shape`; axes of equal extent keep their chunks, and new ones are cut as `chunks`."""
    if shape == expression.shape:
        return expression
    offset = len(shape) - expression.ndim
    kept = [axis for axis, extent in enumerate(expression.shape) if extent == shape[offset + axis]]
    expression = joined(expression, [axis for axis in range(expression.ndim) if axis not in kept])
    grids = list(chunks)
    for axis in kept:
        grids[offset + axis] = expression.chunks[axis]
    return express("spread", spread_infer, (expression,), shape, tuple(grids))


def joined(expression: Expression, axes: Sequence[int]) -> Expression:
    """With one chunk along these axes, of extent 1 (chunks of no elements beside it vanish)."""
    chunks = tuple(whole(grid.total) if axis in axes else grid for axis, grid in enumerate(expression.chunks))
    return rechunked(expression, chunks)
