"""Which package and module may import which: read from the source, so that an import inside a function counts too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.house.tree import ROOT, Import, imports, is_standard

ALLOWED = {
    "kernels": {"kernels", "numpy", "scipy"},
    "wukong_sched": {"wukong_sched", "numpy"},
    "sarray": {"sarray", "kernels", "wukong_sched", "numpy"},
}
"""What each package may import anywhere in it, beside Python itself."""

CLIENTS = {
    "blosc": r"wukong_sched\.storage\.\w+",
    "xxhash": r"wukong_sched\.storage\.\w+",
    "cloudpickle": r"wukong_sched\.storage\.\w+",
    "threadpoolctl": r"wukong_sched\.drivers\.\w+|sarray\.session\w*",
    "tqdm": r"wukong_sched\.drivers\.\w+|sarray\.\w+",
    "redis": r"wukong_sched\.(storage|coordination|drivers)\.\w+",
    "boto3": r"wukong_sched\.(storage|coordination|drivers)\.\w+|sarray\.deploy\.\w+",
    "botocore": r"wukong_sched\.(storage|coordination|drivers)\.\w+|sarray\.deploy\.\w+",
    "h5py": r"sarray\.\w+",
    "zarr": r"sarray\.\w+",
    "dask": r"wukong_sched\.dask(\.\w+)*|sarray\.\w+(\.\w+)*",
    "joblib": r"wukong_sched\.joblib",
    "sklearn": r"sarray\.ml\.\w+",
    "matplotlib": r"sarray\.\w+",
}
"""Third parties with the modules that may name them: only lazily, at the moment when they are used."""

ONE_FILE = {"blosc", "xxhash", "cloudpickle", "threadpoolctl", "tqdm"}
"""Third parties that a single file owns."""

AT_HOME = {
    "sklearn": r"sarray\.ml(\.\w+)*",
    "dask": r"wukong_sched\.dask(\.\w+)*",
    "joblib": r"wukong_sched\.joblib",
}
"""Third parties that a subpackage may import at once, as it is itself imported only when it is used."""

PURE_CORE = re.compile(
    r"wukong_sched\.(program|recurrence\w*|explicit|messages|policy|executor_state|rule\w*|domain\w*)"
)
IMPURE = {"asyncio", "datetime", "os", "random", "secrets", "socket", "subprocess", "threading", "time", "uuid"}


def layer_violations(root: Path) -> list[str]:
    """Return the imports that go against the arrows, or name a third party that the importer may not know."""
    return [_story(i, "is not allowed here") for i in imports(root) if not (_is_layered(i) or _is_client(i))]


def _is_layered(found: Import) -> bool:
    return is_standard(found.top) or found.top in ALLOWED[found.importer.partition(".")[0]]


def _is_client(found: Import) -> bool:
    return found.top in CLIENTS and re.fullmatch(CLIENTS[found.top], found.importer) is not None


def eager_client_violations(root: Path) -> list[str]:
    """Return third parties imported as soon as the module that names them is."""
    found = [i for i in imports(root) if i.top in CLIENTS and not (i.lazy or i.typing_only or _is_at_home(i))]
    return [_story(i, "must be imported where it is used") for i in found]


def _is_at_home(found: Import) -> bool:
    return re.fullmatch(AT_HOME.get(found.top, ""), found.importer) is not None


def shared_client_violations(root: Path) -> list[str]:
    """Return third parties that more than one file knows, where one should."""
    owners: dict[str, set[str]] = {name: set() for name in ONE_FILE}
    for found in imports(root):
        if found.top in ONE_FILE and not found.typing_only:
            owners[found.top].add(found.importer)
    return [f"{name} is imported by {sorted(files)}" for name, files in owners.items() if len(files) > 1]


def circles(root: Path) -> list[str]:
    """Return one circle through each module that can come back to itself by imports, lazy ones included."""
    graph: dict[str, set[str]] = {}
    for found in imports(root):
        if not found.typing_only and found.target != found.importer:
            graph.setdefault(found.importer, set()).add(found.target)
    return sorted({" -> ".join(sorted(_component(graph, name))) for name in graph if name in _reach(graph, name)})


def _reach(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    pending = list(graph.get(start, ()))
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(graph.get(name, ()))
    return seen


def _component(graph: dict[str, set[str]], name: str) -> set[str]:
    return {other for other in _reach(graph, name) if name in _reach(graph, other)}


def explicit_violations(root: Path) -> list[str]:
    """Return lowerings that know the explicit form of programs."""
    found = [i for i in imports(root, "sarray") if i.importer.startswith("sarray.lowering")]
    return [_story(i, "lowerings are implicit") for i in found if i.target.startswith("wukong_sched.explicit")]


def impure_core_violations(root: Path) -> list[str]:
    """Return clocks, networks and dice within reach of the scheduler's core, through whatever it imports."""
    known = [i for i in imports(root, "wukong_sched") if not i.typing_only]
    graph: dict[str, set[str]] = {}
    for found in known:
        graph.setdefault(found.importer, set()).add(found.target)
    cores = {i.importer for i in known if PURE_CORE.fullmatch(i.importer)}
    reached = cores.union(*(_reach(graph, core) for core in cores))
    return [_story(i, "has no place in the core") for i in known if i.importer in reached and _is_impure(i)]


