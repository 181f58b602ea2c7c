from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sarray as sa
from sarray.npy_file import NpyFile
from tests.arrays.drawn import NUMBERS, chunked


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=chunked((0, 3), NUMBERS))
def test_files_hold_what_was_written(tmp_path: Path, pair: tuple[NDArray[Any], sa.Array]) -> None:
    values, x = pair
    path = tmp_path / "x.npy"
    sa.to_npy(x, path)
    np.testing.assert_array_equal(np.load(path), values)
    back = sa.from_npy(path, chunks=2)
    assert (back.shape, back.dtype) == (values.shape, values.dtype)
    np.testing.assert_array_equal(back.compute(), values)
    assert os.listdir(tmp_path) == ["x.npy"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_any_part_of_a_file_is_read(order: Any, tmp_path: Path) -> None:
    values = np.asarray(np.random.default_rng(0).random((20, 30)), order=order)
    np.save(tmp_path / "x.npy", values)
    x = sa.from_npy(tmp_path / "x.npy", chunks=(7, 11))
    np.testing.assert_array_equal((x[3:, ::-2].T + 1).compute(), values[3:, ::-2].T + 1)
    assert x.rechunk(5).plan().work[0].operation == "source"


def test_the_same_file_is_the_same_array_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(4))
    first, second = sa.from_npy(path), sa.from_npy(path)
    assert first.name == second.name
    assert (first + 1).plan().tasks == sa.plan(first + 1, second + 1).tasks
    os.utime(path, ns=(1, 1))
    assert sa.from_npy(path).name != first.name


def test_a_file_that_is_read_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(10))
    sa.to_npy(sa.from_npy(path, chunks=3) * 2, path)
    np.testing.assert_array_equal(np.load(path), np.arange(10) * 2)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(a: Any, b: Any) -> Any:
        raise KeyError("no")

    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(sa.TaskError, match="no"):
        sa.to_npy(sa.tree_reduce(sa.ones(4, chunks=2), fail), tmp_path / "x.npy")
    assert os.listdir(tmp_path) == ["x.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.ones(3))


def test_blocks_that_are_wanted_and_used_are_read_back(tmp_path: Path) -> None:
    x = sa.tree_reduce(sa.ones((8, 6), chunks=(2, 3)), np.add)
    file = NpyFile.create(tmp_path / "x.npy", x.shape, x.dtype)
    total = np.zeros(x.shape)
    sa.store([x, x + 1], [file, total])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.full((2, 6), 4.0))
    np.testing.assert_array_equal(total, np.full((2, 6), 5.0))


@pytest.mark.parametrize(
    ("write", "error", "words"),
    [
        (lambda path: None, FileNotFoundError, "x.npy"),
        (lambda path: path.write_bytes(b"no array"), ValueError, "pickle|magic"),
        (lambda path: np.save(path, np.array(["a"])), TypeError, "unique"),
    ],
)
def test_what_is_no_file_of_numbers_is_refused(write: Any, error: type[Exception], words: str, tmp_path: Path) -> None:
    write(tmp_path / "x.npy")
    with pytest.raises(error, match=words):
        sa.from_npy(tmp_path / "x.npy")


def test_archives_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"numpy\.load\(path\)\['name'\]"):
        sa.from_npy(tmp_path / "x.npz")


@given(st.data())
def test_parts_of_files_are_those_of_arrays(data: st.DataObject) -> None:
    shape = tuple(
        data.draw(st.lists(st.integers(0, 700), max_size=1)) + data.draw(st.lists(st.integers(0, 9), max_size=2))
    )
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    index = tuple(slice(*each) for each in ends)
    expected = np.random.default_rng(1).random(shape)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "x.npy")
        np.save(path, expected)
        file = NpyFile.open(path)
        part = file[index]
        np.testing.assert_array_equal(part, expected[index])
        file[index] = -part
        expected[index] *= -1
        np.testing.assert_array_equal(np.load(path), expected)


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: Any, position: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        sa.to_npy(sa.ones((100, 100), chunks=50), tmp_path / "x.npy")
    assert not list(tmp_path.iterdir())
