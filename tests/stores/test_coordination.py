"""Each coordination store against the one suite, and the one in Redis against the one in memory."""

import secrets
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.stores.coordination_suite import CoordinationSuite
from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.coordination.protocol import GRAVES, State
from wukong_sched.coordination.redis import RedisCoordination
from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Give
from wukong_sched.storage.cluster import Deployment, Node
from wukong_sched.storage.resp import Command


class TestMemory(CoordinationSuite):
    @pytest.fixture
    def coordination(self, clock):
        return lambda **options: MemoryCoordination(lambda: clock[0], **options)


class TestRedis(CoordinationSuite):
    @pytest.fixture
    def coordination(self, clock, valkey, job):
        stores = []

        def make(**options):
            stores.append(RedisCoordination(valkey.url, job, clock=lambda: clock[0], **options))
            return stores[-1]

        yield make
        for store in stores:
            store.sweep()
            store.close()
        assert keys(valkey, f"{{{job}}}*") == []


def keys(valkey, pattern):
    return sorted(Deployment(valkey.url).scan(pattern))


TASKS = [("t", (n,)) for n in range(5)]
TILES = [("x", (n,)) for n in range(4)]
INPUTS = {task: TILES[number % 2 : number % 2 + number % 3 + 1] for number, task in enumerate(TASKS)}
EDGES = [(task, tile) for task, tiles in INPUTS.items() for tile in tiles]
FAN_OUT = {tile: number % 3 + 1 for number, tile in enumerate(TILES)}
RANGES = [("leaf", 0, 0, 4), ("leaf", 0, 4, 8), ("leaf", 1, 0, 2)]
OWED = st.lists(st.sampled_from(TASKS + RANGES), max_size=4, unique=True).map(tuple)
IDS, TOKENS = st.sampled_from("pqr"), st.sampled_from("123")
GIVES = st.lists(st.builds(Give, IDS, OWED), max_size=2, unique_by=lambda give: give.id)
MANY = 3
LEAVES = [State.MISSING, State.LOST, State.CANCELLED, State.SWEPT]


def some(elements):
    return st.lists(elements, max_size=MANY).map(tuple)


ENDINGS = st.sampled_from(
    [{}] * 12 + [{"done": True}, {"failure": Story("qr", "q", (1,), 'it\'s "odd"')}] + [{"lost": TILES[0]}] * 3
)


