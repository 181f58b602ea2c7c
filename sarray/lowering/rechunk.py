"""Other chunks for the same elements."""

from __future__ import annotations

from sarray.expression import Expression, express
from sarray.lowering import source, window
from wukong_sched.grid import Grid


def rechunked(expression: Expression, chunks: tuple[Grid, ...]) -> Expression:
    """The expression in these chunks: itself if it has them, read in them if it is memory, else a window on it."""
    if chunks == expression.chunks:
        return expression
    if expression.op == "rechunk":
        return rechunked(expression.inputs[0], chunks)
    if expression.op == "source" and source.is_random_access(expression):
        return source.rechunked(expression, chunks)
    ndim = expression.ndim
    return express("rechunk", window.infer, (expression,), (0,) * ndim, (1,) * ndim, chunks)
