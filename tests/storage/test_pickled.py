"""Modules of a user's own in other processes: everything of one module is of the same module there."""

from __future__ import annotations

import fnmatch
import functools
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from wukong_sched.storage import pickled

LOCKED = "import threading\nLOCK = threading.Lock()\n"
OWN = """
import enum, dataclasses
FACTOR = 2
NOTHING = object()
class Color(enum.Enum):
    RED = 1
class Error(Exception):
    pass
@dataclasses.dataclass
class Point:
    x: int = 0
def nothing():
    return NOTHING
def scaled(x):
    return FACTOR * x
def fails(x):
    raise Error(x)
"""
SAME = """
import own
from wukong_sched.delayed import delayed
from wukong_sched.futures import FunctionExecutor

def same(point, color, fails):
    import own as again
    try:
        fails(1)
    except own.Error:
        caught = True
    except Exception:
        caught = False
    return isinstance(point, own.Point), color is own.Color.RED, isinstance(point, again.Point), caught

if __name__ == "__main__":
    given = own.Point(3), own.Color.RED, own.fails
    with FunctionExecutor("functions", workers=1) as executor:
        print(executor.submit(same, *given).result())
        print(executor.submit(lambda found: found() is own.NOTHING, own.nothing).result())
    print(delayed(same)(*given).compute(executor="functions", workers=1))
"""
EDITED = """
import importlib, sys
from pathlib import Path
import own
from wukong_sched.futures import FunctionExecutor

if __name__ == "__main__":
    with FunctionExecutor("functions", workers=1) as executor:
        print(executor.submit(own.scaled, 10).result())
        file = Path(own.__file__)
        file.write_text(file.read_text().replace("FACTOR = 2", "FACTOR = 300"))
        print(executor.submit(own.scaled, 10).result(), own.scaled(10))
        importlib.reload(own)
        print(executor.submit(own.scaled, 10).result())
"""
LATER = """
import sys
from pathlib import Path
from wukong_sched.futures import FunctionExecutor

if __name__ == "__main__":
    with FunctionExecutor("functions", workers=1) as executor:
        print(executor.submit(abs, -1).result())
        sys.path.insert(0, str(Path(__file__).parent / "later"))
        import own
        import beside
        print(executor.submit(own.scaled, 10).result(), executor.submit(beside.twice, 10).result())
"""
CACHED = """
import functools
import own
from wukong_sched.futures import FunctionExecutor

@functools.lru_cache(maxsize=7, typed=True)
def cached(x):
    return x + 1

@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

class Kind:
    @functools.lru_cache
    def method(self, x):
        return x + 2
    @staticmethod
    @functools.cache
    def static(x):
        return x + 3

def uses(x):
    return cached(x), cached(x), cached.cache_info().hits, cached.cache_parameters()

if __name__ == "__main__":
    with FunctionExecutor("functions", workers=1) as executor:
        print(executor.submit(cached, 1).result(), executor.submit(uses, 1).result())
        print(executor.submit(fibonacci, 90).result())
        print(executor.submit(Kind().method, 1).result(), executor.submit(Kind.static, 1).result())
        print(executor.submit(functools.cache(lambda x: x + 4), 1).result(), executor.submit(own.kept, 1).result())
"""
KEPT = "import functools\nTHREE = 3\n@functools.cache\ndef kept(x):\n    return x + THREE\n"


def printed(directory: Path, script: str) -> list[str]:
    """The lines that a script in this directory prints."""
    (directory / "script.py").write_text(script)
    found = subprocess.run(
        [sys.executable, str(directory / "script.py")], capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


@pytest.mark.parametrize("head", ["", LOCKED])
def test_classes_and_singletons_of_a_neighbour_are_the_same_everywhere(tmp_path: Path, head: str) -> None:
    (tmp_path / "own.py").write_text(head + OWN)
    assert printed(tmp_path, SAME) == ["(True, True, True, True)", "True", "(True, True, True, True)"]


def test_functions_call_what_this_process_has_though_its_file_was_edited(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    assert printed(tmp_path, EDITED) == ["20", "20 20", "3000"]


def test_modules_travel_from_where_functions_do_not_look(tmp_path: Path) -> None:
    """`beside` would be found by its name, and would not find `own` there."""
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "own.py").write_text(OWN)
    (tmp_path / "beside.py").write_text("import own\ndef twice(x):\n    return 2 * own.scaled(x)\n")
    assert printed(tmp_path, LATER) == ["1", "20 40"]


def test_edited_modules_that_cannot_travel_are_the_same_everywhere(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LOCKED + OWN)
    script = SAME.replace("import own\n", "import own, os, time\nos.utime(own.__file__, (time.time() + 9,) * 2)\n", 1)
    script = script.replace("print(executor", "print(executor.submit(own.fails, 1).exception(), executor", 1)
    lines = printed(tmp_path, script.replace("import own as again", "again = own"))
    assert lines == ["1 (True, True, True, True)", "True", "(True, True, True, True)"]


@pytest.mark.parametrize("is_found", [True, False])
def test_functions_with_a_cache_travel(tmp_path: Path, is_found: bool) -> None:
    place = tmp_path if is_found else tmp_path / "later"
    place.mkdir(exist_ok=True)
    (place / "own.py").write_text(KEPT)
    later = "import sys, pathlib\nimport wukong_sched.storage.pickled\n"
    later += "sys.path.append(str(pathlib.Path(__file__).parent / 'later'))\n"
    lines = printed(tmp_path, later + CACHED)
    assert lines == ["2 (2, 2, 1, {'maxsize': 7, 'typed': True})", "2880067194370816120", "3 4", "5 4"]


def test_functions_with_a_cache_that_can_be_imported_are_the_same_where_they_are_loaded() -> None:
    function = fnmatch._compile_pattern  # type: ignore[attr-defined]
    assert pickled.loads(pickled.dumps(function)) is function


def doubled(function: Any) -> Any:
    """Twice what a function returns, with a cache that `functools.wraps` says to be of the function."""

    @functools.wraps(function)
    @functools.lru_cache(maxsize=5)
    def inner(x: int) -> int:
        return 2 * int(function(x))

    return inner


def test_what_a_cache_calls_travels_and_not_what_it_is_said_to_wrap() -> None:
    function = doubled(lambda x: x + 1)
    function.path = "here"
    found = pickled.loads(pickled.dumps(function))
    assert (found(3), found.__wrapped__(3), found.path, found.cache_parameters()["maxsize"]) == (8, 4, "here", 5)


def test_functions_with_a_cache_need_no_name() -> None:
    found = pickled.loads(pickled.dumps(cache(partial(pow, 2))))
    assert (found(3), found(3), found.cache_info().hits) == (8, 8, 1)


def test_a_function_with_a_cache_calls_itself_where_it_is_loaded() -> None:
    @cache
    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    found = pickled.loads(pickled.dumps(factorial))
    assert (found(5), found.cache_info().currsize, factorial.cache_info().currsize) == (120, 6, 0)
    assert found.__wrapped__.__closure__[0].cell_contents is found
