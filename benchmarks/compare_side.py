"""One system at one application and size, in its own process: computes whenever asked, answers seconds and report."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

# This file runs as a script; its directory is on the path, the project's own may not be.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from applications import work


def main(application: str, system: str, size: str, directory: str) -> None:
    """Set up, warm up, and serve until standard input ends."""
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with work(application, system, int(size), Path(directory)) as once:
        once()
        print("ready", file=answers, flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            report = once()
            print(json.dumps({"wall_s": time.perf_counter() - start, **report}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
