"""Real servers for the stores: one Valkey for the run, more where a test needs settings of its own."""

import secrets

import pytest

from wukong_sched.services.valkey import Valkey


@pytest.fixture(scope="session")
def valkey():
    """A server that all tests share; each uses keys of its own."""
    with Valkey() as server:
        yield server


@pytest.fixture
def job():
    """Return the name of a job that nobody else has."""
    return secrets.token_hex(6)


@pytest.fixture
def valkey_of_its_own():
    """A server for one test."""
    with Valkey() as server:
        yield server
