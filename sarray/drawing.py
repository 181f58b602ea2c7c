"""What arrays look like: a line of text, and HTML with the chunk grid as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sarray.expression import Expression
from sarray.lowering.blocks import largest_block
from sarray.sizes import format_bytes
from wukong_sched.grid import Grid

SHOWN = 8
"""Chunk sizes that are written out along an axis."""
LINES = 40
"""Lines drawn along an axis, at most."""
SIDE = 160.0
"""Pixels of the longest side."""


def chunk_text(chunks: Sequence[Grid]) -> str:
    """Chunk sizes, the middle left out where there are many.

    >>> chunk_text((Grid.regular(1000, 10), Grid.of((3, 2))))
    '((10, 10, 10, ..., 10; 100 chunks), (3, 2))'
    """
    return f"({', '.join(map(_axis_text, chunks))}{',' if len(chunks) == 1 else ''})"


def _axis_text(grid: Grid) -> str:
    if len(grid) <= SHOWN:
        return str(grid.sizes())
    first = ", ".join(str(grid.chunk(tile)) for tile in range(3))
    return f"({first}, ..., {grid.chunk(len(grid) - 1)}; {len(grid)} chunks)"


def html(expression: Expression) -> str:
    """A table of facts beside the chunk grid of the last two axes."""
    block = largest_block(expression.chunks)
    count = 1
    for grid in expression.chunks:
        count *= len(grid)
    bytes_each = expression.dtype.itemsize
    for extent in block:
        bytes_each *= extent
    rows = (
        ("", "Array", "Chunk"),
        ("Bytes", format_bytes(expression.nbytes), format_bytes(bytes_each)),
        ("Shape", str(expression.shape), str(block)),
        ("Count", f"{count} chunks", expression.op),
        ("Type", str(expression.dtype), ""),
    )
    cells = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td><td>{escape(c)}</td></tr>" for a, b, c in rows)
    return f'<div style="display:flex;gap:1em;align-items:center"><table>{cells}</table>{svg(expression)}</div>'


def svg(expression: Expression) -> str:
    """The chunk grid of the last two axes, as SVG; nothing for arrays without elements or axes."""
    if not expression.ndim or 0 in expression.shape:
        return ""
    grids = (Grid.regular(1, 1), *expression.chunks)[-2:]
    tall, wide = grids
    scale = SIDE / max(tall.total, wide.total)
    height, width = (max(grid.total * scale, 12.0) for grid in grids)
    lines = [f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height:.1f}"/>' for x in _cuts(wide, width)]
    lines += [f'<line x1="0" y1="{y:.1f}" x2="{width:.1f}" y2="{y:.1f}"/>' for y in _cuts(tall, height)]
    return (
        f'<svg width="{width + 2:.0f}" height="{height + 2:.0f}" viewBox="-1 -1 {width + 2:.1f} {height + 2:.1f}" '
        f'stroke="#555" stroke-width="1"><rect width="{width:.1f}" height="{height:.1f}" fill="#e8c27a"/>'
        f"{''.join(lines)}</svg>"
    )


def _cuts(grid: Grid, length: float) -> list[float]:
    """Where lines are drawn between tiles; every few tiles only, where there are many."""
    stride = -(-len(grid) // LINES)
    return [grid.bounds(tile)[0] / grid.total * length for tile in range(stride, len(grid), stride)]
