"""Means and scatter of rows, block by block, in one pass: the factor R of a matrix whose columns' means are taken off.

Of rows X with weights w (1 if there are none) a block keeps three things, stacked in one array of p + 2 rows::

    W = sum w_i            in every column of the first row
    m = sum w_i x_i / W    the second row; 0 for no rows
    R, p x p               R^T R = sum w_i (x_i - m)(x_i - m)^T

Blocks are centred on their own means, and joined by the update of Chan, Golub and LeVeque (1983, "Algorithms for
computing the sample variance", The American Statistician 37)::

    S = S_a + S_b + d d^T,    d = (m_a - m_b) sqrt(W_a W_b / (W_a + W_b))

With S = R^T R that is one more row under the factors, so a join is the QR factorization of [R_a; R_b; d^T]: nothing is
ever subtracted from something large, whatever the means, and Householder reflectors keep every step backward stable
(`centered_r`). Where S itself will do, it is summed instead, at half the flops (`centered_gram`); its small
eigenvalues then carry the rounding errors of the largest.

There a piece of rows is read once: it is centred on the mean c of the piece before, and its own mean found from what
is left. The scatter about c is too large by W (m - c)(m - c)^T, which is taken off. Little is lost by that: pieces of
one size having means m_k about m, sum W |m_k - m_(k-1)|^2 <= 4 sum W |m_k - m|^2 along every direction, so that what
is summed is at most five times S.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels.cost import Cost, dense_cost
from kernels.lapack import Block, routine
from kernels.qr import geqrt

PIECE_BYTES = 1 << 20
"""Rows are centred so many bytes at a time, which stay in cache until they are factored or multiplied."""
QR_ROWS = 4096
"""Rows of a piece that is factored."""


def centered_r(x: Block, weights: Block | None = None) -> Block:
    """W, m and R of a block of rows, as one (p + 2) x p array; all float64. 2 m p^2 flops.

    >>> np.round(np.abs(centered_r(np.array([[1.0], [3.0]]))), 12)[:, 0].tolist()
    [2.0, 2.0, 1.414213562373]
    """
    rows = max(QR_ROWS, 4 * x.shape[1])
    return join_r([_piece_r(x[i : i + rows], part(weights, i, rows)) for i in range(0, max(1, len(x)), rows)])


def centered_r_cost(m: int, p: int) -> Cost:
    """2 m p^2 flops; reads the block, writes R.

    >>> centered_r_cost(100, 10).flops
    20000
    """
    return dense_cost(2 * m * p * p, "f8", [(m, p)], [(p + 2, p)])


def join_r(blocks: Sequence[Block]) -> Block:
    """What `centered_r` gives for all the rows of several blocks together; the order of blocks decides the bits.

    >>> x = np.arange(8.0).reshape(4, 2) ** 2
    >>> both = join_r([centered_r(x[:1]), centered_r(x[1:])])
    >>> bool(np.allclose(both[2:].T @ both[2:], np.cov(x.T) * 3))
    True
    """
    if len(blocks) == 1:
        return blocks[0]
    weight, mean, rows = _merged(blocks)
    return _stacked(weight, mean, geqrt(np.concatenate([*(block[2:] for block in blocks), rows])).r)


def centered_gram(x: Block, weights: Block | None = None) -> Block:
    """W, m and S of a block of rows, as one (p + 2) x p array; S in its upper triangle. m p^2 flops.

    >>> centered_gram(np.array([[1.0], [3.0]]))[:, 0].tolist()
    [2.0, 2.0, 2.0]
    """
    rows, width = max(64, PIECE_BYTES // max(8, 8 * x.shape[1])), x.shape[1]
    room, scatter = np.empty((min(rows, len(x)), width)), np.zeros((width, width))
    ends: list[Block] = []
    moved = []
    for start in range(0, max(1, len(x)), rows):
        piece, some = x[start : start + rows], part(weights, start, rows)
        near = _mean(piece, some) if some is not None or not ends else ends[-1][1]
        ends.append(_add_scatter(scatter, piece, some, near, room[: len(piece)]))
        moved.append((ends[-1][1] - near) * np.sqrt(ends[-1][0]))
    weight, mean, between = _merged(ends)
    scatter += np.triu(between.T @ between - np.transpose(moved) @ moved)
    return _stacked(weight, mean, scatter)


def centered_gram_cost(m: int, p: int) -> Cost:
    """m p^2 flops; reads the block, writes S.

    >>> centered_gram_cost(100, 10).flops
    10000
    """
    return dense_cost(m * p * p, "f8", [(m, p)], [(p + 2, p)])


def join_gram(blocks: Sequence[Block]) -> Block:
    """What `centered_gram` gives for all the rows of several blocks together.

    >>> x = np.arange(8.0).reshape(4, 2) ** 2
    >>> both = join_gram([centered_gram(x[:1]), centered_gram(x[1:])])
    >>> bool(np.allclose(np.triu(both[2:]), np.triu(np.cov(x.T) * 3)))
    True
    """
    if len(blocks) == 1:
        return blocks[0]
    weight, mean, rows = _merged(blocks)
    scatter = np.sum([block[2:] for block in blocks], axis=0)
    scatter += np.triu(rows.T @ rows)
    return _stacked(weight, mean, scatter)


def part(weights: Block | None, start: int, rows: int) -> Block | None:
    """So many weights from a place on, as float64, so that means and roots of weights are; none of none."""
    return None if weights is None else weights[start : start + rows].astype(np.float64, copy=False)


def _centered(x: Block, weights: Block | None) -> tuple[float, Block, Block]:
    """W, m, and the rows less m, scaled by the roots of their weights; in one's own memory."""
    mean = _mean(x, weights)
    rows: Block = np.subtract(x, mean, dtype=np.float64, order="C")
    if weights is None:
        return float(len(x)), mean, rows
    rows *= np.sqrt(weights)[:, None]
    return float(weights.sum(dtype=np.float64)), mean, rows


