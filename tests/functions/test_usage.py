"""What executors count: starts, retries, time and bytes, whatever happens to them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.functions import programs
from wukong_sched.drivers.functions import POLICY, LocalFunctions, run
from wukong_sched.functions.metered import Meter, MeteredStorage
from wukong_sched.functions.usage import forget_peak, recent_peak
from wukong_sched.report import KINDS
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.storage.tiles import TileStorage

SCATTER = replace(POLICY, invoke_seconds=1e-6, latency=0.0, bandwidth=math.inf, quantum=1e-3, hold_bytes=0)


def test_a_killed_attempt_is_an_invocation_and_a_retry(functions: LocalFunctions, tmp_path: Path) -> None:
    report = run(programs.tree(4, programs.once(str(tmp_path), 0)), MemoryStorage(), functions).report
    assert report.retries >= 1
    assert report.invocations >= len(report.usages) + report.retries + report.facts.watched
    assert report.to_dict()["retries"] == report.retries
    calm = run(programs.tree(4), MemoryStorage(), functions).report
    assert (calm.retries, calm.facts.failed, calm.facts.failed_seconds) == (0, 0, 0.0)
    assert calm.invocations == calm.facts.attempts + calm.facts.watched >= len(calm.usages)


def test_watchdogs_are_invocations_and_cost_their_time(functions: LocalFunctions) -> None:
    before = functions.counts()
    outcome = run(programs.tree(80, programs.slow), MemoryStorage(), functions)
    report, after = outcome.report, functions.counts()
    watched = report.facts.watched
    assert 1 <= watched <= after["invocations"] - before["invocations"] - len(report.usages)
    assert report.invocations == report.facts.attempts + watched
    assert 0.001 * watched <= report.facts.watched_seconds
    alone = replace(report, facts=replace(report.facts, watched=0, watched_seconds=0.0))
    assert report.gb_s == pytest.approx(alone.gb_s + 2 * report.facts.watched_seconds)
    assert not any(functions.service.endpoint.followed(report.facts.job).values())  # nothing of it is left


def test_only_the_first_executor_of_a_process_is_cold(functions: LocalFunctions) -> None:
    for _ in range(4):
        report = run(programs.tree(40, programs.slow), MemoryStorage(), functions).report
    assert report.usage.cold == 0 < report.invocations


def test_the_time_is_split(functions: LocalFunctions) -> None:
    report = run(programs.tree(40, programs.slow), MemoryStorage(), functions, policy=SCATTER).report
    seconds = report.usage.seconds
    assert set(seconds) <= set(KINDS)
    assert seconds["compute"] >= 40 * 0.02
    assert all(seconds[kind] >= 0 for kind in seconds)
    assert sum(seconds.values()) <= report.usage.billed_seconds
    assert 0 < report.usage.peak_memory <= report.usage.memory == 2048 << 20


def test_fetching_within_a_task_is_no_computing() -> None:
    meter = Meter()
    meter.timed(lambda: sum(range(10**5)))
    within = meter._within
    meter.spent("compute", 5.0)
    meter.spent("compute", 1.0)
    meter.spent("fetch", 2.0)
    assert within > 0
    assert meter.usage.seconds == {"fetch": 2.0 + within, "compute": pytest.approx(6.0 - within)}


def test_bytes_are_counted_as_they_are_in_memory_and_as_they_are_moved(tmp_path: Path) -> None:
    meter, tiles = Meter(), TileStorage(FilesystemObjects(tmp_path), Keys("job"))
    storage = MeteredStorage(tiles, meter)
    blocks = {("a", (number,)): np.zeros(1000) for number in range(3)}
    storage.put(blocks)
    storage.get(list(blocks)[:2])
    assert (meter.stored, meter.fetched) == (24_000, 16_000)
    on_disk = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert tiles.saved.bytes_written == 24_000 - on_disk
    assert tiles.saved.bytes_read == 16_000 - on_disk * 2 // 3
    meter.made, meter.taken = 40_000, 10_000
    assert meter.saved == 16_000  # what was fetched, and not taken, has saved nothing


SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from wukong_sched.functions.mapped import write
from wukong_sched.functions.usage import forget_peak, recent_peak
from wukong_sched.machine import private_bytes, resident_bytes

mapped = write(np.ones(8 << 20), Path(sys.argv[1])).array
forget_peak()
found = [(resident_bytes(), private_bytes(), recent_peak())]
mapped.sum()
found.append((resident_bytes(), private_bytes(), recent_peak()))
block = np.ones(8 << 20)
found.append((resident_bytes(), private_bytes(), recent_peak()))
del block
found.append((resident_bytes(), private_bytes(), recent_peak()))
print(json.dumps(found))
"""


def test_pages_of_files_are_no_memory_of_a_function(tmp_path: Path) -> None:
    """64 MB that are mapped, then as many of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    begun, mapped, held, freed = json.loads(done.stdout)
    later = (mapped, held, freed)
    grown = [[round((now - was) / 2**26) for now, was in zip(each, begun, strict=True)] for each in later]
    assert grown == [[1, 0, 0], [2, 1, 1], [1, 0, 1]]


def test_a_peak_is_forgotten() -> None:
    block = np.ones(60_000_000)
    high = recent_peak()
    assert high > block.nbytes
    del block
    forget_peak()
    assert recent_peak() <= high
