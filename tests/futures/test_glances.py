"""Results of a job in functions come while it runs: looked for often, unless looking takes long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from wukong_sched.functions import carried
from wukong_sched.futures import FunctionExecutor, away

PATIENCE = 60.0
"""Seconds after which a test gives up."""


def hold(gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.01)


def test_a_result_comes_though_nothing_else_is_ever_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHECK", "LOOK", "NEWS"):
        monkeypatch.setattr(carried, name, 2 * PATIENCE)
    gate = tmp_path / "gate"
    with FunctionExecutor("functions", workers=2) as pool:
        quick, slow = pool.submit(abs, -1), pool.submit(hold, gate)
        try:
            assert quick.result(PATIENCE) == 1
            assert not slow.done()
        finally:
            gate.touch()


def test_looks_that_take_long_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(away.time, "monotonic", lambda: now[0])
    looks: list[float] = []

    def look() -> None:
        looks.append(now[0])
        now[0] += 1.0

    seldom = away._seldom(look)
    for _ in range(10):
        seldom()
        now[0] += 4.0
    assert looks == [100.0, 113.0, 126.0, 139.0]
