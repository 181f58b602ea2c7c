"""Public names exist and say what they are."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOT, parse, sources

Public = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def undocumented(root: Path, *packages: str) -> list[str]:
    """Return the public modules, and the public classes and functions in them, that have no docstring."""
    found = []
    for module, path in sources(root, *packages).items():
        tree = parse(path)
        nodes: list[tuple[str, ast.Module | Public]] = [(module, tree)]
        nodes += [(f"{module}.{n.name}", n) for n in tree.body if isinstance(n, Public) and n.name[0] != "_"]
        found += [name for name, node in nodes if not (ast.get_docstring(node) or "").strip()]
    return found


def unresolved(names: list[str], owner: object) -> list[str]:
    """Return the names that their owner promises and does not have."""
    return [name for name in names if not hasattr(owner, name)]


def silent(names: list[str], owner: object) -> list[str]:
    """Return the functions and classes among an owner's names that have no docstring."""
    things = {name: getattr(owner, name, None) for name in names}
    return [n for n, t in things.items() if (inspect.isclass(t) or callable(t)) and not (t.__doc__ or "").strip()]


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_in_the_source_say_what_they_are(package: str) -> None:
    assert undocumented(ROOT, package) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_what_it_promises(package: str) -> None:
    module = importlib.import_module(package)
    names = list(getattr(module, "__all__", []))
    assert unresolved(names, module) == []
    assert silent(names, module) == []


def test_the_face_promises_names() -> None:
    names = importlib.import_module("sarray").__all__
    assert len(names) == len(set(names)) > 20


def test_a_name_without_a_docstring_is_caught(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    text = '"""A module."""\n\ndef gemm(): pass\n\ndef _own(): pass\n\nclass Cost:\n    """What it costs."""\n'
    (tmp_path / "kernels" / "gemm.py").write_text(text, encoding="utf-8")
    (tmp_path / "kernels" / "bare.py").write_text("", encoding="utf-8")
    assert undocumented(tmp_path, "kernels") == ["kernels.bare", "kernels.gemm.gemm"]


def test_a_broken_promise_is_caught() -> None:
    assert unresolved(["abc", "Path"], importlib.import_module("pathlib")) == ["abc"]
    assert silent(["f", "Path"], type("owner", (), {"f": staticmethod(lambda: None), "Path": Path})) == ["f"]
