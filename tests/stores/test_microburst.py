"""The stores behind a proxy that fails as AWS does: slow-downs, errors, broken connections, a full Redis."""

import contextlib
import gc
import warnings

import pytest

from tests.stores.deployments import free_ports
from tests.stores.microburst import microburst
from tests.stores.ministack import CREDENTIALS
from tests.stores.s3_server import s3_server
from wukong_sched.coordination.protocol import Reply
from wukong_sched.coordination.redis import RedisCoordination
from wukong_sched.errors import InfrastructureError
from wukong_sched.messages import Commit, Give
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.redis import PART, SMALL, RedisObjects
from wukong_sched.storage.retry import Retry
from wukong_sched.storage.s3 import S3Objects
from wukong_sched.storage.tiered import TieredObjects

VALUES = {f"jobs/1/tiles/a[{number}]": [bytes([number]) * 5000] for number in range(12)}
TASKS = tuple(("t", (number,)) for number in range(10))


def values_of(found):
    return {key: [bytes(value)] for key, value in found.items()}


# ---- S3


@pytest.fixture(scope="module")
def s3():
    """Return a proxy before a bucket, and the bucket."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        url, bucket = stack.enter_context(s3_server())
        yield stack.enter_context(microburst(url)), bucket


@pytest.fixture
def objects(s3):
    proxy, bucket = s3
    bucket.objects.clear()
    store = S3Objects("tiles", endpoint=proxy.url, retry=Retry(attempts=8, base=0.001))
    store._connect()
    yield store
    proxy.rules()
    store.close()
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # urllib3 leaves the sockets of bodies that broke off to the collector


S3_FAULTS = {
    "slow down": {"error": {"code": "SlowDown"}},
    "internal error": {"error": {"code": "InternalError"}},
    "unavailable": {"error": {"code": "ServiceUnavailable", "status": 503}},
    "reset": {"reset": True},
}


@pytest.mark.parametrize("fault", S3_FAULTS.values(), ids=S3_FAULTS)
@pytest.mark.parametrize("operation", ["PutObject", "GetObject", "ListObjectsV2", "DeleteObjects"])
def test_s3_errors_are_got_over(s3, objects, operation, fault):
    proxy, bucket = s3
    proxy.rules({"service": "s3", "operation": operation, "times": 4, **fault})
    objects.put(VALUES)
    assert {key: [value] for key, value in bucket.objects.items()} == VALUES
    assert values_of(objects.get([*VALUES, "jobs/1/none"])) == VALUES
    assert sorted(objects.keys("jobs/1/")) == sorted(VALUES)
    objects.delete(list(VALUES))
    assert bucket.objects == {}
    assert len(proxy.fired()) == objects.tally.retries == 4


@pytest.mark.parametrize("broken", [{"abort_frac": 0.3}, {"truncate_frac": 0.5}], ids=["aborted", "cut short"])
def test_a_body_that_breaks_off_is_read_again(s3, objects, broken):
    proxy, _ = s3
    objects.put(VALUES)
    proxy.rules({"service": "s3", "operation": "GetObject", "times": 3, "response": broken})
    assert values_of(objects.get(list(VALUES))) == VALUES
    assert len(proxy.fired()) == objects.tally.retries == 3


def test_an_upload_that_breaks_off_is_sent_again(s3, objects):
    proxy, bucket = s3
    key, value = "jobs/1/tiles/big", bytes(6 << 20)
    cut = {"request": {"cut_upload": {"after_bytes": 999}}}
    proxy.rules({"service": "s3", "operation": "PutObject", "times": 2, **cut})
    objects.put({key: [value]})
    assert bucket.objects == {key: value}
    assert len(proxy.fired()) == objects.tally.retries == 2


def test_what_does_not_pass_is_told(s3, objects):
    proxy, bucket = s3
    proxy.rules({"service": "s3", "operation": "PutObject", "error": {"code": "SlowDown"}})
    with pytest.raises(InfrastructureError, match="SlowDown"):
        objects.put({"jobs/1/tiles/a": [b"x"]})
    assert len(proxy.fired()) == 8 and bucket.objects == {}
    proxy.rules({"service": "s3", "operation": "GetObject", "error": {"code": "AccessDenied"}})
    with pytest.raises(InfrastructureError, match="AccessDenied"):
        objects.get(["jobs/1/tiles/a"])
    assert len(proxy.fired()) == 1


# ---- Redis


@pytest.fixture(scope="module")
def redis():
    """Return a proxy before a server."""
    (port,) = free_ports(1)
    with Valkey(port=str(port), bind="127.0.0.1"), microburst(f"127.0.0.1:{port}", "redis") as proxy:
        yield proxy


@pytest.fixture
def values(redis):
    store = RedisObjects(f"redis://127.0.0.1:{redis.port}", retry=Retry(attempts=8, base=0.001))
    yield store
    redis.rules()
    store.sweep("")
    store.close()


REDIS_FAULTS = {
    "reset": {"operation": "get", "reset": True},
    "cut in a reply": {"operation": "get", "cut_reply": {"after_bytes": 10}},
    "loading": {"operation": "get", "error": {"code": "LOADING", "message": "Redis is loading the dataset"}},
    "reset while writing": {"operation": "set", "reset": True},
    "loading while writing": {"operation": "set", "error": {"code": "LOADING", "message": "Redis is loading"}},
}


@pytest.mark.parametrize("fault", REDIS_FAULTS.values(), ids=REDIS_FAULTS)
def test_redis_errors_are_got_over(redis, values, fault, rng):
    large = {"jobs/1/tiles/big": [rng.bytes(SMALL + 1)], "jobs/1/tiles/huge": [rng.bytes(2 * PART)]}
    redis.rules({"service": "redis", "times": 3, **fault})
    values.put(VALUES | large)
    assert values_of(values.get([*VALUES, *large, "none"])) == VALUES | large
    assert len(redis.fired()) == 3
    assert values.tally.retries >= 1


def test_what_redis_has_no_room_for_goes_to_the_object_store(redis, values, tmp_path, rng):
    full = {"code": "OOM", "message": "command not allowed when used memory > 'maxmemory'."}
    redis.rules({"service": "redis", "operation": "set", "sequence": {"fail": 2, "pass": 1}, "error": full})
    files = FilesystemObjects(tmp_path)
    tiers = TieredObjects(values, files)
    given = VALUES | {f"jobs/1/tiles/b[{number}]": [rng.bytes(SMALL + number)] for number in range(4)}
    tiers.put(given)
    redis.rules()
    elsewhere = set(files.keys("jobs/1/"))
    assert elsewhere and elsewhere.isdisjoint(values.keys("jobs/1/"))
    assert elsewhere | set(values.keys("jobs/1/")) == set(given)
    assert values_of(tiers.get(list(given))) == given
    tiers.sweep("jobs/1/")
    assert values._server.scan("*") == set() and list(files.keys("")) == []


@pytest.mark.parametrize("fault", [{"reset": True}, {"cut_reply": {"after_bytes": 1}}], ids=["reset", "reply lost"])
def test_commits_whose_replies_are_lost_are_carried_out_once(redis, fault):
    """Each is sent again until it is answered, and counts once. (A record that owes nothing is forgotten at once.)"""
    store = RedisCoordination(f"redis://127.0.0.1:{redis.port}", "commits", retry=Retry(attempts=20, base=0.001))
    store.create(1, [Give("r", TASKS)], {})
    redis.rules({"service": "redis", "operation": "evalsha", "sequence": {"fail": 1, "pass": 1}, **fault})
    lease = store.start("r", "one")
    assert (lease.todo, lease.attempts) == (TASKS, 1)
    for seq, task in enumerate(TASKS[:-1]):
        assert store.commit("r", "one", Commit(seq, (task,))) is not None
    assert len(redis.fired()) >= len(TASKS) - 1
    redis.rules()
    assert store.commit("r", "one", Commit(len(TASKS), ())) is None
    assert store.commit("r", "one", Commit(len(TASKS) - 1, TASKS[-1:])) == Reply((), ())
    store.sweep()
    store.close()
