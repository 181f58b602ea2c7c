"""What a function's process frees, it keeps for its next blocks until it gives that back."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

MB = 1 << 20
SCRIPT = """
import json
import numpy as np
from wukong_sched.functions.allocator import give_back, keep_freed
from wukong_sched.machine import resident_bytes

found = [keep_freed()]
blocks = [np.ones(2 << 20) for _ in range(8)]
found.append(resident_bytes())
del blocks
found.append(resident_bytes())
give_back()
found.append(resident_bytes())
print(json.dumps(found))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory in its own way")
def test_freed_blocks_are_kept_and_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)
    can, held, freed, given = json.loads(done.stdout)
    assert can
    assert held - freed < 16 * MB
    assert held - given > 100 * MB
