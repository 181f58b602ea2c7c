"""Least squares, principal components and singular values of 327,346 real flights, beside NumPy's answers.

The design matrix is tall and skinny, cut into blocks of rows. One QR factorisation of [A b] gives the least-squares
solution (R x = Q'b), an SVD of the standardised columns the principal components, and a product checks A'A = R'R.
"""

from __future__ import annotations

import argparse
import calendar
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flights_data import ARRIVED, Flights, load
from script import LIMIT, not_orthonormal, scaled

import sarray as sa

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: what was done, what it took, and how far from right and from NumPy it ended."""

    job: str
    tasks: int
    seconds: float
    numpy_seconds: float
    residual: float
    """scaled, as a multiple of rounding"""
    orthogonality: float
    """scaled; nan where nothing is orthogonal"""
    difference: float
    """largest difference from NumPy, relative to the largest value"""
    allowed: float
    """what rounding can do to that value, by its condition"""

    @property
    def right(self) -> bool:
        """Whether every figure is within its bound."""
        return self.residual <= LIMIT and not self.orthogonality > LIMIT and self.difference <= self.allowed


def main() -> int:
    """Run the demo; return 0 if every check holds."""
    options = _command_line()
    start = time.perf_counter()
    flights = load()
    count, width = flights.design.shape
    if count != ARRIVED:
        print(f"WRONG: {count:,} flights with an arrival delay, expected {ARRIVED:,}")
        return 1
    rows = -(-count // options.blocks)
    print(f"{count:,} flights x {width} columns, read in {time.perf_counter() - start:.1f} s")
    with sa.config(workers=options.workers, progress=True, progress_delay=0.0):
        lines, solution, share = _analyse(flights, rows, options.executor)
    _print_table(lines, -(-count // rows), rows)
    print("", *_findings(flights, solution, share), sep="\n")
    wrong = [line.job for line in lines if not line.right]
    print(f"\nWRONG: {', '.join(wrong)}" if wrong else "\nAll figures are within their bounds.")
    return 1 if wrong else 0


def _command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=20, help="into how many blocks of rows the flights are cut")
    parser.add_argument("--executor", default="threads", help="where the tasks run")
    parser.add_argument("--workers", type=int, default=None, help="how many at a time; as many as cores by default")
    return parser.parse_args()


def _analyse(flights: Flights, rows: int, executor: str) -> tuple[list[Line], np.ndarray, np.ndarray]:
    """Return the table's lines, the least-squares solution, and the share of variance of each component."""
    sa.compute(*sa.tsqr(np.eye(2)), executor=executor)  # loads LAPACK, which is not what is timed below
    values = np.linalg.svd(flights.design, compute_uv=False)
    least_squares, solution, r = _least_squares(flights, values, rows, executor)
    components, share = _components(flights.design, rows, executor)
    lines = [
        least_squares,
        components,
        _singular_values(flights.design, rows, executor),
        _normal_matrix(flights.design, r, rows, executor),
    ]
    print(f"condition number of the design matrix: {values[0] / values[-1]:.3g}\n")
    return lines, solution, share


def _run(executor: str, *arrays: sa.Array) -> tuple[int, float, tuple[np.ndarray, ...]]:
    """Return tasks, seconds and values of a job."""
    tasks = sa.plan(*arrays).tasks
    seconds, values = _timed(lambda: sa.compute(*arrays, executor=executor))
    return tasks, seconds, values


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _least_squares(
    flights: Flights, values: np.ndarray, rows: int, executor: str
) -> tuple[Line, np.ndarray, np.ndarray]:
    a, b = flights.design, flights.delay
    n = a.shape[1]
    both = np.column_stack([a, b])
    tasks, seconds, (q, r) = _run(executor, *sa.tsqr(sa.from_array(both, chunks=(rows, -1))))
    solution = np.linalg.solve(r[:n, :n], r[:n, n])
    numpy_seconds, (expected, *_) = _timed(lambda: np.linalg.lstsq(a, b, rcond=None))
    line = Line(
        "least squares (tsqr)",
        tasks,
        seconds,
        numpy_seconds,
        scaled(both - q @ r, float(np.linalg.norm(both)), n + 1),
        not_orthonormal(q),
        _difference(solution, expected),
        n * EPS * _sensitivity(values, abs(float(r[n, n])), expected),
    )
    return line, solution, r[:n, :n]


def _sensitivity(values: np.ndarray, residual: float, solution: np.ndarray) -> float:
    """Return the condition of a least-squares solution: k + k^2 |r| / (|A| |x|), k that of the matrix."""
    condition = float(values[0] / values[-1])
    return condition + condition**2 * residual / float(values[0] * np.linalg.norm(solution))


