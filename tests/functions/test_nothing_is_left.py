"""However a client ends, no process, socket, file or control group of its functions is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.functions.processes import is_alive, leftover_groups, session, until
from tests.house.tree import ROOT
from wukong_sched.coordination.protocol import State
from wukong_sched.coordination.redis import RedisCoordination


@contextmanager
def client(what: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A client whose job runs, and where its things are."""
    command = [sys.executable, "-m", "tests.functions.client", what]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())


def traces(facts: dict[str, Any]) -> list[Any]:
    """What is left of a client's functions."""
    processes = [pid for pid in (facts["service"], *facts["sandboxes"], *session(facts["service"])) if is_alive(pid)]
    home = Path(facts["directory"])
    others = [path for path in Path(tempfile.gettempdir()).glob("wukong-*") if path == home]
    return [*processes, *others, *leftover_groups(facts["service"])]


@pytest.mark.parametrize(
    ("what", "number", "status"),
    [
        ("short", 0, 0),
        ("failing", 0, 1),
        ("long", signal.SIGINT, -signal.SIGINT),
        ("long", signal.SIGTERM, -signal.SIGTERM),
        ("long", signal.SIGKILL, -signal.SIGKILL),
    ],
    ids=["success", "error", "ctrl-c", "terminated", "killed"],
)
def test_nothing_is_left(what: str, number: int, status: int) -> None:
    with client(what) as (process, facts):
        assert process.poll() is not None or what != "long" or traces(facts)
        if number:
            os.kill(process.pid, number)
        process.wait(20)
        errors = process.stderr.read() if process.stderr else ""
    assert process.returncode in (status, 1 if number == signal.SIGINT else status)
    assert ("ZeroDivisionError" in errors) == (what == "failing")
    until(lambda: not traces(facts))


def test_a_stopped_client_stops_nothing() -> None:
    with client("long") as (process, facts):
        os.kill(process.pid, signal.SIGSTOP)
        coordination = RedisCoordination(facts["redis"], facts["job"])
        assert coordination.read().state is State.RUNNING
        until(lambda: coordination.read().state is State.DONE, 30)
        os.kill(process.pid, signal.SIGCONT)
        process.wait(20)
        coordination.close()
    assert process.returncode == 0
    until(lambda: not traces(facts))


def test_a_second_ctrl_c_loses_nothing_either() -> None:
    with client("long") as (process, facts):
        for _ in range(2):
            os.kill(process.pid, signal.SIGINT)
        process.wait(20)
    until(lambda: not traces(facts))
