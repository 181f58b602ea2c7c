"""Blocks beyond the limit go to disk and come back; nothing stays there."""

import gc
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wukong_sched.errors import InfrastructureError
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
        assert spill.spilled_bytes == 0 and not list(tmp_path.iterdir())
        assert blocks[tile(0)] is not None
        blocks[tile(2)] = block(2)
        (directory,) = tmp_path.iterdir()
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (file,) = directory.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert spill.resident <= spill.limit
        assert np.array_equal(blocks[tile(1)], block(1))
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


def test_files_go_with_their_blocks(tmp_path):
    with Spill(block(0).nbytes, str(tmp_path)) as spill:
        blocks = spill.mapping()
        for number in range(4):
            blocks[tile(number)] = block(number)
        (directory,) = tmp_path.iterdir()
        assert len(list(directory.iterdir())) == 3
        blocks.clear()
        assert not list(directory.iterdir())


def test_a_forgotten_spill_cleans_up(tmp_path):
    spill = Spill(0, str(tmp_path))
    blocks = spill.mapping()
    blocks[tile(0)], blocks[tile(1)] = block(0), block(1)
    assert len(list(tmp_path.iterdir())) == 1
    del spill, blocks
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_tuples_are_signed(tmp_path):
    with Spill(0, str(tmp_path)) as spill:
        blocks = spill.mapping()
        blocks[tile(0)], blocks[tile(1)] = (block(0), "reflectors"), block(1)
        assert np.array_equal(blocks[tile(0)][0], block(0))
        blocks[tile(2)] = block(2)
        (file,) = [path for path in Path(next(tmp_path.iterdir())).iterdir() if path.read_bytes()[:4] == b"SGND"]
        data = bytearray(file.read_bytes())
        data[-20] ^= 1
        file.write_bytes(data)
        with pytest.raises(InfrastructureError, match="changed on disk"):
            blocks[tile(0)]


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
