"""Settings: where each one comes from, and what it may be.

A setting is looked up in this order: an argument of the call, the innermost ``with sa.config(...)``, the environment
(``SARRAY_WORKERS``), ``./sarray.toml``, ``~/.config/sarray/config.toml``, the default below. A context manager holds
for the thread (or asyncio task) that entered it.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from functools import cache
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
    """Who runs the tasks: a name from `sarray.session.EXECUTORS`."""
    progress: bool | None = None
    """Whether to show a progress bar; None: in a terminal or a notebook."""
    progress_delay: float = 1.0
    """Seconds before a progress bar appears."""
    split_every: int = 8
    """Blocks that one task of a tree reduction combines."""


def _switch(text: object) -> bool:
    found = SWITCHES.get(str(text).strip().lower())
    if found is None:
        raise ValueError(f"expected one of {sorted(SWITCHES)}")
    return found


def _above(least: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        number = int(value)
        if number < least:
            raise ValueError(f"must be at least {least}")
        return number

    return parse


def _bytes(value: Any) -> int:
    return _above(1)(parse_bytes(value))


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not seconds >= 0:
        raise ValueError("must not be negative")
    return seconds


KEYS: Mapping[str, Callable[[Any], Any]] = {
    "workers": _above(1),
    "memory_limit": _bytes,
    "chunk_bytes": _bytes,
    "executor": str,
    "progress": _switch,
    "progress_delay": _seconds,
    "split_every": _above(2),
}
"""What reads each setting from text or a value."""

VARIABLES = {key: PREFIX + key.upper() for key in KEYS}
"""The environment variable of each setting."""

OPTIONAL = {"workers", "memory_limit", "progress"}
"""Settings that may be None."""

_overrides: ContextVar[Mapping[str, Any]] = ContextVar("sarray.config", default=MappingProxyType({}))


def settings() -> Settings:
    """The settings that hold here and now.

    >>> import sarray as sa
    >>> with sa.config(split_every=4):
    ...     sa.settings().split_every
    4
    """
    overrides = _overrides.get()
    return replace(_outside(), **overrides) if overrides else _outside()


class config:
    """``with sa.config(workers=2, memory_limit="4GiB"):`` settings for a block of code.

    Raises ValueError for a value that a setting cannot have, and TypeError for an unknown setting, naming those known.
    """

    def __init__(self, **values: Any) -> None:
        self._values = checked(values, "sa.config")
        self._tokens: list[Token[Mapping[str, Any]]] = []

    def __enter__(self) -> Settings:
        self._tokens.append(_overrides.set({**_overrides.get(), **self._values}))
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
        raise ValueError(f"{origin}: {key}={value!r} is not possible: {error}") from error


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _outside() -> Settings:
    """Settings from files and the environment."""
    variables = tuple((key, os.environ[name]) for key, name in VARIABLES.items() if name in os.environ)
    return _merged(tuple(_stamp(path) for path in _files()), variables)


def _files() -> tuple[str, ...]:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(home, "sarray", "config.toml"), os.path.join(os.getcwd(), "sarray.toml")


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
    return checked(found, path)
