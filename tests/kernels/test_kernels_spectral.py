"""gesdd and eigh: residuals over the gallery, NumPy's values, failures by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from kernels.eigen import eigh, eigh_cost
from kernels.svd import gesdd, gesdd_cost, svdvals, svdvals_cost

Block = NDArray[Any]
Maker = Callable[[int, int, str], Block]


def _unit(a: Block) -> tuple[Block, float]:
    """The matrix at a size at which norms are numbers, and the factor."""
    scale = float(np.max(np.abs(a), initial=0.0)) or 1.0
    return a / a.dtype.type(scale), scale


def _orthogonal(q: Block, n: int) -> None:
    assert np.linalg.norm(q.conj().T @ q - np.eye(q.shape[1])) < 20 * max(n, 1) * np.finfo(q.dtype).eps


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (30, 11), (11, 30), (120, 60), (5, 1), (1, 5), (0, 4), (4, 0)])
def test_gesdd_over_the_gallery(maker: Maker, lapack_type: str, shape: tuple[int, int]) -> None:
    a = maker(*shape, lapack_type)
    kept, k = a.copy(), min(shape)
    u, s, vh = gesdd(a)
    assert (u.shape, s.shape, vh.shape) == ((shape[0], k), (k,), (k, shape[1]))
    assert (u.dtype, s.dtype, vh.dtype) == (a.dtype, np.empty(0, a.dtype).real.dtype, a.dtype)
    assert u.flags.c_contiguous and vh.flags.c_contiguous
    unit, scale = _unit(a)
    n, eps = max(shape), np.finfo(lapack_type).eps
    assert np.linalg.norm(u * (s / scale) @ vh - unit) <= 10 * n * eps * np.linalg.norm(unit)
    _orthogonal(u, n)
    _orthogonal(vh.conj().T, n)
    assert (s >= 0).all() and (np.diff(s) <= 0).all()
    np.testing.assert_allclose(svdvals(a), s, rtol=0, atol=10 * n * eps * s.max(initial=0))
    np.testing.assert_allclose(
        s / scale, np.linalg.svd(unit, compute_uv=False), rtol=0, atol=20 * n * eps * s.max(initial=0) / scale
    )
    assert_array_equal(a, kept)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (0, 2), (2, 0)])
def test_full_matrices_are_unitary(shape: tuple[int, int], lapack_type: str) -> None:
    a = np.random.default_rng(0).standard_normal(shape).astype(lapack_type)
    u, s, vh = gesdd(np.asfortranarray(a), full_matrices=True)
    assert (u.shape, vh.shape) == ((shape[0],) * 2, (shape[1],) * 2)
    _orthogonal(u, 4)
    _orthogonal(vh, 4)
    k = min(shape)
    np.testing.assert_allclose(u[:, :k] * s @ vh[:k], a, atol=50 * np.finfo(lapack_type).eps)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_does_not_converge(value: float, lapack_type: str) -> None:
    a = np.eye(4, dtype=lapack_type)
    a[2, 1] = value
    for kernel in (gesdd, svdvals):
        with pytest.raises(np.linalg.LinAlgError, match="SVD did not converge: the block holds NaN or inf"):
            kernel(a)
    with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
        eigh(a)


@pytest.mark.parametrize("n", [0, 1, 5, 40, 100])
def test_eigh_over_the_gallery(maker: Maker, lapack_type: str, n: int) -> None:
    a = maker(n, n, lapack_type) / 2
    a = (a + a.conj().T).astype(lapack_type)
    w, v = eigh(np.tril(a))
    unit, scale = _unit(a)
    eps = np.finfo(lapack_type).eps
    assert np.linalg.norm(unit @ v - v * (w / scale)) <= 20 * max(n, 1) * eps * np.linalg.norm(unit)
    _orthogonal(v, n)
    assert (np.diff(w) >= 0).all()
    np.testing.assert_allclose(w / scale, np.linalg.eigvalsh(unit), rtol=0, atol=40 * max(n, 1) * eps)


def test_eigh_refuses_rectangles() -> None:
    with pytest.raises(ValueError, match=r"square matrix is needed, not shape \(2, 3\)"):
        eigh(np.ones((2, 3)))


def test_costs() -> None:
    assert gesdd_cost(20, 10, "c8").flops == 4 * gesdd_cost(10, 20, "f8").flops
    assert svdvals_cost(20, 10, "f8").flops < gesdd_cost(20, 10, "f8").flops
    assert eigh_cost(10, "f8").bytes_out == 8 * 110
