"""What may be in the repository at all: nothing large, nothing of one machine, nothing left for later."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT

LARGEST_FILE = 1_000_000
FOREIGN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w|\b[A-Z]:\\\\?Users\\"),
    "something left for later": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b"),
    "an empty NotImplementedError": re.compile(r"raise NotImplementedError(?:\(\))?\s*$", re.MULTILINE),
}


def repository_files(root: Path) -> list[Path]:
    """Return the files that git has or would take, or skip the test where there is no git checkout."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [root / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def large(files: list[Path]) -> list[str]:
    """Return the files above 1 MB."""
    return [str(path) for path in files if path.stat().st_size > LARGEST_FILE]


def foreign(files: list[Path], home: str) -> list[str]:
    """Return the files with text that belongs to one machine or to another day."""
    found = []
    for path in files:
        data = path.read_bytes()
        if b"\0" in data:
            continue  # a picture, not text
        text = data.decode("utf-8", errors="replace")
        found += [f"{path}: {what}" for what, pattern in FOREIGN.items() if pattern.search(text)]
        found += [f"{path}: the path of this checkout"] * (home in text)
    return found


def test_no_file_is_large() -> None:
    assert large(repository_files(ROOT)) == []


def test_every_file_belongs_here() -> None:
    assert foreign(repository_files(ROOT), f"{ROOT}/") == []


def test_the_packages_are_in_the_repository() -> None:
    tops = {path.relative_to(ROOT).parts[0] for path in repository_files(ROOT)}
    assert {"sarray", "kernels", "wukong_sched", "tests", "LICENSE", "README.md"} <= tops


@pytest.mark.parametrize("size", [1_000_000, 1_000_001])
def test_a_large_file_is_caught(tmp_path: Path, size: int) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"\0" * size)
    assert large([path]) == [str(path)] * (size > LARGEST_FILE)


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("see /ho" "me/somebody/data", 1),
        ("C:\\Use" "rs\\somebody", 1),
        ("# TO" "DO: later", 1),
        ("def f():\n    raise NotImplemented" "Error\n", 1),
        ("def f():\n    raise NotImplemented" "Error()\n", 1),
        ("under /there/somewhere", 1),
        ("a todo of tasks; the network/rooted/path; raise NotImplemented" "Error('what to do instead')", 0),
    ],
)
def test_what_does_not_belong_is_caught(tmp_path: Path, text: str, caught: int) -> None:
    path = tmp_path / "file.txt"
    path.write_text(text, encoding="utf-8")
    assert len(foreign([path], "/there/")) == caught
