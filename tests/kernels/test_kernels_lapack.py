"""The bindings: every routine for every type, refused arguments, and what an import costs."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

import kernels
from kernels.cost import Cost, dense_cost
from kernels.gemm import gemm
from kernels.lapack import LETTERS, ROUTINES, is_lapack, lapack_dtype, routine

COMMON = ["gemm", "trsm", "potrf", "geqrt", "tpqrt", "tpmqrt", "gesdd"]
OWN = {"f": ["syrk", "syevd"], "d": ["syrk", "syevd"], "F": ["herk", "heevd"], "D": ["herk", "heevd"]}


@pytest.mark.parametrize("char", sorted(LETTERS))
def test_every_routine_is_found_for_its_types(char: str) -> None:
    found = [routine(name, char) for name in COMMON + OWN[char]]
    assert len(set(found)) == len(found)
    assert LETTERS[char] + "gesdd" in ROUTINES
    assert set(ROUTINES) <= {*COMMON, *OWN["f"], *OWN["F"], *(letter + "gesdd" for letter in "sdcz")}


def test_dimensions_beyond_32_bits_are_refused() -> None:
    with pytest.raises(OverflowError, match="dpotrf counts in 32 bits"):
        routine("potrf", "d")(b"L", 2**31, np.eye(2), 2)


def test_a_refused_argument_is_a_bug_that_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    x = np.eye(2)
    with pytest.raises(RuntimeError, match="dpotrf refused its argument number 2: a bug in kernels"):
        routine("potrf", "d")(b"L", -1, x, 2)
    capfd.readouterr()


def test_info_above_zero_is_returned() -> None:
    assert routine("potrf", "d")(b"L", 2, -np.eye(2), 2) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("i4",), "f8"),
        (("?",), "f8"),
        (("f2",), "f4"),
        (("f4", "f8"), "f8"),
        (("c8", "f8"), "c16"),
        ((">c16",), "c16"),
        (("i1",), "f8"),
        (("u1", "f4"), "f8"),
    ],
)
def test_types_are_factored_in_the_next_lapack_type(given: tuple[str, ...], expected: str) -> None:
    found = lapack_dtype(*[np.dtype(name) for name in given])
    assert found == np.dtype(expected) and found.isnative and is_lapack(found)


@pytest.mark.parametrize("dtype", ["g", "O", "U1", "M8[s]"])
def test_other_types_are_refused(dtype: str) -> None:
    with pytest.raises(TypeError):
        lapack_dtype(np.dtype(dtype))


@threadpool_limits.wrap(limits=1, user_api="blas")
def test_kernels_may_run_side_by_side() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.standard_normal((150, 150)), rng.standard_normal((150, 150))) for _ in range(4)]
    results: dict[int, bool] = {}

    def work(number: int) -> None:
        a, b = pairs[number]
        first = gemm(a, b)
        results[number] = all(np.array_equal(gemm(a, b), first) for _ in range(30))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: True, 1: True, 2: True, 3: True}
    assert_array_equal(gemm(*pairs[0]), gemm(*pairs[0]))


def test_the_package_is_ours_and_its_import_loads_nothing() -> None:
    assert kernels.SARRAY_KERNELS is True
    program = "import sys; import kernels; print(sorted({'numpy', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_modules_without_linear_algebra_do_not_load_scipy() -> None:
    modules = "cost, creation, elementwise, functions, norm, philox, random, reduction"
    program = f"import sys; from kernels import {modules}; print('scipy' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


INTERRUPTED = """
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("scipy.") and {there!r} in sys.modules:
            sys.meta_path.remove(self)
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
try:
    import kernels.lapack
except KeyboardInterrupt:
    print("interrupted")
import numpy as np
from kernels.lapack import routine
print(routine("potrf", "d")(b"L", 1, np.array([[4.0]]), 1))
"""


@pytest.mark.parametrize("there", ["scipy", "scipy.linalg", "scipy.linalg._flapack", "scipy.linalg.cython_lapack"])
def test_an_import_that_ctrl_c_ended_is_made_up_for(there: str) -> None:
    """SciPy's package then lacks, as attributes, the modules that had been imported before."""
    command = [sys.executable, "-c", INTERRUPTED.format(there=there)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == ["interrupted", "0"]


def test_costs_add_and_scale() -> None:
    total = Cost(1, 2, 3) + Cost(10, 20, 30).scaled(2)
    assert total == Cost(21, 42, 63)
    assert dense_cost(5, "c16", [(2, 3), (4,)], [(1,)]) == Cost(20, 160, 16)
