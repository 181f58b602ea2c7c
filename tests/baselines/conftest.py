"""Functions on this machine, and the two ways to use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from wukong_sched.baselines import numpywren, pywren
from wukong_sched.drivers import serial
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.program import Program, Tile
from wukong_sched.report import Report
from wukong_sched.storage.memory import MemoryStorage

HANDLER = "sarray.lambda_entry.handler"
Way = Callable[..., Report]
WAYS: Mapping[str, Way] = {"numpywren": numpywren.run, "pywren": pywren.run}


@pytest.fixture(scope="package")
def functions() -> Iterator[LocalFunctions]:
    """Two sandboxes that stay warm."""
    with LocalFunctions(FunctionSettings(HANDLER, concurrency=2, provisioned=2)) as running:
        yield running


@pytest.fixture(params=sorted(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def computed(way: Way, program: Program, functions: LocalFunctions, **options: Any) -> tuple[dict[Tile, Any], Report]:
    """The wanted tiles, and the report."""
    storage = MemoryStorage()
    report = way(program, storage, functions, **options)
    return storage.get(list(storage.tiles())), report


def expected(program: Program) -> dict[Tile, Any]:
    """What the serial driver says."""
    storage = MemoryStorage()
    serial.run(program, storage)
    return storage.get(list(storage.tiles()))


def left(functions: LocalFunctions) -> list[str]:
    """Whatever is in the stores."""
    files = [str(path) for path in (functions.directory / "store").rglob("*") if path.is_file()]
    redis = functions.places.server()
    names = redis.scan("*")
    redis.close()
    return [*files, *names]
