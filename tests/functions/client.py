"""A client in a process of its own, for tests that stop or end it: ``python -m tests.functions.client <what>``.

It says in one line of JSON where everything is, as soon as its job runs.
"""

from __future__ import annotations

import json
import sys

from tests.functions import programs
from wukong_sched.drivers.functions import LocalFunctions, run
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.functions.submitted import Submitted
from wukong_sched.storage.memory import MemoryStorage

PROGRAMS = {
    "short": lambda: programs.tree(8),
    "long": lambda: programs.tree(150, programs.slow),
    "failing": lambda: programs.tree(8, programs.fail),
}


def main(what: str) -> None:
    """Run one job."""
    functions = LocalFunctions(FunctionSettings("sarray.lambda_entry.handler", concurrency=2, provisioned=2))
    functions.start()

    def tell(job: Submitted) -> None:
        state = functions.service.endpoint.state()
        facts = {
            "job": job.name.job,
            "directory": str(functions.directory),
            "service": functions.service.process.pid,
            "sandboxes": state["pids"],
            "redis": functions.places.addresses.redis,
        }
        print(json.dumps(facts), flush=True)

    run(PROGRAMS[what](), MemoryStorage(), functions, submitted=tell)


if __name__ == "__main__":
    main(sys.argv[1])
