"""What a user writes: ``executor="aws"``, and the same values as in threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import sarray as sa
from tests.aws.account import CONCURRENCY, Account

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def settings(aws: Account) -> Iterator[None]:
    """The three settings of an account, of which one is a file."""
    with sa.config(aws_environment=str(aws.path), aws_concurrency=CONCURRENCY):
        yield
    assert aws.left() == []


def test_tsqr(rng: np.random.Generator) -> None:
    a = rng.standard_normal((8192, 48))
    x = sa.from_array(a, chunks=(512, 48))
    q, r = sa.compute(*sa.tsqr(x), executor="aws")
    for ours, theirs in zip((q, r), sa.compute(*sa.tsqr(x)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(q @ r, a, rtol=0, atol=1e-12)


def test_a_product(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((700, 600)), rng.standard_normal((600, 500))
    product = sa.from_array(a, chunks=300) @ sa.from_array(b, chunks=300)
    found = product.compute(executor="aws")
    np.testing.assert_array_equal(found, product.compute())
    np.testing.assert_allclose(found, a @ b, rtol=0, atol=1e-10)


def test_a_tree_reduction() -> None:
    x = sa.arange(40_000, chunks=100)
    assert x.sum().compute(executor="aws") == 40_000 * 39_999 // 2
    report = sa.last_report()
    assert report is not None
    assert report.to_dict()["tasks"] >= 400 // 8
    assert report.to_dict()["usd"] > 0