def _components(design: np.ndarray, rows: int, executor: str) -> tuple[Line, np.ndarray]:
    """Principal components: the SVD of the columns, less their means, over their standard deviations."""
    columns = sa.from_array(design, chunks=(rows, -1))[:, 1:]
    centred = columns - columns.mean(axis=0, keepdims=True)
    standard = centred / sa.sqrt((centred * centred).mean(axis=0, keepdims=True))
    tasks, seconds, (u, s, vh, z) = _run(executor, *sa.svd(standard), standard)
    numpy_seconds, expected = _timed(lambda: np.linalg.svd(_standardised(design[:, 1:]), full_matrices=False)[1])
    n = z.shape[1]
    line = Line(
        "principal components (svd)",
        tasks,
        seconds,
        numpy_seconds,
        scaled(z - (u * s) @ vh, float(np.linalg.norm(z)), n),
        max(not_orthonormal(u), not_orthonormal(vh.T)),
        _difference(s, expected),
        10 * n * EPS,
    )
    return line, s**2 / np.sum(s**2)


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Return NumPy's answer: of contiguous columns, which it adds up pairwise; of rows it would lose three digits."""
    columns = np.asfortranarray(columns)
    centred = columns - columns.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred**2).mean(axis=0)))


def _singular_values(design: np.ndarray, rows: int, executor: str) -> Line:
    tasks, seconds, (s,) = _run(executor, sa.svdvals(sa.from_array(design, chunks=(rows, -1))))
    numpy_seconds, expected = _timed(lambda: np.linalg.svd(design, compute_uv=False))
    n = design.shape[1]
    moment = abs(float(np.linalg.norm(s) - np.linalg.norm(design))) / (n * EPS * float(np.linalg.norm(design)))
    difference = _difference(s, expected)
    return Line("singular values (svdvals)", tasks, seconds, numpy_seconds, moment, np.nan, difference, 10 * n * EPS)


def _normal_matrix(design: np.ndarray, r: np.ndarray, rows: int, executor: str) -> Line:
    a = sa.from_array(design, chunks=(rows, -1))
    tasks, seconds, (gram,) = _run(executor, sa.matmul(a.T, a))
    numpy_seconds, expected = _timed(lambda: design.T @ design)
    n = design.shape[1]
    residual = scaled(gram - r.T @ r, float(np.linalg.norm(expected)), n)
    difference = _difference(gram, expected)
    return Line("A'A = R'R (matmul)", tasks, seconds, numpy_seconds, residual, np.nan, difference, 10 * n * EPS)


def _difference(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def _print_table(lines: list[Line], blocks: int, rows: int) -> None:
    print(f"{blocks} blocks of {rows:,} rows; residuals in units of rounding, right below {LIMIT:g}\n")
    print(f"{'':<27}{'tasks':>6}{'seconds':>9}{'NumPy s':>9}{'residual':>10}", end="")
    print(f"{'Q^T Q - I':>10}{'from NumPy':>12}{'allowed':>10}")
    for x in lines:
        orthogonality = "-" if np.isnan(x.orthogonality) else f"{x.orthogonality:.2g}"
        print(
            f"{x.job:<27}{x.tasks:>6,}{x.seconds:>9.2f}{x.numpy_seconds:>9.2f}{x.residual:>10.2g}{orthogonality:>10}"
            f"{x.difference:>12.1e}{x.allowed:>10.1e}"
        )


def _findings(flights: Flights, solution: np.ndarray, share: np.ndarray) -> Iterator[str]:
    """Yield in words what the most telling coefficients mean."""
    minutes = dict(zip(flights.names, solution, strict=True))
    (late, late_minutes), (early, early_minutes) = _extremes(minutes, "carrier", "9E")
    (slow, slow_minutes), (fast, fast_minutes) = _extremes(minutes, "month", "1")
    slow, fast = calendar.month_name[int(slow)], calendar.month_name[int(fast)]
    yield "What the coefficients say, all else being equal:"
    yield f"  a minute later at departure is {minutes['dep_delay']:+.2f} minutes at arrival;"
    yield f"  a minute more in the air is {minutes['air_time']:+.2f}, a hundred miles more {minutes['distance']:+.1f};"
    yield f"  {flights.airlines[late]} arrives {late_minutes - early_minutes:.1f} later than {flights.airlines[early]};"
    yield f"  a flight in {slow} arrives {slow_minutes - fast_minutes:.1f} later than one in {fast};"
    yield f"  from JFK it is {minutes['origin=JFK']:+.1f} against Newark, from LaGuardia {minutes['origin=LGA']:+.1f}."
    rest = flights.delay - flights.design @ solution
    explained = 1 - np.sum(rest**2) / np.sum((flights.delay - flights.delay.mean()) ** 2)
    yield f"Together the columns explain {explained:.1%} of the variance of the delay at arrival."
    first = ", ".join(f"{part:.1%}" for part in share[:3])
    yield f"The first three principal components hold {first} of the variance of the standardised columns."


def _extremes(minutes: dict[str, float], category: str, first: str) -> tuple[tuple[str, float], tuple[str, float]]:
    """Return the worst and the best value of a category; its first value is what the others are measured against."""
    found = {name.partition("=")[2]: value for name, value in minutes.items() if name.startswith(f"{category}=")}
    found[first] = 0.0
    ranked = sorted(found.items(), key=lambda pair: pair[1])
    return ranked[-1], ranked[0]


if __name__ == "__main__":
    sys.exit(main())
