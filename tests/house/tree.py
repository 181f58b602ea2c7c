"""The project's source as the house rules see it: files, parsed modules, and who imports whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kernels", "wukong_sched", "sarray")
AROUND = ("tests", "examples", "benchmarks")
"""Directories of what is no part of the packages."""


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module or name, `numpy.linalg` say, as it stands in one module."""

    importer: str
    target: str
    line: int
    lazy: bool
    typing_only: bool

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]


def sources(root: Path, *packages: str) -> dict[str, Path]:
    """Return {dotted module name: file} of the packages below root."""
    found = {}
    for package in packages or PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(root: Path, *packages: str) -> list[Import]:
    """Return every import of the packages below root, at whatever depth it stands."""
    modules = sources(root, *packages)
    known = set(sources(root))
    found: list[Import] = []
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node, lazy, typing_only in _import_nodes(parse(path)):
            found += [Import(name, t, node.lineno, lazy, typing_only) for t in _targets(node, package, known)]
    return found


def _import_nodes(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    pending: list[tuple[ast.AST, bool, bool]] = [(tree, False, False)]
    while pending:
        node, lazy, typing_only = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, lazy, typing_only
        lazy = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        guarded = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
        pending += [(child, lazy, typing_only or child in guarded) for child in ast.iter_child_nodes(node)]


def _targets(node: ast.Import | ast.ImportFrom, package: str, known: set[str]) -> list[str]:
    """`from a import b` names the module a.b where there is one, and a where b is something inside it."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]


def is_standard(name: str) -> bool:
    """Return whether a top-level name belongs to Python itself."""
    return name in sys.stdlib_module_names or name == "__future__"
