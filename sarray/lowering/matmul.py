"""C = A B: every block of C is a sum over k, and the sum is one task.

A task holds a super-tile of C (see `supertile`) and reads one step's tiles of A and B at a time, so that partial sums
never leave it::

    C[p, q] = sum_k A[p, k] B[k, q]                      for the blocks p, q of super-tile i, j

* **Inner grids that differ** are not rechunked. The steps follow one of the two; of the other the tiles that overlap a
  step are read, and each overlap is one product of two views. The steps are those of the coarser grid, which reads
  least, unless a step would then take more memory than a task has.
* **Few blocks of C and many steps** (X^T X of a tall X, a dot product) would leave all but a few workers idle. Then the
  steps are dealt out in groups of `GROUP` and the partial sums added in order. Whether that is done depends on shapes
  and chunks alone::

    P[s, p, q] = sum_k A[p, k] B[k, q]                   GROUP s <= k < GROUP (s + 1)
    C[p, q]    = sum_s P[s, p, q]

* So the bits of C do not depend on the number of workers.

Types are NumPy's: integers wrap around, bool is "or of ands", float16 is summed in float32 and rounded once.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from kernels.cost import Cost, dense_cost
from sarray.expression import Expression, Inferred
from sarray.lowering.blocks import largest_chunk, reference
from sarray.lowering.builder import Builder
from sarray.lowering.contraction import Layout, Total
from sarray.lowering.operand import Operand, adapted
from sarray.lowering.supertile import Product, choose, task_bytes
from wukong_sched.grid import Grid
from wukong_sched.rule import ArrayInfo, Rule

GROUP = 4
"""Steps of one partial sum where the sum is dealt out."""
ONE = Grid.of((1,))


def infer(inputs: tuple[Expression, ...]) -> Inferred:
    """Shape, dtype and chunks of A @ B; ValueError for shapes that do not fit, TypeError for types without products."""
    a, b = inputs
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul: needs 1 dimension or more, got {a.shape} and {b.shape}; write a * b for scalars")
    rows = b.shape[-2 if b.ndim > 1 else 0]
    if a.shape[-1] != rows:
        raise ValueError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} columns against {rows} rows"
        )
    if bad := [str(each.dtype) for each in inputs if each.dtype.kind not in "biufc"]:
        raise TypeError(f"matmul: needs numbers or bool, got {' and '.join(bad)}; convert with astype")
    try:
        batch_shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"matmul: stacks of matrices of shapes {a.shape} and {b.shape} do not broadcast: "
            f"{a.shape[:-2]} against {b.shape[:-2]}"
        ) from None
    batch = tuple(_batch_grid(a, b, axis) for axis in range(-2 - len(batch_shape), -2))
    down, across = a.chunks[-2:-1], b.chunks[-1:] if b.ndim > 1 else ()
    chunks = batch + down + across
    return tuple(grid.total for grid in chunks), np.result_type(a.dtype, b.dtype), chunks


def _batch_grid(a: Expression, b: Expression, axis: int) -> Grid:
    """Grid of one axis of the stack, counted from the right."""
    own = [each.chunks[axis] for each in (a, b) if -axis <= each.ndim]
    wide = [grid for grid in own if grid.total != 1] or own
    if len({*wide}) > 1:
        raise ValueError(
            f"matmul: axis {axis} is cut into {wide[0].sizes()[:8]} and {wide[1].sizes()[:8]}; "
            "rechunk one like the other"
        )
    return wide[0]


def flops(expression: Expression) -> float:
    """2 m n k for each product of the stack; a complex multiply-add counts four times."""
    inner = expression.inputs[0].shape[-1]
    return float(2 * math.prod(expression.shape) * inner * (4 if expression.dtype.kind == "c" else 1))


def lower(expression: Expression, builder: Builder) -> None:
    """Rules for one product."""
    a, b = (builder.operand(each) for each in expression.inputs)
    layout = _layout(expression, builder)
    builder.tiles(expression.name, expression.chunks, expression.dtype)
    sums, dtype = expression.name, summed_in(expression.dtype)
    if layout.splits > 1:
        sums = f"{expression.name}/partial"
        builder.array(sums, ArrayInfo(_block_bytes(layout, dtype), dtype.itemsize, expression.chunks))
        builder.rule(_total(expression, layout, sums))
    builder.rule(_products(expression, layout, (a, b), sums))


def _products(expression: Expression, layout: Layout, operands: tuple[Operand, Operand], sums: str) -> Rule:
    from sarray.lowering.sum_of_products import SumOfProducts  # loads SciPy, which `import sarray` must not

    # C[p, q] = sum_k A[p, k] B[k, q]; or P[s, p, q], over the k of group s
    a, b = operands
    split = layout.splits > 1
    row, column = _ends(layout, "di * i + p", "dj * j + q")
    rows = "for p in range(min(di, ni - di * i))" if row else "for p in range(1)"
    columns = "for q in range(min(dj, nj - dj * j))" if column else "for q in range(1)"
    c_index = ["s"] * split + _stack_index(layout) + row + column
    a_index = [*_own_stack(layout, expression.inputs[0]), *row, _inner(layout, 0)]
    b_index = [*_own_stack(layout, expression.inputs[1]), _inner(layout, 1), *column]
    summed = summed_in(expression.dtype)
    ends = _ends(layout, "for i in range(ti)", "for j in range(tj)")
    loops = ["for s in range(ns)"] * split + _stack_loops(layout) + ends[0] + ends[1]
    return Rule(
        name=f"{expression.name}/gemm",
        loops=" ".join(loops),
        writes=(f"[{reference('C', *c_index)} {rows} {columns}]",),
        reads=(
            f"[{a.ref('A', *a_index)} {rows}{_inner_loop(layout, 0)}]",
            f"[{b.ref('B', *b_index)} {columns}{_inner_loop(layout, 1)}]",
        ),
        kernel=adapted(SumOfProducts(layout, summed, summed if split else expression.dtype), a, b),
        names={"A": a.name, "B": b.name, "C": sums},
        sizes=_sizes(layout),
        fold="for k in range(g * s, min(g * s + g, nk))" if split else "for k in range(nk)",
        cost=_cost(expression, layout),
        operation="matmul",
    )


def _total(expression: Expression, layout: Layout, sums: str) -> Rule:
    # C[i, j] = sum_s P[s, i, j]
    (row, column), ends = _ends(layout, "i", "j"), _ends(layout, "for i in range(ni)", "for j in range(nj)")
    index = _stack_index(layout) + row + column
    nbytes = _block_bytes(layout, summed_in(expression.dtype))
    return Rule(
        name=f"{expression.name}/sum",
        loops=" ".join(_stack_loops(layout) + ends[0] + ends[1]),
        writes=(reference("C", *index),),
        reads=(reference("P", "s", *index),),
        kernel=Total(expression.dtype),
        names={"C": expression.name, "P": sums},
        sizes=_sizes(layout),
        fold="for s in range(ns)",
        cost=Cost(layout.splits * nbytes / expression.dtype.itemsize, layout.splits * nbytes, nbytes),
        operation="matmul",
    )


def _stack_index(layout: Layout) -> list[str]:
    return [f"z{n}" for n in range(layout.stack)]


def _stack_loops(layout: Layout) -> list[str]:
    return [f"for z{n} in range(nz{n})" for n in range(layout.stack)]


def _ends(layout: Layout, row: str, column: str) -> tuple[list[str], list[str]]:
    """The texts for rows and for columns, without that of a vector."""
    return [row] * (not layout.vectors[0]), [column] * (not layout.vectors[1])


def _own_stack(layout: Layout, operand: Expression) -> list[str]:
    """The stack's index in an operand: its last axes, and block 0 where it is broadcast."""
    own = operand.chunks[: max(operand.ndim - 2, 0)]
    first = layout.stack - len(own)
    return [f"z{first + n}" if grid == layout.chunks[first + n] else "0" for n, grid in enumerate(own)]


