"""Jobs of four times the memory limit and more end within it, as the system measures it."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

JOBS = {
    "tsqr": ("256MiB", "x = rng.standard_normal((2_200_000, 64), chunks=(16_384, 64)); result = sa.tsqr(x).Q"),
    "transposed": ("256MiB", "x = rng.uniform(size=(12_000, 12_000), chunks=1000); result = (x + x.T) * x"),
    "cholesky": (
        "256MiB",
        "x = rng.standard_normal((9_000, 9_000), chunks=1000); "
        "result = sa.cholesky(x @ x.T / 9e3 + sa.eye(9_000, chunks=1000))",
    ),
}

SCRIPT = """
    import re, sys
    import sarray as sa

    open("/proc/self/clear_refs", "w").write("5")  # the peak of the process that started this one is not ours
    path, limit = sys.argv[1:]
    rng = sa.random.default_rng(1)
    {job}
    with sa.config(memory_limit=limit, workers=2, progress=False):
        sa.to_npy(result, path)
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
    print(result.nbytes, 1024 * int(peak[1]))
"""


@pytest.mark.parametrize(
    "name",
    ["tsqr", pytest.param("transposed", marks=pytest.mark.long), pytest.param("cholesky", marks=pytest.mark.long)],
)
def test_a_job_of_four_times_the_limit_ends_within_it(name: str, tmp_path: Path) -> None:
    limit, job = JOBS[name]
    script = textwrap.dedent(SCRIPT).format(job=job)
    (tmp_path / "spilled").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "q.npy"), limit],
        capture_output=True,
        text=True,
        env={"TMPDIR": str(tmp_path / "spilled"), "PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    nbytes, peak = map(int, done.stdout.split())
    mebibytes = 256 * 2**20
    assert 2 * nbytes >= 4 * mebibytes, "the blocks of source and result are to be four times the limit"
    assert peak <= 1.1 * mebibytes
    assert not list((tmp_path / "spilled").iterdir())
    result = np.load(tmp_path / "q.npy", mmap_mode="r")
    assert result.nbytes == nbytes
    if name == "tsqr":
        gram = sum(block.T @ block for block in np.array_split(result, 20))
        assert np.abs(gram - np.eye(64)).max() < 1e-12
