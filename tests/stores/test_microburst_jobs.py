"""Jobs of the Lambda driver while Lambda, S3 and Redis fail as they do on AWS: the proxy strikes, results are right."""

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.functions import programs
from tests.functions.processes import keys, until
from tests.stores.deployments import free_ports
from tests.stores.microburst import microburst
from tests.stores.ministack import CREDENTIALS
from tests.stores.s3_server import s3_server
from wukong_sched.drivers import aws_lambda
from wukong_sched.drivers.aws_lambda import LambdaFunctions, LambdaInvoker
from wukong_sched.functions.local import start_service
from wukong_sched.functions.places import Addresses
from wukong_sched.functions.settings import FunctionSettings
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.cluster import Deployment
from wukong_sched.storage.memory import MemoryStorage

HANDLER = "sarray.lambda_entry.handler"
KEY = b"a key of 32 bytes for these test"
POLICY = replace(
    aws_lambda.POLICY, invoke_seconds=1e-6, latency=0.0, bandwidth=math.inf, quantum=1e-3, hold_seconds=0.0
)
SOMETIMES = {"sequence": {"fail": 1, "pass": 3}}
FULL = {"code": "OOM", "message": "command not allowed when used memory > 'maxmemory'."}


class Everything:
    """A function service, an S3 and a Redis, each behind a proxy."""

    def __init__(self, stack):
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        (port,) = free_ports(1)
        valkey = stack.enter_context(Valkey(port=str(port), bind="127.0.0.1"))
        self.server = stack.enter_context(contextlib.closing(Deployment(valkey.url)))
        self.redis = stack.enter_context(microburst(f"127.0.0.1:{port}", "redis"))
        url, self.bucket = stack.enter_context(s3_server())
        self.s3 = stack.enter_context(microburst(url))
        patch.setenv("AWS_ENDPOINT_URL_S3", self.s3.url)
        addresses = Addresses(f"redis://127.0.0.1:{self.redis.port}", "s3://tiles", 2.0, 1.0)
        # The service is behind a proxy whose address its own functions are told: so its port is drawn first.
        self.service = stack.enter_context(self._service(stack, addresses))
        access = {"aws_access_key_id": self.service.endpoint.access_key, "aws_secret_access_key": "unused"}
        import boto3
        from botocore.config import Config

        config = Config(retries={"mode": "adaptive", "max_attempts": 10})
        client = boto3.client("lambda", endpoint_url=self.lambda_.url, config=config, **access)
        stack.callback(client.close)
        self.functions = LambdaFunctions(addresses, KEY, LambdaInvoker("sarray", client), concurrency=3, watch=0.3)

    @contextlib.contextmanager
    def _service(self, stack, addresses):
        environment = addresses.environment(KEY) | {"AWS_ENDPOINT_URL_S3": self.s3.url}
        function = FunctionSettings(HANDLER, environment=environment, concurrency=3)
        with start_service(function) as service:
            self.lambda_ = stack.enter_context(microburst(service.endpoint.url))
            yield service

    def left(self):
        return [*self.bucket.objects, *keys(self.server)]


@pytest.fixture(scope="module")
def cloud():
    with contextlib.ExitStack() as stack:
        yield Everything(stack)


@pytest.fixture(autouse=True)
def calm(cloud):
    """No rules before and after each test; nothing is left by its job."""
    yield
    for proxy in (cloud.redis, cloud.s3, cloud.lambda_):
        proxy.rules()
    until(cloud.service.endpoint.is_quiet, 30)
    until(lambda: not cloud.left(), 30)


def run(cloud, program):
    storage = MemoryStorage()
    aws_lambda.run(program, storage, cloud.functions, policy=POLICY)
    return list(storage.get(list(storage.tiles())).values())


def test_throttled_invocations(cloud):
    throttled = {"code": "TooManyRequestsException", "status": 429}
    cloud.lambda_.rules({"service": "lambda", "operation": "Invoke", "error": throttled, **SOMETIMES})
    assert run(cloud, programs.tree(12, programs.slow)) == [sum(range(12))]
    assert len(cloud.lambda_.fired()) >= 1


@pytest.mark.parametrize("fault", [{"error": {"code": "SlowDown"}}, {"reset": True}], ids=["slow down", "reset"])
def test_s3_fails_in_the_middle(cloud, fault):
    """All tiles are in S3, since Redis takes none."""
    cloud.redis.rules({"service": "redis", "operation": "set", "error": FULL})
    cloud.s3.rules({"service": "s3", **SOMETIMES, **fault})
    (found,) = run(cloud, programs.tree(12, programs.array))
    np.testing.assert_array_equal(found, np.full(10_000, float(sum(range(12)))))
    assert len(cloud.s3.fired()) >= 3 and len(cloud.redis.fired()) >= 12


def test_connections_to_redis_are_reset(cloud):
    cloud.redis.rules({"service": "redis", "sequence": {"fail": 1, "pass": 20}, "reset": True})
    assert run(cloud, programs.tree(30, programs.slow)) == [sum(range(30))]
    assert len(cloud.redis.fired()) >= 3


def test_redis_that_really_is_full(cloud):
    """maxmemory is reached: tiles fall through to the object store, records are still written."""
    facts = bytes(command(cloud, "INFO", "memory")).decode().splitlines()
    used = next(int(fact.partition(":")[2]) for fact in facts if fact.startswith("used_memory:"))
    command(cloud, "CONFIG", "SET", "maxmemory", str(used + (1 << 18)))
    try:
        (found,) = run(cloud, programs.tree(20, programs.array))
        assert "put_object" in cloud.bucket.names()
    finally:
        command(cloud, "CONFIG", "SET", "maxmemory", "0")
    np.testing.assert_array_equal(found, np.full(10_000, float(sum(range(20)))))


def command(cloud, *words):
    from wukong_sched.storage.resp import Command

    return cloud.server.one(Command("", words))
