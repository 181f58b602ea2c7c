"""One side of one row, in its own process: reads `run` from standard input, does the work, answers the seconds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# This file runs as a script; its directory is on the path, the project's own may not be.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ml_rows import ML_ROWS
from rows import ROWS, probe


def main(row: str, side: str, scale: str) -> None:
    """Set up, warm up, and serve until standard input ends."""
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    measure = (probe if row == "probe" else (ROWS | ML_ROWS)[row].sides[side])(float(scale))
    measure()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            measure()  # not counted: while the other sides ran, the system took memory and caches back
            print(repr(measure()), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
