"""Multiply two square random matrices, and check the product on a random vector."""

from __future__ import annotations

import numpy as np
from script import command_line, judge, run, scaled

import sarray as sa


def main() -> None:
    """Run the example."""
    options = command_line(__doc__, size=3000, chunks=1000).parse_args()
    n, chunks = options.size, (options.chunks, options.chunks)
    rng = sa.random.default_rng(0)
    a = rng.standard_normal((n, n), chunks=chunks)
    b = rng.standard_normal((n, n), chunks=chunks)

    (product,) = run(options, sa.matmul(a, b))

    a, b = sa.compute(a, b)
    v = np.random.default_rng(1).standard_normal(n)
    scale = float(np.linalg.norm(a) * np.linalg.norm(b) * np.linalg.norm(v))
    judge({"|Cv - A(Bv)| scaled": scaled(product @ v - a @ (b @ v), scale, n)})


if __name__ == "__main__":
    main()
