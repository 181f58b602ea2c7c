"""Sizes and names: files that fit in the head, functions that fit on a screen, nothing called after nothing."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import AROUND, PACKAGES, ROOT, parse, sources

FILE_LINES = 400
FUNCTION_LINES = 60
MEDIAN_LINES = 8
NAMES_OF_NOTHING = {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "common"}


def long_files(root: Path) -> list[str]:
    """Return the files of more than 400 lines, of the packages and around them."""
    paths = sources(root, *PACKAGES, *AROUND).values()
    counts = {path: path.read_text(encoding="utf-8").count("\n") for path in paths}
    return [f"{path.relative_to(root)}: {lines} lines" for path, lines in counts.items() if lines > FILE_LINES]


def long_functions(root: Path) -> list[str]:
    """Return the functions with bodies of more than 60 lines."""
    found = [(path, name, size) for path in sources(root).values() for name, size in function_sizes(path)]
    return [f"{p.relative_to(root)}: {name} has {size} lines" for p, name, size in found if size > FUNCTION_LINES]


def function_sizes(path: Path) -> Iterator[tuple[str, int]]:
    """Yield name and body lines, less the docstring, of each function in a file."""
    for node in ast.walk(parse(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def median_function(root: Path, package: str) -> float:
    """Return the median of the body lines of one package's functions."""
    return statistics.median(size for path in sources(root, package).values() for _, size in function_sizes(path))


def empty_names(root: Path) -> list[str]:
    """Return the modules and packages named after nothing that they own."""
    parts = {name: set(name.replace(".", "_").split("_")) for name in sources(root)}
    return sorted(name for name, words in parts.items() if words & NAMES_OF_NOTHING)


def _plant(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return root


def test_no_file_is_long() -> None:
    assert long_files(ROOT) == []


def test_no_function_is_long() -> None:
    assert long_functions(ROOT) == []


def test_no_module_is_named_after_nothing() -> None:
    assert empty_names(ROOT) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_most_functions_are_short(package: str) -> None:
    assert median_function(ROOT, package) < MEDIAN_LINES


@pytest.mark.parametrize("name", ["kernels/gemm.py", "tests/kernels/test_gemm.py", "examples/a.py", "benchmarks/a.py"])
@pytest.mark.parametrize(("lines", "caught"), [(400, 0), (401, 1)])
def test_a_long_file_is_caught(tmp_path: Path, name: str, lines: int, caught: int) -> None:
    assert len(long_files(_plant(tmp_path, name, "x = 1\n" * lines))) == caught


@pytest.mark.parametrize(("lines", "caught"), [(60, 0), (61, 1)])
def test_a_long_function_is_caught(tmp_path: Path, lines: int, caught: int) -> None:
    text = 'def f():\n    """Do nothing,\n\n    many times."""\n' + "    pass\n" * lines
    assert len(long_functions(_plant(tmp_path, "kernels/gemm.py", text))) == caught


def test_the_median_is_over_all_functions_of_a_package(tmp_path: Path) -> None:
    for lines in (1, 3, 30):
        _plant(tmp_path, f"sarray/f{lines}.py", "def f():\n" + "    pass\n" * lines)
    assert median_function(tmp_path, "sarray") == 3


@pytest.mark.parametrize("name", ["sarray/utils.py", "wukong_sched/helpers/a.py", "kernels/block_manager.py"])
def test_an_empty_name_is_caught(tmp_path: Path, name: str) -> None:
    assert len(empty_names(_plant(tmp_path, name, ""))) == 1
