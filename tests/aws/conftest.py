"""The account that all tests here share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.account import Account, account


@pytest.fixture(scope="package")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """S3, Lambda and Redis, with the function deployed."""
    with account(tmp_path_factory.mktemp("account")) as deployed:
        yield deployed
