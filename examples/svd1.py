"""Singular value decomposition of a tall and skinny random matrix."""

from __future__ import annotations

import numpy as np
from script import command_line, judge, not_orthonormal, run, scaled

import sarray as sa


def main() -> None:
    """Run the example."""
    parser = command_line(__doc__, size=200_000, chunks=12_500)
    parser.add_argument("--columns", type=int, default=100, help="how wide the matrix is")
    options = parser.parse_args()
    n = options.columns
    a = sa.random.default_rng(0).standard_normal((options.size, n), chunks=(options.chunks, n))

    u, s, vh = run(options, *sa.svd(a))

    a = a.compute()
    judge(
        {
            "|A - U S V'| scaled": scaled(a - (u * s) @ vh, float(np.linalg.norm(a)), n),
            "|U'U - I| scaled": not_orthonormal(u),
            "|V'V - I| scaled": not_orthonormal(vh.T),
            "S out of order": 0.0 if np.all(np.diff(s) <= 0) else np.inf,
        }
    )


if __name__ == "__main__":
    main()
