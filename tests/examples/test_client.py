"""A client says where computations run in every thread and task, whoever closes it and in whatever order."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask
import dask.array
import distributed
import numpy as np
import pytest

import sarray as sa
from sarray.cluster import FORMER, OF_CLIENTS, Client, FormerParameter, LocalCluster


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


def test_dasks_common_signature_needs_no_cluster() -> None:
    with pytest.warns(FormerParameter) as said, Client(n_workers=3, threads_per_worker=1, memory_limit="1GB") as client:
        assert (client.cluster.n_workers, sa.settings().workers) == (3, 3)
        assert dask.array.ones(8, chunks=2).sum().compute() == 8
    assert len(said) == 1 and said[0].filename == __file__
    text = str(said[0].message)
    assert "threads_per_worker: was the number of threads of one worker; now: n_workers tasks at once" in text
    assert "memory_limit: was the bytes that one worker might hold; now: sarray.config(memory_limit=...)" in text
    assert "n_workers:" not in text


def test_no_more_calls_run_at_once_than_there_are_workers() -> None:
    running, most = [], []

    def count(_: int) -> None:
        running.append(None)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormerParameter)
        client = Client(n_workers=2, threads_per_worker=4, executor="threads")
    with client:
        dask.compute(*(dask.delayed(count)(n) for n in range(20)))
    assert max(most) <= 2


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_parameters_of_dasks_clients_are_said_to_mean_nothing(name: str) -> None:
    meant, now = OF_CLIENTS[name]
    with pytest.warns(FormerParameter) as said, Client(LocalCluster(executor="serial"), **{name: 1}):
        assert sa.settings().executor == "serial"
    assert f"{name}: was the {meant}; now: {now}" in str(said[0].message)


def test_every_parameter_of_dasks_client_and_cluster_is_known() -> None:
    given: set[str] = set()
    for kind in (distributed.Client, distributed.LocalCluster):
        kinds = inspect.signature(kind).parameters.values()
        given |= {each.name for each in kinds if each.kind is not inspect.Parameter.VAR_KEYWORD}
    assert given - FORMER.keys() - OF_CLIENTS.keys() == {"n_workers", "address", "scheduler_file"}


def test_a_client_takes_a_cluster_or_what_makes_one() -> None:
    for options in ({"n_workers": 2}, {"executor": "serial"}):
        with pytest.raises(TypeError, match=r"Client\(LocalCluster\(n_workers, executor=...\)\)"):
            Client(LocalCluster(), **options)  # type: ignore[arg-type]
    for address in ({"address": "tcp://10.0.0.1:8786"}, {"scheduler_file": "/tmp/scheduler.json"}):
        with pytest.raises(TypeError, match=r"not '.*': Client\(LocalCluster\(\)\)"):
            Client(**address)
    with pytest.raises(TypeError, match="Client has no parameter 'gpus'; known: n_workers, executor, host"):
        Client(gpus=1)
    with pytest.raises(ValueError, match="'typo'; known: threads, serial, functions"):
        Client(executor="typo")


@pytest.mark.parametrize("make", [LocalCluster, lambda count: Client(n_workers=count)])
def test_workers_are_counted_at_once(make: Any) -> None:
    with pytest.raises(ValueError, match=r"^n_workers must be greater than 0, got -3; leave it out"):
        make(-3)
    for wrong in ("2", 1.5, 0.0, ""):
        with pytest.raises(TypeError, match=f"^n_workers must be an integer, got {wrong!r}; give int"):
            make(wrong)


def test_numpys_integers_and_none_at_all_count_workers() -> None:
    found = [LocalCluster(count).n_workers for count in (None, 0, np.int64(0), np.int64(2), 3)]  # type: ignore[arg-type]
    assert repr(found) == "[None, None, None, 2, 3]"
