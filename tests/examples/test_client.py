"""A client says where computations run in every thread and task, whoever closes it and in whatever order."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask
import dask.array
import pytest

import sarray as sa
from sarray.cluster import Client, LocalCluster


def elsewhere(function: Any) -> Any:
    """What a function returns in a thread that was there before."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(60)


def test_a_client_holds_in_threads_that_were_there_before() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result(60)
        with Client(LocalCluster(3, executor="serial")):
            found = pool.submit(sa.settings).result(60)
            assert (found.executor, found.workers) == ("serial", 3)
            names = pool.submit(lambda: dask.delayed(threading.get_ident)().compute()).result(60)
            assert names == pool.submit(threading.get_ident).result(60), "serial: in the thread that computes"
        assert pool.submit(sa.settings).result(60) == sa.settings()


def test_what_was_said_last_counts() -> None:
    with sa.config(executor="functions", workers=5), Client(LocalCluster(executor="serial")):
        assert (sa.settings().executor, sa.settings().workers) == ("serial", 5)
        with sa.config(executor="threads"):
            assert sa.settings().executor == "threads"
        assert sa.settings().executor == "serial"


def test_a_client_without_a_cluster_keeps_what_holds_where_it_is_made() -> None:
    with sa.config(executor="serial", workers=2), Client():
        assert elsewhere(sa.settings).executor == "serial"


def test_clients_close_in_any_order_and_thread_and_twice() -> None:
    before, scheduler = sa.settings(), dask.config.get("scheduler", None)
    first, second = Client(LocalCluster(2, executor="serial")), Client(LocalCluster(3, executor="threads"))
    first.close()
    assert (sa.settings().executor, sa.settings().workers) == ("threads", 3)
    assert dask.config.get("scheduler") is not None
    elsewhere(second.close)
    second.close()
    assert sa.settings() == before
    assert dask.config.get("scheduler", None) is scheduler


def test_dask_follows_the_settings_that_hold_when_it_computes() -> None:
    ident = dask.delayed(threading.get_ident)
    with Client(LocalCluster(executor="threads")), sa.config(executor="serial"):
        assert ident().compute() == threading.get_ident()


def test_dasks_own_choice_after_a_client_is_left_alone() -> None:
    with dask.config.set(scheduler="sync"):
        client = Client()
        with dask.config.set(scheduler="threads"):
            client.close()
            assert dask.config.get("scheduler") == "threads"


def test_a_client_in_coroutines() -> None:
    async def outer() -> tuple[Any, ...]:
        async with Client(LocalCluster(executor="serial")):
            inner = asyncio.create_task(asyncio.to_thread(sa.settings))
            return (await inner).executor, float(await asyncio.to_thread(sa.ones(4, chunks=2).sum().compute))

    assert asyncio.run(outer()) == ("serial", 4.0)


@pytest.mark.parametrize("name", ["array", "delayed"])
def test_dask_collections_of_a_thread_are_ours(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sarray import cluster

    calls: list[Any] = []
    run = cluster.run_dask
    monkeypatch.setattr(cluster, "run_dask", lambda *given, **options: calls.append(1) or run(*given, **options))
    made = {"array": lambda: dask.array.ones(4, chunks=2).sum(), "delayed": lambda: dask.delayed(sum)([4, 0])}[name]
    with Client(LocalCluster(executor="serial")):
        assert elsewhere(lambda: made().compute()) == 4
        assert len(calls) == 1


def test_the_get_of_a_client_runs_on_its_cluster_whatever_else_holds() -> None:
    client = Client(LocalCluster(executor="serial"))
    client.close()
    with Client(LocalCluster(executor="functions")):
        assert dask.delayed(threading.get_ident)().compute(scheduler=client.get) == threading.get_ident()
        assert sa.last_report().facts.executor == "serial"
        assert sa.ones(4, chunks=2).sum().compute(scheduler=client.get) == 4
        assert sa.last_report().facts.executor == "serial"


def test_arrays_take_the_get_of_a_client_and_nothing_else() -> None:
    with pytest.raises(TypeError, match="scheduler='threads' is not the get of a sarray"):
        sa.ones(4).compute(scheduler="threads")


def test_reports_of_dasks_collections_are_those_of_ours() -> None:
    with Client(LocalCluster(executor="threads")):
        dask.array.ones(8, chunks=2).sum(split_every=2).compute()
        assert (sa.last_report().tasks, sa.last_report().facts.executor) == (4 + 2 + 1, "threads")
        assert sa.ones((4, 4), chunks=2).sum().compute() == 16
        assert sa.last_report().facts.executor == "threads"


def test_an_executor_that_there_is_not_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="'typo'; known: threads, serial, functions"):
        Client(LocalCluster(executor="typo"))
