"""Twenty seconds of chaos: the same as ``make chaos``, which takes two minutes."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.chaos.killer import Killer
from tests.chaos.phases import AT_WORK, Phase
from tests.chaos.run import ENOUGH, Summary, chaos
from tests.chaos.work import KINDS, differs


@pytest.mark.timeout(600)
def test_twenty_seconds_of_chaos(seed: int) -> None:
    summary = chaos(20.0, seed)
    print(summary)
    assert summary.wrong == []
    assert summary.left == []
    assert summary.kills.total() >= 10
    assert summary.at_work >= ENOUGH * summary.kills.total()
    assert summary.restarts == 2
    assert set(summary.jobs) <= set(KINDS) and summary.jobs.total() >= 3
    assert summary.is_good


def test_a_summary_is_good_only_if_all_is() -> None:
    def summary(*kills: Phase, jobs: int = 1, wrong: str = "", left: str = "") -> Summary:
        made = Summary(1)
        made.kills.update(kills)
        made.jobs["gemm"] += jobs
        made.wrong += [wrong] if wrong else []
        made.left += [left] if left else []
        return made

    assert {Phase.RUNNING, Phase.STORED} == AT_WORK
    assert summary(*[Phase.RUNNING] * 2, *[Phase.STORED] * 2, Phase.IDLE).is_good
    assert not summary(*[Phase.RUNNING] * 3, Phase.STORING).is_good
    assert not summary().is_good
    assert not summary(Phase.STORED, wrong="a bit").is_good
    assert not summary(Phase.STORED, left="a file").is_good
    assert not summary(Phase.STORED, jobs=0).is_good


def test_values_that_differ_in_one_bit_are_seen() -> None:
    found, expected = np.ones(3), np.ones(3)
    assert differs([found], [expected]) == ""
    found[1] = np.nextafter(1.0, 2.0)
    assert "array 0 of shape (3,): largest difference 2.2" in differs([found], [expected])
    assert "shape (2,)" in differs([np.ones(2)], [expected])


def test_a_killer_of_nobody_counts_nothing(tmp_path: Path) -> None:
    killer = Killer(tmp_path, list, random.Random(1), interval=0.01)
    killer.start()
    killer.stop()
    assert not killer.kills and killer.at_work == 0.0
