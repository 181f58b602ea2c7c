"""Dask's graphs where ``executor="aws"`` says: boto3 against the local service."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest

from sarray.cluster import Client, LocalCluster
from sarray.reports import last_report
from tests.functions.test_aws_arrays import account, deployed, files  # noqa: F401  # fixtures
from wukong_sched.functions.places import Addresses


def test_a_client_of_aws_runs_dasks_graphs(account: Addresses) -> None:  # noqa: F811
    data = np.arange(40_000.0).reshape(200, 200)
    x = da.from_array(data, chunks=100)
    with Client(LocalCluster(executor="aws")):
        np.testing.assert_array_equal((x * 2).sum(axis=0).compute(), (data * 2).sum(axis=0))
        assert last_report().facts.executor == "aws"
        assert last_report().invocations > 0
        with pytest.raises(ZeroDivisionError):
            dask.delayed(divmod)(1, 0).compute()
        assert dask.delayed(abs)(-2).compute(executor="serial") == 2
    assert files(account) == []