def _is_impure(found: Import) -> bool:
    return found.top in IMPURE or found.target.startswith("numpy.random")


def _story(found: Import, why: str) -> str:
    return f"{found.importer}:{found.line} imports {found.target}: {why}"


CHECKS: dict[str, tuple[Callable[[Path], list[str]], dict[str, str]]] = {
    "scheduler knows kernels": (layer_violations, {"wukong_sched/policy.py": "import kernels.gemm"}),
    "kernels know arrays": (layer_violations, {"kernels/gemm.py": "from sarray import grid"}),
    "kernels import a third party": (layer_violations, {"kernels/gemm.py": "def f():\n    import pandas"}),
    "a client in the wrong file": (layer_violations, {"wukong_sched/policy.py": "def f():\n    import redis"}),
    "an eager client": (eager_client_violations, {"wukong_sched/storage/s3.py": "import boto3"}),
    "a client in two files": (
        shared_client_violations,
        {f"wukong_sched/storage/{name}.py": "def f():\n    import blosc" for name in ("codec", "memory")},
    ),
    "two modules in a circle": (circles, {"sarray/a.py": "from sarray import b", "sarray/b.py": "import sarray.a"}),
    "a lazy circle of three": (
        circles,
        {
            "sarray/a.py": "from sarray import b",
            "sarray/b.py": "from .c import name",
            "sarray/c.py": "def f():\n    from . import a",
        },
    ),
    "a lowering knows explicit": (
        explicit_violations,
        {"sarray/lowering/qr.py": "from wukong_sched import explicit", "wukong_sched/explicit.py": ""},
    ),
    "the core reads a clock": (impure_core_violations, {"wukong_sched/policy.py": "from time import monotonic"}),
    "the core draws numbers": (impure_core_violations, {"wukong_sched/program.py": "import numpy.random"}),
    "the core reaches a clock": (
        impure_core_violations,
        {"wukong_sched/policy.py": "from wukong_sched import trace", "wukong_sched/trace.py": "import time"},
    ),
}
"""Each rule with a small tree that breaks it."""


def _plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize("check", sorted({check for check, _ in CHECKS.values()}, key=lambda c: c.__name__))
def test_the_source_keeps_the_rule(check: Callable[[Path], list[str]]) -> None:
    assert check(ROOT) == []


@pytest.mark.parametrize(("check", "files"), CHECKS.values(), ids=CHECKS)
def test_a_tree_that_breaks_the_rule_is_caught(
    tmp_path: Path, check: Callable[[Path], list[str]], files: dict[str, str]
) -> None:
    _plant(tmp_path, files)
    assert len(check(tmp_path)) == 1


def test_what_is_allowed_passes_every_rule(tmp_path: Path) -> None:
    _plant(
        tmp_path,
        {
            "sarray/array.py": "from kernels import gemm\nfrom wukong_sched.program import Program\nimport math",
            "kernels/gemm.py": "import numpy as np\ndef f():\n    import scipy.linalg",
            "wukong_sched/program.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import time",
            "wukong_sched/storage/codec.py": "def f():\n    import blosc",
            "wukong_sched/drivers/threads.py": "import time\nfrom wukong_sched.program import Program",
        },
    )
    checks: Iterable[Callable[[Path], list[str]]] = {check for check, _ in CHECKS.values()}
    assert [story for check in checks for story in check(tmp_path)] == []
