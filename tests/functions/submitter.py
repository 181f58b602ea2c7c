"""A client that submits a job to the functions of a home, says its id, and waits to be killed:

``python -m tests.functions.submitter <home>``.
"""

from __future__ import annotations

import sys
import time

import sarray as sa
from tests.functions.programs import slow_block


def main(home: str) -> None:
    """Submit, and never come back."""
    with sa.config(functions_home=home, functions_concurrency=2, functions_linger=60):
        x = sa.map_blocks(slow_block, sa.ones((40, 4), chunks=(1, 4)))
        job = sa.submit({"total": x.sum(), "note": "kept"}, x.sum(axis=0), executor="functions")
        print(job.id, flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1])
