"""The same job again: what is stored is not recomputed; and what the settings ask for reaches the functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sarray as sa
from sarray import progress, remote
from sarray.executors import limits_of
from sarray.lower import lower
from sarray.policies import POLICIES, policy_of
from tests.functions.programs import slow_block
from wukong_sched.drivers.functions import POLICY
from wukong_sched.functions import carried
from wukong_sched.messages import Run
from wukong_sched.trace import Trace, replay


def test_what_is_stored_is_not_recomputed(rng: np.random.Generator) -> None:
    a = rng.standard_normal((60, 8))
    x = sa.from_array(a, chunks=(10, 8))
    y, total = x * 2 + 1, (x * 2 + 1).sum()
    first = sa.compute(y, executor="functions", workers=2, resume=True)
    assert sa.last_report().tasks == 6
    again = sa.compute(y, executor="functions", workers=2, resume=True)
    assert sa.last_report().tasks == 0
    both = sa.compute(y, total, executor="functions", workers=2, resume=True)
    assert sa.last_report().tasks > 0
    for found in (first[0], again[0], both[0]):
        np.testing.assert_array_equal(found, a * 2 + 1)
    assert float(both[1]) == pytest.approx((a * 2 + 1).sum())
    other = sa.from_array(a, chunks=(10, 8)) * 2 + 1  # another array, as far as anybody can know
    sa.compute(other, executor="functions", workers=2, resume=True)
    assert sa.last_report().tasks == 6


def test_what_is_stored_can_be_forgotten() -> None:
    x = sa.ones((8, 2), chunks=2) * 5
    counts = []
    for _ in range(2):
        x.compute(executor="functions", workers=2, resume=True)
        counts.append(sa.last_report().tasks)
        with sa.config(workers=2):
            sa.forget(x, executor="functions")
    assert counts == [4, 4]


def test_a_file_is_the_same_source_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(20.0))

    def tasks() -> int:
        (found,) = sa.compute(sa.from_npy(path, chunks=5) + 1, executor="functions", workers=2, resume=True)
        np.testing.assert_array_equal(found, np.load(path) + 1)
        return sa.last_report().tasks

    assert (tasks(), tasks()) == (4, 0)
    np.save(path, np.arange(30.0))
    assert (tasks(), tasks()) == (6, 0)


def test_without_resume_everything_is_computed() -> None:
    x = sa.ones((8, 2), chunks=2) + 1
    for _ in range(2):
        x.compute(executor="functions", workers=2)
        assert sa.last_report().tasks == 4


def test_threads_keep_nothing() -> None:
    with pytest.raises(ValueError, match=r"'threads' keeps nothing.*executor=\"functions\""):
        sa.compute(sa.ones(3), resume=True)


def test_a_job_of_functions_is_traced() -> None:
    trace = Trace()
    x = sa.random.default_rng(1).random((200, 6), chunks=(20, 6)).sum()
    value = x.compute(executor="functions", workers=2, trace=trace)
    report = sa.last_report()
    entries = [entry for history in trace.histories.values() for entry in history.entries]
    steps = [len(said.steps) for entry in entries for said in entry.instructions if isinstance(said, Run)]
    assert (len(trace.histories), sum(steps)) == (report.executors, report.tasks)
    assert float(value) == pytest.approx(float(x.compute()))


def test_progress_of_functions_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(progress.Bar, "__call__", lambda self, done, total: told.append((done, total)))
    monkeypatch.setattr(carried, "NEWS", 0.05)
    x = sa.map_blocks(slow_block, sa.ones((150, 4), chunks=(1, 4)))
    x.compute(executor="functions", workers=2, progress=True)
    counts = [done for done, _ in told]
    assert counts == sorted(counts) and {total for _, total in told} == {x.plan().tasks}
    assert 0 < counts[-1] <= x.plan().tasks


@pytest.mark.parametrize("executor", ["threads", "functions"])
def test_the_papers_policy_computes_the_same(executor: str) -> None:
    x = sa.random.default_rng(2).standard_normal((600, 10), chunks=(50, 10))
    expected = sa.tsqr(x).R.compute()
    with sa.config(policy="wukong", workers=2):
        np.testing.assert_array_equal(sa.tsqr(x).R.compute(executor=executor), expected)
    names = ", ".join(POLICIES)
    with pytest.raises(ValueError, match=f"no policy 'chance'; known: {names}"):
        sa.config(policy="chance")


def test_the_papers_policy_reaches_the_functions() -> None:
    trace = Trace()
    x = sa.random.default_rng(2).standard_normal((600, 10), chunks=(50, 10))
    with sa.config(policy="wukong", workers=2):
        sa.tsqr(x).R.compute(executor="functions", trace=trace)
    with sa.config(policy="wukong", executor="functions", workers=2) as asked:
        program = lower([sa.tsqr(x).R.expression], limits_of(asked)).program
        assert replay(trace, program, policy_of(asked, POLICY)) == []


def test_bits_that_cannot_be_had_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x = sa.random.default_rng(2).standard_normal((60, 10), chunks=(30, 10))
    original = remote.Remote.__init__

    def other(self: remote.Remote, *arguments: object, **keywords: object) -> None:
        original(self, *arguments, **keywords, arithmetic=lambda: "abacus x1")  # type: ignore[arg-type]

    monkeypatch.setattr(remote.Remote, "__init__", other)
    with pytest.raises(sa.TaskError, match=r"abacus x1.*OPENBLAS_CORETYPE"):
        (x.T @ x).compute(executor="functions", workers=2)
    np.testing.assert_array_equal((x + 1).compute(executor="functions", workers=2), (x + 1).compute())
