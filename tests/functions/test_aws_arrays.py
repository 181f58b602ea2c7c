"""``executor="aws"``, from settings to values: boto3 against the local service, sources through the object store."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray import aws_functions
from sarray.lower import lower
from sarray.lowering.builder import Limits
from sarray.parking import SMALL
from sarray.uploading import uploaded
from tests.functions.conftest import HANDLER
from tests.functions.processes import until
from tests.stores.bucket import Bucket
from wukong_sched.drivers.aws_lambda import LambdaFunctions
from wukong_sched.functions import uploaded as uploads
from wukong_sched.functions.local import LocalService, private_directory, start_service
from wukong_sched.functions.places import Addresses
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.s3 import S3Objects

pytest.importorskip("boto3")
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def deployed() -> Iterator[tuple[LocalService, Addresses]]:
    """A function that is invoked, and invokes, through boto3."""
    home = private_directory()
    with Valkey(home) as valkey:
        addresses = Addresses(valkey.url, f"file://{home / 'store'}", 2.0, 1.0)
        function = FunctionSettings(HANDLER, environment=addresses.environment(KEY), concurrency=2, provisioned=2)
        with start_service(function, home) as service:
            yield service, addresses


@pytest.fixture
def account(
    deployed: tuple[LocalService, Addresses], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Addresses]:
    """What a user's environment and settings say."""
    service, addresses = deployed
    for name, value in {
        "AWS_ENDPOINT_URL_LAMBDA": service.endpoint.url,
        "AWS_ACCESS_KEY_ID": service.endpoint.access_key,
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps the credentials that it found first.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setattr(aws_functions, "LambdaFunctions", partial(LambdaFunctions, watch=0.2))
    written = tmp_path / "environment.json"
    written.write_text(json.dumps({"Variables": addresses.environment(KEY)}))
    with sa.config({"aws": {"environment": str(written), "concurrency": 2}}):
        yield addresses
    until(service.endpoint.is_quiet)
    variables = aws_functions.environment(sa.Settings(aws_environment=str(written)))
    functions = aws_functions.lambda_functions("sarray", tuple(sorted(variables.items())), 2)
    functions.invoker._connect().close()
    functions.close()
    aws_functions.lambda_functions.clear()


def files(addresses: Addresses) -> list[Path]:
    """What is in the object store."""
    return [path for path in Path(addresses.objects.removeprefix("file://")).rglob("*") if path.is_file()]


def test_arrays_in_memory_and_files_are_computed(account: Addresses, rng: np.random.Generator, tmp_path: Path) -> None:
    a, b = rng.standard_normal((300, 250)), rng.standard_normal((250, 200))
    np.save(tmp_path / "b.npy", b)
    product = sa.from_array(a, chunks=100) @ sa.from_npy(tmp_path / "b.npy", chunks=100)
    (kept,) = sa.persist(sa.from_array(a, chunks=100) + 1)
    found, total = sa.compute(product, kept.sum(), executor="aws", report=True)
    report = sa.last_report()
    np.testing.assert_allclose(found, a @ b, rtol=0, atol=1e-10)
    assert float(total) == pytest.approx((a + 1).sum())
    assert report.to_dict()["bytes_read"]["source"] >= a.nbytes + b.nbytes
    assert report.usd > 0 and report.facts.executor == "aws"
    assert files(account) == []


def test_a_job_is_attached_to_and_one_that_is_cancelled_leaves_nothing(
    account: Addresses, rng: np.random.Generator
) -> None:
    a = rng.standard_normal((200, 80))
    x = sa.from_array(a, chunks=(50, 80))
    job = sa.submit((x * 2).sum(axis=0), executor="aws")
    aws_functions.lambda_functions.clear()  # as another process would
    np.testing.assert_allclose(sa.attach(job.id)[0], (a * 2).sum(axis=0))
    other = sa.submit((x * 3).sum(), executor="aws")
    other.cancel()
    assert files(account) == []


def test_an_error_comes_back_and_leaves_nothing(account: Addresses) -> None:
    with pytest.raises(sa.TaskError, match="not positive definite"):
        sa.cholesky(-sa.eye(40, chunks=10)).compute(executor="aws")
    assert files(account) == []


def test_resumed_jobs_find_what_is_stored(account: Addresses) -> None:
    x = sa.ones((8, 2), chunks=2) * 3
    counts = []
    for _ in range(2):
        x.compute(executor="aws", resume=True)
        counts.append(sa.last_report().tasks)
    assert counts == [4, 0]
    assert len(files(account)) == 4
    sa.forget(x, executor="aws")
    assert files(account) == []


def test_what_is_missing_is_named_and_what_is_secret_is_not_shown() -> None:
    with pytest.raises(ValueError, match=r"needs the settings aws\.redis, aws\.bucket, aws\.key; or aws\.environment"):
        sa.ones(3).compute(executor="aws")
    with pytest.raises(ValueError, match=r"aws_key cannot be what was given") as info:
        sa.config(aws_key="no digits")
    assert "no digits" not in str(info.value)
    given = {"aws.redis": "rediss://me:secret@cache:6379", "aws.key": "00ff", "aws.bucket": "b"}
    with sa.config(given) as asked:
        assert "secret" not in repr(asked) and "00ff" not in repr(asked)
        assert aws_functions.environment(asked)["WUKONG_OBJECTS"] == "s3://b"


@pytest.mark.parametrize("text", ["", "[1]", '{"Variables": []}', '{"Variables": {"WUKONG_KEY": 5}}'])
def test_a_file_that_holds_no_environment_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "given.json").write_text(text)
    with pytest.raises(ValueError, match=r"aws\.environment cannot be used: .*given\.json holds no environment"):
        aws_functions.environment(sa.Settings(aws_environment=str(tmp_path / "given.json")))


