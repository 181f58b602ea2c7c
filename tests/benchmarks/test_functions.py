"""The table of functions, at a small scale: it runs, says what it measured, and tells what is not reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "benchmarks/functions.py", "--rounds", "1"]
EMPTY = {name: value for name, value in os.environ.items() if not name.startswith("SARRAY_")}


def table(results: Path, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The command's exit code, and its rows by name."""
    command = [*RUN, "--results", str(results), *options]
    done = subprocess.run(command, cwd=ROOT, env=EMPTY, capture_output=True, text=True, timeout=280)
    assert not done.stderr, done.stderr
    (path,) = results.iterdir()
    return done.returncode, {row["row"]: row for row in json.loads(path.read_text())["rows"]}


@pytest.mark.long
def test_bytes_of_small_factorizations_are_exact(tmp_path: Path) -> None:
    _, rows = table(tmp_path, "--scale", "0.0625", "--rows", "tsqr_r", "tsqr_q")
    tall = 16384 * 128 * 8
    for found in (row["rounds"][0] for row in rows.values()):
        assert found["sarray"]["source"] == tall
        assert found["numpywren"]["read"]["source"] == tall
    assert rows["tsqr_r"]["rounds"][0]["sarray"]["read"]["source"] == tall
    assert rows["tsqr_q"]["rounds"][0]["sarray"]["wanted"] == tall + 128 * 128 * 8


@pytest.mark.long
def test_bytes_of_small_products_are_exact(tmp_path: Path) -> None:
    _, rows = table(tmp_path, "--scale", "0.128", "--rows", "gemm", "chain")
    square, found = 512 * 512 * 8, rows["gemm"]["rounds"][0]
    # Two executors take two rows of blocks of C each: half of A and all of B.
    assert found["sarray"]["read"]["source"] == 3 * square
    # Each block of C takes four products, whose blocks nobody keeps.
    assert found["numpywren"]["read"]["source"] == 2 * 4 * square
    assert found["sarray"]["wanted"] == square
    chain = rows["chain"]["rounds"][0]["sarray"]
    assert (chain["tasks"], chain["executors"], chain["reads"], chain["writes"]) == (128, 1, 0, 1)


def test_the_codec_is_measured_each_way(tmp_path: Path) -> None:
    _, rows = table(tmp_path, "--scale", "0.05", "--rows", "codec")
    limits = {limit["what"]: limit for limit in rows["codec"]["limits"]}
    assert set(limits) == {"GB/s encoded", "GB/s decoded"}
    for limit in limits.values():
        assert limit["holds"] == (limit["found"] >= limit["least"] == 3)
    found = rows["codec"]["rounds"][0]["sarray"]
    moved = 4 * 100 * 2000 * 8 / 1e9
    assert found["seconds"] == pytest.approx(moved / found["encoded"] + moved / found["decoded"])


@pytest.mark.long
def test_what_is_not_reached_is_said_and_no_small_run_counts(tmp_path: Path) -> None:
    code, rows = table(tmp_path, "--scale", "0.0625", "--rows", "tree")
    limits = {limit["what"]: limit for limit in rows["tree"]["limits"]}
    assert set(limits) == {"ms a task", "tiles written in vain"}
    for limit in limits.values():
        assert limit["holds"] == (limit["found"] <= limit["most"])
    assert code == 1
