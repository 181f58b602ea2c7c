"""What a newcomer tries: each does what `concurrent.futures` does, or says what to write instead."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import TimeoutError, as_completed, wait
from pathlib import Path

import numpy as np
import pytest

from wukong_sched.drivers.named import local_functions
from wukong_sched.futures import FunctionExecutor
from wukong_sched.machine import processors

PATIENCE = 60.0
"""Seconds after which a test gives up."""
ROOT = Path(__file__).parents[2]


def two() -> Iterator[int]:
    yield from (1, 2)


def grouped() -> None:
    raise ExceptionGroup("both", [ValueError("one"), KeyError("two")])


def script(code: str) -> list[str]:
    """The lines that a script prints, in a session of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE,
        start_new_session=True,
    ).stdout.splitlines()  # fmt: skip


def test_a_directory_that_somebody_removed_fails_the_call_and_does_not_hang_it() -> None:
    functions = local_functions(3)
    try:
        shutil.rmtree(functions.directory)
        with FunctionExecutor("functions", workers=3) as executor:
            assert isinstance(executor.submit(abs, -1).exception(PATIENCE), FileNotFoundError)
    finally:
        functions.close()


def test_directories_removed_again_and_again_cost_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: died.append(args.exc_type.__name__))
    functions = local_functions(1)
    try:
        with FunctionExecutor("functions", workers=1) as executor:
            for _ in range(4):
                slow, deadline = executor.submit(time.sleep, 0.5), time.monotonic() + PATIENCE
                while not slow.running():
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                functions.close()
                assert isinstance(slow.exception(PATIENCE), Exception)
            assert executor.submit(abs, -1).result(PATIENCE) == 1
    finally:
        functions.close()
    assert died == []