class AgainstMemory(RuleBasedStateMachine):
    """The same commands at the same times, the same answers."""

    url = ""

    def __init__(self):
        super().__init__()
        self.now = 5.0
        options = {"lease": 4.0, "grace": 2.0, "max_attempts": 3}
        self.memory = MemoryCoordination(lambda: self.now, **options)
        self.redis = RedisCoordination(self.url, secrets.token_hex(6), clock=lambda: self.now, **options)

    def both(self, call):
        expected, found = call(self.memory), call(self.redis)
        assert found == expected
        return expected

    @initialize(todos=st.lists(OWED.filter(bool), min_size=3, max_size=3))
    def begin(self, todos):
        self.create(1, [Give(id, todo) for id, todo in zip("pqr", todos, strict=True)], ())
        self.start("p", "1")

    @rule(epoch=st.integers(1, 4), roots=GIVES, edges=some(st.sampled_from(EDGES)))
    def create(self, epoch, roots, edges):
        arrived = {task: frozenset(tile for other, tile in edges if other == task) for task, _ in edges}
        self.both(lambda store: store.create(epoch, roots, arrived))

    @precondition(lambda self: self.memory.read().state is not State.RUNNING)
    @rule(swept=st.sampled_from([None, *LEAVES]), todos=st.lists(OWED.filter(bool), min_size=3, max_size=3))
    def begin_again(self, swept, todos):
        if swept is not None:
            self.both(lambda store: store.sweep(swept))
        if self.memory.read().state in GRAVES:
            self.both(lambda store: store.create(9, [], {}))
            self.both(lambda store: store.sweep())
        epoch = self.memory.read().epoch + 1
        self.create(epoch, [Give(id, todo) for id, todo in zip("pqr", todos, strict=True)], ())

    @rule(id=IDS, token=TOKENS)
    def start(self, id, token):
        self.both(lambda store: store.start(id, token))

    @rule(seconds=st.sampled_from([0.25, 2.0, 4.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule(
        id=IDS,
        back=st.sampled_from([0] * 9 + [1, 1, 2, -1]),
        stranger=st.sampled_from([False] * 9 + [True]),
        owed=st.lists(st.integers(0, 5), max_size=2),
        others=some(st.sampled_from(TASKS)),
        arrivals=some(st.sampled_from(EDGES)),
        consumed=some(st.tuples(st.sampled_from(TILES), st.sampled_from(TASKS))),
        cuts=st.booleans(),
        rest=OWED,
        gives=GIVES,
        announced=some(st.tuples(st.sampled_from(TILES), st.integers(1, 9))),
        yields=st.sampled_from([False] * 3 + [True]),
        ending=ENDINGS,
    )
    def commit(
        self, id, back, stranger, owed, others, arrivals, consumed, cuts, rest, gives, announced, yields, ending
    ):
        record = self.memory._records.get(id)
        if record is None or not record.token:
            self.start(id, "1")
            record = self.memory._records.get(id)
        todo = list(record.todo) if record else []
        ranges = [item for item in todo if len(item) == 4]
        tasks = [item for item in todo if len(item) == 2]
        commit = Commit(
            record.seq - back if record else 0,
            (*(tasks[number] for number in owed if number < len(tasks)), *others),
            tuple((task, tile, len(INPUTS[task])) for task, tile in arrivals),
            tuple((tile, task, FAN_OUT[tile]) for tile, task in consumed),
            ((ranges[0], rest),) if ranges and cuts else (),
            tuple(give for give in gives if give.id != id),
            announced,
            yields,
            **ending,
        )
        token = "stranger" if stranger or not record else record.token
        self.both(lambda store: store.commit(id, token, commit))
        self.both(lambda store: store.commit(id, token, commit))

    @invariant()
    def same_view(self):
        expected, found = self.memory.read(TASKS), self.redis.read(TASKS)
        assert sorted(found.startable) == sorted(expected.startable)
        assert (found.state, found.epoch, found.story) == (expected.state, expected.epoch, expected.story)
        assert found.arrived == expected.arrived

    @precondition(lambda self: self.memory.read().state is State.RUNNING)
    @rule(token=TOKENS)
    def take_over_all(self, token):
        self.now += 4.0
        for id in "pqr":
            self.start(id, token)

    def teardown(self):
        self.redis.sweep()
        self.redis.close()


@pytest.mark.parametrize(
    ("examples", "steps"), [(150, 40), pytest.param(1000, 60, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_redis_agrees_with_memory(valkey, examples, steps):
    machine = type("Machine", (AgainstMemory,), {"url": valkey.url})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))


# ---- Redis alone

A, B = ("t", (0,)), ("t", (1,))


@pytest.fixture
def store(valkey, job):
    store = RedisCoordination(valkey.url, job, lease=0.05, grace=0.02)
    yield store
    store.sweep()
    store.close()


@pytest.fixture
def lose_reply(monkeypatch):
    """Of the next request the server carries it out, but the reply does not come."""
    send, losses = Node.send, []

    def lossy(node, commands):
        replies = send(node, commands)
        if losses and replies and getattr(replies[0], "code", "") != "NOSCRIPT":
            losses.pop()
            raise ConnectionResetError("the reply is lost")
        return replies

    monkeypatch.setattr(Node, "send", lossy)
    return lambda: losses.append(1)


def test_a_lost_reply_is_asked_for_again(store, lose_reply):
    lose_reply()
    assert store.create(1, [Give("r", (A, B))], {})
    lose_reply()
    assert store.start("r", "1").attempts == 1
    lose_reply()
    reply = store.commit("r", "1", Commit(0, (A,), ((B, ("x", (0,)), 1),)))
    assert reply.joined == (B,)
    lose_reply()
    assert store.read([B]).arrived == {B: frozenset({("x", (0,))})}


def test_times_are_the_servers(store):
    store.create(1, [Give("r", (A,))], {})
    time.sleep(0.03)
    assert store.read().startable == ("r",)
    assert store.start("r", "1") is not None and store.read().startable == ()
    assert store.start("r", "2") is None
    time.sleep(0.06)
    assert store.start("r", "2").attempts == 2


def test_a_large_plan_is_written_in_parts_that_nobody_sees(store, monkeypatch):
    arrived = {("t", (n,)): frozenset({("x", (n, m)) for m in range(3)}) for n in range(1500)}
    seen = spied(monkeypatch)
    assert store.create(1, [Give("r", (A,))], arrived)
    monkeypatch.undo()
    assert [state for _, state in seen] == [b"missing"] * 4 + [b"running"]
    assert store.read(list(arrived)).arrived == arrived


def spied(monkeypatch):
    """The arguments of each script from now on, and what a plain read then says of the job."""
    from wukong_sched.coordination import redis

    seen, once = [], RedisCoordination._once

    def watched(self, script, arguments):
        answer = once(self, script, arguments)
        seen.append((list(arguments), bytes(once(self, redis.READ, [0])[0])))
        return answer

    monkeypatch.setattr(RedisCoordination, "_once", watched)
    return seen


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([100_000], [1000] * 100 + [0]),
        ([1000], [1000]),
        ([1001], [1000, 1, 0]),
        ([400, 2500, 600, 1, 999], [1000, 1000, 500, 1000, 1000]),
        ([1] * 2500, [1000, 1000, 500]),
    ],
    ids=["wide", "even", "odd", "mixed", "many"],
)
def test_no_script_carries_more_than_1000_entries_of_todos(store, monkeypatch, sizes, parts):
    """Nobody sees the job before its last script; then every record is whole, and in its order."""
    numbers = iter(range(10**6))
    roots = [Give(f"r{at}", tuple(("t", (next(numbers),)) for _ in range(size))) for at, size in enumerate(sizes)]
    seen = spied(monkeypatch)
    assert store.create(1, roots, {})
    monkeypatch.undo()
    carried = [sum(str(argument).startswith("t[") for argument in arguments) for arguments, _ in seen]
    assert carried == parts
    assert [state for _, state in seen] == [b"missing"] * (len(parts) - 1) + [b"running"]
    for root in {root.id: root for root in roots[:5] + roots[-5:]}.values():
        assert store.start(root.id, "1").todo == root.todo


def test_a_wide_root_that_comes_too_late_leaves_nothing(store, valkey, job):
    assert store.create(1, [Give("r", (A,))], {})
    before = keys(valkey, f"{{{job}}}*")
    assert not store.create(2, [Give("r", tuple(("t", (n,)) for n in range(2500)))], {})
    assert keys(valkey, f"{{{job}}}*") == before
    assert store.start("r", "1").todo == (A,)


def test_a_plan_that_comes_too_late_leaves_nothing(store, valkey, job):
    arrived = {("t", (n,)): frozenset({("x", (n,))}) for n in range(2500)}
    assert store.create(1, [Give("r", (A,))], {})
    before = keys(valkey, f"{{{job}}}*")
    assert not store.create(2, [Give("r", (A,))], arrived)
    assert keys(valkey, f"{{{job}}}*") == before


def test_every_key_expires_and_has_the_jobs_slot(store, valkey, job):
    store.create(1, [Give("r", (A, B))], {B: frozenset({("x", (0,))})})
    store.start("r", "1")
    store.commit(
        "r", "1", Commit(0, (), ((("t", (3,)), ("x", (1,)), 2),), ((("x", (2,)), B, 2),), gives=(Give("g", (B,)),))
    )
    names = keys(valkey, f"*{job}*")
    server = Deployment(valkey.url)
    lives = server.send([Command(name, ["TTL", name]) for name in names])
    assert len(names) == 9 and all(name.startswith(f"{{{job}}}:") for name in names)
    assert min(lives) > 6 * 86400
    server.close()


def test_a_server_restarted_empty_has_no_job(job, valkey_of_its_own):
    store = RedisCoordination(valkey_of_its_own.url, job)
    store.create(1, [Give("r", (A,))], {})
    store.start("r", "1")
    valkey_of_its_own.restart()
    assert store.commit("r", "1", Commit(0, (A,))) is None
    assert store.read().state is State.MISSING
    assert store.create(1, [Give("r", (A,))], {})
    store.close()


def test_commits_go_on_when_memory_is_full(valkey_of_its_own, job):
    server = Deployment(valkey_of_its_own.url)
    store = RedisCoordination(server, job)
    store.create(1, [Give("r", (A, B))], {})
    store.start("r", "1")
    server.one(Command("", ["CONFIG", "SET", "maxmemory", "1"]))
    assert server.send([Command("k", ["SET", "k", "v"])])[0].code == "OOM"
    assert store.commit("r", "1", Commit(0, (A,), ((("t", (3,)), ("x", (1,)), 2),))) is not None
    assert store.create(2, [], {}) is False
    server.close()
