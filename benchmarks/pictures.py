"""Draws what `compare.py` measured, and puts its tables into ``docs/comparison.md``.

``python benchmarks/pictures.py benchmarks/results/compare-<date>.json``
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from applications import APPLICATIONS, SYSTEMS
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, StrMethodFormatter
from sides import HERE

DOCS = HERE.parent / "docs"
PICTURES = DOCS / "comparison"
PAGE = DOCS / "comparison.md"
Row = Mapping[str, Any]
KINDS = ("compute", "fetch", "store", "invoke", "commit", "wait")
"""What executors' time goes to."""
OUR_SYSTEMS = [name for name, system in SYSTEMS.items() if system.ours]


def megabytes(way: str) -> Callable[[Row], float]:
    """Return what sums the bytes of a row in one direction, over all tiers."""
    return lambda row: sum(row[f"bytes_{way}"].values()) / 1e6


def seconds(row: Row) -> float:
    """Return the median of the times of a row."""
    return statistics.median(row["rounds_s"])


def chosen(rows: list[Row], application: str, system: str) -> list[Row]:
    """Return the rows of one line, by size."""
    found = [row for row in rows if row["application"] == application and row["system"] == system]
    return sorted(found, key=lambda row: row["size"])


def line(axes: Axes, rows: list[Row], application: str, value: Callable[[Row], float]) -> None:
    """Draw a value against size, a line for each system."""
    for number, (name, system) in enumerate(SYSTEMS.items()):
        found = chosen(rows, application, name)
        if found:
            sizes, values = [row["size"] for row in found], [max(value(row), 1e-3) for row in found]
            axes.plot(sizes, values, marker="osD^vx"[number], color=f"C{number}", label=system.title)
    about = APPLICATIONS[application]
    axes.set(title=about.title, xlabel=about.unit, xscale="log", yscale="log")
    axes.set_xticks(about.sizes, [f"{size:,}" for size in about.sizes])
    axes.minorticks_off()
    if not any(low <= tick <= high for low, high in [axes.get_ylim()] for tick in axes.get_yticks()):
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 5, 6, 8)))  # the range holds no power of ten
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.grid(alpha=0.3)


def against_size(rows: list[Row], name: str, label: str, value: Callable[[Row], float]) -> None:
    """Draw one picture: a value against size, a panel for each application."""
    figure, panels = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    for axes, application in zip(panels.flat, APPLICATIONS, strict=True):
        line(axes, rows, application, value)
        axes.set_ylabel(label)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save(figure, name)


def split(rows: list[Row], name: str) -> None:
    """Draw what the executors' time went to, at each application's largest size."""
    figure, panels = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    for axes, application in zip(panels.flat, APPLICATIONS, strict=True):
        bars = {system: chosen(rows, application, system)[-1:] for system in OUR_SYSTEMS}
        bottom = [0.0] * len(bars)
        for number, kind in enumerate(KINDS):
            heights = [found[0]["seconds"].get(kind, 0.0) if found else 0.0 for found in bars.values()]
            axes.bar([SYSTEMS[system].title for system in bars], heights, bottom=bottom, color=f"C{number}", label=kind)
            bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
        axes.set(title=f"{APPLICATIONS[application].title}, largest", ylabel="seconds of all executors")
        axes.tick_params(axis="x", labelrotation=20, labelsize=8)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save(figure, name)


def save(figure: Any, name: str) -> None:
    """Write a picture as PNG and as SVG, alike whenever it is drawn from the same figures."""
    PICTURES.mkdir(exist_ok=True)
    plt.rcParams["svg.hashsalt"] = "sarray"
    figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None})
    figure.savefig(PICTURES / f"{name}.png", dpi=110)
    plt.close(figure)


def table(rows: list[Row], value: Callable[[Row], float], digits: str) -> str:
    """Return a value as a table: a line for each application and size, a column for each system."""
    names = [name for name in SYSTEMS if any(row["system"] == name for row in rows)]
    lines = ["| | " + " | ".join(SYSTEMS[name].title for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for application, about in APPLICATIONS.items():
        for size in about.sizes:
            found = {row["system"]: row for row in chosen_size(rows, application, size)}
            cells = [format(value(found[name]), digits) if name in found else "" for name in names]
            lines.append(f"| {about.title}, {size:,} {about.unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def chosen_size(rows: list[Row], application: str, size: int) -> list[Row]:
    """Return the rows of one application and size."""
    return [row for row in rows if row["application"] == application and row["size"] == size]


def filled(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with what stands between its markers replaced."""
    for name, text in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        page = re.sub(f"{begin}.*?{end}", lambda _, text=f"{begin}\n{text}\n{end}": text, page, flags=re.DOTALL)
    return page


def main(path: str) -> None:
    """Draw the pictures and fill the page."""
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    rows: list[Row] = found["rows"]
    against_size(rows, "time", "seconds", seconds)
    against_size(rows, "read", "MB read", megabytes("read"))
    against_size(rows, "written", "MB written", megabytes("written"))
    split(rows, "split")
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    tables = {
        "measured": f"Measured {found['when'][:10]}: {machine}.",
        "seconds": table(rows, seconds, ".3f"),
        "read": table(rows, megabytes("read"), ".1f"),
        "written": table(rows, megabytes("written"), ".1f"),
    }
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
