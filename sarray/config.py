"""Settings: where each one comes from, and what it may be.

A setting is looked up in this order: an argument of the call, the innermost ``with sa.config(...)``, the environment
(``SARRAY_WORKERS``), ``./sarray.toml``, ``~/.config/sarray/config.toml``, the default below. A context manager holds
for the thread (or asyncio task) that entered it; what `everywhere` says, as a `sarray.cluster.Client` does, holds for
all of them. Of those that hold at once the one that came last counts.

Settings of one kind have a section: ``functions.memory`` is ``memory`` below ``[functions]`` in TOML,
``SARRAY_FUNCTIONS_MEMORY`` in the environment, and in Python ``sa.config({"functions.memory": "1GiB"})`` or
``sa.config(functions_memory="1GiB")``. What is secret is shown nowhere.
"""

from __future__ import annotations

import difflib
import itertools
import operator
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from functools import cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from sarray.sizes import parse_bytes

PREFIX = "SARRAY_"
SWITCHES = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with their defaults."""

    workers: int | None = None
    """Tasks that run at once; None: as many as this process may use processors."""
    memory_limit: int | None = None
    """Bytes that the blocks of a computation may take (``"4GiB"``); None: half of the machine's memory is assumed
    when plans are made, and nothing is spilled to disk."""
    chunk_bytes: int = 32 * 2**20
    """Bytes of a chunk where ``chunks="auto"``."""
    executor: str = "threads"
    """Who runs the tasks: a name from `sarray.executors.EXECUTORS`."""
    policy: str = "cost"
    """Who decides where tasks run: "cost" weighs their time against that of moving data, "wukong" has the rules of the
    Wukong paper; a name from `sarray.policies.POLICIES`."""
    progress: bool | None = None
    """Whether to show a progress bar; None: in a terminal or a notebook."""
    progress_delay: float = 1.0
    """Seconds before a progress bar appears."""
    split_every: int = 8
    """Blocks that one task of a tree reduction combines."""
    functions_concurrency: int | None = None
    """Functions on this machine that run at once, at most 256; None: as many as `workers`, if these are not more."""
    functions_memory: int = 2 * 2**30
    """Bytes of one function; those of AWS are taken to have as many."""
    functions_timeout: float = 900.0
    """Seconds of one invocation, at least 1."""
    functions_shape: str = ""
    """Network between functions: a name from `wukong_sched.links.SHAPES`; empty: as fast as this machine is."""
    functions_home: str = ""
    """Directory in which functions are found by other processes, and outlive this one; empty: they end with it."""
    functions_linger: float = 600.0
    """Seconds without work, at least 1, after which functions with a home end, and what they store is gone."""
    aws_function: str = "sarray"
    """Name of the Lambda function."""
    aws_environment: str = ""
    """File that ``python -m sarray.deploy environment`` wrote: addresses, key and core type of the function in one;
    settings below that are given come before it."""
    aws_redis: str = field(default="", repr=False)
    """``rediss://user:password@host:port`` of the cache, as this process and the function reach it."""
    aws_bucket: str = ""
    """The bucket for tiles and programs."""
    aws_key: str = field(default="", repr=False)
    """The key, in hexadecimal digits, that programs are signed with; the one in the function's environment."""
    aws_concurrency: int = 1000
    """Invocations at once that the account, or the function, allows."""
    aws_core_type: str = ""
    """OPENBLAS_CORETYPE of the function; a function that computes otherwise refuses the job. Empty: any will do."""


def _switch(text: object) -> bool:
    found = SWITCHES.get(str(text).strip().lower())
    if found is None:
        raise ValueError(f"expected one of {sorted(SWITCHES)}")
    return found


