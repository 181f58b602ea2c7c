"""A report's facts are its own job's: its failures are billed, another's are not, and it takes as long as it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import sarray as sa
from tests.functions import faulty, programs
from tests.functions.conftest import HANDLER
from tests.functions.processes import until
from wukong_sched.coordination.protocol import State
from wukong_sched.drivers.functions import LocalFunctions, run
from wukong_sched.functions.carried import begin, collect, finished
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.submitted import Submitted
from wukong_sched.functions.usage import Usage
from wukong_sched.report import Report
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.memory import MemoryStorage

FOUR = FunctionSettings(HANDLER, concurrency=4, provisioned=4, retry_seconds=0.01)
SHORT = 2.0
"""Seconds of an invocation, where one takes longer."""


@pytest.fixture(scope="module")
def four() -> Iterator[LocalFunctions]:
    """Sandboxes for several jobs at once."""
    with LocalFunctions(FOUR) as running:
        yield running


def rest(job: Submitted, functions: LocalFunctions) -> None:
    """Wait until nothing of a job that is over runs, and nothing of it will."""
    functions.service.endpoint.unschedule(job.name.job)
    until(lambda: functions.service.endpoint.is_quiet(job.name.job))


@pytest.mark.parametrize(
    ("act", "timeout", "least"), [(faulty.work_and_die, 900.0, faulty.WORK), (faulty.sleep, SHORT, SHORT)]
)
def test_attempts_that_fail_are_billed(tmp_path: Path, act: Callable[[], None], timeout: float, least: float) -> None:
    """All that the service has run is the one job's: killed in the middle, or past its time."""
    program = programs.tree(12, faulty.Once(tmp_path, act))
    with LocalFunctions(replace(FOUR, timeout=timeout)) as alone, finished(alone, begin(alone, program)) as job:
        job.wait(seconds=60)
        rest(job, alone)
        report, counts = collect(alone, job, MemoryStorage()), alone.counts()
    facts = report.facts
    assert report.retries >= facts.retried >= 1
    assert facts.failed == counts["errors"]
    assert facts.failed_seconds >= least
    assert report.gb_s >= 2 * (least + sum(usage.billed_seconds for usage in report.usages))
    assert report.invocations == counts["invocations"]
    up = report.gb_s / 2 - counts["busy_seconds"]
    assert -1e-6 <= up <= 0.001 * report.invocations + 1e-6  # each is rounded up to milliseconds
    assert f"failed attempts: {facts.failed}, of" in str(report)


def test_what_fails_in_one_job_is_not_anothers(four: LocalFunctions, tmp_path: Path) -> None:
    """The calm one runs as long as the other, whose sandbox is killed meanwhile."""
    go = tmp_path / "go"
    with finished(four, begin(four, programs.tree(1, faulty.Gate(0, str(go))))) as calm:
        until(lambda: four.service.endpoint.followed(calm.name.job)["attempts"])
        hit = run(programs.tree(12, faulty.Once(tmp_path, faulty.work_and_die)), MemoryStorage(), four).report
        go.touch()
        report = collect(four, calm, MemoryStorage())
    assert hit.facts.retried >= 1
    assert (report.retries, report.facts.retried, report.facts.failed, report.facts.throttled) == (0, 0, 0, 0)
    assert report.seconds >= hit.seconds


