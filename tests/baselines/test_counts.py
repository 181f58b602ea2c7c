"""What the baselines read and write, on numpywren's own recurrences: exactly as many tiles as these say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.numpywren_programs import MEASURED, Matrix, cholesky_program, gemm_program, tsqr_program
from tests.baselines.conftest import WAYS, Way, computed, expected
from wukong_sched.baselines.pywren import levels
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.functions.mapped import write
from wukong_sched.program import Program, Tile, verify_program
from wukong_sched.recurrence import Recurrences
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.structured import BlockCodec
from wukong_sched.storage.tiles import TileStorage

MARGIN = 0.05
"""Within which the bytes are those of numpywren itself."""


@dataclass
class Moved:
    """Tiles and bytes that a program moves if every reference is a read and every result a write."""

    source: int = 0
    read: int = 0
    written: int = 0
    source_tiles: int = 0
    read_tiles: int = 0
    written_tiles: int = 0
    sizes: dict[Tile, int] = field(default_factory=dict)


def moved(program: Program, codec: BlockCodec) -> Moved:
    """Counted by running the program here, one task after the other."""
    blocks: dict[Tile, Any] = {}
    found = Moved()

    def block(tile: Tile) -> Any:
        if tile in blocks:
            found.read += found.sizes[tile]
            found.read_tiles += 1
            return blocks[tile]
        source = program.read(tile)
        found.source += source.nbytes
        found.source_tiles += 1
        return source

    for task in (task for level in levels(program) for task in level):
        made = dict(zip(program.outputs(task), program.run(task, block), strict=True))
        blocks |= made
        found.sizes |= {tile: sum(map(len, codec.encode(each))) for tile, each in made.items()}
        found.written += sum(found.sizes[tile] for tile in made)
        found.written_tiles += len(made)
    return found


def positive(rng: np.random.Generator, n: int) -> np.ndarray:
    s = rng.standard_normal((n, n))
    return s @ s.T + n * np.eye(n)


def programs(rng: np.random.Generator) -> dict[str, Recurrences]:
    a, b = rng.standard_normal((80, 100)), rng.standard_normal((100, 60))
    tall = rng.standard_normal((640, 70))
    return {
        "gemm": gemm_program(a, b, 20),
        "tsqr": tsqr_program(tall, 128),
        "cholesky": cholesky_program(positive(rng, 320), 80),
    }


TILES = {
    # 4 x 3 blocks of C, 5 products each: their sum takes two levels, of 4 + 1 and of 2 reads, then a copy.
    "gemm": (4 * 3 * 5 * 2, 4 * 3 * (5 + 2 + 1), 4 * 3 * (5 + 2 + 1 + 1)),
    # 5 blocks, then 3, 2 and 1 R factors of 2 (and twice of a single one); V, T and R each.
    "tsqr": (5, 5 + 3 + 2, 3 * (5 + 3 + 2 + 1)),
    # 4 blocks: 4 chol, 6 trsm of 2 reads, 10 syrk of 3; the first step's are sources.
    "cholesky": (1 + 3 + 6, 4 + 6 * 2 + 10 * 3 - (1 + 3 + 6), 4 + 6 + 10),
}
"""(source tiles read, tiles read, tiles written)."""


@pytest.mark.parametrize("name", TILES)
def test_the_recurrences_are_programs(rng: np.random.Generator, name: str) -> None:
    verify_program(programs(rng)[name])


def test_the_recurrences_compute_what_they_are_named_after(rng: np.random.Generator) -> None:
    a, b, tall, s = (
        rng.standard_normal((6, 27)),
        rng.standard_normal((27, 6)),
        rng.standard_normal((60, 4)),
        positive(rng, 15),
    )
    found = expected(gemm_program(a, b, 3))
    np.testing.assert_allclose(np.block([[found["C", (i, j)] for j in range(2)] for i in range(2)]), a @ b)
    (r,) = expected(tsqr_program(tall, 12)).values()
    np.testing.assert_allclose(abs(r), abs(np.linalg.qr(tall)[1]))
    factor = np.linalg.cholesky(s)
    for (_, (j, i)), block in expected(cholesky_program(s, 3)).items():
        np.testing.assert_allclose(block, factor[3 * j : 3 * j + 3, 3 * i : 3 * i + 3], atol=1e-12)


@pytest.mark.parametrize("name", TILES)
def test_every_reference_is_a_read_and_every_result_a_write(
    way: Way, functions: LocalFunctions, rng: np.random.Generator, name: str
) -> None:
    program = programs(rng)[name]
    storage = functions.places.object_storage(Keys("codec"), functions.key)
    assert isinstance(storage, TileStorage)
    count = moved(program, storage.codec)
    found, report = computed(way, program, functions)
    used, truth = report.usage, expected(program)
    assert found.keys() == truth.keys()
    for tile, block in found.items():
        np.testing.assert_allclose(block, truth[tile], rtol=1e-10, atol=1e-10)
    assert (count.source_tiles, count.read_tiles, count.written_tiles) == TILES[name]
    assert (used.requests["source"], used.gets["object"], used.puts["object"]) == TILES[name]
    assert used.bytes_read["source"] == count.source
    assert used.bytes_written["inline"] == used.bytes_written["redis"] == 0
    if name == "gemm":  # the others' results hold zeros that depend on rounding, so that their tiles may compress
        assert (used.bytes_read["object"], used.bytes_written["object"]) == (count.read, count.written)
    assert used.bytes_read["object"] == pytest.approx(count.read, rel=0.01)
    assert used.bytes_written["object"] == pytest.approx(count.written, rel=0.01)


def full(name: str, rng: np.random.Generator, directory: Path) -> Recurrences:
    """The program at the size at which numpywren was measured."""
    made = {
        "gemm": lambda: rng.standard_normal((4000, 4000)),
        "tsqr": lambda: rng.standard_normal((262_144, 128)),
        "cholesky": lambda: positive(rng, 4000),
    }[name]()
    a: Matrix = write(made, directory)
    return {
        "gemm": lambda: gemm_program(a, a, 1000),
        "tsqr": lambda: tsqr_program(a, 8192),
        "cholesky": lambda: cholesky_program(a, 500),
    }[name]()


@pytest.mark.long
@pytest.mark.parametrize("name", MEASURED)
def test_bytes_are_those_of_numpywren_itself(
    functions: LocalFunctions, rng: np.random.Generator, tmp_path: Path, name: str
) -> None:
    _, report = computed(WAYS["numpywren"], full(name, rng, tmp_path), functions)
    used, (read, written) = report.usage, MEASURED[name]
    assert used.bytes_read["source"] + used.bytes_read["object"] == pytest.approx(read, rel=MARGIN)
    assert used.bytes_written["object"] == pytest.approx(written, rel=MARGIN)
