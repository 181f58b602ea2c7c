"""Environment and function: what is written, what is asked of AWS, and what is told."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sarray.deploy import environment
from sarray.deploy.__main__ import main
from sarray.deploy.function import MANIFEST, Clients, Function, create, update
from sarray.deploy.package import manifest
from sarray.deploy.runtimes import target
from wukong_sched.functions.places import Addresses

boto3 = pytest.importorskip("boto3")
stub = pytest.importorskip("botocore.stub")

ADDRESSES = Addresses("rediss://user:pass%20word@cache.example:6379", "s3://bucket", 30.0, 10.0)
ARN = "arn:aws:lambda:us-east-1:000000000000:function:sarray"
ROLE = "arn:aws:iam::000000000000:role/sarray"


def test_the_environment_is_written_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "environment.json"
    command = ["environment", "--redis", ADDRESSES.redis, "--objects", ADDRESSES.objects, "--output", str(path)]
    assert main(command) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = environment.read(path)
    addresses, key = Addresses.found(found)
    assert (addresses.redis, addresses.objects, addresses.lease, addresses.grace) == (
        ADDRESSES.redis,
        ADDRESSES.objects,
        30.0,
        10.0,
    )
    assert len(key) == 32
    assert found["OPENBLAS_NUM_THREADS"] == "1"
    assert found["OPENBLAS_CORETYPE"] == "Haswell"
    assert found["SARRAY_INVOKER"] == "aws"
    shown = capsys.readouterr()
    for secret in (key.hex(), "pass%20word", ADDRESSES.redis):
        assert secret not in shown.out + shown.err
    assert main(command) == 1
    assert "exists, and jobs are signed with its key" in capsys.readouterr().err
    assert environment.read(path) == found


def test_two_keys_are_not_the_same() -> None:
    first, second = (environment.variables(ADDRESSES, "x86_64")["WUKONG_KEY"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["package", "--python", "3.9"], "no image for Python '3.9' is known"),
        (["environment", "--redis", "redis://h", "--objects", "gs://b"], "'gs://b' names no object store"),
        (["environment", "--redis", "redis://h", "--objects", "s3://"], "'s3://' names no object store"),
        (["environment", "--redis", "foo", "--objects", "s3://b"], "the address 'foo' names no Redis server"),
        (["environment", "--redis", "redis://h:99999", "--objects", "s3://b"], "redis://h:99999' names no Redis"),
        (["update", "--environment", "nowhere.json"], "nowhere.json"),
        (["update", "--environment", __file__], "holds no environment; python -m sarray.deploy environment writes one"),
    ],
)
def test_faults_are_told_in_a_line(
    command: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert main(command) == 1
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# ---- the function


class Bucket:
    """Remembers what was put into it."""

    def __init__(self) -> None:
        self.uploads: list[tuple[str, str, str]] = []

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.uploads.append((path, bucket, key))


@pytest.fixture
def aws() -> Iterator[tuple[Any, Clients]]:
    """A client of Lambda that checks each request against Lambda's own model, and expects exactly these."""
    functions = boto3.client(
        "lambda", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    with stub.Stubber(functions) as stubbed:
        yield stubbed, Clients(functions, Bucket())
        stubbed.assert_no_pending_responses()


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "sarray.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest(target("3.13", "arm64"))))
    return path


def test_a_function_is_created_as_asked(aws: tuple[Any, Clients], zipped: Path) -> None:
    stubbed, clients = aws
    variables = environment.variables(ADDRESSES, "arm64", b"key")
    function = Function("mine", ROLE, 2048, 600, 50, ("subnet-1", "subnet-2"), ("sg-1",))
    asked = {
        "FunctionName": "mine",
        "Role": ROLE,
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "sarray.lambda_entry.handler",
        "Code": stub.ANY,
        "MemorySize": 2048,
        "Timeout": 600,
        "Environment": {"Variables": variables},
        "VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
    }
    stubbed.add_response("create_function", {"FunctionArn": ARN}, asked)
    stubbed.add_response("get_function", {"Configuration": {"State": "Active"}}, {"FunctionName": "mine"})
    loop = {"FunctionName": "mine", "RecursiveLoop": "Allow"}
    stubbed.add_response("put_function_recursion_config", {"RecursiveLoop": "Allow"}, loop)
    retries = {"FunctionName": "mine", "MaximumRetryAttempts": 2}
    stubbed.add_response("put_function_event_invoke_config", {}, retries)
    reserved = {"FunctionName": "mine", "ReservedConcurrentExecutions": 50}
    stubbed.add_response("put_function_concurrency", {}, reserved)
    assert create(clients, function, zipped, variables) == ARN
    ((path, bucket, key),) = clients.objects.uploads
    assert (path, bucket) == (str(zipped), "bucket")
    assert key.startswith("deploy/")


def test_an_update_changes_code_and_environment(aws: tuple[Any, Clients], zipped: Path) -> None:
    stubbed, clients = aws
    variables = environment.variables(ADDRESSES, "arm64", b"key")
    updated = {"Configuration": {"LastUpdateStatus": "Successful"}}
    code = {"FunctionName": "sarray", "Architectures": ["arm64"], "S3Bucket": "bucket", "S3Key": stub.ANY}
    stubbed.add_response("update_function_code", {"CodeSha256": "hash"}, code)
    stubbed.add_response("get_function", updated, {"FunctionName": "sarray"})
    asked = {
        "FunctionName": "sarray",
        "Runtime": "python3.13",
        "Handler": "sarray.lambda_entry.handler",
        "Environment": {"Variables": variables},
    }
    stubbed.add_response("update_function_configuration", {}, asked)
    stubbed.add_response("get_function", updated, {"FunctionName": "sarray"})
    assert update(clients, "sarray", zipped, variables) == "hash"


def test_what_cannot_be_deployed_is_told(aws: tuple[Any, Clients], zipped: Path, tmp_path: Path) -> None:
    _, clients = aws
    local = environment.variables(Addresses("unix:///s", "file:///tmp"), "arm64")
    with pytest.raises(ValueError, match=r"'file:///tmp'; functions of Lambda need a bucket"):
        create(clients, Function(role=ROLE), zipped, local)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("index.py", "")
    with pytest.raises(ValueError, match=r"other\.zip is no function of ours"):
        update(clients, "sarray", other, environment.variables(ADDRESSES, "arm64"))
