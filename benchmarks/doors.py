"""Other people's programs: scikit-learn's, Dask's and PyWren's rows beside those libraries themselves, in one run.

Measured as `local.py` does: a process for each side, asked in turn, medians compared.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys

from door_rows import DOOR_ROWS, DOOR_THREADS
from local import LEAST_SCALING, duration, failures, scaling, side_of
from ml_rows import pca_samples
from sides import HERE

BOTH = (1, os.cpu_count() or 1)


def measured(name: str, rounds: int, scale: float) -> dict[str, float]:
    """Return the median seconds of each side, with the better number of BLAS threads."""
    medians: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        sides = []
        for peer in DOOR_ROWS[name].sides:
            for threads in DOOR_THREADS.get(peer, BOTH):
                sides.append((peer, stack.enter_context(contextlib.closing(side_of(name, peer, threads, scale)))))
                sides[-1][1].answer()
        samples = [[side.measure() for _, side in sides] for _ in range(rounds)]
    for (peer, _), seconds in zip(sides, zip(*samples, strict=True), strict=True):
        medians[peer] = min(medians.get(peer, float("inf")), statistics.median(seconds))
    return medians


def component_error(scale: float) -> float:
    """Return how far our components are from those of scikit-learn's full SVD, at most, in any entry."""
    import numpy as np
    from sklearn.decomposition import PCA

    import sarray as sa

    values = pca_samples(scale)
    ours = sa.ml.PCA(10).fit(sa.from_array(values, chunks=("auto", -1)))
    return float(np.abs(ours.components_ - PCA(10, svd_solver="full").fit(values).components_).max())


def main() -> int:
    """Run the rows; return 0 if the run is valid and every row reached its limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=DOOR_ROWS, default=list(DOOR_ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured after a warm-up")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes as multiples of the table's, to try it out")
    options = parser.parse_args()
    before, report, failed = scaling(), {}, []
    for name in options.rows:
        medians = report[name] = measured(name, options.rounds, options.scale)
        print(DOOR_ROWS[name].work, *(f"{side} {duration(seconds)}" for side, seconds in medians.items()), sep="   ")
        failed += [f"{DOOR_ROWS[name].work}: {failure}" for failure in failures(DOOR_ROWS[name], medians)]
    if "pca" in options.rows:
        error = component_error(options.scale)
        print(f"components differ by {error:.1e} at most")
        failed += ["components differ"] * (error > 1e-6)
    after = scaling()
    valid = min(before, after) >= LEAST_SCALING and options.scale == 1.0
    print(*failed, f"{'valid' if valid else 'INVALID'}: two processes did {before:.2f} and {after:.2f}", sep="\n")
    (HERE / "results").mkdir(exist_ok=True)
    text = json.dumps({"valid": valid, "scaling": [before, after], "medians": report, "failed": failed}, indent=1)
    (HERE / "results" / "doors.json").write_text(text + "\n", encoding="utf-8")
    return 0 if valid and not failed else 1


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.exit(main())
