"""Redis as the cloud has it: clusters, TLS and passwords, full memory, large values, broken connections."""

import collections
import contextlib

import numpy as np
import pytest

from tests.stores.coordination_suite import CoordinationSuite
from tests.stores.deployments import ask, behind_tls, certificate, cluster, command, move_slot
from tests.stores.test_storage import Encoded
from wukong_sched.coordination.redis import RedisCoordination
from wukong_sched.errors import InfrastructureError
from wukong_sched.messages import Give
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.cluster import Deployment, slot
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import StoreFull
from wukong_sched.storage.redis import PART, SMALL, RedisObjects
from wukong_sched.storage.resp import Address, Command, ServerError
from wukong_sched.storage.retry import Retry
from wukong_sched.storage.tiered import TieredObjects
from wukong_sched.storage.tiles import TileStorage

QUICK = Retry(attempts=2, base=0.001)


def test_parts_that_are_lost_on_the_way_are_sent_again(valkey_of_its_own, rng, monkeypatch):
    """The server is restarted empty between the parts of a value and the list of them."""
    objects, value = RedisObjects(valkey_of_its_own.url), rng.bytes(PART + SMALL)
    send, sent = objects._put_parts, []

    def put_parts(key, pieces):
        command = send(key, pieces)
        if not sent:
            valkey_of_its_own.restart()
        sent.append(key)
        return command

    monkeypatch.setattr(objects, "_put_parts", put_parts)
    objects.put({"k": [value], "small": [b"s"]})
    assert sent == ["k", "k"]
    found = objects.get(["k", "small"])
    assert bytes(found["k"]) == value and bytes(found["small"]) == b"s"
    assert len(objects._server.scan("*")) == 4
    objects.close()


# ---- a cluster


@pytest.fixture(scope="module")
def ports():
    with cluster() as ports:
        yield ports


@pytest.fixture(scope="module")
def url(ports):
    return f"redis://127.0.0.1:{ports[1]}?cluster=1"


class TestClusterStorage(Encoded):
    @pytest.fixture
    def objects(self, url):
        objects = RedisObjects(url)
        yield objects
        objects.close()


class TestClusterCoordination(CoordinationSuite):
    @pytest.fixture
    def coordination(self, clock, url, job):
        server = Deployment(url)
        stores = []

        def make(**options):
            stores.append(RedisCoordination(server, job, clock=lambda: clock[0], **options))
            return stores[-1]

        yield make
        for store in stores:
            store.sweep()
        server.close()

    @pytest.mark.long
    def test_a_tile_with_100_000_consumers(self, coordination):
        super().test_a_tile_with_100_000_consumers(coordination)


def test_tiles_spread_over_nodes_and_parts_stay_with_their_key(url, ports, rng):
    objects = RedisObjects(url)
    names = [f"jobs/1/tiles/a[{n}]" for n in range(200)]
    objects.put({name: [b"x"] for name in names} | {"jobs/1/tiles/big": [rng.bytes(3 * PART)]})
    held = [ask(port, "DBSIZE") for port in ports]
    assert sum(held) == 204 and min(held) > 30
    large = {slot(name) for name in Deployment(url).scan("*big*")}
    assert large == {slot("jobs/1/tiles/big")}
    objects.sweep("jobs/1/")
    assert [ask(port, "DBSIZE") for port in ports] == [0, 0, 0]
    objects.close()


def test_a_slot_that_has_moved_is_followed(url, ports):
    server = Deployment(url)
    command(server, "SET", "before", 1)
    moved = slot("moved")
    bounds = [5461, 10922, 16384]
    home = next(number for number, bound in enumerate(bounds) if moved < bound)
    move_slot(ports, moved, ports[(home + 1) % 3])
    assert command(server, "SET", "moved", 7) == b"OK"
    assert command(server, "GET", "moved") == b"7"
    assert ask(ports[(home + 1) % 3], "GET", "moved") == b"7"
    both = [Command(key, ["GET", key]) for key in ("moved", "before")]
    assert [bytes(reply) for reply in server.send(both)] == [b"7", b"1"]
    server.send([Command(k, ["UNLINK", k]) for k in ("moved", "before")])
    move_slot(ports, moved, ports[home])
    server.close()


def test_a_slot_on_the_move_is_asked_for_where_it_goes(url, ports):
    server = Deployment(url)
    number = slot("asked")
    home = next(n for n, bound in enumerate([5461, 10922, 16384]) if number < bound)
    source, target = ports[home], ports[(home + 1) % 3]
    ids = {port: bytes(ask(port, "CLUSTER", "MYID")).decode() for port in (source, target)}
    ask(target, "CLUSTER", "SETSLOT", number, "IMPORTING", ids[source])
    ask(source, "CLUSTER", "SETSLOT", number, "MIGRATING", ids[target])
    assert command(server, "SET", "asked", 7) == b"OK"
    assert command(server, "GET", "asked") == b"7"
    command(server, "UNLINK", "asked")
    for port in (source, target):
        ask(port, "CLUSTER", "SETSLOT", number, "STABLE")
    server.close()


