"""No kernel holds the interpreter lock: a second thread keeps ticking while it runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kernels.cholesky import potrf
from kernels.eigen import eigh
from kernels.elementwise import Chain, Step
from kernels.gemm import gemm, herk
from kernels.norm import sum_of_squares
from kernels.qr import form_q, gemqrt, geqrt, tpmqrt, tpqrt
from kernels.random import integers_block, normal_block, uniform_block
from kernels.reduction import reduce_block
from kernels.svd import gesdd, svdvals
from kernels.triangular import trsm

Work = Callable[[], Any]
Block = NDArray[Any]
LONGEST_GAP = 0.004
"""Seconds. A tick takes a tenth of a millisecond; the rest is for what else the machine does."""
LARGEST_SHARE = 0.2
"""Of the whole duration: a busy machine stretches gaps and durations alike, and a kernel that holds the lock has a
share near 1."""
TRIES = 8


@pytest.fixture(autouse=True)
def one_blas_thread_and_quick_switches() -> Iterator[None]:
    """Python code gives the lock up after 0.1 ms, so that what is measured is time spent outside Python with the lock
    held."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    with threadpool_limits(1, user_api="blas"):
        yield
    sys.setswitchinterval(before)


def _gap(work: Work) -> tuple[float, float]:
    """(longest time between two ticks, duration of the work) in seconds."""
    started, done = threading.Event(), threading.Event()
    gaps: list[float] = []

    def tick() -> None:
        last = time.perf_counter()
        started.set()
        while not done.is_set():
            time.sleep(1e-4)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    ticker = threading.Thread(target=tick)
    ticker.start()
    started.wait()
    begin = time.perf_counter()
    work()
    duration = time.perf_counter() - begin
    done.set()
    ticker.join()
    return max(gaps), duration


def _square(n: int) -> Block:
    return np.random.default_rng(0).standard_normal((n, n))


def _works() -> dict[str, Work]:
    x, y, tall = _square(1200), _square(1200), np.random.default_rng(1).standard_normal((240_000, 32))
    spd, integers = x @ x.T + 1200 * np.eye(1200), _square(400).astype("i8")
    factored, root = geqrt(tall), geqrt(x)
    triangles, small = [np.triu(x), np.triu(y)], [np.triu(x[:120, :120])] * 16
    stack, flat = tpqrt(triangles), tpqrt(small)
    flat_c, big, n = np.eye(120), np.random.default_rng(2).standard_normal(4_000_000), 1_500_000
    chain = Chain(1, (2, 1), (Step("multiply", (0, 1), "f8"), Step("add", (3, 2), "f8"), Step("exp", (4,), "f8")))
    both = np.concatenate([x, y])
    return {
        "gemm": lambda: gemm(x, y),
        "gemm accumulating": lambda: gemm(x, y, spd.copy(), alpha=-1, trans_b="C"),
        "gemm of integers": lambda: gemm(integers, integers),
        "herk": lambda: herk(both),
        "trsm": lambda: trsm(both, spd, side="R", trans="C"),
        "potrf": lambda: [potrf(spd) for _ in range(3)],
        "geqrt tall": lambda: geqrt(tall),
        "geqrt square": lambda: geqrt(x),
        "form_q": lambda: form_q(factored.q),
        "form_q square": lambda: form_q(root.q),
        "gemqrt": lambda: gemqrt(factored.q, tall),
        "tpqrt of triangles": lambda: tpqrt(triangles),
        "tpqrt of many": lambda: [tpqrt(small) for _ in range(15)],
        "tpmqrt of triangles": lambda: tpmqrt(stack.q, x),
        "tpmqrt of many": lambda: [tpmqrt(flat.q, flat_c) for _ in range(20)],
        "gesdd": lambda: gesdd(x[:450, :450]),
        "svdvals": lambda: svdvals(x[:600, :600]),
        "eigh": lambda: eigh(x[:600, :600]),
        "chain": lambda: [chain(big) for _ in range(4)],
        "chain reduced": lambda: [chain.reduced("sum", big) for _ in range(4)],
        "sum": lambda: [reduce_block("sum", big) for _ in range(20)],
        "max along an axis": lambda: [reduce_block("max", big.reshape(-1, 100), 0) for _ in range(3)],
        "norm": lambda: [sum_of_squares(big) for _ in range(10)],
        "uniform": lambda: uniform_block(1, (4 * n,), (0,), (4 * n,)),
        "normal": lambda: normal_block(1, (n,), (0,), (n,)),
        "integers": lambda: integers_block(1, (4 * n,), (0,), (4 * n,), high=10),
    }


@pytest.fixture(scope="module")
def works() -> dict[str, Work]:
    """Every kernel at a size that takes tens of milliseconds."""
    return _works()


NAMES = [
    *(
        "gemm",
        "gemm accumulating",
        "gemm of integers",
        "herk",
        "trsm",
        "potrf",
        "geqrt tall",
        "geqrt square",
        "form_q",
        "form_q square",
    ),
    *(
        "gemqrt",
        "tpqrt of triangles",
        "tpqrt of many",
        "tpmqrt of triangles",
        "tpmqrt of many",
        "gesdd",
        "svdvals",
        "eigh",
        "chain",
    ),
    *("chain reduced", "sum", "max along an axis", "norm", "uniform", "normal", "integers"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_thread_keeps_ticking(name: str, works: dict[str, Work]) -> None:
    seen: list[tuple[float, float]] = []
    for _ in range(TRIES):
        gap, duration = _gap(works[name])
        assert duration > 2 * LONGEST_GAP, f"{name} took {duration:.4f} s, too short to tell"
        if gap < max(LONGEST_GAP, LARGEST_SHARE * duration):
            return
        seen.append((gap, duration))
    pytest.fail(f"{name} held the interpreter lock, (longest gap, duration) in seconds: {seen}")


def test_every_kernel_is_named(works: dict[str, Work]) -> None:
    assert sorted(works) == sorted(NAMES)


def test_the_measure_sees_a_held_lock() -> None:
    """Sorting a list of floats is one call that holds the lock from beginning to end."""
    values = np.random.default_rng(0).random(400_000).tolist()
    seen = [_gap(lambda: sorted(values)) for _ in range(3)]
    assert max(gap / duration for gap, duration in seen) > 0.5
    assert min(gap for gap, _ in seen) > LONGEST_GAP