def _above(least: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        number = _whole(value)
        if number < least:
            raise ValueError(f"must be at least {least}")
        return number

    return parse


def _functions(value: Any) -> int:
    number = _above(1)(value)
    if number > MOST_FUNCTIONS:
        raise ValueError(f"must be at most {MOST_FUNCTIONS}, as each is a process of this machine")
    return number


def _whole(value: Any) -> int:
    read: Callable[[Any], int] = int if isinstance(value, str) else operator.index
    refused = ValueError("must be a whole number, in digits")
    if isinstance(value, bool):
        raise refused
    try:
        return read(value)
    except (ValueError, TypeError):
        raise refused from None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (ValueError, TypeError):
        raise ValueError("must be a number of seconds") from None


def _bytes(value: Any) -> int:
    return _above(1)(parse_bytes(value))


def _seconds(value: Any) -> float:
    seconds = _number(value)
    if not seconds >= 0:
        raise ValueError("must not be negative")
    return seconds


def _limit(value: Any) -> float:
    seconds = _number(value)
    if not 1 <= seconds <= LONGEST_TIMEOUT:
        raise ValueError("must be from 1 second to a week (604800), and many times as long as a task takes")
    return seconds


def _linger(value: Any) -> float:
    seconds = _number(value)
    if not seconds >= 1:
        raise ValueError("must be at least 1 second, in which whoever started the functions can reach them")
    return seconds


def _shape(value: Any) -> str:
    from wukong_sched.links import shape

    shape(str(value))
    return str(value)


def _name(kind: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        name, known = str(value), NAMES[kind]
        if name not in known:
            raise ValueError(f"there is no {kind} {name!r}{_nearest(name, known)}; known: {', '.join(known)}")
        return name

    return parse


def _memory(value: Any) -> int:
    nbytes = parse_bytes(value)
    if nbytes < LEAST_MEMORY:
        raise ValueError("a function has at least '128MiB'")
    return nbytes


def _key(value: Any) -> str:
    bytes.fromhex(str(value))
    return str(value)


KEYS: Mapping[str, Callable[[Any], Any]] = {
    "workers": _above(1),
    "memory_limit": _bytes,
    "chunk_bytes": _bytes,
    "executor": _name("executor"),
    "progress": _switch,
    "progress_delay": _seconds,
    "policy": _name("policy"),
    "split_every": _above(2),
    "functions_concurrency": _functions,
    "functions_memory": _memory,
    "functions_timeout": _limit,
    "functions_shape": _shape,
    "functions_home": str,
    "functions_linger": _linger,
    "aws_function": str,
    "aws_environment": str,
    "aws_redis": str,
    "aws_bucket": str,
    "aws_key": _key,
    "aws_concurrency": _above(1),
    "aws_core_type": str,
}
"""What reads each setting from text or a value."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "executor": ("threads", "serial", "functions", "numpywren", "pywren", "aws"),
    "policy": ("cost", "wukong"),
}
"""What is known by name: the keys of `sarray.executors.EXECUTORS` and `sarray.policies.POLICIES`, which read settings
themselves, so that this module cannot look there."""

VARIABLES = {key: PREFIX + key.upper() for key in KEYS}
"""The environment variable of each setting."""

OTHER_VARIABLES = {"SARRAY_INVOKER", "SARRAY_LOG", "SARRAY_SEED", "SARRAY_HYPOTHESIS_PROFILE"}
"""Variables that are no settings: two of functions, two of this project's tests."""
OPTIONAL = {"workers", "memory_limit", "progress", "functions_concurrency"}
"""Settings that may be None."""
SECRET = {"aws_redis", "aws_key"}
"""Settings whose values are shown nowhere."""
SECTIONS = ("functions", "aws")
"""First words of settings that are tables in TOML."""
LEAST_MEMORY = 128 * 2**20
"""Bytes of the smallest function."""
MOST_FUNCTIONS = 256
"""Functions of one machine: their service has three files open for each, of 1,024 that systems usually allow."""
LONGEST_TIMEOUT = 7 * 86400.0
"""Seconds; a job's records are kept as long, and clocks take any such number."""

Layer = tuple[int, Mapping[str, Any]]
"""Settings that came as the so-manieth."""

_numbers = itertools.count()
_overrides: ContextVar[tuple[Layer, ...]] = ContextVar("sarray.config", default=())
_everywhere: dict[int, Mapping[str, Any]] = {}


def settings() -> Settings:
    """The settings that hold here and now.

    >>> import sarray as sa
    >>> with sa.config(split_every=4):
    ...     sa.settings().split_every
    4
    """
    layers = sorted((*_overrides.get(), *_everywhere.copy().items()), key=itemgetter(0))
    overrides = {key: value for _, values in layers for key, value in values.items()}
    return replace(_outside(), **overrides) if overrides else _outside()


@contextmanager
def everywhere(**values: Any) -> Iterator[Settings]:
    """Settings for all threads of this process, while the block lasts; which may end in any thread, and in any order.

    >>> with everywhere(split_every=4):
    ...     settings().split_every
    4
    """
    number, found = next(_numbers), checked(values, "everywhere")
    _everywhere[number] = found
    try:
        yield settings()
    finally:
        del _everywhere[number]


class config:
    """``with sa.config(workers=2, memory_limit="4GiB"):`` settings for a block of code.

    Names with dots come in a mapping: ``sa.config({"functions.shape": "aws"})``.

    Raises ValueError for a value that a setting cannot have, and TypeError for an unknown setting, naming those known.
    """

    def __init__(self, given: Mapping[str, Any] = MappingProxyType({}), /, **values: Any) -> None:
        self._values = checked({**_flat(given), **values}, "sa.config")
        self._tokens: list[Token[tuple[Layer, ...]]] = []

    def __enter__(self) -> Settings:
        self._tokens.append(_overrides.set((*_overrides.get(), (next(_numbers), self._values))))
        return settings()

    def __exit__(self, *exception: object) -> None:
        _overrides.reset(self._tokens.pop())


def checked(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The values, read; `origin` is named if one is wrong."""
    return {key: _checked(key, value, origin) for key, value in values.items()}


def _checked(key: str, value: Any, origin: str) -> Any:
    if key not in KEYS:
        raise TypeError(f"{origin}: there is no setting {key!r}{_nearest(key, KEYS)}; known: {', '.join(KEYS)}")
    if value is None and key in OPTIONAL:
        return None
    try:
        return KEYS[key](value)
    except (ValueError, TypeError) as error:
        if key in SECRET:
            raise ValueError(f"{origin}: {key} cannot be what was given; it is not shown, as it is secret") from None
        raise ValueError(f"{origin}: {key}={value!r} is not possible: {error}") from error


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """``{"functions": {"memory": 1}}`` and ``{"functions.memory": 1}`` as ``{"functions_memory": 1}``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in SECTIONS and isinstance(value, Mapping):
            found.update((f"{key}_{name}", each) for name, each in value.items())
        else:
            found[key.replace(".", "_") if key.partition(".")[0] in SECTIONS else key] = value
    return found


def _nearest(key: str, known: Iterable[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(key, list(known), 1)
    return f" (did you mean {prefix + close[0]!r}?)" if close else ""


def _outside() -> Settings:
    """Settings from files and the environment."""
    variables = tuple((key, os.environ[name]) for key, name in VARIABLES.items() if name in os.environ)
    _refuse_misspelt(name for name in os.environ if name.startswith(PREFIX))
    return _merged(tuple(_stamp(path) for path in _files()), variables)


def _refuse_misspelt(names: Iterable[str]) -> None:
    """TypeError for a variable that is named like a setting, and is none."""
    for name in sorted(set(names).difference(VARIABLES.values(), OTHER_VARIABLES)):
        near = _nearest(name.removeprefix(PREFIX), [key.upper() for key in KEYS], PREFIX)
        known = near or f"; known: {', '.join(VARIABLES.values())}"
        raise TypeError(f"environment variable {name}: there is no such setting{known}")


def _files() -> tuple[str, ...]:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    own = os.path.join(home, "sarray", "config.toml")
    try:
        return own, os.path.join(os.getcwd(), "sarray.toml")
    except FileNotFoundError:  # somebody removed the current directory
        return (own,)


def _stamp(path: str) -> tuple[str, int, int] | None:
    """The file's name, time and size, which change when it does; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return path, status.st_mtime_ns, status.st_size


@cache
def _merged(files: tuple[tuple[str, int, int] | None, ...], variables: tuple[tuple[str, str], ...]) -> Settings:
    values: dict[str, Any] = {}
    for stamp in files:
        if stamp is not None:
            values |= _read(stamp[0])
    for key, text in variables:
        values |= checked({key: text}, f"environment variable {VARIABLES[key]}")
    return replace(Settings(), **values)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    return checked(_flat(found), path)
