"""`LocalCluster` and `Client` as scripts for Dask's `distributed` and for Wukong have them.

There is no cluster: a client says where ``.compute()`` runs from now on, for arrays and delayed calls of this project
and, where Dask is installed, for all of its collections. Parameters that once named servers are accepted, and connect
to nothing.

>>> import sarray as sa
>>> with LocalCluster(executor="serial") as cluster, Client(cluster):
...     sa.ones(4, chunks=2).sum().compute()
array(4.)
"""

from __future__ import annotations

import importlib.util
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from sarray.config import everywhere, settings
from sarray.reports import remember
from wukong_sched.choice import Choice, chosen, counted, whole

__all__ = ["FORMER", "Client", "FormerParameter", "LocalCluster"]

NO_SERVER = "no server: functions schedule functions"
NO_PROXY = "a launch tree: executors that are handed many tasks invoke others, in logarithmic depth"
BY_COST = "the policy decides by cost; policy='wukong' has the paper's rules"
REPORT = "x.compute(report=True) and the progress bar"
TRACE = "compute(trace=...)"
STORES = "the stores of the executor: files and Valkey here, S3 and Redis on AWS"

FORMER: Mapping[str, tuple[str, str]] = {
    "host": ("address on which the static scheduler listened", NO_SERVER),
    "ip": ("the same, formerly", NO_SERVER),
    "scheduler_port": ("port of the static scheduler", NO_SERVER),
    "dashboard_address": ("address of its web page", REPORT),
    "worker_dashboard_address": ("address of the workers' web pages", REPORT),
    "diagnostics_port": ("port of its web page, formerly", REPORT),
    "silence_logs": ("level of what it logged", "nothing is logged"),
    "loop": ("event loop of the cluster", NO_SERVER),
    "start": ("whether to start it at once", "functions start with the first computation"),
    "asynchronous": ("promise to await the cluster within a coroutine", "Client is a context of coroutines, too"),
    "protocol": ("protocol between scheduler and workers", NO_SERVER),
    "interface": ("network interface for it", NO_SERVER),
    "security": ("certificates for it", "programs are signed with a key of each job's"),
    "blocked_handlers": ("messages that the scheduler refused", NO_SERVER),
    "services": ("further servers beside the scheduler", NO_SERVER),
    "worker_services": ("further servers beside the workers", NO_SERVER),
    "service_kwargs": ("parameters of such servers", NO_SERVER),
    "scheduler_kwargs": ("parameters of the scheduler", NO_SERVER),
    "scheduler_sync_interval": ("number of seconds between looks at the scheduler", NO_SERVER),
    "name": ("name in the scheduler's logs", NO_SERVER),
    "local_directory": ("directory for blocks that did not fit into memory", "the system's directory, TMPDIR"),
    "processes": ("switch between workers in processes and in threads", "executor='functions' or executor='threads'"),
    "threads_per_worker": ("number of threads of one worker", "n_workers tasks at once, one in each worker"),
    "worker_class": ("class of the workers", "executor='threads', 'functions' or 'aws'"),
    "memory_limit": ("bytes that one worker might hold", "sarray.config(memory_limit=...)"),
    "proxy_address": ("address of the storage manager, which invoked large fan-outs", NO_PROXY),
    "proxy_port": ("its port", NO_PROXY),
    "use_local_proxy": ("whether to start it on this machine", NO_PROXY),
    "local_proxy_path": ("where its program was", NO_PROXY),
    "max_task_fanout": ("width of a fan-out from which it was asked", NO_PROXY),
    "num_lambda_invokers": ("processes that invoked the leaves", NO_PROXY),
    "use_invoker_lambdas_threshold": ("number of leaves from which functions invoked them", NO_PROXY),
    "force_use_invoker_lambdas": ("switch for functions that invoke leaves, however few", NO_PROXY),
    "num_fargate_nodes": ("Redis servers to start on Fargate", STORES),
    "use_fargate": ("whether to start them", STORES),
    "redis_endpoints": ("Redis servers to use", STORES),
    "redis_address": ("address of a Redis server to use", STORES),
    "redis_port": ("port of that Redis server", STORES),
    "reuse_existing_fargate_tasks_on_startup": ("whether to take Redis servers that ran on Fargate already", STORES),
    "ecs_cluster_name": ("where on ECS they ran", STORES),
    "ecs_task_definition": ("as which ECS task", STORES),
    "ecs_network_configuration": ("in which network", STORES),
    "wukong_config_path": ("file in which all of these were", "sarray.toml and the environment: see sarray.config"),
    "aws_region": ("region of the functions", "the region of boto3's session, AWS_DEFAULT_REGION"),
    "chunk_large_tasks": ("whether to keep consumers of large results in one executor", BY_COST),
    "chunk_task_threshold": ("bytes from which a result was large", BY_COST),
    "num_chunks_for_large_tasks": ("number of parts into which consumers of large results were divided", BY_COST),
    "big_task_threshold": ("bytes from which a result was large", BY_COST),
    "executors_use_task_queue": ("whether executors kept a queue of ready tasks", "they do"),
    "use_bit_dep_checking": ("whether fan-ins were counted by bits", "they are, in one atomic commit"),
    "reuse_lambdas": ("whether to keep executors alive for later tasks", "executors go on while they have work"),
    "lambda_debug": ("whether functions logged more", TRACE),
    "debug_print": ("whether the scheduler printed more", TRACE),
    "print_debug": ("whether the scheduler printed more", TRACE),
    "print_level": ("amount of what it printed", TRACE),
    "debug_mode": ("whether it kept more about tasks for debugging", TRACE),
}
"""{parameter: (what it meant, what is used now)}"""
OF_CLIENTS: Mapping[str, tuple[str, str]] = {
    "timeout": ("number of seconds to wait for the scheduler", NO_SERVER),
    "set_as_default": ("switch for .compute() to run there", "it does, until the client is closed"),
    "heartbeat_interval": ("time between signs of life to the scheduler", NO_SERVER),
    "serializers": ("ways to send objects to the scheduler", NO_SERVER),
    "deserializers": ("ways to receive objects from it", NO_SERVER),
    "extensions": ("further handlers of its messages", NO_SERVER),
    "direct_to_workers": ("whether to fetch results from the workers", "results come from the stores of the executor"),
    "connection_limit": ("number of connections to the workers", NO_SERVER),
}
"""The same of distributed's clients, which take most of a cluster's too."""
ADDRESSES = ("address", "scheduler_file")
"""Its parameters that say where a scheduler is."""


