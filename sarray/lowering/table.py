"""Every operation there is, in one table."""

from __future__ import annotations

from collections.abc import Mapping

from sarray.lowering import (
    blockwise,
    cholesky,
    creation,
    elementwise,
    map_blocks,
    matmul,
    norm,
    random,
    reduction,
    small_svd,
    source,
    tree_reduction,
    tsqr,
    views,
    window,
)
from sarray.lowering.builder import Operation

OPERATIONS: Mapping[str, Operation] = {
    # sources and formulas
    "source": Operation(source.infer, source.lower, source.flops),
    "full": Operation(creation.infer, creation.lower, creation.flops),
    "eye": Operation(creation.infer, creation.lower, creation.flops),
    "arange": Operation(creation.infer, creation.lower, creation.flops),
    "random": Operation(random.infer, random.lower, random.flops),
    # block by block
    "elementwise": Operation(elementwise.infer, blockwise.lower, elementwise.flops, once=True),
    "spread": Operation(views.spread_infer, blockwise.lower, views.flops),
    "view": Operation(views.infer, blockwise.lower, views.flops, once=True),
    # The function may call BLAS, and broadcast blocks are read by many tasks.
    "map_blocks": Operation(map_blocks.infer, map_blocks.lower, map_blocks.flops, blas=True),
    # reductions
    "reduce": Operation(reduction.infer, reduction.lower, reduction.flops, once=True),
    "tree_reduce": Operation(tree_reduction.infer, tree_reduction.lower, tree_reduction.flops, once=True),
    # elements moved
    "slice": Operation(window.infer, window.lower, window.flops),
    "rechunk": Operation(window.infer, window.lower, window.flops),
    # linear algebra
    "matmul": Operation(matmul.infer, matmul.lower, matmul.flops, blas=True),
    "tsqr.r": Operation(tsqr.infer_r, tsqr.lower_r, tsqr.flops, once=True, blas=True),
    "tsqr.only_r": Operation(tsqr.infer_r, tsqr.lower_only_r, tsqr.flops, once=True, blas=True),
    "tsqr.q": Operation(tsqr.infer_q, tsqr.lower_q, tsqr.flops, once=True, blas=True),
    "svd.u": Operation(small_svd.infer_u, small_svd.lower, small_svd.flops, once=True, blas=True),
    "svd.s": Operation(small_svd.infer_s, small_svd.lower, small_svd.flops, once=True, blas=True),
    "svd.vh": Operation(small_svd.infer_vh, small_svd.lower, small_svd.flops, once=True, blas=True),
    "svdvals": Operation(small_svd.infer_s, small_svd.lower_values, small_svd.flops, once=True, blas=True),
    "cholesky": Operation(cholesky.infer, cholesky.lower, cholesky.flops, once=True, blas=True),
    "norm": Operation(norm.infer, norm.lower, norm.flops, once=True),
}
"""Name of the operation -> how its shape is inferred, how it is lowered, what it costs."""
