"""The sides of a comparison: processes that are kept alive and asked in turn.

Whatever else the machine does meets all sides alike if they take turns, and none holds the others' libraries or memory.
A side's script ends in `serve`; whoever compares starts it as a `Side`. A question is a line ``run``, its answer a line
of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
DROPPED = ("OPENBLAS_CORETYPE", "PYTHONDONTWRITEBYTECODE", *BLAS_VARIABLES)
"""Settings of the surroundings that would measure something other than the libraries as installed."""


class SideEndedError(RuntimeError):
    """A side's process ended without an answer."""


class Side:
    """The process of one side: a script of this directory with its arguments, and so many BLAS threads if given."""

    def __init__(self, script: str, arguments: Sequence[object], threads: int | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in DROPPED}
        environment |= {name: str(threads) for name in BLAS_VARIABLES if threads}
        words = [str(argument) for argument in arguments]
        self._story = " ".join(words)
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=HERE.parent,
        )

    def answer(self) -> str:
        """Return the process's next line; the first says that it is ready."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise SideEndedError(f"{self._story}: the process ended with code {self._process.wait()}")
        return line

    def ask(self) -> None:
        """Have the work done once."""
        assert self._process.stdin is not None
        print("run", file=self._process.stdin, flush=True)

    def measure(self) -> Any:
        """Have the work done once and return what is said of it."""
        self.ask()
        return json.loads(self.answer())

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def serve(prepare: Callable[[], Callable[[], Any]], unheard: int = 0) -> None:
    """Set up, do the work once to warm up, and answer until standard input ends.

    In each turn the work is done so many times before that time which counts.
    """
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    once = prepare()
    once()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        for _ in range(unheard):
            once()
        print(json.dumps(once()), file=answers, flush=True)
