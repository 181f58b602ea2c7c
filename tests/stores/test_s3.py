"""Objects in S3: against a bucket in this process that fails when told to, and against ministack with real boto3."""

import botocore.exceptions
import pytest

from tests.stores.bucket import Bucket, LostReply, client_error
from tests.stores.ministack import CREDENTIALS, ministack
from tests.stores.test_storage import Encoded
from wukong_sched.errors import InfrastructureError
from wukong_sched.storage import s3
from wukong_sched.storage.retry import Retry
from wukong_sched.storage.s3 import S3Objects

KEY = "jobs/1/tiles/a[0]"


@pytest.fixture
def bucket():
    return Bucket()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def objects(bucket, waits):
    objects = S3Objects("b", bucket, retry=Retry(sleep=waits.append, draw=lambda: 1.0, base=0.1, cap=1.0), threads=4)
    yield objects
    objects.close()


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 1,000 bytes above 4,000."""
    monkeypatch.setattr(s3, "MULTIPART", 4000)
    monkeypatch.setattr(s3, "PART", 1000)


class TestBucket(Encoded):
    pass


class TestBucketInParts(Encoded):
    @pytest.fixture
    def objects(self, monkeypatch, bucket):
        monkeypatch.setattr(s3, "MULTIPART", 1 << 20)
        monkeypatch.setattr(s3, "PART", 300_000)
        objects = S3Objects("b", bucket)
        yield objects
        objects.close()
        assert bucket.uploads == {}


PASSING = [
    client_error("SlowDown", 503),
    client_error("InternalError", 500),
    client_error("RequestTimeout"),
    client_error("ConditionalRequestConflict", 409),
    botocore.exceptions.EndpointConnectionError(endpoint_url="x"),
    botocore.exceptions.ReadTimeoutError(endpoint_url="x"),
    botocore.exceptions.ConnectionClosedError(endpoint_url="x"),
    ConnectionResetError(),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: s3.code(error) or type(error).__name__)
@pytest.mark.parametrize("operation", ["put_object", "get_object", "delete_objects", "list_objects_v2"])
def test_what_passes_is_tried_again(objects, bucket, waits, operation, error):
    bucket.faults = [(operation, error)] * 3
    objects.put({KEY: [b"value"]})
    assert bytes(objects.get([KEY])[KEY]) == b"value"
    assert list(objects.keys("jobs/")) == [KEY]
    objects.delete([KEY])
    assert bucket.objects == {} and bucket.faults == []
    assert waits == [0.1, 0.2, 0.4] and objects.tally.retries == 3


def test_what_does_not_pass_is_said_at_once(objects, bucket, waits):
    bucket.faults = [("put_object", client_error("AccessDenied", 403))]
    with pytest.raises(InfrastructureError, match=r"bucket b.*AccessDenied"):
        objects.put({KEY: [b"value"]})
    bucket.faults = [("get_object", botocore.exceptions.NoCredentialsError())]
    with pytest.raises(InfrastructureError, match="NoCredentials"):
        objects.get([KEY])
    assert waits == []


def test_patience_ends(objects, bucket, waits):
    bucket.faults = [("get_object", client_error("SlowDown", 503))] * 99
    with pytest.raises(InfrastructureError, match="SlowDown"):
        objects.get([KEY])
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_a_put_whose_reply_is_lost_is_done(objects, bucket):
    bucket.faults = [("put_object", LostReply())]
    objects.put({KEY: [b"value"]})
    assert bucket.objects == {KEY: b"value"} and bucket.names() == ["put_object"] * 2


def test_a_body_that_breaks_off_is_read_again(objects, bucket, small_parts, rng):
    value = rng.bytes(12_345)
    objects.put({KEY: [value]})
    bucket.faults = [("get_object", 100), ("get_object", 0), ("get_object", 999)]
    assert bytes(objects.get([KEY])[KEY]) == value and bucket.faults == []


def test_large_values_go_in_parts(objects, bucket, small_parts, rng):
    value = rng.bytes(4_321)
    bucket.faults = [("upload_part", client_error("SlowDown", 503)), ("create_multipart_upload", OSError())]
    objects.put({KEY: [value[:10], value[10:1_999], value[1_999:]], "jobs/1/small": [value[:4000]]})
    assert bucket.objects == {KEY: value, "jobs/1/small": value[:4000]} and bucket.uploads == {}
    assert bucket.names().count("upload_part") == 6
    bucket.calls.clear()
    assert bytes(objects.get([KEY])[KEY]) == value
    assert sorted(call["Range"] for _, call in bucket.calls) == ["bytes=0-3999", "bytes=4000-4999"]
    assert (objects.tally.puts, objects.tally.gets) == (1 + 5 + 2, 2)


def test_the_second_writer_of_parts_leaves_nothing(objects, bucket, small_parts):
    objects.put({KEY: [bytes(5000)]})
    objects.put({KEY: [bytes([1]) * 5000]})
    assert bucket.objects == {KEY: bytes(5000)} and bucket.uploads == {}


def test_an_upload_that_is_gone_was_completed_if_the_value_is_there(objects, bucket, small_parts):
    completion = "complete_multipart_upload"
    gone = [(completion, LostReply()), (completion, client_error("NoSuchUpload", 404))]
    bucket.faults = gone[:]
    objects.put({KEY: [bytes(5000)]})
    assert bucket.objects == {KEY: bytes(5000)} and bucket.faults == []
    bucket.faults = gone[1:]
    with pytest.raises(InfrastructureError, match="NoSuchUpload"):
        objects.put({"jobs/1/other": [bytes(5000)]})
    assert bucket.uploads == {}


def test_a_failed_upload_is_aborted(objects, bucket, small_parts):
    bucket.faults = [("upload_part", client_error("AccessDenied", 403))]
    with pytest.raises(InfrastructureError, match="AccessDenied"):
        objects.put({KEY: [bytes(5000)]})
    assert bucket.objects == bucket.uploads == {}


def test_a_sweep_ends_uploads_that_others_began(objects, bucket):
    bucket._create_multipart_upload("b", "jobs/1/k")
    bucket.objects = {f"jobs/1/{n}": b"" for n in range(30)} | {"jobs/11/x": b"", "tiles/w": b""}
    objects.sweep("jobs/1/")
    assert set(bucket.objects) == {"jobs/11/x", "tiles/w"} and bucket.uploads == {}


def test_ranges_are_read(objects, bucket):
    objects.put({KEY: [b"0123456789"], "empty": [b""]})
    assert bytes(objects.read_range(KEY, 3, 6)) == b"345"
    assert bytes(objects.read_range(KEY, 8, 100)) == b"89"
    assert bytes(objects.get(["empty"])["empty"]) == b""
    assert objects.tally.bytes_read == 5


# ---- with real boto3


@pytest.fixture(scope="module")
def endpoint():
    with ministack() as url, pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        client = S3Objects("tiles", endpoint=url)
        client._connect().create_bucket(Bucket="tiles")
        client.close()
        yield url


@pytest.mark.long
class TestMinistack(Encoded):
    @pytest.fixture
    def objects(self, endpoint):
        objects = S3Objects("tiles", endpoint=endpoint)
        yield objects
        objects.close()


@pytest.mark.long
class TestMinistackInParts(Encoded):
    @pytest.fixture
    def objects(self, endpoint, monkeypatch):
        monkeypatch.setattr(s3, "MULTIPART", 6 << 20)
        monkeypatch.setattr(s3, "PART", 5 << 20)  # the least that S3 takes
        objects = S3Objects("tiles", endpoint=endpoint)
        yield objects
        objects.close()


@pytest.mark.long
def test_above_64_mib_with_real_boto3(endpoint, rng):
    objects = S3Objects("tiles", endpoint=endpoint)
    value = rng.bytes(s3.MULTIPART + 12_345)
    objects.put({KEY: [value[:999], value[999:]]})
    objects.put({KEY: [bytes(s3.MULTIPART + 1)]})
    found = objects.get([KEY, "jobs/1/none"])
    assert list(found) == [KEY] and bytes(found[KEY]) == value
    assert bytes(objects.read_range(KEY, 1 << 20, (1 << 20) + 9)) == value[1 << 20 : (1 << 20) + 9]
    assert objects.tally.retries == 0
    objects.sweep("jobs/1/")
    assert list(objects.keys("jobs/1/")) == []
    objects.close()