def test_jobs_at_once_have_a_report_each(four: LocalFunctions, tmp_path: Path) -> None:
    reports: dict[int, Report] = {}

    def compute(number: int) -> None:
        directory = tmp_path / str(number)
        directory.mkdir()
        act = faulty.Once(directory, faulty.work_and_die) if number == 0 else programs.slow
        reports[number] = run(programs.tree(12, act), MemoryStorage(), four).report

    threads = [threading.Thread(target=compute, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports[0].facts.failed >= 1 and reports[0].facts.retried >= 1
    assert [(reports[n].facts.failed, reports[n].facts.retried) for n in (1, 2)] == [(0, 0), (0, 0)]


def test_who_comes_when_a_job_is_over_hears_how_long_it_took(four: LocalFunctions) -> None:
    began = time.time()
    job = begin(four, programs.tree(40, programs.slow))
    until(lambda: job.coordination.read().state is State.DONE)
    rest(job, four)
    took = time.time() - began
    late = four.attach(job.name.job)
    time.sleep(0.1)
    with finished(four, late):
        report = collect(four, late, MemoryStorage())
    assert late.began == job.began >= began
    assert max(usage.billed_seconds for usage in report.usages) - 1e-3 <= report.seconds <= took


def test_who_comes_while_a_job_runs_counts_from_its_beginning(four: LocalFunctions, tmp_path: Path) -> None:
    go = tmp_path / "go"
    job = begin(four, programs.tree(1, faulty.Gate(0, str(go))))
    until(lambda: four.service.endpoint.followed(job.name.job)["attempt_seconds"] > 0.2)
    late = four.attach(job.name.job)
    threading.Timer(0.1, go.touch).start()
    with finished(four, late):
        report = collect(four, late, MemoryStorage())
    (usage,) = report.usages
    assert report.seconds >= usage.billed_seconds - 1e-3 >= 0.2


def test_a_job_whose_beginning_is_lost_begins_where_it_is_found(four: LocalFunctions) -> None:
    job = begin(four, programs.tree(2))
    objects = four.places.objects()
    objects.delete([key for key in objects.keys("jobs/") if key.endswith("/began")])
    late = four.attach(job.name.job)
    assert late.began > job.began
    with finished(four, late):
        assert collect(four, late, MemoryStorage()).tasks == 3


def test_the_time_until_a_result_is_fetched_is_not_the_jobs() -> None:
    began = time.time()
    job = (sa.asarray(np.arange(12.0), chunks=4) + 1).submit(executor="functions", workers=2)
    until(job.done)
    rest(job._submitted, job._remote.functions)  # type: ignore[arg-type]
    took = time.time() - began
    time.sleep(0.1)
    np.testing.assert_array_equal(sa.attach(job.id), np.arange(1.0, 13.0))
    assert 0 < sa.last_report().seconds <= took


@pytest.mark.parametrize(
    ("ends", "seen", "expected"),
    [([3.0, 5.0], False, 4.0), ([3.0, 5.0], True, 8.0), ([0.0], False, 8.0), ([], True, 8)],
)
def test_a_job_lasts_until_its_end_or_until_now(
    four: LocalFunctions, monkeypatch: pytest.MonkeyPatch, ends: list[float], seen: bool, expected: float
) -> None:
    with finished(four, begin(four, programs.tree(1))) as job:
        job.wait(seconds=60)
    job.began, job.seen = 1.0, seen
    monkeypatch.setattr(time, "time", lambda: 9.0)
    assert job.seconds([Usage(ended=end) for end in ends]) == expected


def test_a_service_keeps_no_counts_of_jobs_that_are_over(four: LocalFunctions) -> None:
    report = run(programs.tree(8), MemoryStorage(), four).report
    assert report.facts.attempts >= 1
    assert set(four.service.endpoint.followed(report.facts.job).values()) == {0}


def test_a_job_that_ends_before_its_executors_is_swept_again_when_they_have_ended(
    four: LocalFunctions, tmp_path: Path
) -> None:
    """However often it is ended; what they store meanwhile would stay otherwise."""
    go = tmp_path / "go"
    job = begin(four, programs.tree(8, faulty.Once(tmp_path, partial(faulty.Gate(0, str(go)), 0))))
    name, objects = job.name.job, four.places.objects()
    until((tmp_path / "acted").exists)
    for _ in range(2):
        four.finish(job, over=False)
    assert list(four._late) == [name]
    left = f"{Keys(name).job_prefix}left"
    objects.put({left: [b"by an executor"]})
    run(programs.tree(2), MemoryStorage(), four)
    assert left in objects.get([left])
    go.touch()
    until(lambda: four.service.endpoint.is_quiet(name))
    run(programs.tree(2), MemoryStorage(), four)
    assert not four._late and not objects.get([left])
