"""The Python in README.md and docs/*.md runs, page by page, and prints what the page says; what is linked is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sarray.config import KEYS
from tests.house.tree import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ACCOUNT = "<!-- needs an account -->"
"""Stands before a block that needs AWS."""
BLOCK = re.compile(rf"({ACCOUNT}\n)?```python\n(.*?)```", re.DOTALL)
SAID = re.compile(r"# -> (.*)$", re.MULTILINE)
"""What a page says that a line prints."""
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)#]+)[^)]*\)")
STRICT = ["-Werror", "-Wignore::DeprecationWarning", "-Wignore::FutureWarning"]
"""Warnings are errors, but for those by which other people's packages announce their next versions."""
DECISIONS = ROOT / "docs" / "decisions"


def script(page: str) -> str:
    """Return a page's Python, each line where it stands in the page; what needs an account is left out.

    >>> script("text\\n```python\\nprint(1)\\n```\\n").split("\\n")
    ['', '', 'print(1)', '', '']
    """
    lines = [""] * len(page.split("\n"))
    for found in BLOCK.finditer(page):
        if found[1] is None:
            first = page.count("\n", 0, found.start(2))
            code = found[2].split("\n")
            lines[first : first + len(code)] = code
    return "\n".join(lines)


def in_order(said: list[str], printed: str) -> list[str]:
    """Return what was said and not printed, or not in that order.

    >>> in_order(["1", "3", "2"], "1 2\\n3")
    ['2']
    """
    at, missing = 0, []
    for text in said:
        place = printed.find(text, at)
        if place < 0:
            missing.append(text)
        else:
            at = place + len(text)
    return missing


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if script(page.read_text("utf-8")).strip()], ids=name)
def test_a_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    code = script(page.read_text("utf-8"))
    file = tmp_path / f"page_{page.stem}.py"
    file.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *STRICT, str(file)]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert in_order(SAID.findall(code), ended.stdout) == [], ended.stdout


def test_the_readme_and_the_guides_have_examples() -> None:
    with_code = {page.stem for page in PAGES if script(page.read_text("utf-8")).strip()}
    assert {"README", "functions", "ml", "dask", "futures"} <= with_code


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [link for link in targets if not (page.parent / link).exists()] == []


def test_every_setting_of_functions_is_explained() -> None:
    page = (ROOT / "docs" / "functions.md").read_text("utf-8")
    settings = [key.replace("_", ".", 1) for key in KEYS if key.startswith(("functions_", "aws_"))]
    assert [key for key in settings if f"`{key}`" not in page] == []


def test_the_design_names_every_package() -> None:
    page = (ROOT / "docs" / "design.md").read_text("utf-8")
    packages = [path.parent.name for top in ("wukong_sched", "sarray") for path in (ROOT / top).glob("*/__init__.py")]
    assert len(packages) > 10
    assert [name for name in packages if f"{name}/" not in page] == []


def test_decisions_have_numbers_of_their_own_and_are_listed() -> None:
    files = sorted(DECISIONS.glob("*.md"))
    numbers = [int(path.name[:4]) for path in files]
    assert numbers == list(range(1, len(files) + 1))
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for number, path in zip(numbers, files, strict=True):
        title = path.read_text("utf-8").split("\n", 1)[0]
        assert title.startswith(f"# {number}. "), path.name
        assert f"[{title.removeprefix(f'# {number}. ')}](decisions/{path.name})" in index, path.name
