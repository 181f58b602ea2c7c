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
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from applications import APPLICATIONS, SYSTEMS, write_source
from local import machine
from sides import HERE, Side

Answers = dict[str, list[dict[str, Any]]]
"""{system: what it answered in each round}"""


def measured(application: str, size: int, systems: list[str], rounds: int, directory: Path) -> Answers:
    """Return what each system answered, one after the other in each round."""
    write_source(directory, application, size)
    answers: Answers = {system: [] for system in systems}
    with contextlib.ExitStack() as stack:
        sides = {}
        for system in systems:
            side = Side("compare_side.py", (application, system, size, directory), threads=1)
            sides[system] = stack.enter_context(contextlib.closing(side))
            side.answer()
        for _ in range(rounds):
            for system, side in sides.items():
                answers[system].append(side.measure())
    return answers


def summary(answers: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the median of the times, all of them, and the rest of a round that took nearly the median."""
    times = [answer["wall_s"] for answer in answers]
    near = next(answer for answer in answers if answer["wall_s"] == statistics.median_low(times))
    return {**near, "wall_s": statistics.median(times), "rounds_s": times}


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
