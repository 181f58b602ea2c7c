"""This project beside Dask, distributed, and the PyWren and numpywren ways to run a program: time and bytes moved.

All systems work on the same files on this machine, in one run. Each has a process of its own (and what it starts),
which is asked in turn with the others. Medians go to ``benchmarks/results/compare-<date>.json``; `pictures.py` draws
them, and writes the tables of ``docs/comparison.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from applications import APPLICATIONS, SYSTEMS, write_source
from local import BLAS_VARIABLES, DROPPED, HERE, machine

Answers = dict[str, list[dict[str, Any]]]
"""{system: what it answered in each round}"""


class System:
    """The process of one system at one application and size."""

    def __init__(self, application: str, system: str, size: int, directory: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in DROPPED}
        environment |= dict.fromkeys(BLAS_VARIABLES, "1")
        command = [sys.executable, str(HERE / "compare_side.py"), application, system, str(size), str(directory)]
        self._story = f"{application} {size} on {system}"
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=HERE.parent
        )

    def answer(self) -> str:
        """Return the process's next line; RuntimeError if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._story}: the process ended with code {self._process.wait()}")
        return line

    def measure(self) -> dict[str, Any]:
        """Have the work done once and return what is reported of it."""
        assert self._process.stdin is not None
        print("run", file=self._process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self.answer())
        return found

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def measured(application: str, size: int, systems: list[str], rounds: int, directory: Path) -> Answers:
    """Return what each system answered, one after the other in each round."""
    write_source(directory, application, size)
    answers: Answers = {system: [] for system in systems}
    with contextlib.ExitStack() as stack:
        sides = {}
        for system in systems:
            side = stack.enter_context(contextlib.closing(System(application, system, size, directory)))
            side.answer()
            sides[system] = side
        for _ in range(rounds):
            for system, side in sides.items():
                answers[system].append(side.measure())
    return answers


def summary(answers: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the round with the median time, and all times."""
    times = [answer["wall_s"] for answer in answers]
    median = statistics.median_low(times)
    return {**next(answer for answer in answers if answer["wall_s"] == median), "rounds_s": times}


def rows(options: argparse.Namespace, directory: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each application, size and system; printed as it comes."""
    for application in options.applications:
        for size in APPLICATIONS[application].sizes:
            answers = measured(application, size, options.systems, options.rounds, directory)
            for system, found in answers.items():
                row = {"application": application, "size": size, "system": system, **summary(found)}
                read, written = (sum(row[f"bytes_{way}"].values()) / 1e6 for way in ("read", "written"))
                print(
                    f"{application:<6}{size:>9,}  {SYSTEMS[system].title:<24}{row['wall_s']:>9.3f} s"
                    f"{read:>10.1f} MB read{written:>10.1f} MB written",
                    flush=True,
                )
                yield row


def command_line() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--applications", nargs="+", choices=APPLICATIONS, default=list(APPLICATIONS), metavar="NAME")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured after a warm-up")
    return parser.parse_args()


def main() -> None:
    """Measure everything, write it down, and draw it."""
    options = command_line()
    now = datetime.datetime.now(datetime.UTC)
    with tempfile.TemporaryDirectory(prefix="sarray-compare-") as directory:
        found = list(rows(options, Path(directory)))
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / f"compare-{now:%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps({"when": now.isoformat(), "machine": machine(), "rows": found}, indent=1) + "\n")
    print(f"written to {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
