"""Objects in S3, or in whatever speaks its protocol.

* Put if absent: ``If-None-Match: *``; 412 says that the value is there.
* Above 64 MiB: several parts at once, and reads by ranges at once, straight into the place where the value stays.
* Slow-downs, errors of the server and broken connections are retried with backoff and jitter.

Requests of one call run beside each other in threads: one S3 connection moves some 50 to 90 MB/s, many move more
(Amazon S3 user guide, "Performance guidelines").
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from wukong_sched.errors import InfrastructureError
from wukong_sched.links import AWS, S3_MULTIPART, S3_PART
from wukong_sched.storage.codec import Buffer
from wukong_sched.storage.objects import Objects, Pieces, Tally, cut, size
from wukong_sched.storage.retry import Retry

T = TypeVar("T")

MULTIPART = S3_MULTIPART
"""Bytes above which a value is written in parts."""
PART = S3_PART
"""Bytes of a part, and of a ranged read."""
THREADS = AWS.objects.beside
"""Requests at once."""
PAGE = 1000
"""Keys that one delete request names."""
PASSING = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "ConditionalRequestConflict",
    "OperationAborted",
    "500",
    "502",
    "503",
    "504",
    "409",
}
"""Error codes of S3 that a later attempt may not meet."""
PRESENT = {"PreconditionFailed", "412"}
ABSENT = {"NoSuchKey", "404"}
GONE = {"NoSuchUpload"}
EMPTY = {"InvalidRange", "416"}
"""What a ranged read of nothing gives."""
TRANSPORT = {"HTTPClientError", "ConnectionError", "IncompleteReadError", "HTTPError"}
"""Classes of botocore and urllib3 beneath which are the errors of connections."""


class S3Objects:
    """Values in a bucket.

    `client` is a boto3 S3 client; without one, it is made at first use, for `endpoint` if that is given.
    """

    def __init__(
        self,
        bucket: str,
        client: Any = None,
        tally: Tally | None = None,
        *,
        endpoint: str | None = None,
        retry: Retry | None = None,
        threads: int = THREADS,
    ) -> None:
        self.bucket, self.endpoint = bucket, endpoint
        self.tally = Tally() if tally is None else tally
        self._client, self._made = client, None
        self._retry = Retry(base=0.1) if retry is None else retry
        self._pool = ThreadPoolExecutor(threads, "s3")
        self._parts = ThreadPoolExecutor(threads, "s3-part")

    def close(self) -> None:
        """End the threads, and all connections of the client that was made here."""
        self._pool.shutdown()
        self._parts.shutdown()
        if self._made is not None:
            self._made.close()
            self._client = self._made = None

    # ---- requests

    def _request(self, name: str, **arguments: Any) -> Any:
        """One request of the client, repeated while its errors pass."""
        return self._retried(lambda: getattr(self._connect(), name)(Bucket=self.bucket, **arguments))

    def _retried(self, call: Callable[[], T]) -> T:
        try:
            return self._retry(lambda failures: call(), passes, lambda: self.tally.add(retries=1))
        except Exception as error:
            if code(error) in PRESENT | ABSENT | EMPTY:
                raise
            raise InfrastructureError(f"S3 bucket {self.bucket}: {type(error).__name__}: {error}") from error

    def _connect(self) -> Any:
        if self._client is None:
            import boto3
            from botocore.config import Config

            config = Config(
                max_pool_connections=2 * THREADS,
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
            self._client = self._made = boto3.client("s3", endpoint_url=self.endpoint, config=config)
        return self._client

    # ---- writing

    def put(self, values: Mapping[str, Pieces]) -> None:
        self._connect()
        list(self._pool.map(self._put, values, values.values()))

    def _put(self, key: str, pieces: Pieces) -> None:
        with _unless(PRESENT):
            if size(pieces) > MULTIPART:
                self._put_parts(key, pieces)
            else:
                self.tally.add(puts=1)
                self._request("put_object", Key=key, Body=b"".join(pieces), IfNoneMatch="*")
                self.tally.add(written=size(pieces))

    def _put_parts(self, key: str, pieces: Pieces) -> None:
        upload = self._request("create_multipart_upload", Key=key)["UploadId"]
        try:

            def part(number: int, body: Buffer) -> dict[str, Any]:
                arguments = {"Key": key, "UploadId": upload, "PartNumber": number, "Body": bytes(body)}
                return {"PartNumber": number, "ETag": self._request("upload_part", **arguments)["ETag"]}

            bodies = list(cut(pieces, PART))
            parts = list(self._parts.map(part, range(1, len(bodies) + 1), bodies))
            self.tally.add(puts=len(parts) + 2, written=size(pieces))
            self._complete(key, upload, {"Parts": parts}, size(pieces))
        except BaseException:
            with contextlib.suppress(Exception):  # the error on its way matters more; a sweep ends the upload too
                self._request("abort_multipart_upload", Key=key, UploadId=upload)
            raise

    def _complete(self, key: str, upload: str, parts: Mapping[str, Any], nbytes: int) -> None:
        """Make parts a value. An upload that is gone was completed, and only the reply lost, if the value is there."""
        try:
            self._request("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload=parts, IfNoneMatch="*")
        except InfrastructureError as error:
            if code(error.__cause__ or error) not in GONE or self._length(key) != nbytes:
                raise

    def _length(self, key: str) -> int:
        """Bytes of a value; 0 if there is none."""
        with _unless(ABSENT):
            got = self._request("get_object", Key=key, Range="bytes=0-0")
            got["Body"].close()
            return extent(got)[1]
        return 0

    # ---- reading

    def get(self, keys: Sequence[str]) -> dict[str, Buffer]:
        self._connect()
        values = self._pool.map(self._get, keys)
        found = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        self.tally.add(read=sum(map(len, found.values())))
        return found

    def _get(self, key: str) -> Buffer | None:
        """The value: its first part says how long it is, the others follow beside each other."""
        try:
            first, length = self._read(key, 0, MULTIPART)
        except Exception as error:
            if code(error) in EMPTY:
                return memoryview(bytearray())
            if code(error) in ABSENT:
                return None
            raise
        if len(first) == length:
            return first
        view = np.empty(length, np.uint8).data
        view[: len(first)] = first
        starts = range(len(first), length, PART)
        list(self._parts.map(lambda start: self._read(key, start, start + PART, view[start : start + PART]), starts))
        return view

    def read_range(self, key: str, start: int, stop: int) -> Buffer:
        """Bytes start to stop (exclusive) of a value, fewer where it ends; an error of the client if it is absent."""
        data, _ = self._read(key, start, stop)
        self.tally.add(read=len(data))
        return data

    def _read(self, key: str, start: int, stop: int, target: memoryview | None = None) -> tuple[memoryview, int]:
        """A part of a value, and the length of the whole."""

        def read() -> tuple[memoryview, int]:
            self.tally.add(gets=1)
            got = self._connect().get_object(Bucket=self.bucket, Key=key, Range=f"bytes={start}-{stop - 1}")
            length, whole = extent(got)
            view = np.empty(length, np.uint8).data if target is None else target
            fill(view, got["Body"])
            return view, whole

        return self._retried(read)

    # ---- the rest

    def delete(self, keys: Sequence[str]) -> Sequence[str]:
        for start in range(0, len(keys), PAGE):
            page = [{"Key": key} for key in keys[start : start + PAGE]]
            reply = self._request("delete_objects", Delete={"Objects": page, "Quiet": True})
            self.tally.add(deletes=1)
            for error in reply.get("Errors", ()):
                self._request("delete_object", Key=error["Key"])
        return ()  # S3 does not say

    def keys(self, prefix: str) -> Iterable[str]:
        pages = self._pages("list_objects_v2", "ContinuationToken", "NextContinuationToken", Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def _pages(self, name: str, token: str, following: str, **arguments: Any) -> Iterator[Any]:
        while True:
            page = self._request(name, **arguments)
            self.tally.add(puts=1)
            yield page
            if not page.get("IsTruncated"):
                return
            arguments[token] = page[following]

    def sweep(self, prefix: str) -> None:
        self.delete(list(self.keys(prefix)))
        for page in self._pages("list_multipart_uploads", "KeyMarker", "NextKeyMarker", Prefix=prefix):
            for upload in page.get("Uploads", ()):
                self._request("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])


def extent(got: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes of an answer's body, and of the whole value; proxies may leave the first out.

    >>> extent({"ContentRange": "bytes 10-19/99"}), extent({"ContentLength": 7})
    ((10, 99), (7, 7))
    """
    if "ContentRange" not in got:
        return got["ContentLength"], got["ContentLength"]
    span, whole = got["ContentRange"].removeprefix("bytes ").split("/")
    first, last = span.split("-")
    return int(last) - int(first) + 1, int(whole)


def fill(view: memoryview, body: Any) -> None:
    """Read a response's body into its place; raises ConnectionError when it ends too early."""
    position = 0
    with contextlib.closing(body):
        while position < len(view):
            chunk = body.read(min(1 << 20, len(view) - position))
            if not chunk:
                raise ConnectionError(f"the connection ended after {position} of {len(view)} bytes")
            view[position : position + len(chunk)] = chunk
            position += len(chunk)


@contextlib.contextmanager
def _unless(codes: set[str]) -> Iterator[None]:
    """Nothing to say about errors of these codes."""
    try:
        yield
    except Exception as error:
        if code(error) not in codes:
            raise


def code(error: BaseException) -> str:
    """The error code that S3 gave, or nothing.

    >>> code(ValueError())
    ''
    """
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def passes(error: Exception) -> bool:
    """Whether a later attempt may not meet this error: throttled, broken off, or the server's own fault."""
    if code(error):
        response: dict[str, Any] = getattr(error, "response", {})
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code(error) in PASSING or status >= 500
    return isinstance(error, OSError) or any(kind.__name__ in TRANSPORT for kind in type(error).__mro__)


_: type[Objects] = S3Objects
