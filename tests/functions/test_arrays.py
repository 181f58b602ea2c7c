"""Arrays computed by functions: the same bits as in threads, with sources in memory, in files and kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.delivery import Delivery, Place, Result
from sarray.executors import limits_of
from sarray.lower import lower
from sarray.parking import SMALL, parked
from tests.functions import programs
from tests.functions.programs import be_cancelled, end_in_words, exit_early, halt, interrupt, say_nothing, stick
from tests.functions.test_jobs import left
from wukong_sched.drivers.functions import LocalFunctions, run
from wukong_sched.errors import TaskError
from wukong_sched.functions.mapped import MappedArray, MappedBlocks
from wukong_sched.functions.usage import Usage
from wukong_sched.storage.memory import MemoryStorage


def computed(arrays: Sequence[Any], functions: LocalFunctions) -> tuple[list[Any], Usage]:
    """The arrays' values, and what their functions used."""
    expressions = [array.expression for array in arrays]
    places: dict[str, Place] = {}
    results = [Result(expression, set()) for expression in expressions]
    places.update((expression.name, result) for expression, result in zip(expressions, results, strict=True))
    program = lower(expressions, limits_of(sa.settings())).program
    outcome = run(program, Delivery(MemoryStorage(), places), functions, park=parked)
    assert left(functions) == []
    return [result.values for result in results], outcome.usage


def test_a_product_is_that_of_threads_bit_by_bit(functions: LocalFunctions, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((300, 250)), np.asfortranarray(rng.standard_normal((250, 200)))
    product = sa.from_array(a, chunks=100) @ sa.from_array(b, chunks=100)
    (found,), usage = computed([product], functions)
    np.testing.assert_array_equal(found, product.compute())
    np.testing.assert_allclose(found, a @ b, rtol=0, atol=1e-10)
    assert usage.bytes_read["source"] >= a.nbytes + b.nbytes


def test_tsqr_reads_its_source_once(functions: LocalFunctions, rng: np.random.Generator) -> None:
    a = rng.standard_normal((4096, 32))
    q, r = sa.tsqr(sa.from_array(a, chunks=(256, 32)))
    found, usage = computed([q, r], functions)
    for ours, theirs in zip(found, sa.compute(q, r), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert usage.bytes_read["source"] == a.nbytes


def test_sources_are_mapped_not_copied(rng: np.random.Generator, tmp_path: Path) -> None:
    large, small = rng.standard_normal((SMALL // 4, 2)), rng.standard_normal((4, 2))
    on_disk = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float64, (100, 2))
    on_disk[:] = rng.standard_normal((100, 2))
    arrays = [sa.from_array(each, chunks=2) * 2 for each in (large, large[::2], small, on_disk)]
    program = lower([array.expression for array in arrays], limits_of(sa.settings())).program
    values = [reader.held.value for reader in parked(program, tmp_path / "parked").sources.values()]
    kinds = sorted(type(value).__name__ for value in values)
    assert kinds == ["MappedArray", "MappedArray", "MappedArray", "ndarray"]
    assert len(list((tmp_path / "parked").iterdir())) == 2
    assert tmp_path / "a.npy" in [value.path for value in values if isinstance(value, MappedArray)]


def test_kept_arrays_are_mapped_too(functions: LocalFunctions, rng: np.random.Generator, tmp_path: Path) -> None:
    a = rng.standard_normal((200, 100))
    (kept,) = sa.persist(sa.from_array(a, chunks=100) + 1)
    (total,), _ = computed([kept.sum()], functions)
    assert total == pytest.approx((a + 1).sum())
    program = lower([(kept * 2).expression], limits_of(sa.settings())).program
    (reader,) = parked(program, tmp_path).sources.values()
    assert isinstance(reader.held.value, MappedBlocks)
    np.testing.assert_array_equal(reader.read((1, 0)), (a + 1)[100:])


@pytest.mark.skipif(sys.platform != "linux", reason="limits of files are POSIX systems'; tried on Linux")
def test_where_there_is_no_room_an_error_says_so_and_nothing_is_left(functions: LocalFunctions) -> None:
    import resource

    a = np.ones((4, 100_000))
    x = sa.from_array(a, chunks=(2, 100_000))
    computed([x.sum()], functions)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match=r"3200000 bytes for functions cannot be written into .*TMPDIR"):
            computed([x.sum()], functions)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left(functions) == []
    assert computed([x.sum()], functions)[0] == [a.sum()]


ELSEWHERE = ["threads", "functions", "numpywren", "pywren"]
"""Executors whose tasks run where no Ctrl-C comes: not in the caller's thread."""


@pytest.mark.parametrize(
    ("executor", "function", "cause"),
    [
        (executor, function, cause)
        for function, cause, executors in (
            (exit_early, "SystemExit: wrong input file", ["serial", *ELSEWHERE]),
            (say_nothing, "Unspeakable, whose text raises RuntimeError", ["serial", *ELSEWHERE]),
            (end_in_words, "Mute, whose text raises SystemExit", ["serial", *ELSEWHERE]),
            (halt, "Halt: here", ["serial", *ELSEWHERE]),
            (stick, "Stuck: here", ["serial", *ELSEWHERE]),
            (be_cancelled, "CancelledError: over", ["serial", *ELSEWHERE]),
            (interrupt, "KeyboardInterrupt: mine", ELSEWHERE),
        )
        for executor in executors
    ],
)
def test_whatever_a_task_raises_ends_the_job_at_once(executor: str, function: Any, cause: str) -> None:
    """Even what is no Exception, and would end the process in which the task runs."""
    array = sa.map_blocks(function, sa.ones((4, 4), chunks=2), dtype=float)
    with pytest.raises(TaskError, match=f"map_blocks.*{cause}") as caught:
        array.compute(executor=executor)
    assert type(caught.value.__cause__).__name__ == cause.partition(":")[0].partition(",")[0]


@pytest.mark.parametrize("executor", ["serial", *ELSEWHERE])
def test_whatever_a_source_raises_does_too(executor: str) -> None:
    with pytest.raises(TaskError, match="Halt: here") as caught:
        (sa.from_array(programs.Halting(), chunks=2, lock=False) + 1).compute(executor=executor)
    assert type(caught.value.__cause__).__name__ == "Halt"


@pytest.mark.parametrize("executor", ["functions", "numpywren", "pywren"])
def test_what_cannot_be_loaded_here_of_an_error_leaves_its_story(executor: str) -> None:
    with pytest.raises(TaskError, match=r"map_blocks.*Rooted: here") as caught:
        sa.map_blocks(programs.stay, sa.ones((4, 4), chunks=2), dtype=float).compute(executor=executor)
    assert caught.value.__cause__ is None
