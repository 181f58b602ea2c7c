"""Means and scatter of rows, joined: exact sums as an oracle, means far from zero, weights, blocks of no rows."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import moments
from kernels.moments import (
    centered_gram,
    centered_gram_cost,
    centered_r,
    centered_r_cost,
    column_moments,
    join_columns,
    join_gram,
    join_r,
)
from tests.arrays.drawn import cuts

SAMPLES = st.fixed_dictionaries(
    {
        "rows": st.integers(0, 30),
        "columns": st.integers(1, 5),
        "shift": st.sampled_from([0, 10**3, 10**6]),
        "weighted": st.booleans(),
        "seed": st.integers(0, 2**20),
        "order": st.sampled_from("CF"),
    }
)


def drawn(rows: int, columns: int, shift: int, weighted: bool, seed: int, order: Any) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = np.asarray(rng.integers(-50, 50, (rows, columns)) + float(shift), order=order)
    return x, rng.integers(0, 4, rows) * 1.0 if weighted else None


def exact(x: Any, weights: Any) -> tuple[float, Any, Any]:
    """W, m and S in fractions."""
    w = [Fraction(int(each)) for each in (np.ones(len(x)) if weights is None else weights)]
    rows, total = [[Fraction(int(value)) for value in row] for row in x], sum(w)
    width = range(x.shape[1])
    mean = [sum((a * row[j] for a, row in zip(w, rows, strict=True)), Fraction(0)) / (total or 1) for j in width]
    away = [[value - middle for value, middle in zip(row, mean, strict=True)] for row in rows]
    scatter = [
        [sum((a * row[i] * row[j] for a, row in zip(w, away, strict=True)), Fraction(0)) for j in width] for i in width
    ]
    return float(total), np.array(mean, float), np.array(scatter, float).reshape(x.shape[1], x.shape[1])


def parts(x: Any, weights: Any, sizes: tuple[int, ...]) -> list[tuple[Any, Any]]:
    stops = np.cumsum(sizes)[:-1]
    cut = [None] * len(sizes) if weights is None else np.split(weights, stops)
    return list(zip(np.split(x, stops), cut, strict=True))


@given(data=st.data(), given=SAMPLES)
def test_scatter_is_that_of_all_rows_however_they_are_cut(data: st.DataObject, given: dict[str, Any]) -> None:
    x, weights = drawn(**given)
    total, mean, scatter = exact(x, weights)
    cut = parts(x, weights, data.draw(cuts(len(x))))
    r = join_r([centered_r(*part) for part in cut])
    gram = join_gram([centered_gram(*part) for part in cut])
    tolerance = 1e-11 * max(1.0, float(np.abs(scatter).max(initial=0)), given["shift"])
    for found, factor in ((r, r[2:].T @ r[2:]), (gram, np.triu(gram[2:]) + np.triu(gram[2:], 1).T)):
        assert found.shape == (x.shape[1] + 2, x.shape[1])
        assert (found[0] == total).all()
        np.testing.assert_allclose(found[1], mean, rtol=1e-13, atol=1e-12)
        np.testing.assert_allclose(factor, scatter, rtol=0, atol=tolerance)
    assert (np.tril(r[2:], -1) == 0).all()


@given(data=st.data(), given=SAMPLES, missing=st.booleans())
def test_columns_leave_out_what_is_missing(data: st.DataObject, given: dict[str, Any], missing: bool) -> None:
    x, weights = drawn(**given)
    if missing:
        x[np.random.default_rng(given["seed"]).random(x.shape) < 0.3] = np.nan
    found = join_columns([column_moments(*part) for part in parts(x, weights, data.draw(cuts(len(x))))])
    for column, (total, mean, squares) in zip(x.T, found.T, strict=True):
        there = ~np.isnan(column)
        expected = exact(column[there][:, None], None if weights is None else weights[there])
        assert total == expected[0]
        np.testing.assert_allclose([mean, squares], [expected[1][0], expected[2][0, 0]], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernel", [centered_r, centered_gram])
def test_a_tall_block_is_worked_through_in_pieces(
    kernel: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rng.standard_normal((1000, 3)) + 1e6
    whole = kernel(x)
    monkeypatch.setattr(moments, "QR_ROWS", 100)
    monkeypatch.setattr(moments, "PIECE_BYTES", 1 << 11)
    # A mean of 1e6 is known to 1e-10, and its error meets 1,000 rows: entries of the scatter, of which the largest
    # are 1,000, are right to some 1e-7.
    np.testing.assert_allclose(np.abs(kernel(x)), np.abs(whole), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("path", [lambda k: 1e6 * k, lambda k: 1e6 * (-1.0) ** k, lambda k: 1e6 * (k > 0)])
def test_pieces_that_drift_lose_no_more_than_the_scatter_is_large(
    path: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scatter is right to its own rounding along the drift, and across it, where it is 1e12 times smaller."""
    monkeypatch.setattr(moments, "PIECE_BYTES", 64 * 8 * 2)
    x = rng.integers(-50, 50, (64 * 9 + 5, 2)).astype(float)
    x[:, 0] += path(np.arange(len(x)) // 64)
    total, mean, scatter = exact(x, None)
    found = centered_gram(x)
    np.testing.assert_allclose(found[:2], [[total] * 2, mean], rtol=1e-14)
    np.testing.assert_allclose([found[2, 0], found[3, 1]], np.diag(scatter), rtol=1e-14)
    assert abs(found[2, 1] - scatter[0, 1]) <= 1e-14 * np.sqrt(scatter[0, 0] * scatter[1, 1])


def test_wide_blocks_and_other_types(rng: np.random.Generator) -> None:
    x = rng.integers(0, 9, (3, 7))
    for dtype in ("f4", "i2", "f8"):
        found = centered_r(x.astype(dtype))
        assert (found.dtype, found.shape) == (np.float64, (9, 7))
        np.testing.assert_allclose(found[2:].T @ found[2:], np.cov(x.T) * 2, atol=1e-10)


@pytest.mark.parametrize("kernel", [centered_r, centered_gram, column_moments])
def test_narrow_weights_are_used_in_full(kernel: Any, rng: np.random.Generator) -> None:
    x, weights = (rng.random((5000, 3)) + 1e3).astype("f4"), rng.random(5000).astype("f4")
    wide = kernel(x.astype("f8"), weights.astype("f8"))
    np.testing.assert_allclose(np.abs(kernel(x, weights)), np.abs(wide), rtol=1e-13, atol=1e-9)


def test_costs_are_those_of_the_algorithms() -> None:
    assert (centered_r_cost(1000, 10).flops, centered_gram_cost(1000, 10).flops) == (200_000, 100_000)
