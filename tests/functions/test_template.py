"""Sandboxes that cannot be forked, and what they are forked from: it may fail, the service and the others go on."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.functions import programs
from tests.functions.conftest import HANDLER
from tests.functions.processes import until
from tests.functions.test_jobs import expected, left, wanted
from tests.functions.test_service import failure
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.functions.local import start_service
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.storage.pickled import import_path

ENDS_ONCE = """
import os, pathlib
seen = pathlib.Path(__file__).with_name("seen")
if not seen.exists():
    seen.touch()
    os.kill(os.getpid(), 9)
from sarray.lambda_entry import handler
"""
FORKS_ONCE = """
import errno, os
from tests.functions.handlers import act
fork, forked = os.fork, []
def fork_once():
    if forked:
        raise BlockingIOError(errno.EAGAIN, "no more")
    forked.append(True)
    return fork()
os.fork = fork_once
"""


def module(directory: Path, text: str, handler: str = "act", **values: Any) -> FunctionSettings:
    """Functions of a module of this text."""
    (directory / "odd.py").write_text(text)
    return FunctionSettings(f"odd.{handler}", path=(str(directory), *import_path()), **values)


@pytest.mark.parametrize(
    ("does", "seconds", "kind", "words"),
    [
        ("os._exit(3)", 60.0, "Runtime.ExitError", "exit status 3"),
        ("time.sleep(600)", 0.3, "Sandbox.Timedout", "initialization timed out after 0.30 seconds"),
    ],
    ids=["ends", "hangs"],
)
def test_a_module_that_cannot_be_imported_fails_its_invocations(
    tmp_path: Path, does: str, seconds: float, kind: str, words: str
) -> None:
    with start_service(module(tmp_path, f"import os, time; {does}", init_seconds=seconds)) as service:
        for _ in range(2):
            error = failure(service)
            assert error["errorType"] == kind and words in error["errorMessage"]
        assert service.is_running() and service.endpoint.state()["pids"] == []
    assert not service.directory.exists()


def test_a_template_that_cannot_be_started_fails_invocations(tmp_path: Path) -> None:
    with start_service(module(tmp_path, "", log=str(tmp_path / "nowhere" / "log"))) as service:
        for _ in range(2):
            error = failure(service)
            assert error["errorType"] == "Sandbox.ForkError" and os.strerror(errno.ENOENT) in error["errorMessage"]


def test_a_job_goes_on_whose_first_functions_have_ended_with_their_template(tmp_path: Path) -> None:
    function = module(tmp_path, ENDS_ONCE, HANDLER.rpartition(".")[2], provisioned=2)
    with LocalFunctions(function) as functions:
        program = programs.tree(12)
        assert wanted(program, functions) == expected(program)
        assert (tmp_path / "seen").exists() and functions.service.endpoint.state()["failed_starts"] in (1, 2)
        assert left(functions) == []


def test_a_sandbox_that_cannot_be_forked_ends_no_other(tmp_path: Path) -> None:
    """As where a user may have only so many processes."""
    with start_service(module(tmp_path, FORKS_ONCE, concurrency=2)) as service:
        service.endpoint.send([b'{"do": "sleep", "seconds": 600}'])
        first = until(lambda: service.endpoint.state()["busy"])
        error = failure(service, do="sleep", seconds=0)
        assert error["errorType"] == "Sandbox.ForkError" and os.strerror(errno.EAGAIN) in error["errorMessage"]
        state = service.endpoint.state()
        assert (state["busy"], state["cold"], state["failed_starts"]) == (first, 2, 1)
