"""What is said before and while computing: plans, drawings, the progress bar."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray import drawing
from sarray.progress import Bar, bar


def test_a_plan_counts_tasks_bytes_and_flops() -> None:
    values = np.zeros((100, 50))
    x = sa.from_array(values, (10, 50))
    plan = ((x * 2 + 1) ** 2).sum().plan()
    assert (plan.tasks, plan.depth) == (10 + 2 + 1, 3)
    assert (plan.bytes_read, plan.bytes_written) == (values.nbytes, 8)
    assert plan.flops == pytest.approx(4 * 5000, rel=0.01)
    assert plan.peak_bytes == 10 * 50 * 8 + 8
    assert sum(work.tasks for work in plan.work) == plan.tasks
    with pytest.raises(AttributeError):
        plan.tasks = 3  # type: ignore[misc]


def test_a_plan_reads_as_a_table() -> None:
    x = sa.from_array(np.zeros((100, 50)), (10, 50))
    lines = repr(sa.plan((x * 2).sum(), x + 1)).splitlines()
    assert lines[0].startswith("Plan: 23 tasks, depth 3, ")
    assert lines[1].split() == ["operation", "tasks", "flops", "in", "out", "peak/task"]
    assert {line.split()[0]: line.split()[1] for line in lines[2:]} == {"sum": "13", "add": "10"}


def test_a_plan_of_a_million_tasks_takes_no_time() -> None:
    plan = (sa.zeros((10**4, 10**4), chunks=10) + 1).T.sum(axis=0).plan()
    assert plan.tasks > 10**6
    assert plan.depth == 5


def test_a_fold_needs_two_steps_at_a_time() -> None:
    x = sa.random.default_rng(0).random((40, 400), chunks=(40, 10))
    plan = (x @ x.T).plan()
    assert plan.peak_bytes < x.nbytes


def test_an_array_is_drawn_with_its_chunks() -> None:
    x = sa.zeros((20, 40), chunks=(10, 10))
    html = x._repr_html_()
    picture = ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    assert len(picture.findall("line")) == 1 + 3
    assert "6.2 KiB" in html and "8 chunks" in html and "(10, 10)" in html
    ET.fromstring(html)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (10**6, 3), (2, 3, 4)])
def test_any_shape_is_drawn(shape: tuple[int, ...]) -> None:
    html = sa.zeros(shape, chunks=2 if np.prod(shape) < 100 else "auto")._repr_html_()
    ET.fromstring(html)
    assert ("<svg" in html) == (0 not in shape and shape != ())


def test_many_chunks_are_drawn_by_a_few_lines() -> None:
    x = sa.zeros((10**6, 10**6), chunks=10)
    assert len(drawing.svg(x.expression)) < 10_000
    assert repr(x).endswith("chunks=((10, 10, 10, ..., 10; 100000 chunks), (10, 10, 10, ..., 10; 100000 chunks)))")


def test_a_bar_appears_after_its_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    with Bar(delay=60) as late:
        late(1, 10)
    assert shown.getvalue() == ""
    with Bar(delay=0) as early:
        early(3, 10)
        early(10, 10)
    assert "3/10" in shown.getvalue() and "sarray" in shown.getvalue()


@pytest.mark.parametrize(
    ("setting", "asked", "shown"), [(None, None, False), (True, None, True), (True, False, False), (False, True, True)]
)
def test_who_wants_a_bar_gets_one(setting: Any, asked: Any, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with sa.config(progress=setting) as settings:
        assert (bar(settings, asked) is not None) == shown


def test_computing_with_a_bar_gives_the_same() -> None:
    with sa.config(progress_delay=0.0):
        assert float(sa.ones(100, chunks=1).sum().compute(progress=True)) == 100


def test_factors_too_large_are_not_answered_with_chunks() -> None:
    a = sa.ones((4000, 2000), chunks=(100, -1))
    with pytest.raises(sa.MemoryLimitError, match=r"tsqr needs whole blocks of \(2000, 2000\); use fewer columns"):
        sa.tsqr(a).R.compute(memory_limit="40MiB")


def test_the_largest_task_says_what_memory_is_needed() -> None:
    """Whoever sets the limit to what the error asks for shall not be asked for more."""
    sums = [sa.from_array(np.ones((size, size)), -1).sum() for size in (100, 300, 200)]
    work = sums[0] + sums[1] + sums[2]
    with pytest.raises(sa.MemoryLimitError, match=r"task needs 703\.1 KiB .*2 at a time need 1\.4 MiB,"):
        work.compute(memory_limit="100KiB", workers=2)
    assert float(work.compute(memory_limit=2 * work.plan().peak_bytes, workers=2)) == 140_000
