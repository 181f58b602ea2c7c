"""What the comparison makes of its rounds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("times", "median", "reported"),
    [([3.0, 1.0], 2.0, 1.0), ([3.0, 1.0, 2.0], 2.0, 2.0), ([4.0, 1.0, 2.0, 8.0], 3.0, 2.0), ([5.0], 5.0, 5.0)],
)
def test_times_are_medians_of_all_rounds(
    times: list[float], median: float, reported: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "compare", raising=False)
    from compare import summary

    found = summary([{"wall_s": time, "bytes_read": {"source": time}} for time in times])
    assert found == {"wall_s": median, "bytes_read": {"source": reported}, "rounds_s": times}