@pytest.mark.parametrize("name", ["numpywren", "pywren", "aws", "threds"])
def test_an_executor_that_runs_no_calls_is_refused_naming_those_that_do(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*known: threads, functions, serial, simulate$"):
        FunctionExecutor(name)


@pytest.mark.parametrize("option", ["workers", "max_workers"])
def test_workers_are_counted(option: str) -> None:
    for wrong in (2.5, "2", [2]):
        with pytest.raises(TypeError, match=f"{option} must be an integer.*{re.escape(repr(wrong))}"):
            FunctionExecutor(**{option: wrong})  # type: ignore[arg-type]
    for few in (0, -2):
        with pytest.raises(ValueError, match=f"{option} must be greater than 0, got {few}"):
            FunctionExecutor(**{option: few})  # type: ignore[arg-type]
    with FunctionExecutor(**{option: np.int64(3)}) as executor:  # type: ignore[arg-type]
        assert repr(executor) == "FunctionExecutor('threads', workers=3)"


def test_a_number_alone_is_that_of_threads() -> None:
    with FunctionExecutor(4) as executor:
        assert repr(executor) == "FunctionExecutor('threads', workers=4)"
        assert list(executor.map(abs, [-1, 2])) == [1, 2]
    with FunctionExecutor(np.int64(3)) as executor, FunctionExecutor(None) as usual:
        assert (executor.workers, usual.workers) == (3, processors())
    assert repr(FunctionExecutor(None, 2)) == repr(FunctionExecutor(None, max_workers=2)) == repr(FunctionExecutor(2))
    with pytest.raises(ValueError, match="max_workers must be greater than 0, got 0"):
        FunctionExecutor(0)
    with pytest.raises(TypeError, match=r"max_workers must be an integer, got 2\.5"):
        FunctionExecutor(2.5)  # type: ignore[arg-type]
    for twice in ({"workers": 4}, {"max_workers": 4}):
        with pytest.raises(TypeError, match=r"3 .*twice.*FunctionExecutor\(\"threads\", workers=3\)"):
            FunctionExecutor(3, **twice)


def test_nothing_gives_nothing(pool: FunctionExecutor) -> None:
    assert list(pool.map(abs, [])) == list(pool.map(abs)) == pool.submit_all(abs, []) == []
    assert list(as_completed([])) == [] and wait([]) == (set(), set())
    assert pool.submit(sum, []).result(PATIENCE) == 0


def test_generators_are_read_here_and_do_not_travel(pool: FunctionExecutor) -> None:
    assert list(pool.map(abs, (number for number in (-1, 2)))) == [1, 2]
    returned, given = pool.submit(two), pool.submit(sum, two())
    if pool.executor == "threads":
        assert (list(returned.result(PATIENCE)), given.result(PATIENCE)) == ([1, 2], 3)
        return
    for future in (returned, given):
        error = future.exception(PATIENCE)
        assert isinstance(error, TypeError)
        assert "list(...)" in error.__notes__[0]


def test_what_cannot_be_called_fails_alone(pool: FunctionExecutor) -> None:
    assert isinstance(pool.submit(5).exception(PATIENCE), TypeError)  # type: ignore[arg-type]
    assert pool.submit(dict, self=1, fn=2).result(PATIENCE) == {"self": 1, "fn": 2}


def test_groups_of_exceptions_come_back(pool: FunctionExecutor) -> None:
    error = pool.submit(grouped).exception(PATIENCE)
    assert isinstance(error, ExceptionGroup)
    assert [type(each) for each in error.exceptions] == [ValueError, KeyError]


def test_as_completed_gives_up_and_the_call_goes_on(threads: FunctionExecutor) -> None:
    gate = threading.Event()
    slow, quick = threads.submit(gate.wait, PATIENCE), threads.submit(abs, -1)
    quick.result(PATIENCE)
    seen = []
    with pytest.raises(TimeoutError):
        for future in as_completed([slow, quick, quick], timeout=0.01):
            seen.append(future)
    assert seen == [quick]
    gate.set()
    assert slow.result(PATIENCE)


def test_large_arguments_and_results_travel(pool: FunctionExecutor) -> None:
    data = os.urandom(1 << 24)
    assert pool.submit(len, data).result(PATIENCE) == len(data)
    assert pool.submit(bytes.__add__, data, b"x").result(PATIENCE) == data + b"x"


def test_a_call_may_open_an_executor_of_its_own(pool: FunctionExecutor) -> None:
    def nested() -> int:
        with FunctionExecutor("threads", workers=2) as inner:
            return inner.submit(abs, -3).result(PATIENCE)

    assert pool.submit(nested).result(PATIENCE) == 3


@pytest.mark.parametrize("kind", ["threads", "functions"])
def test_a_forked_child_is_told_to_make_its_own(kind: str) -> None:
    code = f"""
import os
from wukong_sched.futures import FunctionExecutor
executor = FunctionExecutor({kind!r}, workers=1)
executor.submit(abs, -1).result()
if os.fork() == 0:
    try:
        executor.submit(abs, -2)
    except RuntimeError as error:
        print("make another" in str(error), flush=True)
    with FunctionExecutor({kind!r}, workers=1) as own:
        print(own.submit(abs, -3).result(), flush=True)
    os._exit(0)
os.wait()
print(executor.submit(abs, -4).result())
"""
    assert script(code) == ["True", "3", "4"]


def test_calls_run_though_the_current_directory_was_removed() -> None:
    code = """
import os, sys, tempfile
sys.path += [os.getcwd()]
os.chdir(gone := tempfile.mkdtemp())
os.rmdir(gone)
import sarray
from wukong_sched.futures import FunctionExecutor
for kind in ("threads", "functions"):
    with FunctionExecutor(kind, workers=1) as executor:
        print(executor.submit(abs, -1).result(), sarray.ones(3).sum().compute(executor=kind))
"""
    assert script(code) == ["1 3.0", "1 3.0"]


def test_an_interrupt_of_the_whole_group_ends_no_function() -> None:
    code = """
import os, signal, time
from wukong_sched.futures import FunctionExecutor
with FunctionExecutor("functions", workers=1) as executor:
    slow, after = executor.submit(time.sleep, 1), executor.submit(abs, -2)
    while not slow.running():
        time.sleep(0.01)
    try:
        os.killpg(0, signal.SIGINT)
        slow.result()
    except KeyboardInterrupt:
        print("interrupted", after.cancel())
    print(slow.result(), executor.submit(abs, -3).result())
"""
    assert script(code) == ["interrupted True", "None 3"]


def talk(number: int) -> None:
    print(f"out {number}")
    print(f"err {number}", file=sys.stderr)
    subprocess.run(["echo", f"child {number}"], check=True)


def test_what_calls_print_can_be_read() -> None:
    with FunctionExecutor("functions", workers=2) as executor:
        executor.submit(abs, -1).result(PATIENCE)  # from now on the file is there
        assert executor.log is not None
        before = executor.log.read_text()
        list(executor.map(talk, range(5)))
        printed = executor.log.read_text().removeprefix(before)
    found = re.findall(r"[a-z]+ \d", printed)  # Lambda's client ends lines apart, so those of two functions may mix
    assert sorted(found) == sorted(f"{where} {number}" for where in ("out", "err", "child") for number in range(5))
    assert printed.count("\n") == len(found)


@pytest.mark.parametrize("name", ["threads", "serial"])
def test_what_calls_print_here_is_printed_here(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with FunctionExecutor(name) as executor:
        executor.submit(print, "here").result(PATIENCE)
        assert executor.log is None
    assert capsys.readouterr().out == "here\n"


def test_the_log_goes_with_the_program() -> None:
    (path,) = script(
        "from wukong_sched.futures import FunctionExecutor\n"
        "with FunctionExecutor('functions', workers=1) as executor:\n"
        "    executor.submit(print, 'gone').result()\n"
        "    print(executor.log)"
    )
    assert path.endswith("functions.log") and not Path(path).exists()
