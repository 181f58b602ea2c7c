"""One side of one row, in its own process: reads `run` from standard input, does the work, answers the seconds."""

from __future__ import annotations

import sys
from pathlib import Path

# This file runs as a script; its directory is on the path, the project's own may not be.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from door_rows import DOOR_ROWS
from rows import ROWS, probe
from sides import serve


def main(row: str, side: str, scale: str) -> None:
    """Set up, warm up, and serve until standard input ends."""
    setup = probe if row == "probe" else (ROWS | DOOR_ROWS)[row].sides[side]
    # Once more before each measurement: while the other sides ran, the system took memory and caches back.
    serve(lambda: setup(float(scale)), unheard=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
