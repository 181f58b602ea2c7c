"""Limits of sandboxes, where functions find things, and what they report."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.functions.processes import is_alive, until
from tests.house.tree import ROOT
from wukong_sched.errors import InfrastructureError
from wukong_sched.functions import limits
from wukong_sched.functions.endpoint import Endpoint
from wukong_sched.functions.mapped import write
from wukong_sched.functions.places import Addresses
from wukong_sched.functions.usage import Usage, total
from wukong_sched.storage.objects import Tally

LIMITED = """
from wukong_sched.functions.limits import limit_data
limit_data(200 << 20)
kept = bytearray(50 << 20)
try:
    bytearray(300 << 20)
except MemoryError:
    print("refused")
"""
ORPHAN = """
import os, subprocess, sys
child = "from wukong_sched.functions.limits import end_with_parent; import sys, time; "
child += "end_with_parent(int(sys.argv[1])); print('on', flush=True); time.sleep(60)"
process = subprocess.Popen([sys.executable, "-c", child, sys.argv[1] or str(os.getpid())], stdout=subprocess.PIPE)
print(process.pid, process.stdout.readline().decode().strip(), flush=True)
os._exit(0)
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_may_have_only_so_much_memory() -> None:
    assert run(LIMITED) == "refused"


def test_a_process_ends_with_its_parent() -> None:
    pid, said = run(ORPHAN, "").split()
    assert said == "on"
    until(lambda: not is_alive(int(pid)))


@pytest.mark.parametrize("end", [limits.kill, limits.kill_group])
@pytest.mark.parametrize("pid", [1, 0, -1])
def test_what_is_no_process_is_not_ended(monkeypatch: pytest.MonkeyPatch, end: Callable[[int], None], pid: int) -> None:
    """Nor is the caller's own group, or whatever runs, which is what the kernel would understand."""
    ended: list[int] = []
    for name in ("kill", "killpg"):
        monkeypatch.setattr(f"os.{name}", lambda pid, signal: ended.append(pid))
    with pytest.raises(ValueError, match=f"^{pid} is not the id of a process"):
        end(pid)
    assert ended == []


def test_a_process_whose_parent_is_gone_already_does_not_begin() -> None:
    assert len(run(ORPHAN, "1").split()) == 1


@pytest.mark.parametrize(
    ("groups", "directory", "file"),
    [
        ("4:memory:/a\n0::/b\n", "memory/a", "memory.limit_in_bytes"),
        ("0::/b/c\n", "b/c", "memory.max"),
        ("7:cpu:/x\n", None, ""),
    ],
    ids=["version 1", "version 2", "neither"],
)
def test_control_groups_are_made_below_the_own_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: str, directory: str | None, file: str
) -> None:
    (tmp_path / "own").write_text(groups)
    for name in ("memory/a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(limits, "OWN", tmp_path / "own")
    monkeypatch.setattr(limits, "ROOT", tmp_path)
    group = limits.control_group("g", 12345)
    if directory is None:
        assert group is None
        return
    assert group is not None
    assert group.directory == tmp_path / directory / "g"
    assert (group.directory / file).read_text() == "12345"
    group.admit(7)
    assert (group.directory / "cgroup.procs").read_text() == "7"


def test_no_control_group_where_none_may_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "ROOT", tmp_path / "nowhere")
    assert limits.control_group("g", 1) is None


def test_addresses_say_what_is_wrong_and_hide_what_is_secret() -> None:
    with pytest.raises(
        ValueError, match="'gs://b' names no object store; its address begins with one of file://, s3://"
    ):
        Addresses("unix:///s", "gs://b")
    addresses = Addresses("rediss://user:hidden@cache.example:6380", "s3://bucket", 9.0, 3.0)
    assert "hidden" not in repr(addresses)
    assert Addresses.found(addresses.environment(b"\0key")) == (replace(addresses, inside=True), b"\0key")


COUNTS = st.dictionaries(st.sampled_from(["redis", "object", "source"]), st.integers(0, 10**12))
USAGES = st.builds(Usage, st.integers(0, 99), st.integers(0, 9), st.just({}), COUNTS, COUNTS, COUNTS)


@given(st.lists(USAGES, max_size=6))
def test_usages_add_up_in_any_order_and_survive_json(usages: list[Usage]) -> None:
    sums = total(usages)
    assert total(Usage.from_json(usage.to_json()) for usage in reversed(usages)) == sums
    assert sums.tasks == sum(usage.tasks for usage in usages)
    assert sum(sums.bytes_read.values()) == sum(sum(usage.bytes_read.values()) for usage in usages)


def test_what_moved_is_the_difference_of_two_tallies() -> None:
    usage = Usage()
    usage.moved({"redis": Tally(5, 7, 1, 2, 3)}, {"redis": Tally(15, 8, 2, 2, 3), "object": Tally(1)})
    assert usage.bytes_read == {"redis": 10, "object": 1}
    assert usage.bytes_written == {"redis": 1, "object": 0}
    assert usage.requests == {"redis": 1, "object": 0}


@pytest.mark.parametrize(
    "cut", [np.s_[:], np.s_[::2], np.s_[:, 1:], np.s_[::-1]], ids=["whole", "rows", "columns", "turned"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_mapped_arrays_are_what_was_written(tmp_path: Path, cut: object, order: str) -> None:
    array = np.arange(24.0).reshape((6, 4), order="F")[cut]  # type: ignore[index]
    array = np.asfortranarray(array) if order == "F" else array
    mapped = write(array, tmp_path / "arrays")
    np.testing.assert_array_equal(mapped.array, array)
    assert not mapped.array.flags.writeable
    assert mapped.path.stat().st_mode & 0o777 == 0o600


def test_without_a_loopback_interface_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: Any) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr("socket.create_connection", unreachable)
    with pytest.raises(InfrastructureError, match=r"Network is unreachable; .*ip link set lo up"):
        Endpoint(1, "key").free()
