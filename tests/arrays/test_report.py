"""Reports: what happened and what it cost, the same in every form, and on every executor."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sarray as sa
from wukong_sched.functions.usage import Usage, total
from wukong_sched.prices import US_EAST_1
from wukong_sched.report import TIERS, Facts, Report, in_bytes

KEYS = {
    "wall_s", "tasks", "invocations", "cold_starts", "retries", "gb_s", "usd", "peak_memory",
    "bytes_read", "bytes_written", "requests",
}  # fmt: skip
NUMBERS = st.integers(0, 2**40)
COUNTS = st.dictionaries(st.sampled_from(TIERS), NUMBERS)
SECONDS = st.floats(0, 1e6)
USAGES = st.builds(
    Usage,
    tasks=NUMBERS,
    executors=st.just(1),
    seconds=st.dictionaries(st.sampled_from(["compute", "fetch", "wait"]), SECONDS),
    bytes_read=COUNTS,
    bytes_written=COUNTS,
    requests=COUNTS,
    billed_seconds=SECONDS,
    peak_memory=NUMBERS,
    memory=st.just(2**31),
    cold=st.integers(0, 1),
    retries=st.integers(0, 3),
    saved_codec=NUMBERS,
    saved_locality=NUMBERS,
    puts=COUNTS,
    gets=COUNTS,
)
FACTS = st.builds(
    Facts, st.just("functions"), st.just("functions-1"), st.booleans(), *[NUMBERS] * 5, *[SECONDS, NUMBERS] * 2, SECONDS
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    usages = tuple(draw(st.lists(USAGES, max_size=4)))
    return Report(sum(each.tasks for each in usages), len(usages), draw(SECONDS), usages, draw(FACTS))


@given(reports())
def test_lines_say_everything(report: Report) -> None:
    again = Report.from_lines(report.lines())
    assert again == report
    assert again.to_dict() == report.to_dict()
    assert str(again) == str(report)


@given(reports())
def test_the_numbers_follow_from_the_records(report: Report) -> None:
    found = report.to_dict()
    assert found.keys() >= KEYS
    for name in ("bytes_read", "bytes_written", "requests"):
        assert set(found[name]) == set(TIERS)
        assert sum(found[name].values()) == sum(sum(getattr(usage, name).values()) for usage in report.usages)
    records = list(map(json.loads, report.lines()))
    executors = [record for record in records if record["record"] == "executor"]
    invoked = report.facts.invoked
    assert found["cold_starts"] == invoked * sum(record["cold"] for record in executors)
    assert found["retries"] == invoked * max(sum(record["retries"] for record in executors), records[0]["retried"])
    attempts = max(len(executors) + found["retries"], records[0]["attempts"])
    assert found["invocations"] == invoked * (attempts + records[0]["watched"])
    written = sum(record["billed_seconds"] for record in executors)
    billed = (max(written, records[0]["attempt_seconds"]) + records[0]["watched_seconds"]) * (2 if executors else 0)
    assert found["gb_s"] >= invoked * billed * (1 - 1e-12)
    assert found["usd"] == pytest.approx(sum(found["costs"].values()))
    assert (found["usd"] > 0) <= invoked


def test_dollars_are_list_prices() -> None:
    usage = Usage(billed_seconds=1.0001, memory=2**30, puts={"object": 10}, gets={"object": 20, "source": 5})
    report = Report(1, 1, 36.0, (usage, replace(usage)), Facts(invoked=True))
    assert report.gb_s == pytest.approx(2 * 1.001)
    assert report.costs["functions"] == pytest.approx(2.002 * US_EAST_1.lambda_gb_second + 2 * US_EAST_1.lambda_request)
    assert report.costs["objects"] == pytest.approx(20 * US_EAST_1.s3_put + 50 * US_EAST_1.s3_get)
    assert report.costs["cache"] == pytest.approx(US_EAST_1.cache_node_hour / 100)
    assert replace(report, facts=Facts()).usd == 0


def test_what_a_service_counts_is_what_is_billed() -> None:
    """More than the executors have written: attempts that failed, and those that found nothing to do."""
    usage = Usage(billed_seconds=1.0, memory=2**30)
    watched = Facts(invoked=True, watched=2, watched_seconds=0.5)
    facts = replace(watched, attempts=3, attempt_seconds=4.0, failed=1, failed_seconds=2.0)
    report = Report(1, 1, 9.0, (usage,), facts)
    assert (report.invocations, report.gb_s) == (5, 4.5)
    assert "failed attempts: 1, of 2 s" in str(report)
    written = replace(report, facts=watched)
    assert (written.invocations, written.gb_s) == (3, 1.5)


def test_lines_that_are_no_report_are_refused() -> None:
    with pytest.raises(ValueError, match="no report"):
        Report.from_lines(['{"record": "job"}'])


def test_sizes_are_readable() -> None:
    sizes = [0, 1023, 1024, 3 * 2**19, 5 * 2**40, 2**60]
    assert [in_bytes(size) for size in sizes] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 TiB", "1048576.0 TiB",
    ]  # fmt: skip


@pytest.mark.parametrize("executor", ["threads", "serial", "functions"])
def test_every_executor_reports(executor: str, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    a = rng.standard_normal((400, 30))
    x = sa.from_array(a, chunks=(100, 30))
    found = (x * 2 + 1).compute(executor=executor, workers=2, report=True)
    np.testing.assert_array_equal(found, a * 2 + 1)
    report = sa.last_report()
    assert capsys.readouterr().out == f"{report}\n"
    numbers = report.to_dict()
    assert numbers["executor"] == executor and numbers["tasks"] == report.tasks == 4
    assert numbers["bytes_read"]["source"] == a.nbytes
    assert numbers["requests"]["source"] == 4
    assert numbers["peak_memory"] > 10 * 2**20
    assert numbers["seconds"]["compute"] > 0
    invoked = executor == "functions"
    assert (numbers["invocations"] > 0) == invoked == (numbers["usd"] > 0) == (numbers["gb_s"] > 0)
    assert (sum(numbers["bytes_written"].values()) > 0) == invoked
    assert Report.from_lines(report.lines()) == report


def test_what_the_codec_saves_is_counted() -> None:
    x = sa.zeros((64, 1024), chunks=(1, 1024))
    (x * 3).compute(executor="functions", workers=1)
    usage = sa.last_report().usage
    assert usage.saved_codec + sum(usage.bytes_written.values()) == pytest.approx(x.nbytes, rel=0.1)
    assert usage.saved_codec > 0.5 * x.nbytes


def test_what_locality_saves_is_counted(rng: np.random.Generator) -> None:
    a = rng.standard_normal((96, 32))
    sa.tsqr(sa.from_array(a, chunks=(8, 32))).R.compute(executor="functions", workers=1)
    usage = sa.last_report().usage
    assert usage.saved_locality >= 11 * 32 * 32 * 8  # of each factor but the last, written and read
    assert usage.bytes_written["redis"] < 2 * 32 * 32 * 8  # the last, with a header


def test_each_thread_has_its_own_report() -> None:
    (sa.ones((12, 2), chunks=2) + 1).compute()
    mine = sa.last_report()
    seen: list[Any] = []

    def other() -> None:
        with pytest.raises(LookupError, match="nothing was computed in this thread"):
            sa.last_report()
        (sa.ones((8, 2), chunks=2) + 1).compute()
        seen.append(sa.last_report())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert sa.last_report() is mine
    assert (mine.tasks, seen[0].tasks) == (6, 4)


def test_stored_and_persisted_arrays_report_too() -> None:
    x = sa.ones((6, 2), chunks=2) + 1
    x.persist()
    assert sa.last_report().tasks == 3
    x.store(np.zeros((6, 2)), executor="serial")
    assert (sa.last_report().tasks, sa.last_report().facts.executor) == (3, "serial")


@given(st.lists(USAGES, max_size=5))
def test_usages_add_up_in_any_order(usages: list[Usage]) -> None:
    sums = total(usages)
    assert sums.tasks == sum(usage.tasks for usage in usages)
    assert sums.peak_memory == max((usage.peak_memory for usage in usages), default=0)
    backwards = total(reversed(usages))
    assert (backwards.tasks, backwards.bytes_read, backwards.puts) == (sums.tasks, sums.bytes_read, sums.puts)
