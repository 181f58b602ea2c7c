"""Functions on this machine for ``executor="functions"``: started once, and warm for every later computation."""

from __future__ import annotations

from pathlib import Path

from sarray.config import MOST_FUNCTIONS, Settings
from sarray.job import workers_of
from sarray.lambda_entry import CLASSES
from sarray.parking import parked
from sarray.remote import Remote
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.drivers.home import HomeFunctions
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.shared import Shared

HANDLER = "sarray.lambda_entry.handler"
MEMORY = 2048
"""MB of one function, unless asked otherwise."""


def remote(asked: Settings) -> Remote:
    """The functions that the settings ask for; arrays in memory are mapped, not copied, by them."""
    usual = Settings()
    concurrency = asked.functions_concurrency or min(workers_of(asked), MOST_FUNCTIONS)
    memory = asked.functions_memory >> 20
    names = ("shape", "timeout", "home", "linger")
    given = {name: getattr(asked, f"functions_{name}") for name in names}
    more = {name: value for name, value in given.items() if value != getattr(usual, f"functions_{name}")}
    functions = local_functions(concurrency, memory, **more)
    return Remote("functions", functions, lambda program, job: parked(program, functions.job_directory(job)))


def _local_functions(
    concurrency: int,
    memory: int = MEMORY,
    shape: str = "",
    timeout: float = 900.0,
    home: str = "",
    linger: float = 600.0,
) -> LocalFunctions:
    function = FunctionSettings(
        HANDLER, concurrency=concurrency, provisioned=concurrency, memory=memory, timeout=timeout
    )
    if home:
        return HomeFunctions(Path(home).expanduser().absolute(), function, CLASSES, shape, linger)
    return LocalFunctions(function, CLASSES, shape)


local_functions = Shared(_local_functions)
"""So many functions of so many MB, behind a network of that shape; without a home they end with this process."""
