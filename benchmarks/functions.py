"""The table 'speed and data moved': functions of this machine, with and without a network like the cloud's, in one run.

Each side of a row (this project, and numpywren's way on the same functions) has a process of its own with warm
sandboxes, and is asked in turn with the other. Times end when the results are in the store; bytes are exact. Each line
shows what was measured against each limit; everything goes to ``benchmarks/results/functions-<date>.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from function_rows import ROWS, Limit, Round, Row
from function_work import WORKS, Setting
from local import LEAST_SCALING, machine, scaling
from sides import HERE, Side, SideEndedError


def measured(name: str, rounds: int, directory: Path, scale: float) -> list[Round]:
    """Return what the sides of a row said, round by round, one side after the other."""
    row = ROWS[name]
    if row.files:
        WORKS[row.files].write(Setting(directory, row.sandboxes, row.shape, scale))
    with contextlib.ExitStack() as stack:
        sides = {}
        for side in row.sides:
            process = Side("functions_side.py", (name, side, directory, scale), threads=1)
            sides[side] = stack.enter_context(contextlib.closing(process))
            process.answer()
        return [{side: process.measure() for side, process in sides.items()} for _ in range(rounds)]


def head(row: Row) -> str:
    """Return a row's name and place."""
    sandboxes = f", {row.sandboxes} sandboxes" if row.sandboxes else ""
    return f"{row.title}{sandboxes}{', shaped' if row.shape else ''}"


def counted(round: Round) -> str:
    """Return what the sides took and moved in one round, for a reader."""
    words = []
    for side, found in round.items():
        moved = [f"{sum(found[way].values()) / 1e6:.1f} MB {way}" for way in ("read", "written") if way in found]
        words.append(", ".join([f"{side} {found['seconds']:.3f} s", *moved]))
    return "; ".join(words)


def verdicts(limits: Sequence[Limit], rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Return each limit with what was found."""
    return [
        {"what": limit.name, "found": limit.found(rounds), **limit.bounds, "holds": limit.holds(rounds)}
        for limit in limits
    ]


def outcome(name: str, rounds: int, directory: Path, scale: float) -> dict[str, Any]:
    """Measure a row and print it; a side that breaks down fails it."""
    row = ROWS[name]
    print(head(row), flush=True)
    try:
        found = measured(name, rounds, directory, scale)
    except SideEndedError as error:
        print(f"    no   {error}", flush=True)
        return {"row": name, "rounds": [], "limits": [{"what": str(error), "holds": False}]}
    print(f"    {counted(found[len(found) // 2])}")
    judged = verdicts(row.limits, found)
    for each in judged:
        verdict = "yes" if each["holds"] else "no"
        reach = " and ".join(f"at {bound} {each[bound]:g}" for bound in ("least", "most") if bound in each)
        print(f"    {verdict:<5}{each['found']:>10.4g} {each['what']}, to reach: {reach}", flush=True)
    return {"row": name, "title": head(row), "rounds": found, "limits": judged}


def command_line() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=f"of {list(ROWS)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured after a warm-up")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes as multiples of the table's, to try it out")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="directory for the JSON")
    return parser.parse_args()


def main() -> int:
    """Run the table; return 0 if the run is valid and every row reached its limits."""
    options = command_line()
    full = options.scale == 1.0
    before = scaling() if full else 0.0
    with tempfile.TemporaryDirectory(prefix="sarray-functions-") as directory:
        found = [outcome(name, options.rounds, Path(directory), options.scale) for name in options.rows]
    after, now = scaling() if full else 0.0, datetime.datetime.now(datetime.UTC)
    valid = min(before, after) >= LEAST_SCALING
    if not valid:
        print(f"INVALID: two processes did {before:.2f} and {after:.2f} times what one does", end="")
        print(f" (at least {LEAST_SCALING} needed), at scale {options.scale:g}")
    report = {"when": now.isoformat(), "valid": valid, "scaling": [before, after], "scale": options.scale}
    report["machine"] = machine()
    options.results.mkdir(exist_ok=True)
    path = options.results / f"functions-{now:%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps({**report, "rows": found}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
    return 0 if valid and all(limit["holds"] for row in found for limit in row["limits"]) else 1


if __name__ == "__main__":
    sys.exit(main())
