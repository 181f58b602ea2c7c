"""One seed for a whole run: printed at its head, and given again with SARRAY_SEED to repeat it."""

from __future__ import annotations

import os
import secrets
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

SEED_VARIABLE = "SARRAY_SEED"
RUN_SEED = int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(2**31))

settings.register_profile("default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("SARRAY_HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let hypothesis draw from the run's seed, unless the command line names another."""
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(RUN_SEED)


def pytest_report_header(config: pytest.Config) -> str:
    """Print what repeats this run."""
    return f"seed: {RUN_SEED} (repeat with {SEED_VARIABLE}={RUN_SEED}; hypothesis: {config.option.hypothesis_seed})"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return a seed of this test's own: the run's, mixed with the test's name."""
    mixed = (RUN_SEED + zlib.crc32(request.node.nodeid.encode())) % 2**31
    print(f"seed of this test: {mixed} ({SEED_VARIABLE}={RUN_SEED})")
    return mixed


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Return a generator of this test's own, repeatable with the run's seed."""
    return np.random.default_rng(seed)
