"""Any Python object as bytes, by cloudpickle: functions of notebooks and scripts, closures and lambdas included.

What is defined in a module is pickled as a name, which whoever loads it must be able to import. Modules that are not
installed, a user's own, travel by value instead if that is asked for: whoever loads them needs no file of theirs.
"""

from __future__ import annotations

import contextlib
import sys
import sysconfig
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

OWN = ("sarray", "kernels", "wukong_sched")
"""Packages that are wherever programs are loaded, installed or not."""
_registering = threading.RLock()


def dumps(value: Any) -> bytes:
    """The object, pickled; raises whatever its own pickling raises."""
    import cloudpickle  # type: ignore[import-untyped]

    data: bytes = cloudpickle.dumps(value, protocol=5)
    return data


def loads(data: Any) -> Any:
    """What `dumps` wrote."""
    import cloudpickle

    return cloudpickle.loads(data)


def dumps_by_value(value: Any) -> bytes:
    """The object, pickled as within `own_modules_by_value`; by name, if that cannot be pickled.

    >>> with own_modules_by_value():
    ...     loads(dumps_by_value(lambda x: x + 1))(1)
    2
    """
    try:
        return dumps(value)
    except Exception:  # a module's lock or open file, say: whoever loads it may be able to import the module
        with _registered(own_modules(), register=False):
            return dumps(value)


def own_modules_by_value() -> contextlib.AbstractContextManager[None]:
    """Within it, what is pickled takes along what it uses of modules that are not installed."""
    return _registered(own_modules(), register=True)


def own_modules() -> list[ModuleType]:
    """The loaded modules that are neither installed, nor Python's own, nor of this project."""
    places = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    found = []
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or name.partition(".")[0] in (*OWN, "__main__"):
            continue
        named, file = (vars(module).get(key) for key in ("__name__", "__file__"))
        if named == name and file and not file.startswith(places) and "-packages" not in file:
            found.append(module)
    return found


@contextlib.contextmanager
def _registered(modules: list[ModuleType], *, register: bool) -> Iterator[None]:
    """Let these modules travel by value, or by name, and then as before."""
    import cloudpickle

    switches = cloudpickle.register_pickle_by_value, cloudpickle.unregister_pickle_by_value
    there, back = switches if register else switches[::-1]
    with _registering:
        before = cloudpickle.list_registry_pickle_by_value()
        changed = [module for module in modules if (module.__name__ in before) is not register]
        try:
            for module in changed:
                there(module)
            yield
        finally:
            for module in changed:
                back(module)
