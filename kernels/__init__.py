"""Block numerics: what one task computes on one block.

Every module holds a family of kernels named by their LAPACK word without the type letter (``gemm``, ``trsm``,
``geqrt``) and, directly beneath each kernel, its cost. Kernels know nothing of arrays, chunks or schedulers: ndarrays
go in, ndarrays come out.

* Inputs are never modified, except an accumulator that the signature names so. They may be strided, read-only or
  byte-swapped.
* Results are native and contiguous (C order unless said otherwise).
* No kernel that takes more than a millisecond holds the interpreter lock.

Importing this package imports nothing: SciPy is loaded by ``kernels.lapack`` at the first compute.
"""

from __future__ import annotations

SARRAY_KERNELS = True