class FormerParameter(UserWarning):
    """A parameter that named a server or switched a rule, and means nothing any more."""


class LocalCluster:
    """Where computations run: `n_workers` at once (None, 0: as many as there are processors), by an `executor`.

    `executor` is "threads", "functions" or "aws", as in `sarray.config`, which also says the default. Parameters of
    Wukong's and distributed's clusters (`FORMER`) are accepted; one `FormerParameter` warning says what is used
    instead. Raises TypeError for any other and for a number of workers that is no integer, ValueError for an executor
    that there is not or a number of workers below 0.
    """

    def __init__(self, n_workers: int | None = None, *, executor: str | None = None, **former: Any) -> None:
        self.n_workers = counted("n_workers", whole("n_workers", n_workers) or None)
        if executor is not None:
            _check_executor(executor)
        _advise("LocalCluster", former, FORMER)
        self.executor = executor

    def __repr__(self) -> str:
        return f"LocalCluster(n_workers={self.n_workers}, executor={self.executor!r})"

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to end: functions stay warm for later computations, and end with this process."""


def _check_executor(name: str) -> None:
    from sarray.executors import EXECUTORS

    if name not in EXECUTORS:
        raise ValueError(f"there is no executor {name!r}; known: {', '.join(EXECUTORS)}")


def _advise(owner: str, former: Iterable[str], meanings: Mapping[str, tuple[str, str]]) -> None:
    """Say to the caller's caller what is used instead of these parameters; TypeError for one that never was."""
    for name in sorted(set(former) - meanings.keys()):
        raise TypeError(f"{owner} has no parameter {name!r}; known: {', '.join(['n_workers', 'executor', *meanings])}")
    lines = [f"  {name}: was the {meanings[name][0]}; now: {meanings[name][1]}" for name in former]
    if lines:
        text = "\n".join(["these parameters connect to nothing any more:", *lines])
        warnings.warn(text, FormerParameter, stacklevel=3)


