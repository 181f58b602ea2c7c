"""The speed table: sarray beside NumPy, SciPy and Dask on this machine, in one run.

Each side of a row has a process of its own, kept alive and asked in turn, so that whatever else the machine does meets
all sides alike. Medians are compared. The NumPy figure is the better of one and all BLAS threads.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from rows import BLAS_THREADS, ROWS, Row
from sides import HERE, Side, SideEndedError

LEAST_SCALING = 1.7
"""What two processes must do at once, against one: below it the second core is somebody else's."""


def side_of(row: str, side: str, threads: int | None, scale: float) -> Side:
    """Start the process of one side of one row."""
    return Side("side.py", (row, side, scale), threads)


def scaling() -> float:
    """Return how much two processes do at once, against one alone."""
    one, two = (side_of("probe", "probe", 1, 1.0) for _ in range(2))
    with contextlib.closing(one), contextlib.closing(two):
        one.answer(), two.answer()
        ratios = []
        for _ in range(3):
            alone = one.measure()
            one.ask(), two.ask()
            together = max(float(one.answer()), float(two.answer()))
            ratios.append(2 * alone / together)
    return statistics.median(ratios)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one row came to."""

    row: str
    samples: dict[str, list[float]]
    """{side and BLAS threads: seconds of each round}"""
    medians: dict[str, float]
    """{side: seconds, with the better number of threads}"""
    failed: list[str]
    """the limits that did not hold, in words; empty is good"""


def run_row(name: str, rounds: int, scale: float) -> Outcome:
    """Measure all sides of a row in turn, several rounds; a side that breaks down fails the row."""
    try:
        samples = measure_row(name, rounds, scale)
    except SideEndedError as error:
        return Outcome(name, {}, {}, [str(error)])
    medians: dict[str, float] = {}
    for label, seconds in samples.items():
        peer = label.partition(" ")[0]
        medians[peer] = min(medians.get(peer, float("inf")), statistics.median(seconds))
    return Outcome(name, samples, medians, list(failures(ROWS[name], medians)))


def measure_row(name: str, rounds: int, scale: float) -> dict[str, list[float]]:
    """Return the seconds of each round, {side and BLAS threads: one after the other}."""
    sides: dict[str, Side] = {}
    with contextlib.ExitStack() as stack:
        for peer in ROWS[name].sides:
            for threads in BLAS_THREADS[peer]:
                label = f"{peer} {threads}" if threads else peer
                sides[label] = stack.enter_context(contextlib.closing(side_of(name, peer, threads, scale)))
                # One at a time: two that warm up together would share the memory and the cores.
                sides[label].answer()
        rows = [{label: side.measure() for label, side in sides.items()} for _ in range(rounds)]
    return {label: [row[label] for row in rows] for label in sides}


def failures(row: Row, medians: dict[str, float]) -> Iterator[str]:
    """Yield what a row did not reach."""
    for peer, limit in row.ratios.items():
        if medians["sarray"] > limit * medians[peer]:
            yield f"{medians['sarray'] / medians[peer]:.2f} x {peer}, to reach {limit:g}"
    if row.seconds is not None and medians["sarray"] > row.seconds:
        yield f"{duration(medians['sarray'])}, to reach {duration(row.seconds)}"


def duration(seconds: float | None) -> str:
    """Return seconds for a reader: with three figures and a unit."""
    if seconds is None:
        return "-"
    unit, factor = next((u, f) for u, f in (("s", 1.0), ("ms", 1e3), ("us", 1e6)) if seconds * f >= 1 or u == "us")
    return f"{seconds * factor:.3g} {unit}"


def reach(row: Row) -> str:
    """Return a row's limits in words."""
    limits = [f"{limit:g} x {peer}" for peer, limit in row.ratios.items()]
    return "<= " + ", ".join(limits + ([duration(row.seconds)] if row.seconds else []))


def print_head() -> None:
    """Print the table's head."""
    print(f"{'work':<36}{'sarray':>9}{'NumPy':>9}{'Dask':>9}{'/NumPy':>8}{'/Dask':>8}  {'reach':<28}ok", flush=True)


def print_outcome(outcome: Outcome) -> None:
    """Print one row of the table."""
    row, medians = ROWS[outcome.row], outcome.medians
    ratios = [f"{medians['sarray'] / medians[p]:.2f}" if p in medians else "-" for p in ("numpy", "dask")]
    print(f"{row.work:<36}", end="")
    print("".join(f"{duration(medians.get(side)):>9}" for side in ("sarray", "numpy", "dask")), end="")
    print(f"{ratios[0]:>8}{ratios[1]:>8}  {reach(row):<28}{'no' if outcome.failed else 'yes'}", flush=True)


def machine() -> dict[str, object]:
    """Return what the figures belong to."""
    packages = ("numpy", "scipy", "dask")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version(), **versions}


def command_line() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=f"of {list(ROWS)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured after a warm-up")
    parser.add_argument("--scale", type=float, default=1.0, help="sizes as multiples of the table's, to try it out")
    return parser.parse_args()


def main() -> int:
    """Run the table; return 0 if the run is valid and every row reached its limits."""
    options = command_line()
    before = scaling()
    print(f"two processes do {before:.2f} times what one does", flush=True)
    print_head()
    outcomes = []
    for name in options.rows:
        outcomes.append(run_row(name, options.rounds, options.scale))
        print_outcome(outcomes[-1])
    after = scaling()
    valid = min(before, after) >= LEAST_SCALING and options.scale == 1.0
    if not valid:
        print(f"INVALID: two processes did {before:.2f} and {after:.2f} times what one does", end="")
        print(f" (at least {LEAST_SCALING} needed), at scale {options.scale:g}")
    for outcome in outcomes:
        for failure in outcome.failed:
            print(f"not reached: {ROWS[outcome.row].work}: {failure}")
    now = datetime.datetime.now(datetime.UTC)
    report = {"valid": valid, "scaling": [before, after], "scale": options.scale, "when": now.isoformat()}
    report |= {"machine": machine(), "rows": [asdict(outcome) for outcome in outcomes]}
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / f"local-{now:%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(HERE.parent)}")
    return 0 if valid and not any(outcome.failed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
