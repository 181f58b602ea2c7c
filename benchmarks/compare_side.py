"""One system at one application and size, in its own process: computes whenever asked, answers seconds and report."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

# This file runs as a script; its directory is on the path, the project's own may not be.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from applications import work
from sides import serve


def main(application: str, system: str, size: str, directory: str) -> None:
    """Set up, warm up, and serve until standard input ends."""
    with contextlib.ExitStack() as stack:
        once = stack.enter_context(work(application, system, int(size), Path(directory)))

        def answer() -> dict[str, Any]:
            start = time.perf_counter()
            report = once()
            return {"wall_s": time.perf_counter() - start, **report}

        serve(lambda: answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