def test_a_jobs_records_share_one_slot(url, ports, job):
    store = RedisCoordination(url, job)
    store.create(1, [Give("r", (("t", (0,)),))], {("t", (1,)): frozenset({("x", (0,))})})
    names = Deployment(url).scan("*")
    assert len(names) == 5 and {slot(name) for name in names} == {slot(job)}
    store.sweep()
    store.close()


# ---- TLS and a password


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    chain, key = certificate(directory)
    with Valkey(requirepass="geheim%/@") as server, behind_tls(server.socket, chain, key) as port:
        yield f"rediss://:geheim%25%2F%40@127.0.0.1:{port}?ca={chain}"


class TestTlsStorage(Encoded):
    @pytest.fixture
    def objects(self, secured):
        objects = RedisObjects(secured)
        yield objects
        objects.close()


@pytest.mark.parametrize(
    ("change", "error"),
    [(("geheim", "falsch"), "WRONGPASS"), ((":geheim%25%2F%40@", ""), "NOAUTH"), (("?ca=", "?was="), "CERTIFICATE")],
    ids=["wrong password", "no password", "unknown certificate"],
)
def test_who_may_not_come_in_is_told_so(secured, change, error):
    server = Deployment(secured.replace(*change), QUICK)
    with pytest.raises(InfrastructureError, match=error):
        command(server, "GET", "k")


def test_a_forked_process_speaks_on_connections_of_its_own(monkeypatch):
    with Valkey() as valkey, contextlib.closing(Deployment(valkey.url)) as server:
        names = [server.one(Command("", ["CLIENT", "ID"])) for _ in range(2)]
        monkeypatch.setattr("wukong_sched.storage.cluster.os.getpid", lambda: -1)
        names += [server.one(Command("", ["CLIENT", "ID"])) for _ in range(2)]
    assert names[0] == names[1] != names[2] == names[3]


# ---- addresses


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("unix:///tmp/a%20b", Address(path="/tmp/a b")),
        ("redis://", Address("localhost")),
        ("redis://h:1?timeout=2", Address("h", 1, timeout=2.0)),
        ("rediss://u:p%40@h?cluster=1&ca=/c", Address("h", user="u", password="p@", tls=True, ca="/c", cluster=True)),
    ],
)
def test_urls_name_servers(url, address):
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://me:hidden@host", "'http://host' names no Redis server; type unix:///path"),
        ("host", "'host' names no Redis server; type unix:///path"),
        ("unix://", "names no Redis server; type unix:///path"),
        ("rediss://me:hidden@h:99999", "'rediss://h:99999' names no Redis server"),
        ("redis://:hidden@h:port", "'redis://h:port' names no Redis server"),
        ("redis://:hidden@h?timeout=soon", "'redis://h?timeout=soon' names no Redis server"),
        ("redis://:hidden@h?timeout=nan", "'redis://h?timeout=nan' names no Redis server"),
        ("redis://:hidden@h?timeout=-1", "'redis://h?timeout=-1' names no Redis server"),
        ("rediss://me:hid/hidden@h:6379", "'rediss://h:6379' names no Redis server"),
        ("rediss://me:hidden#hid@h:6379", "with %2F for / in a password, %23 for #, %3F"),
        ("rediss://me:hidden?hid@h:6379", "'rediss://h:6379' names no Redis server"),
        ("rediss://me:hidden\u2100@h", "'rediss://h' names no Redis server"),
        ("redi://me:hi/dden:hidden@h", "'redi://h' names no Redis server"),
        ("me:hidden@h", "'h' names no Redis server"),
    ],
)
def test_what_names_no_server_is_refused_and_passwords_are_not_shown(url, told):
    with pytest.raises(ValueError) as info:
        Address.parse(url)
    assert told in str(info.value) and "hidden" not in str(info.value)


def test_a_server_that_is_not_there_is_an_infrastructure_error(tmp_path):
    waits = []
    server = Deployment(
        f"unix://{tmp_path}/s", Retry(attempts=4, sleep=waits.append, draw=lambda: 1.0, base=1.0, cap=3)
    )
    with pytest.raises(InfrastructureError, match="cannot be reached"):
        command(server, "GET", "k")
    assert waits == [1.0, 2.0, 3.0]


# ---- values


