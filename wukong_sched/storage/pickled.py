"""Any Python object as bytes, by cloudpickle: functions of notebooks and scripts, closures and lambdas included.

What is defined in a module is pickled as a name, which whoever loads it must be able to import; what is defined in
``__main__``, by value. Modules that are not installed, a user's own, go one way or the other all together, so that no
process ever has two classes of the same name:

1. Where none of the user's files are, in a cloud, by value.
2. Functions of this machine look for modules where this process did when it imported this file. If they find every one
   of the user's loaded modules there, and no file was changed since, then by name: a module is then one module for all,
   with its singletons, locks and state, and for whatever imports it over there.
3. Otherwise by value: they run what this process has, whatever they loaded before. What changed in a module's file, or
   was imported from elsewhere since, is thus seen.
4. Something that cannot be pickled by value, a module's lock, say, but can by name, settles it for this process: from
   then on, modules that functions find go by name, and only the others by value.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import operator
import os
import pickle
import sys
import sysconfig
import threading
import time
from collections import ChainMap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ClassVar

OWN = ("sarray", "kernels", "wukong_sched")
"""Packages that are wherever programs are loaded, installed or not."""
_BEGAN = time.time()


def import_path() -> tuple[str, ...]:
    """Where this process looks for modules, which is not in its current directory if somebody removed that."""
    found = []
    for entry in sys.path:
        with contextlib.suppress(FileNotFoundError):
            found.append(os.path.abspath(entry or os.curdir))
    return tuple(dict.fromkeys(found))


_PATH = import_path()
"""Where functions of this machine look at least, since they start later."""
_registering = threading.RLock()
_by_name = threading.Event()
"""Set when something could be pickled by name only."""


def dumps(value: Any) -> bytes:
    """The object, pickled; raises whatever its own pickling raises."""
    with io.BytesIO() as file:
        _pickler()(file, protocol=5).dump(value)
        return file.getvalue()


@functools.cache
def _pickler() -> Any:
    """cloudpickle's, for which a function with a cache is a name, whether or not anything is found by that."""
    import cloudpickle  # type: ignore[import-untyped]

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        kinds, *others = cloudpickle.Pickler.dispatch_table.maps
        dispatch_table: ClassVar = ChainMap({**kinds, functools._lru_cache_wrapper: _reduced}, *others)

    return Pickler


def _reduced(function: functools._lru_cache_wrapper[Any]) -> str | tuple[Any, ...]:
    """How a function with a cache is pickled: by name, as any other, or by value, which is with an empty cache."""
    import cloudpickle

    module, by_value = function.__module__, {"__main__", *cloudpickle.list_registry_pickle_by_value()}
    with contextlib.suppress(AttributeError):  # it has no name, or one within another function
        name = function.__qualname__
        if module not in by_value and operator.attrgetter(name)(sys.modules.get(module)) is function:
            return name
    parameters = function.cache_parameters()
    return _with_cache, (_cached(function), parameters["maxsize"], parameters["typed"]), vars(function)


def _cached(function: functools._lru_cache_wrapper[Any]) -> Callable[..., Any]:
    """What it calls: that which it is said to wrap, unless `functools.wraps` has said something else since."""
    held = gc.get_referents(function)
    if any(each is function.__wrapped__ for each in held):
        return function.__wrapped__
    called = [each for each in held if callable(each) and not isinstance(each, type)]
    if len(called) != 1:
        raise pickle.PicklingError(f"{function!r}: nobody can say what it calls; let it wrap a function")
    found: Callable[..., Any] = called[0]
    return found


def _with_cache(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Callable[..., Any]:
    return functools.lru_cache(maxsize, typed)(function)


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
    if not _by_name.is_set():
        with contextlib.suppress(Exception, SystemExit):  # a module's lock or open file, say, which by name may do
            return dumps(value)
    with _registered(_needlessly_by_value(), register=False) as changed:
        data = dumps(value)
    if changed:
        _by_name.set()
    return data


def own_modules_by_value(*, anywhere: bool = False) -> contextlib.AbstractContextManager[object]:
    """Within it, what is pickled takes along what it uses of modules that functions of this machine do not find.

    With `anywhere`, of all modules that are not installed.
    """
    own = own_modules()
    if not anywhere and (_by_name.is_set() or all(is_found(module) and not _is_edited(module) for module in own)):
        own = [module for module in own if not is_found(module)]
    return _registered(own, register=True)


def is_found(module: ModuleType) -> bool:
    """Whether functions of this machine import the same file by this module's name."""
    place, _, name = str(module.__file__).rpartition(os.sep)
    stem = os.path.join(place, name.partition(".")[0])
    parts = module.__name__.split(".")
    return any(stem in (os.path.join(entry, *parts), os.path.join(entry, *parts, "__init__")) for entry in _PATH)


def _is_edited(module: ModuleType) -> bool:
    """Whether the file may not be what was imported."""
    try:
        return os.stat(str(module.__file__)).st_mtime >= _BEGAN
    except OSError:
        return True


def _needlessly_by_value() -> list[ModuleType]:
    import cloudpickle

    registered = cloudpickle.list_registry_pickle_by_value()
    return [module for module in own_modules() if module.__name__ in registered and is_found(module)]


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
def _registered(modules: list[ModuleType], *, register: bool) -> Iterator[list[ModuleType]]:
    """Let these modules travel by value, or by name, and then as before; gives those that this changes."""
    import cloudpickle

    switches = cloudpickle.register_pickle_by_value, cloudpickle.unregister_pickle_by_value
    there, back = switches if register else switches[::-1]
    with _registering:
        before = cloudpickle.list_registry_pickle_by_value()
        changed = [module for module in modules if (module.__name__ in before) is not register]
        try:
            for module in changed:
                there(module)
            yield changed
        finally:
            for module in changed:
                back(module)
