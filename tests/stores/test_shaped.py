"""The network between a process and its stores: how long requests take there, what they cost, and nothing else."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stores.coordination_suite import CoordinationSuite
from tests.stores.test_packing import header
from tests.stores.test_storage import Encoded
from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.coordination.shaped import ShapedCoordination
from wukong_sched.functions.places import Addresses, Places
from wukong_sched.functions.shaped_invoker import ShapedInvoker
from wukong_sched.links import AWS, SHAPES, Links, Service, shape
from wukong_sched.policy import CostModel
from wukong_sched.prices import GB, HOUR, MONTH, US_EAST_1
from wukong_sched.storage.codec import Codec
from wukong_sched.storage.filesystem import ASIDE
from wukong_sched.storage.job_files import JobFiles, job_prefix
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.memory_objects import MemoryObjects
from wukong_sched.storage.objects import StoreFull
from wukong_sched.storage.shaped import Network, ShapedObjects
from wukong_sched.storage.tiered import OBJECTS, REDIS, Placement


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def network(self, bandwidth: float = 100.0) -> Network:
        return Network(bandwidth, self, self.sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestShapedObjects(Encoded):
    @pytest.fixture
    def objects(self) -> ShapedObjects:
        return ShapedObjects(MemoryObjects({}), Service(1e-5, 1e-5, 4), Network(1e9))


class TestShapedCoordination(CoordinationSuite):
    @pytest.fixture
    def coordination(self, clock):
        return lambda **options: ShapedCoordination(MemoryCoordination(lambda: clock[0], **options), 1e-6, Network(1e9))


# ---- time


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1000), st.floats(0, 9)), max_size=20), st.floats(1, 1000))
def test_one_after_the_other_takes_each_its_latency_and_its_bytes(
    requests: list[tuple[float, int, float]], bandwidth: float
) -> None:
    clock = Clock()
    network = clock.network(bandwidth)
    for latency, nbytes, took in requests:
        began = clock.now
        clock.now += took  # what the real request takes is part of it
        network.passed(began, latency, nbytes)
        assert clock.now == pytest.approx(began + max(took, latency + nbytes / bandwidth))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_requests_at_the_same_time_share_the_bandwidth(sizes: list[int]) -> None:
    ends: list[float] = []
    network = Network(100.0, lambda: 0.0, ends.append)
    for nbytes in sizes:
        network.passed(0.0, 0.5, nbytes)
    assert ends == pytest.approx(list(0.5 + np.cumsum(sizes) / 100))


def test_threads_share_one_bucket() -> None:
    ends: list[float] = []
    network = Network(1e6, lambda: 0.0, ends.append)
    threads = [threading.Thread(target=network.passed, args=(0.0, 0.0, 1000)) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == pytest.approx([1e-3 * (number + 1) for number in range(32)])


def test_what_moves_nothing_waits_for_nobody(clock: Clock) -> None:
    network = Network(1.0, lambda: 0.0, clock.sleep)
    network.passed(0.0, 0.0, 1000)
    clock.now = 0.0
    network.passed(0.0, 0.25)
    assert clock.now == 0.25


def test_each_request_of_a_store_takes_as_long_as_there(clock: Clock) -> None:
    objects = ShapedObjects(MemoryObjects({}), Service(read=1.0, write=10.0, beside=2), clock.network())
    steps: list[tuple[Any, float]] = [
        (lambda: objects.put({name: [bytes(100)] for name in "abc"}), 20.0 + 3.0),
        (lambda: objects.get(["a", "b", "x"]), 2.0 + 2.0),
        (lambda: objects.keys(""), 1.0),
        (lambda: objects.delete(["a", "x"]), 10.0),
        (lambda: objects.sweep(""), 11.0),
    ]
    for call, seconds in steps:
        began = clock.now
        call()
        assert clock.now - began == pytest.approx(seconds)


class Recorder:
    """An invoker that notes when events are sent."""

    room = 77

    def __init__(self, clock: Clock) -> None:
        self.clock, self.sent = clock, list[tuple[float, int]]()

    def invoke(self, events: Any) -> None:
        self.sent.append((self.clock.now, len(events)))

    def free(self) -> int | None:
        return 5


def test_events_are_on_their_way_when_their_caller_has_waited(clock: Clock) -> None:
    inner = Recorder(clock)
    invoker = ShapedInvoker(inner, Links(invoke=0.5, invokes_beside=4), clock.network(1e9))
    invoker.invoke([b""] * 9)
    assert inner.sent == [(0.5, 4), (1.0, 4), (1.5, 1)]
    assert (invoker.room, invoker.free()) == (77, 5)


# ---- one table


def test_a_shape_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no network shape 'gcp'; known: aws"):
        shape("gcp")
    with pytest.raises(ValueError, match="known: aws"):
        Addresses("unix:///s", "file:///d", shape="gcp")


def test_addresses_travel_in_the_environment(tmp_path: Any) -> None:
    sent = Addresses("unix:///s", f"file://{tmp_path}", 3.0, 2.0, "aws")
    found, key = Addresses.found(sent.environment(b"key"))
    assert key == b"key" and found == dataclasses.replace(sent, inside=True)
    assert found.links is SHAPES["aws"]


def test_policy_and_tiers_follow_from_the_table() -> None:
    policy = AWS.policy()
    assert isinstance(policy, CostModel)
    assert (policy.bandwidth, policy.latency) == (AWS.bandwidth, AWS.redis.latency)
    assert policy.invoke_seconds > AWS.invoke
    assert (REDIS.bandwidth, OBJECTS.bandwidth) == (AWS.bandwidth, AWS.bandwidth)
    assert OBJECTS.usd_per_value == US_EAST_1.s3_put + US_EAST_1.s3_get
    assert Placement().usd_per_second == US_EAST_1.function_second(1769 << 20)


def test_prices_add_up() -> None:
    prices = US_EAST_1
    assert prices.functions(1e6, 1_000_000) == pytest.approx(16.6667 + 0.2)
    assert prices.objects(1_000_000, 1_000_000) == pytest.approx(5.4)
    assert prices.objects(0, 0, GB * MONTH) == pytest.approx(prices.s3_gb_month)
    assert prices.cache(2 * HOUR, 3) == pytest.approx(6 * prices.cache_node_hour)
    assert prices.cache_byte_seconds(prices.cache_node_bytes * HOUR) == pytest.approx(prices.cache_node_hour)


# ---- what follows for bytes


@pytest.mark.parametrize(("name", "codec"), [("", Codec.RAW), ("aws", Codec.BLOSC)])
def test_tiles_are_compressed_where_the_link_is_slow(name: str, codec: Codec, valkey: Any, tmp_path: Any) -> None:
    places = Places(Addresses(valkey.url, f"file://{tmp_path}", shape=name), Recorder(Clock()))
    storage: Any = places.storage(Keys("job"), b"key")
    encoded = b"".join(storage.codec.encode(np.arange(100_000)))
    assert header(encoded)[0] is codec
    places.close()


def test_a_source_is_read_as_an_object(valkey: Any, tmp_path: Any) -> None:
    places = Places(Addresses(valkey.url, f"file://{tmp_path}", shape="aws"), Recorder(Clock()))
    clock = Clock()
    places._network = Network(AWS.bandwidth, clock, clock.sleep)
    block = places.source(lambda tile: np.zeros(tile[1]), ("a", (750_000,)))
    assert block.nbytes == 6_000_000
    assert clock.now == pytest.approx(AWS.objects.read + 6_000_000 / AWS.bandwidth)
    places.close()


# ---- what is left


def test_unfinished_files_lie_beneath_their_job(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files = JobFiles(tmp_path)
    files.current = "jobs/2/"
    files.put({"jobs/1/a": [b"a"], "tiles/w": [b"w"]})
    monkeypatch.setattr("os.link", lambda source, target: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr("pathlib.Path.unlink", lambda path, missing_ok=False: None)
    for key in ("jobs/1/b", "tiles/v"):
        with pytest.raises(KeyboardInterrupt):
            files.put({key: [b"killed"]})
    monkeypatch.undo()
    left = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*") if path.parent.name == ASIDE}
    assert left == {("jobs", "1", ASIDE), ("jobs", "2", ASIDE)}
    for prefix in ("jobs/1/", "jobs/2/"):
        files.sweep(prefix)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["w"]
    assert job_prefix("jobs/%41/tiles/x") == "jobs/%41/"


def test_a_full_disk_is_told_for_all_jobs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, key: str, pieces: Any) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("wukong_sched.storage.filesystem.FilesystemObjects._put", full)
    with pytest.raises(StoreFull, match="no room") as caught:
        JobFiles(tmp_path).put({"jobs/1/a": [b""], "jobs/2/b": [b""], "tiles/c": [b""]})
    assert sorted(caught.value.keys) == ["jobs/1/a", "jobs/2/b", "tiles/c"]
