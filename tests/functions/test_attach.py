"""Jobs that outlive their client: submitted here, fetched there."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.local_functions import HANDLER, local_functions
from sarray.remote import SubmittedJob
from tests.functions.processes import is_alive, session, until
from tests.functions.programs import slow_block
from tests.house.tree import ROOT
from wukong_sched.coordination.protocol import GRAVES, State
from wukong_sched.drivers import home as homes
from wukong_sched.drivers.functions import LocalFunctions
from wukong_sched.drivers.home import HomeFunctions
from wukong_sched.errors import InfrastructureError, JobCancelled, JobSwept
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.cluster import Deployment
from wukong_sched.storage.resp import Command


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose functions are gone afterwards."""
    path = tmp_path / "home"
    yield path
    if path.exists():
        homes.end(path)
        assert sorted(entry.name for entry in path.iterdir()) == ["lock"]
    local_functions.clear()


@pytest.fixture
def x() -> sa.Array:
    return sa.random.default_rng(5).standard_normal((400, 20), chunks=(100, 20))


def submitted(home: Path) -> tuple[subprocess.Popen[str], str]:
    """A client in a process of its own, and the id of the job that it has submitted."""
    command = [sys.executable, "-m", "tests.functions.submitter", str(home)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_job_submitted_is_the_job_computed(x: sa.Array) -> None:
    q, r = sa.tsqr(x)
    job = sa.submit((q, r), {"mean": x.mean(), "text": "kept"}, executor="functions", workers=2)
    (found_q, found_r), rest = job.result(60)
    np.testing.assert_array_equal(found_q, q.compute())
    np.testing.assert_array_equal(found_r, r.compute())
    assert rest == {"mean": x.mean().compute(), "text": "kept"}
    assert job.done() and job.result() is job.result()
    assert job.report().tasks >= 4 and job.report().invocations >= 1
    assert job.report().to_dict()["job"] == job.id
    with pytest.raises(LookupError, match=f"no job {job.id}"):
        sa.attach(job.id)


def test_the_job_of_one_array_is_an_array(x: sa.Array) -> None:
    job = (x + 1).submit(executor="functions", workers=2)
    found = sa.attach(job.id)
    np.testing.assert_array_equal(found, (x + 1).compute())


def test_a_job_can_be_cancelled_and_waited_for_in_vain(x: sa.Array) -> None:
    slow = sa.map_blocks(slow_block, sa.ones((200, 4), chunks=(1, 4))).sum()
    job = slow.submit(executor="functions", workers=2)
    with pytest.raises(TimeoutError, match=job.id):
        job.result(0.05)
    assert not job.done()
    sa.job_of(job.id).cancel()
    with pytest.raises(JobCancelled, match=job.id):
        job.result(30)


def test_a_job_of_no_array_gives_what_compute_gives() -> None:
    job = sa.submit(1, {"a": [2]}, executor="functions", workers=2)
    assert sa.attach(job.id) == sa.compute(1, {"a": [2]}) == (1, {"a": [2]})
    with pytest.raises(TypeError, match="a job's id is a str"):
        sa.attach(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["result", "done", "attached"])
def test_a_job_whose_records_are_lost_before_anybody_waits_goes_on(x: sa.Array, how: str) -> None:
    slow = sa.map_blocks(slow_block, sa.ones((40, 4), chunks=(1, 4))).sum()
    job = slow.submit(executor="functions", workers=2)
    other = sa.job_of(job.id)
    valkey_of(job).restart()
    if how == "done":
        assert not job.done()
        until(job.done, 60)
    waits = other if how == "attached" else job
    assert float(waits.result(60)) == 160.0
    assert waits._submitted.resumed == 1 and job.done()


def test_a_job_is_found_when_its_client_is_gone_and_the_server_has_lost_everything(x: sa.Array) -> None:
    slow = sa.map_blocks(slow_block, sa.ones((40, 4), chunks=(1, 4))).sum()
    job = slow.submit(executor="functions", workers=2)
    valkey, store, id = valkey_of(job), job._remote.functions.places.object_store, job.id
    del job
    valkey.restart()
    found = sa.job_of(id)
    assert float(found.result(60)) == 160.0 and found._submitted.resumed == 1
    assert not list(store.keys(f"jobs/{id}/"))
    valkey.restart()
    with pytest.raises(LookupError, match=f"no job {id}"):
        sa.attach(id)


def valkey_of(job: SubmittedJob) -> Valkey:
    functions = job._remote.functions
    assert isinstance(functions, LocalFunctions) and isinstance(functions.running.valkey, Valkey)
    return functions.running.valkey


@pytest.mark.parametrize("who", ["its own client", "another"])
def test_a_cancelled_job_whose_records_are_lost_stays_cancelled(who: str) -> None:
    """Its own client knows, though the server has lost the word too."""
    slow = sa.map_blocks(slow_block, sa.ones((40, 4), chunks=(1, 4))).sum()
    job = slow.submit(executor="functions", workers=2)
    if who == "another":
        sa.job_of(job.id)._submitted.cancel()
        server = Deployment(valkey_of(job).url)
        for name in server.scan(f"{{{job.id}}}:*"):
            server.one(Command(name, ["UNLINK", name]))
        server.close()
    else:
        job.cancel()
        valkey_of(job).restart()
    assert job._submitted.coordination.read().state is State.MISSING
    assert job.done() and job.done()
    with pytest.raises(JobCancelled, match=job.id):
        job.result(30)
    assert job._submitted.resumed == 0 and job._submitted.coordination.read().state in (State.MISSING, *GRAVES)


def test_a_job_that_was_done_stays_done_and_is_made_again_for_its_result(x: sa.Array) -> None:
    """Only who wants the result lost has work begin."""
    job = (x + 1).submit(executor="functions", workers=2)
    until(job.done, 60)
    valkey_of(job).restart()
    assert job.done() and job._submitted.resumed == 0
    assert job._submitted.coordination.read().state is State.MISSING
    np.testing.assert_array_equal(job.result(60), (x + 1).compute())
    assert job._submitted.resumed == 1


def test_a_job_that_was_resumed_is_found_by_others(x: sa.Array) -> None:
    job = (x + 1).submit(executor="functions", workers=2)
    valkey_of(job).restart()
    assert not job.done()
    np.testing.assert_array_equal(sa.attach(job.id, timeout=60), (x + 1).compute())


def test_of_two_that_wait_both_get_the_result_or_hear_why(x: sa.Array) -> None:
    slow = sa.map_blocks(slow_block, sa.ones((40, 4), chunks=(1, 4))).sum()
    job = slow.submit(executor="functions", workers=2)
    outcomes: list[Any] = []

    def wait() -> None:
        try:
            outcomes.append(sa.job_of(job.id).result(60))
        except LookupError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [outcome for outcome in outcomes if isinstance(outcome, LookupError)]
    assert len(outcomes) == 3 and len(errors) < 3
    assert all(float(outcome) == 160.0 for outcome in outcomes if outcome not in errors)
    assert all(job.id in str(error) for error in errors)
    with pytest.raises(JobSwept, match=job.id):
        job.result(60)


def test_what_runs_here_is_not_submitted(x: sa.Array) -> None:
    with pytest.raises(ValueError, match=r"'threads' ends with its caller.*executor=\"functions\""):
        x.submit(executor="threads")
    with pytest.raises(ValueError, match="there is no executor 'nowhere'"):
        sa.attach("nowhere-123")


def test_another_client_has_the_result_when_the_first_was_killed(home: Path) -> None:
    client, id = submitted(home)
    client.kill()
    client.wait()
    assert client.stdout is not None
    client.stdout.close()
    with sa.config(functions_home=str(home), functions_concurrency=2):
        totals, columns = sa.attach(id, timeout=60)
        assert totals == {"total": 160.0, "note": "kept"}
        np.testing.assert_array_equal(columns, np.full(4, 40.0))
        assert sa.last_report().tasks >= 41
        with pytest.raises(LookupError, match=f"no job {id}"):
            sa.attach(id)


def test_nobody_else_is_let_into_a_home(home: Path) -> None:
    home.mkdir(mode=0o755)
    with sa.config(functions_home=str(home)), pytest.raises(PermissionError, match="chmod 700"):
        sa.ones(4).sum().compute(executor="functions")
    home.chmod(0o700)
    with sa.config(functions_home=str(home), functions_concurrency=1):
        assert float(sa.ones(4).sum().compute(executor="functions")) == 4
    facts = home / homes.FACTS
    assert stat.S_IMODE(facts.stat().st_mode) == 0o600
    found = homes.found(home)
    assert found is not None and found.key not in repr(found) and found.access_key not in repr(found)


def test_a_home_is_refused_to_whoever_asks_for_other_limits(home: Path) -> None:
    """Whose tasks were planned for a memory that the functions of the home do not have, say."""
    given = {"functions_memory": "256MiB", "functions_concurrency": 1, "functions_timeout": 60}
    with sa.config(functions_home=str(home), **given):
        assert float(sa.ones(4).sum().compute(executor="functions")) == 4
        for setting, other, words in (
            ("functions.memory", "4GiB", "memory 256 MB, not 4096 MB"),
            ("functions.timeout", 30, "timeout 60 s, not 30 s"),
            ("functions.shape", "aws", "shape '', not 'aws'"),
        ):
            with sa.config({setting: other}), pytest.raises(ValueError, match=f"{words}; .*another home"):
                sa.ones(4).sum().compute(executor="functions")
        with sa.config(functions_memory="1GiB", functions_timeout=30), pytest.raises(ValueError) as caught:
            sa.ones(4).sum().compute(executor="functions")
        assert "memory 256 MB, not 1024 MB, and timeout 60 s, not 30 s" in str(caught.value)
        assert float(sa.ones(5).sum().compute(executor="functions")) == 5


def test_functions_with_a_home_end_when_nobody_comes(home: Path) -> None:
    with sa.config(functions_home=str(home), functions_concurrency=1, functions_linger=1):
        assert float(sa.ones(4).sum().compute(executor="functions")) == 4
        facts = homes.found(home)
        assert facts is not None
        until(lambda: not homes.is_kept(home), 30)
        until(lambda: not is_alive(facts.pid) and not Path(facts.directory).exists())
        assert float(sa.ones(5).sum().compute(executor="functions")) == 5


def test_a_keeper_that_was_killed_is_replaced(home: Path) -> None:
    with sa.config(functions_home=str(home), functions_concurrency=1):
        assert float(sa.ones(4).sum().compute(executor="functions")) == 4
        facts = homes.found(home)
        assert facts is not None
        os.kill(facts.pid, signal.SIGKILL)
        until(lambda: not is_alive(facts.pid))
        until(lambda: not Path(facts.directory).exists())
        assert session(facts.pid) == []
        assert float(sa.ones(5).sum().compute(executor="functions")) == 5
    assert not list(Path(tempfile.gettempdir()).glob(f"{Path(facts.directory).name}*"))


@pytest.mark.parametrize("part", ["valkey", "service"])
@pytest.mark.parametrize("who", ["its own client", "another"])
def test_functions_of_which_a_part_was_killed_are_replaced(home: Path, x: sa.Array, part: str, who: str) -> None:
    with sa.config(functions_home=str(home), functions_concurrency=1, functions_linger=600):
        job = (x + 1).submit(executor="functions")
        facts = homes.found(home)
        assert facts is not None
        os.kill(getattr(facts, part), signal.SIGKILL)
        until(lambda: homes.found(home) is None)
        if who == "another":
            local_functions.clear()
        assert float(sa.ones(5).sum().compute(executor="functions")) == 5
        others = homes.found(home)
        assert others is not None and others.pid != facts.pid
        assert not Path(facts.directory).exists()
        assert not any(map(is_alive, (facts.pid, facts.service, facts.valkey)))
        with pytest.raises(InfrastructureError, match=f"job {job.id} is gone.*{home} have ended.*submit it again"):
            job.result()


def test_who_was_away_finds_the_functions_that_somebody_else_has_begun(home: Path) -> None:
    with sa.config(functions_home=str(home), functions_concurrency=1):
        assert float(sa.ones(4).sum().compute(executor="functions")) == 4
        homes.end(home)
        with HomeFunctions(home, FunctionSettings(HANDLER, concurrency=1)) as other:
            assert float(sa.ones(5).sum().compute(executor="functions")) == 5
            assert other.counts()["invocations"] >= 1


@pytest.mark.parametrize("looked", [False, True], ids=["at once", "when others have come"])
def test_jobs_of_a_keeper_that_was_killed_are_said_to_be_gone(home: Path, x: sa.Array, looked: bool) -> None:
    with sa.config(functions_home=str(home), functions_concurrency=1):
        job, other = ((x + term).submit(executor="functions") for term in (1, 2))
        facts = homes.found(home)
        assert facts is not None
        os.kill(facts.pid, signal.SIGKILL)
        until(lambda: not Path(facts.directory).exists())
        if looked:
            assert float(sa.ones(5).sum().compute(executor="functions")) == 5
        words = f"job {job.id} is gone.*{home} have ended.*submit it again"
        for ask in (job.done, job.result, job.report):
            with pytest.raises(InfrastructureError, match=words):
                ask()
        assert homes.is_kept(home) == looked
        other.cancel()
        assert other.done()
        with pytest.raises(LookupError, match=f"no job {job.id}.*have ended"):
            sa.attach(job.id)


def test_a_job_whose_functions_have_ended_is_said_to_be_gone(x: sa.Array) -> None:
    job = (x + 1).submit(executor="functions", workers=2)
    pid = valkey_of(job).pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    for ask in (job.done, job.result):
        with pytest.raises(InfrastructureError, match=f"job {job.id} is gone.*the functions .*submit it again"):
            ask()
    np.testing.assert_array_equal((x + 2).compute(executor="functions", workers=2), (x + 2).compute())