def _inner(layout: Layout, side: int) -> str:
    return "k" if layout.inner[side] == layout.steps else "t"


def _inner_loop(layout: Layout, side: int) -> str:
    """The loop over an operand's tiles that a step overlaps, where the steps are not its own."""
    return "" if layout.inner[side] == layout.steps else f" for t in window(k, steps, inner{side}, 0, 1)"


def _sizes(layout: Layout) -> dict[str, Any]:
    (*stack, down, across), (di, dj) = layout.chunks, layout.tile
    ni, nj = len(down), len(across)
    sizes: dict[str, Any] = {f"nz{n}": len(grid) for n, grid in enumerate(stack)}
    sizes |= {"ni": ni, "nj": nj, "di": di, "dj": dj, "ti": -(-ni // di), "tj": -(-nj // dj)}
    sizes |= {"steps": layout.steps, "inner0": layout.inner[0], "inner1": layout.inner[1]}
    return sizes | {"nk": len(layout.steps), "g": GROUP, "ns": layout.splits}


def _layout(expression: Expression, builder: Builder) -> Layout:
    a, b = expression.inputs
    vectors = (a.ndim == 1, b.ndim == 1)
    stack = expression.chunks[: expression.ndim - 2 + sum(vectors)]
    chunks = (*stack, ONE if vectors[0] else a.chunks[-2], ONE if vectors[1] else b.chunks[-1])
    inner = (a.chunks[-1], b.chunks[-2 if b.ndim > 1 else 0])
    layout = Layout(chunks, vectors, min(inner, key=len), inner)
    if task_bytes(_product(layout, expression), (1, 1)) > builder.limits.task_bytes:
        layout = replace(layout, steps=max(inner, key=len))
    layout = replace(layout, splits=_splits(_product(layout, expression), len(layout.steps)))
    limits = builder.limits
    return replace(layout, tile=choose(_product(layout, expression), limits.task_bytes, limits.workers, limits.rounds))


def _splits(product: Product, steps: int) -> int:
    """Partial sums of each block of C: 1 unless there are few blocks, not large ones, and many steps."""
    groups = -(-steps // GROUP)
    modest = product.c_bytes <= 2 * (product.a_bytes + product.b_bytes)
    return groups if modest and math.prod(product.blocks) * product.batch < groups else 1


def _product(layout: Layout, expression: Expression) -> Product:
    *stack, down, across = layout.chunks
    deep = [_depth(layout.steps, inner) for inner in layout.inner]
    batch = math.prod(map(largest_chunk, stack))
    return Product(
        blocks=(len(down), len(across)),
        batch=math.prod(map(len, stack)) * layout.splits,
        a_bytes=batch * largest_chunk(down) * deep[0] * expression.inputs[0].dtype.itemsize,
        b_bytes=batch * largest_chunk(across) * deep[1] * expression.inputs[1].dtype.itemsize,
        c_bytes=_block_bytes(layout, summed_in(expression.dtype)),
    )


def _depth(steps: Grid, inner: Grid) -> int:
    """Elements along k of the tiles that one step reads."""
    largest = largest_chunk(inner)
    return largest if steps == inner else min(largest_chunk(steps) + 2 * largest, steps.total)


def _block_bytes(layout: Layout, dtype: np.dtype[Any]) -> int:
    return math.prod(map(largest_chunk, layout.chunks)) * dtype.itemsize


def _cost(expression: Expression, layout: Layout) -> Cost:
    *stack, down, across = layout.chunks
    depth = layout.steps.total if layout.splits == 1 else GROUP * largest_chunk(layout.steps)
    m, n = (largest_chunk(grid) * blocks for grid, blocks in zip((down, across), layout.tile, strict=True))
    one = dense_cost(2 * m * n * depth, expression.dtype, [(m, depth), (depth, n)], [(m, n)])
    return one.scaled(math.prod(map(largest_chunk, stack)))


def summed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of the accumulators: float32 for float16, as in NumPy; else the result's.

    >>> summed_in(np.dtype("f2")), summed_in(np.dtype("i1"))
    (dtype('float32'), dtype('int8'))
    """
    return np.dtype(np.float32) if dtype == np.float16 else dtype
