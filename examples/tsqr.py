"""Factor a tall and skinny random matrix into Q and R, block of rows by block of rows."""

from __future__ import annotations

import numpy as np
from script import command_line, judge, not_orthonormal, run, scaled

import sarray as sa


def main() -> None:
    """Run the example."""
    parser = command_line(__doc__, size=200_000, chunks=12_500)
    parser.add_argument("--columns", type=int, default=128, help="how wide the matrix is")
    options = parser.parse_args()
    n = options.columns
    a = sa.random.default_rng(0).standard_normal((options.size, n), chunks=(options.chunks, n))

    q, r = run(options, *sa.tsqr(a))

    a = a.compute()
    judge(
        {
            "|A - QR| scaled": scaled(a - q @ r, float(np.linalg.norm(a)), n),
            "|Q'Q - I| scaled": not_orthonormal(q),
            "R not triangular": np.inf if np.tril(r, -1).any() else 0.0,
        }
    )


if __name__ == "__main__":
    main()
