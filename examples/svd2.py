"""The largest singular values and vectors of a square random matrix, compressed by random projection."""

from __future__ import annotations

import numpy as np
from script import command_line, judge, not_orthonormal, run, scaled

import sarray as sa


def main() -> None:
    """Run the example."""
    parser = command_line(__doc__, size=4000, chunks=1000)
    parser.add_argument("--k", type=int, default=5, help="how many singular values")
    options = parser.parse_args()
    n, k = options.size, options.k
    a = sa.random.default_rng(0).uniform(size=(n, n), chunks=(options.chunks, options.chunks))

    u, s, vh = run(options, *sa.svd_compressed(a, k, n_power_iter=2, seed=0))

    a = a.compute()
    norm = float(np.linalg.norm(a))
    judge(
        {
            "|U'A - S V'| scaled": scaled(u.T @ a - s[:, None] * vh, norm, n),
            "|U'U - I| scaled": not_orthonormal(u),
            "|V'V - I| scaled": not_orthonormal(vh.T),
            # No |A x| is above the first singular value; of uniform numbers the constant vector comes close to it.
            "S misses the mean": 0.0 if s[0] >= a.sum() / n and np.all(np.diff(s) <= 0) else np.inf,
        }
    )


if __name__ == "__main__":
    main()