def _piece_r(x: Block, weights: Block | None) -> Block:
    total, mean, rows = _centered(x, weights)
    return _stacked(total, mean, geqrt(rows).r)


def _mean(x: Block, weights: Block | None) -> Block:
    """The mean of rows, 0 of none; float64."""
    if weights is None:
        return x.mean(axis=0, dtype=np.float64) if len(x) else np.zeros(x.shape[1])
    total = float(weights.sum(dtype=np.float64))
    mean: Block = (weights @ x) / total if total else np.zeros(x.shape[1])
    return mean


def _add_scatter(scatter: Block, x: Block, weights: Block | None, near: Block, room: Block) -> Block:
    """Add the scatter of a piece about `near`, its mean if there are weights; W and the mean, as two rows.

    `room` is for the rows less `near`.
    """
    np.subtract(x, near, out=room)
    if weights is None:
        weight, mean = float(len(x)), near + (np.ones(len(x)) @ room) / max(1, len(x))
    else:
        weight, mean = float(weights.sum(dtype=np.float64)), near
        room *= np.sqrt(weights)[:, None]
    if room.size:
        # Row-major rows are column-major rows^T, and a lower triangle by columns is an upper one by rows.
        m, p = room.shape
        routine("syrk", "d")(b"L", b"N", p, m, 1.0, room, p, 1.0, scatter, p)
    return np.stack([np.full(len(mean), weight), mean])


def _merged(blocks: Sequence[Block]) -> tuple[float, Block, Block]:
    """W and m of all blocks, and the rows d that their scatter lacks."""
    weight, mean, rows = float(blocks[0][0, 0]), blocks[0][1], []
    for block in blocks[1:]:
        more = float(block[0, 0])
        if not more:
            continue
        share = more / (weight + more)
        rows.append((block[1] - mean) * np.sqrt(weight * share))
        mean = mean + (block[1] - mean) * share
        weight += more
    width = blocks[0].shape[1]
    return weight, mean, np.asarray(rows).reshape(-1, width)


def _stacked(weight: float, mean: Block, factor: Block) -> Block:
    """W, m and R or S in one array; an R of fewer rows than columns is filled up with zeros."""
    width = len(mean)
    found: Block = np.zeros((width + 2, width))
    found[0], found[1], found[2 : 2 + len(factor)] = weight, mean, factor
    return found


def column_moments(x: Block, weights: Block | None = None) -> Block:
    """W, m and the sum of squares about m of every column, as one 3 x p array; NaN counts as not there. 4 m p flops.

    >>> column_moments(np.array([[1.0, 5.0], [3.0, np.nan]])).tolist()
    [[2.0, 1.0], [2.0, 5.0], [2.0, 0.0]]
    """
    rows = max(64, PIECE_BYTES // max(8, 8 * x.shape[1]))
    return join_columns([_columns(x[i : i + rows], part(weights, i, rows)) for i in range(0, max(1, len(x)), rows)])


def join_columns(blocks: Sequence[Block]) -> Block:
    """What `column_moments` gives for all the rows of several blocks together.

    >>> x = np.arange(6.0).reshape(3, 2)
    >>> np.allclose(join_columns([column_moments(x[:1]), column_moments(x[1:])]), column_moments(x))
    True
    """
    found = np.array(blocks[0])
    for more in blocks[1:]:
        total = found[0] + more[0]
        share = np.divide(more[0], total, out=np.zeros_like(total), where=total != 0)
        away = more[1] - found[1]
        found[2] += more[2] + away * (found[0] * share) * away  # in this order 0 of no rows, however far away
        found[1] += away * share
        found[0] = total
    return found


def _columns(x: Block, weights: Block | None) -> Block:
    x = np.asarray(x, np.float64)
    there = ~np.isnan(x)
    weight: Any = there if weights is None else there * weights[:, None]
    total = weight.sum(axis=0, dtype=np.float64)
    away = np.where(there, x, 0.0)
    sums = (away * weight).sum(axis=0)
    mean = np.divide(sums, total, out=sums, where=total != 0)  # where W = 0 the sum, NaN of infinities that weigh 0
    away = np.where(there, x - mean, 0.0)
    # The second sum is 0 but for rounding in the mean, which it corrects (Chan, Golub and LeVeque, equation 1.7).
    off = np.divide((away * weight).sum(axis=0), total, out=np.zeros_like(total), where=total != 0)
    return np.stack([total, mean + off, (away * away * weight).sum(axis=0) - off * off * total])