@pytest.mark.parametrize("lease", ["long", "nan", "-1", "inf"])
def test_seconds_that_are_none_are_named(lease: str) -> None:
    given = {**Addresses("redis://h", "s3://b").environment(KEY), "WUKONG_LEASE": lease}
    with pytest.raises(ValueError, match=f"WUKONG_LEASE='{lease}': expected seconds"):
        Addresses.found(given)


def test_a_key_that_is_none_is_not_shown() -> None:
    given = {**Addresses("redis://h", "s3://b").environment(KEY), "WUKONG_KEY": "secret"}
    with pytest.raises(ValueError, match="WUKONG_KEY is no key") as info:
        Addresses.found(given)
    assert "secret" not in str(info.value)


def test_sources_are_tiles_in_a_bucket(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    monkeypatch.setattr(uploads, "store_at", lambda address: S3Objects("bucket", bucket))
    a, small = rng.standard_normal((SMALL // 16, 3)), rng.standard_normal((4, 3))
    x = sa.from_array(a, chunks=(1500, 2))
    arrays = [x + 1, (x.T * 2), sa.from_array(small) + 1]
    program = lower([array.expression for array in arrays], Limits(2**30, 2)).program
    parked = uploaded(program, "aws-1", "s3://bucket")
    values = {type(reader.held.value).__name__ for reader in parked.sources.values()}  # type: ignore[attr-defined]
    assert values == {"UploadedBlocks", "ndarray"}
    assert len(bucket.objects) == 6 and all(key.startswith("jobs/aws-1/sources/") for key in bucket.objects)
    for name, reader in program.sources.items():
        for index in [(0, 0)] if reader.held.value is small else reader_indices(reader):
            np.testing.assert_array_equal(parked.sources[name].read(index), reader.read(index))  # type: ignore[attr-defined]


def reader_indices(reader: Any) -> list[tuple[int, ...]]:
    """All tiles of a source."""
    return list(np.ndindex(*(len(grid) for grid in reader.chunks)))


@pytest.mark.parametrize("how", ["compute", "submit"])
def test_a_failed_upload_leaves_nothing(
    account: Addresses, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """There is room for the first of two arrays."""
    upload, stored = uploads.upload, list[int]()

    def full(*given: Any) -> Any:
        if stored:
            raise OSError("full")
        found = upload(*given)
        stored.append(len(files(account)))
        return found

    monkeypatch.setattr("sarray.uploading.upload", full)
    a, b = (sa.from_array(rng.standard_normal((SMALL // 16, 3)), chunks=(1500, 2)) for _ in range(2))
    with pytest.raises(OSError, match="full"):
        getattr((a + b).sum(), how)(executor="aws")
    assert stored[0] > 0 and files(account) == []


def test_without_a_server_of_records_nothing_is_uploaded(
    account: Addresses, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarray.uploading.upload", lambda *given: pytest.fail("uploaded"))
    x = sa.from_array(rng.standard_normal((SMALL // 16, 3)), chunks=(1500, 2))
    cannot = pytest.raises(sa.SchedulerError, match=r"Redis at 127\.0\.0\.1:9 cannot be reached")
    with sa.config({"aws": {"redis": "redis://127.0.0.1:9"}}), cannot:
        x.sum().compute(executor="aws")


def test_threads_that_ask_at_once_get_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=60)
    monkeypatch.setattr(aws_functions, "LambdaFunctions", lambda *given: (both.wait(), object()))
    variables = tuple(Addresses("unix:///nowhere/s", "file:///nowhere").environment(KEY).items())
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda name: aws_functions.lambda_functions(name, variables, 2), ["twice"] * 2)
    assert first is second
    aws_functions.lambda_functions.clear()
