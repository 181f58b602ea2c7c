"""Run the lecture's programs on several executors and at other sizes; each prints what it did and would have cost.

``python examples/lecture/run.py gemm --executor threads functions --divide 10`` runs one with every size a tenth.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sarray as sa
from sarray.cluster import FormerParameter

HERE = Path(__file__).resolve().parent
PROGRAMS = sorted({path.stem for path in HERE.glob("*.py")} - {"run", "reported"})
SIZE = re.compile(r"\b[1-9][0-9]{3,}\b")
"""Numbers that are sizes: those of four figures and more."""


def divided(text: str, divisor: int) -> str:
    """Return the program with all sizes divided."""
    return SIZE.sub(lambda found: str(max(1, int(found[0]) // divisor)), text)


def run(program: str, executor: str, divisor: int) -> None:
    """Run a program as it stands, but for its sizes; its client prints the report of its last computation."""
    path = HERE / f"{program}.py"
    code = compile(divided(path.read_text(encoding="utf-8"), divisor), str(path), "exec")
    print(f"{program} on {executor}:", flush=True)
    with sa.config(executor=executor), warnings.catch_warnings():
        warnings.simplefilter("ignore", FormerParameter)
        names: dict[str, Any] = {"__name__": "__main__"}
        try:
            exec(code, names)
        finally:
            if "client" in names:
                names["client"].close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", default=PROGRAMS, metavar="program", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--executor", nargs="+", default=["threads", "functions"], help="where the tasks run")
    parser.add_argument("--divide", type=int, default=1, help="by what to divide all sizes")
    options = parser.parse_args(arguments)
    if unknown := set(options.programs) - set(PROGRAMS):
        parser.error(f"there is no program {unknown.pop()!r}; there are {', '.join(PROGRAMS)}")
    for program in options.programs:
        for executor in options.executor:
            run(program, executor, options.divide)


if __name__ == "__main__":
    main()
