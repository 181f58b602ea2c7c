"""Blocks beyond the limit go to disk and come back; nothing stays there."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wukong_sched.storage.scratch import Scratch
from wukong_sched.storage.spill import SMALL, Spill

ITEMS = 2 * SMALL // 8


def tile(number):
    return ("x", (number,))


def block(seed):
    return np.random.default_rng(seed).random(ITEMS)


def test_the_least_recently_used_goes_first(tmp_path):
    with Spill(2 * block(0).nbytes, str(tmp_path)) as spill:
        blocks = spill.mapping()
        for number in range(2):
            blocks[tile(number)] = block(number)
        assert spill.spilled_bytes == 0
        assert blocks[tile(0)] is not None
        blocks[tile(2)] = block(2)
        assert spill.spilled_bytes == spill.scratch.size >= block(1).nbytes
        assert spill.resident <= spill.limit
        assert np.array_equal(blocks[tile(1)], block(1))


def test_the_file_has_no_name(tmp_path):
    with Spill(0, str(tmp_path)) as spill:
        blocks = spill.mapping()
        blocks[tile(0)], blocks[tile(1)] = block(0), block(1)
        assert spill.spilled_bytes > 0
        assert not list(tmp_path.iterdir())


def test_a_block_held_twice_counts_once(tmp_path):
    with Spill(10 * block(0).nbytes, str(tmp_path)) as spill:
        here, there = spill.mapping(), spill.mapping()
        here[tile(0)] = block(0)
        there[tile(0)] = here[tile(0)]
        assert spill.resident == block(0).nbytes
        del here[tile(0)]
        assert np.array_equal(there[tile(0)], block(0))
        there.clear()
        assert spill.resident == 0


def test_space_is_used_again(tmp_path):
    with Spill(block(0).nbytes, str(tmp_path)) as spill:
        blocks = spill.mapping()
        for _ in range(10):
            for number in range(4):
                blocks[tile(number)] = block(number)
            blocks.clear()
        assert spill.scratch.size < 5 * block(0).nbytes
        assert sum(gap.length for gap in spill.scratch.free) == spill.scratch.size


class Factors(NamedTuple):
    q: np.ndarray
    name: str


def test_tuples_come_back(tmp_path):
    with Spill(0, str(tmp_path)) as spill:
        blocks = spill.mapping()
        fortran = np.asfortranarray(block(0).reshape(2, -1))
        blocks[tile(0)], blocks[tile(1)] = (Factors(block(0), "reflectors"), fortran), block(1)
        (first, second) = blocks[tile(0)]
        assert np.array_equal(first.q, block(0)) and first.name == "reflectors"
        assert np.array_equal(second, fortran) and second.flags.f_contiguous
        assert spill.scratch.size >= 2 * block(0).nbytes


def test_a_full_disk_is_an_error_that_leaves_the_block(tmp_path, monkeypatch):
    def full(descriptor, data, position):
        raise OSError(28, "No space left on device")

    with Spill(0, str(tmp_path)) as spill:
        blocks = spill.mapping()
        blocks[tile(0)] = block(0)
        monkeypatch.setattr("os.pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            blocks[tile(1)] = block(1)
        monkeypatch.undo()
        assert np.array_equal(blocks[tile(0)], block(0))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50)), max_size=60))
def test_scratch_against_a_dict(operations):
    scratch, kept = Scratch(), {}
    for number, (writes, size) in enumerate(operations):
        if writes or not kept:
            data = bytes([number % 256]) * size
            kept[scratch.write([data[:3], data[3:]])] = data
        else:
            piece = sorted(kept)[size % len(kept)]
            del kept[piece]
            scratch.release(piece)
        assert all(scratch.read(piece) == data for piece, data in kept.items())
        assert sum(map(len, kept.values())) + sum(gap.length for gap in scratch.free) == scratch.size
    scratch.close()


class SpillingBlocksAgainstADict(RuleBasedStateMachine):
    """Whatever is done to the mapping, it answers as a dict does, and stays within its limit."""

    def __init__(self):
        super().__init__()
        self.spill = Spill(3 * ITEMS * 8)
        self.blocks, self.model = self.spill.mapping(), {}

    @rule(number=st.integers(0, 9), seed=st.integers(0, 99))
    def put(self, number, seed):
        self.blocks[tile(number)] = block(seed)
        self.model[tile(number)] = seed

    @rule(number=st.integers(0, 9))
    def get(self, number):
        if tile(number) in self.model:
            assert np.array_equal(self.blocks[tile(number)], block(self.model[tile(number)]))
        else:
            with pytest.raises(KeyError):
                self.blocks[tile(number)]

    @rule(number=st.integers(0, 9))
    def pop(self, number):
        self.blocks.pop(tile(number), None)
        self.model.pop(tile(number), None)

    @invariant()
    def same_tiles_within_the_limit(self):
        assert set(self.blocks) == set(self.model)
        assert self.spill.resident <= self.spill.limit

    def teardown(self):
        self.spill.close()


TestSpillingBlocks = SpillingBlocksAgainstADict.TestCase
TestSpillingBlocks.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
