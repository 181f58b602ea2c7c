"""The lecture's programs: the slides' own lines but for imports, and every ``.compute()`` of theirs reaches us."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import dask
import dask.array
import numpy as np
import pytest

import sarray as sa
from sarray.cluster import FORMER, Client, FormerParameter, LocalCluster
from tests.house.tree import ROOT
from wukong_sched.drivers import threads

LECTURE = ROOT / "examples" / "lecture"
PROGRAMS = sorted({path.stem for path in LECTURE.glob("*.py")} - {"run", "reported"})
CLUSTER = """\
local_cluster = LocalCluster(host='0.0.0.0:8786',
                             proxy_address = '3.83.198.204',
                             num_fargate_nodes = 10)
client = Client(local_cluster)
"""
GEMM = """\

x = da.random.random((10000, 10000), chunks = (1000, 1000))
y = da.random.random((10000, 10000), chunks = (1000, 1000))
z = da.matmul(x, y)

# Start the computation.
z.compute()
"""
SVC = """\

X, y = sklearn.datasets.make_classification(n_samples=1000)
clf = ParallelPostFit(SVC(gamma='scale'))
clf.fit(X, y)

X, y = dask_ml.datasets.make_classification(n_samples=800000,
                                             random_state=800000,
                                             chunks=800000 // 20)

# Start the computation.
clf.predict(X).compute()
"""


def runner() -> ModuleType:
    """The script that runs the programs."""
    specification = importlib.util.spec_from_file_location("example_lecture_run", LECTURE / "run.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def beside_the_programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where Python looks when it is given a script: in its directory, for as long as a test lasts."""
    monkeypatch.syspath_prepend(LECTURE)
    yield
    sys.modules.pop("reported", None)


def test_the_slides_programs_differ_in_imports_only() -> None:
    for name, slide in {"gemm": GEMM, "gemm_dask": GEMM, "svc": SVC}.items():
        lines = (LECTURE / f"{name}.py").read_text(encoding="utf-8").splitlines(keepends=True)
        ours = "".join(line for line in lines if not line.startswith(("import ", "from ")))
        assert ours.lstrip("\n") == CLUSTER + slide


README = {
    "single_node": """\
example_computation = delayed(incr)(5)

# Start the workload.
result = example_computation.compute()
print("Result: %d" % result)
""",
    "delayed_chain": """\
# Linear 3-Node DAG
a = delayed(incr)(5)
b = delayed(decr)(a)
c = delayed(double)(b)

result1 = c.compute(scheduler = client.get)
print("Result: %d" % result1)
""",
    "delayed_fan_in": """\
# 3-Node DAG with a Fan-In
x = delayed(incr)(3)
y = delayed(decr)(7)
z = delayed(add_values)(x,y)

result2 = z.compute(scheduler = client.get)
print("Result: %d" % result2)
""",
    "tree_reduction": """\
L = range(1024)
while len(L) > 1:
  L = list(map(delayed(operator.add), L[0::2], L[1::2]))

# Start the computation.
L[0].compute(scheduler = client.get)
""",
    "svd_tall": """\
X = da.random.random((200000, 1000), chunks=(10000, 1000))
u, s, v = da.linalg.svd(X)

# Start the computation.
v.compute(scheduler = client.get)
""",
    "svd_square": """\
X = da.random.random((10000, 10000), chunks=(2000, 2000))
u, s, v = da.linalg.svd_compressed(X, k=5)

# Start the computation.
v.compute(scheduler = client.get)
""",
}
"""How the programs of Wukong's README end, by what they are called here; its cluster is the slides'."""


@pytest.mark.parametrize("name", README)
def test_wukongs_programs_differ_in_imports_only(name: str) -> None:
    text = (LECTURE / f"{name}.py").read_text(encoding="utf-8")
    imports, cluster, rest = text.partition(CLUSTER)
    assert cluster and rest.endswith(README[name])
    assert all(line.startswith(("import ", "from ")) for line in imports.splitlines())


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_says_what_it_did(name: str) -> None:
    imports = (LECTURE / f"{name}.py").read_text(encoding="utf-8").partition(CLUSTER)[0]
    assert imports.endswith("from sarray.cluster import LocalCluster\nfrom reported import Client\n")


@pytest.mark.parametrize("executor", ["threads", "functions"])
@pytest.mark.parametrize(("program", "tasks"), [("single_node", 1), ("tree_reduction", 1023)])
def test_a_program_started_directly_prints_its_report(program: str, tasks: int, executor: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(LECTURE / f"{program}.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SARRAY_EXECUTOR": executor},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(f": {tasks} tasks in") == ended.stdout.count("read     written") == 1
    assert ended.stdout.startswith("Result: 6\n") == (program == "single_node")
    assert ("invocations (" in ended.stdout) == (executor == "functions")
    assert "host: was the address on which the static scheduler listened" in ended.stderr


def test_a_client_reports_once_and_only_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    reported = importlib.import_module("reported")
    sa.ones(4, chunks=2).sum().compute()
    with reported.Client():
        pass
    assert capsys.readouterr().out == ""
    client = reported.Client()
    sa.ones(4, chunks=2).sum().compute()
    client.close()
    client.close()
    assert capsys.readouterr().out == f"{sa.last_report()}\n\n"


@pytest.mark.parametrize("executor", ["threads", "functions"])
@pytest.mark.parametrize(("program", "tasks"), [("delayed_chain", 3), ("delayed_fan_in", 3), ("tree_reduction", 1023)])
def test_delayed_programs_print_results_and_reports(
    program: str, tasks: int, executor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runner().run(program, executor, 1)
    printed = capsys.readouterr().out
    assert f": {tasks} tasks in" in printed and "read     written" in printed
    assert ("invocations (" in printed) == (executor == "functions")
    assert ("Result: 10\n" in printed) == program.startswith("delayed")


@pytest.mark.filterwarnings("ignore:Increasing number of chunks")  # Dask's word on its own product of the slide
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_computes_with_our_scheduler(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    runner().run(program, "threads", 100)
    assert calls


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Increasing number of chunks")
def test_the_programs_run_on_functions(capsys: pytest.CaptureFixture[str]) -> None:
    runner().main(["--executor", "functions", "--divide", "40"])
    printed = capsys.readouterr().out
    assert printed.count("invocations (") == printed.count(" on functions:") == len(PROGRAMS)


def test_a_plain_compute_of_dask_reaches_our_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch)
    x = dask.array.ones((6, 6), chunks=4)
    with Client(LocalCluster(n_workers=2)):
        np.testing.assert_array_equal((x @ x).compute(), np.full((6, 6), 6.0))
        assert len(calls) == 1
        assert dask.delayed(sum)([1, 2]).compute() == 3
        assert len(calls) == 2
    x.sum().compute()
    assert len(calls) == 2, "a closed client leaves Dask as it was"


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that grows with every job of the threads driver."""
    calls: list[Any] = []
    run: Callable[..., Any] = threads.run
    monkeypatch.setattr(threads, "run", lambda *arguments, **options: calls.append(1) or run(*arguments, **options))
    return calls


def test_a_client_says_where_computations_run() -> None:
    before = sa.settings()
    with Client(LocalCluster(n_workers=3, executor="serial")):
        assert (sa.settings().executor, sa.settings().workers) == ("serial", 3)
        assert sa.ones(4, chunks=2).sum().compute() == 4
    assert sa.settings() == before


def test_former_parameters_are_said_to_mean_nothing() -> None:
    with pytest.warns(FormerParameter, match="proxy_address: was the address of the storage manager.*launch tree"):
        LocalCluster(proxy_address="10.0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LocalCluster(0).n_workers is None
    for name, (meant, now) in FORMER.items():
        with pytest.warns(FormerParameter) as caught:
            LocalCluster(**{name: 1})
        assert meant in str(caught[0].message) and now in str(caught[0].message)


WUKONGS = """
    n_workers threads_per_worker processes loop start host ip scheduler_port silence_logs dashboard_address
    worker_dashboard_address diagnostics_port services worker_services service_kwargs asynchronous security protocol
    blocked_handlers interface worker_class proxy_address proxy_port redis_address redis_port num_lambda_invokers
    max_task_fanout chunk_large_tasks wukong_config_path big_task_threshold print_debug redis_endpoints memory_limit
    reuse_existing_fargate_tasks_on_startup executors_use_task_queue ecs_cluster_name use_bit_dep_checking debug_mode
    use_local_proxy local_proxy_path lambda_debug use_fargate ecs_task_definition ecs_network_configuration
    num_chunks_for_large_tasks print_level aws_region reuse_lambdas num_fargate_nodes use_invoker_lambdas_threshold
    force_use_invoker_lambdas
"""
"""All parameters of its `LocalCluster`, and what it handed on to its workers."""


def test_every_parameter_of_wukongs_cluster_is_known() -> None:
    assert set(WUKONGS.split()) - FORMER.keys() == {"n_workers"}


def test_what_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match="no parameter 'gpus'; known: n_workers, executor, host"):
        LocalCluster(gpus=1)
    with pytest.raises(TypeError, match=r"not '10.0.0.1:8786'"):
        Client("10.0.0.1:8786")  # type: ignore[arg-type]


def test_without_dask_a_client_serves_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with Client():
        assert sa.ones(4, chunks=2).sum().compute() == 4
