"""The locks of tickets: between processes, and between threads of one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wukong_sched.futures import tickets
from wukong_sched.futures.tickets import CANCELLED, KEPT, Tickets

PATIENCE = 60.0
"""Seconds after which a test gives up."""
BEGINNING = """
import sys
from wukong_sched.futures.tickets import Ticket
ticket = Ticket(sys.argv[1], 0)
print("ready", flush=True)
sys.stdin.readline()
print(ticket.begin(), flush=True)
"""


def test_whoever_changes_a_byte_keeps_its_lock_whatever_other_threads_open(tmp_path: Path) -> None:
    ticket = Tickets(1, tmp_path).ticket(0)
    others = [Tickets(1, tmp_path).ticket(0) for _ in range(KEPT + 1)]
    held, gate = threading.Event(), threading.Event()

    def cancel(state: int) -> int:
        held.set()
        gate.wait(PATIENCE)
        return state or CANCELLED

    def look() -> None:
        for other in others:
            other.begin()
        ticket.begun()

    with subprocess.Popen(
        [sys.executable, "-c", BEGINNING, ticket.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as other_process:  # fmt: skip
        assert other_process.stdout is not None and other_process.stdin is not None
        assert other_process.stdout.readline() == "ready\n"
        threads = [threading.Thread(target=ticket._changed, args=(cancel,)), threading.Thread(target=look)]
        threads[0].start()
        assert held.wait(PATIENCE)
        threads[1].start()
        threads[1].join(0.3)  # it may close the file, and so drop the lock, unless it waits for its turn
        other_process.stdin.write("go\n")
        other_process.stdin.flush()
        threads[1].join(0.3)
        gate.set()
        assert other_process.stdout.readline() == "False\n"
    for thread in threads:
        thread.join(PATIENCE)
    assert ticket.cancel()


def test_threads_that_come_at_once_open_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    class Counted(tickets.Book):
        def __init__(self, path: str) -> None:
            opened.append(path)
            threading.Event().wait(0.05)
            super().__init__(path)

    monkeypatch.setattr(tickets, "Book", Counted)
    job = Tickets(4, tmp_path)
    begun: list[bool] = []
    threads = [threading.Thread(target=lambda at=at: begun.append(job.ticket(at).begin())) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (opened, begun) == ([job.path], [True] * 4)


def test_a_forked_child_takes_its_own_turn(tmp_path: Path) -> None:
    ticket = Tickets(1, tmp_path).ticket(0)
    with tickets._turns.setdefault(os.getpid(), threading.Lock()):
        child = os.fork()
        if child == 0:
            os._exit(0 if ticket.begin() else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert (ticket.begun(), ticket.cancel()) == (True, False)


def test_tickets_whose_file_somebody_removed_are_over(tmp_path: Path) -> None:
    job = Tickets(1, tmp_path)
    Path(job.path).unlink()
    job.close()
    assert not job.ticket(0).begin()
    other = Tickets(1, tmp_path)
    Path(other.path).unlink()
    Path(other.path).mkdir()
    with pytest.raises(IsADirectoryError):
        other.close()