@dataclass(frozen=True, slots=True)
class Get:
    """A Dask scheduler that runs graphs on one executor; and arrays of this project take it, too."""

    executor: str
    workers: int | None = None

    def __call__(self, graph: Any, keys: Any, **options: Any) -> Any:
        """The values of the keys; the report goes to `sarray.last_report`. Needs Dask."""
        from wukong_sched.dask import Scheduler
        from wukong_sched.dask.reports import latest

        found = Scheduler(self.executor, self.workers, CARRIERS.get(self.executor))(graph, keys, **options)
        report = latest()
        if report is not None:
            remember(report)
        return found


def _carried(program: Any, storage: Any, progress: Any) -> Any:
    """Let the deployed function run a program; what it calls must be installed there, or be a module of the user's."""
    from sarray.executors import place_of
    from wukong_sched.functions.carried import Wishes, begin, collect, finished
    from wukong_sched.storage.pickled import own_modules_by_value

    remote, wishes = place_of(replace(settings(), executor="aws")), Wishes(progress=progress)
    with own_modules_by_value(anywhere=True):
        job = begin(remote.functions, program, wishes, remote.park)
    with finished(remote.functions, job):
        report = collect(remote.functions, job, storage, wishes)
    return report


CARRIERS: Mapping[str, Any] = {"aws": _carried}
"""Who runs Dask's graphs where `wukong_sched` has no driver of this name."""


class Client:
    """From now on, ``.compute()`` runs on this cluster, in every thread; until `close`, or the end of a ``with`` block.

    Without a cluster: on one made of `n_workers` and `executor`, or on what `sarray.config` says.
    ``Client(n_workers=4)`` runs four tasks at once. Parameters of distributed's clients and clusters (`FORMER`,
    `OF_CLIENTS`) are accepted as `LocalCluster` accepts them.

    What was said last counts, be it a client, `sarray.config` or ``dask.config.set(scheduler=...)``. Clients may be
    closed in any order, more than once, and in any thread. ``.compute(scheduler=client.get)`` runs there in any case.
    `sarray.last_report` has the report, that of Dask's collections too. Raises TypeError for the address of a
    scheduler, since there is none to connect to, and for workers or an executor other than a given cluster's.
    """

    def __init__(
        self,
        cluster: LocalCluster | None = None,
        *,
        n_workers: int | None = None,
        executor: str | None = None,
        **former: Any,
    ) -> None:
        for given in (cluster, *map(former.get, ADDRESSES)):
            if not isinstance(given, LocalCluster | None):
                raise TypeError(f"Client takes a LocalCluster of this module, not {given!r}: Client(LocalCluster())")
        if cluster is not None and (n_workers is not None or executor is not None):
            raise TypeError("a cluster has its own workers and executor: Client(LocalCluster(n_workers, executor=...))")
        _advise("Client", former, {**FORMER, **OF_CLIENTS})
        self.cluster = cluster or LocalCluster(n_workers, executor=executor)
        holds = settings()
        self.get = Get(self.cluster.executor or holds.executor, self.cluster.n_workers or holds.workers)
        self._stack = ExitStack()
        self._stack.enter_context(everywhere(executor=self.get.executor, workers=self.get.workers))
        self._stack.enter_context(chosen(_settled))
        if importlib.util.find_spec("dask") is not None:
            self._stack.enter_context(_dask_runs_here())

    def __repr__(self) -> str:
        return f"Client({self.cluster!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let ``.compute()`` run as it did before."""
        self._stack.close()


def _settled() -> Choice:
    """Where delayed calls run, too: what the settings say when they are computed."""
    holds = settings()
    return Choice(holds.executor, holds.workers)


_lock = threading.Lock()
_open: list[object] = []
"""One entry for each client that Dask is to heed."""
_before: list[Any] = []
"""What Dask's setting was when the first of them came."""


def run_dask(graph: Any, keys: Any, **options: Any) -> Any:
    """A Dask scheduler: runs the graph where this project's settings say, which are looked up at every call."""
    holds = settings()
    return Get(holds.executor, holds.workers)(graph, keys, **options)


@contextmanager
def _dask_runs_here() -> Iterator[None]:
    """Dask's default scheduler is `run_dask` while the block lasts, and as long as another one does."""
    import dask

    me = object()
    with _lock:
        if not _open:
            _before.append(dask.config.get("scheduler", None))
        _open.append(me)
        dask.config.set(scheduler=run_dask)
    try:
        yield
    finally:
        with _lock:
            _open.remove(me)
            if not _open:
                before = _before.pop()
                if dask.config.get("scheduler", None) is run_dask:
                    dask.config.set(scheduler=before)