def test_strings_stay_below_8_mib(valkey, rng):
    objects, server = RedisObjects(valkey.url), Deployment(valkey.url)
    value = rng.bytes(20_000_000)
    objects.put({"jobs/sizes/v": [value[:7], value[7:9_000_000], value[9_000_000:]]})
    lengths = sorted(command(server, "STRLEN", name) for name in server.scan("*jobs/sizes/*"))
    assert lengths == [32, 20_000_000 - 2 * PART, PART, PART] and PART + 64 < 8 << 20
    assert bytes(objects.get(["jobs/sizes/v"])["jobs/sizes/v"]) == value
    assert objects.delete(["jobs/sizes/v", "jobs/sizes/w"]) == ["jobs/sizes/w"]
    assert server.scan("*jobs/sizes/*") == set()
    objects.close()


def test_the_second_writer_of_a_large_value_leaves_nothing(valkey, monkeypatch, rng):
    objects, server = RedisObjects(valkey.url), Deployment(valkey.url)
    first, second = rng.bytes(PART + 5), rng.bytes(PART + 5)
    objects.put({"jobs/two/v": [first]})
    before = server.scan("*jobs/two/*")
    monkeypatch.setattr(RedisObjects, "_there", lambda self, keys: set())
    objects.put({"jobs/two/v": [second]})
    assert server.scan("*jobs/two/*") == before
    assert bytes(objects.get(["jobs/two/v"])["jobs/two/v"]) == first
    objects.sweep("jobs/two/")
    objects.close()


def test_a_large_value_whose_part_is_lost_is_not_there(valkey, rng):
    objects, server = RedisObjects(valkey.url), Deployment(valkey.url)
    objects.put({"jobs/gap/v": [rng.bytes(2 * PART)]})
    (part, *_) = [name for name in server.scan("*jobs/gap/*") if name.endswith(".1")]
    command(server, "UNLINK", part)
    assert objects.get(["jobs/gap/v"]) == {}
    objects.sweep("jobs/gap/")
    assert server.scan("*jobs/gap/*") == set()
    objects.close()


def test_values_expire_if_nobody_sweeps(valkey, rng):
    objects, server = RedisObjects(valkey.url, ttl=1000), Deployment(valkey.url)
    objects.put({"jobs/old/v": [rng.bytes(PART + 1)], "jobs/old/w": [b"x"]})
    names = server.scan("*jobs/old/*")
    assert len(names) == 4 and all(0 < command(server, "TTL", name) <= 1000 for name in names)
    objects.sweep("jobs/old/")
    objects.close()


def test_what_goes_through_is_counted(valkey):
    objects = RedisObjects(valkey.url)
    objects.put({"jobs/count/a": [b"12345"], "jobs/count/b": [bytes(SMALL + 1)]})
    objects.get(["jobs/count/a", "jobs/count/c"])
    objects.delete(["jobs/count/a", "jobs/count/b"])
    tally = objects.tally
    assert (tally.bytes_written, tally.bytes_read) == (SMALL + 6, 5)
    assert (tally.puts, tally.gets, tally.deletes, tally.requests) == (2, 2, 2, 6)
    objects.close()


# ---- full memory


@pytest.fixture
def small():
    with Valkey(maxmemory="24mb") as server:
        yield server


def test_a_full_server_says_what_it_does_not_have(small, rng):
    objects, server = RedisObjects(small.url), Deployment(small.url)
    values = {f"jobs/1/{n}": [rng.bytes(400_000 if n % 2 else 1_400_000)] for n in range(40)}
    with pytest.raises(StoreFull) as caught:
        objects.put(values)
    missing = set(caught.value.keys)
    found = objects.get(list(values))
    assert missing and set(found) == set(values) - missing
    assert all(bytes(found[key]) == values[key][0] for key in found)
    heads = collections.Counter(name.startswith("{") for name in server.scan("*"))
    assert heads[True] == sum(int(key.rpartition("/")[2]) % 2 == 0 for key in found)
    objects.close()


def test_tiles_fall_through_to_the_object_store(small, tmp_path, rng):
    redis, files = RedisObjects(small.url), FilesystemObjects(tmp_path)
    storage = TileStorage(TieredObjects(redis, files), Keys("1"))
    blocks = {("a", (n,)): rng.random(150_000) for n in range(40)}
    storage.put(blocks)
    assert redis.tally.bytes_written > 5e6 and files.tally.bytes_written > 5e6
    found = storage.get(list(blocks))
    assert all(np.array_equal(found[tile], block) for tile, block in blocks.items())
    assert sorted(storage.tiles()) == sorted(blocks)
    storage.delete(list(blocks))
    assert list(storage.tiles()) == [] and storage.get(list(blocks)) == {}
    redis.close()


def test_other_errors_are_not_taken_for_a_full_server(valkey):
    server, objects = Deployment(valkey.url), RedisObjects(valkey.url, ttl=-1)
    with pytest.raises(ServerError, match="invalid expire"):
        objects.put({"jobs/err/v": [b"x"]})
    objects.close()
    server.close()
