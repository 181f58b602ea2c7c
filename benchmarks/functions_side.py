"""One side of one row of functions, in its own process: does its work whenever asked, answers what that came to."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

# This file runs as a script; its directory is on the path, the project's own may not be.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from function_rows import ROWS
from function_work import Setting
from sides import serve


def main(row: str, side: str, directory: str, scale: str) -> None:
    """Set up, warm up, and serve until standard input ends."""
    found = ROWS[row]
    setting = Setting(Path(directory), found.sandboxes, found.shape, float(scale))
    with contextlib.ExitStack() as stack:
        serve(lambda: stack.enter_context(found.sides[side](setting)))


if __name__ == "__main__":
    main(*sys.argv[1:])
