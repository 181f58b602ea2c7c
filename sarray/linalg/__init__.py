"""Linear algebra: products, factorizations, norms."""

from __future__ import annotations

from sarray.linalg.factorizations import QR, SVD, cholesky, svd, svd_compressed, svdvals, tsqr
from sarray.linalg.norms import norm
from sarray.linalg.products import matmul

__all__ = ["QR", "SVD", "cholesky", "matmul", "norm", "svd", "svd_compressed", "svdvals", "tsqr"]
