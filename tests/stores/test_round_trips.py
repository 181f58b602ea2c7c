"""How many requests the coordination store in Redis makes, as the server itself counts them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.scheduler.scripts import Fixed, Script, graph, node, v
from wukong_sched.coordination.redis import RedisCoordination
from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Give, Run, Store
from wukong_sched.policy import CostModel
from wukong_sched.program import Task
from wukong_sched.services.valkey import Valkey

A, B, C, X = ("t", (0,)), ("t", (1,)), ("t", (2,)), ("x", (0,))
WIDE = [("wide", (number,)) for number in range(1000)]
LEAF = ("leaf", 0, 0, 1)
COMMITS = {
    "a task discharged": Commit(0, (A,)),
    "nothing but a renewal": Commit(0, announced=((X, 3),)),
    "a thousand arrivals": Commit(0, (A,), tuple((task, X, 1) for task in WIDE)),
    "a thousand tasks given away": Commit(0, (), tuple((task, X, 1) for task in WIDE), gives=(Give("g", tuple(WIDE)),)),
    "a thousand tiles freed": Commit(0, (A,), consumed=tuple((tile, A, 1) for tile in WIDE)),
    "everything": Commit(
        0, (A,), ((C, X, 2),), ((X, A, 2),), ((LEAF, (B,)),), (Give("g", (B,)), Give("h", (C,))), ((X, 1),), True
    ),
    "the job's end": Commit(0, (A,), done=True),
    "its failure": Commit(0, failure=Story("qr", "q", (1,), "no")),
}


class Monitor:
    """Hears what clients ask of a server; what scripts ask in their turn is left out."""

    def __init__(self, server: Valkey) -> None:
        self._server = server
        self._socket = self._connected()
        self._lines = self._socket.makefile("rb")
        self._socket.sendall(b"MONITOR\r\n")
        assert self._lines.readline() == b"+OK\r\n"

    def _connected(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(30)
        found.connect(str(self._server.socket))
        return found

    def requests(self) -> list[str]:
        """The commands since the last call."""
        with self._connected() as other:
            other.sendall(b"ECHO until-here\r\n")
            other.recv(64)
        names = []
        while b"until-here" not in (line := self._lines.readline()):
            asked_by, _, command = line.partition(b"] ")
            if not asked_by.endswith(b" lua"):
                names.append(command.split(b'"')[1].decode())
        return names

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def monitor(valkey_of_its_own: Valkey) -> Iterator[Monitor]:
    found = Monitor(valkey_of_its_own)
    yield found
    found.close()


@pytest.fixture
def store(valkey_of_its_own: Valkey, job: str) -> Iterator[RedisCoordination]:
    found = RedisCoordination(valkey_of_its_own.url, job)
    yield found
    found.close()


def test_each_script_is_sent_once_and_then_known_by_its_digest(store: RedisCoordination, monitor: Monitor) -> None:
    asked = []
    for call in (
        lambda: store.create(1, [Give("r", (A, B))], {}),
        lambda: store.start("r", "1"),
        lambda: store.commit("r", "1", Commit(0, (A,))),
        lambda: store.read([A]),
        lambda: store.read([A, B, C]),
        lambda: store.commit("r", "1", Commit(1, (B,))),
        lambda: store.start("r", "2"),
        lambda: RedisCoordination(store._server, "another").create(1, [], {}),
    ):
        call()
        asked.append(monitor.requests())
    assert asked == [["EVALSHA", "EVAL"]] * 4 + [["EVALSHA"]] * 4


@pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
def test_a_commit_is_one_request(store: RedisCoordination, monitor: Monitor, commit: Commit) -> None:
    """Whatever it says: discharged, announced, given and freed by one script, with one reply to wait for."""
    store.create(1, [Give("r", (A, LEAF)), Give("known", (B,))], {C: frozenset({("x", (1,))})})
    assert store.start("known", "0") is not None and store.commit("known", "0", Commit(0, (B,))) is not None
    assert store.start("r", "1") is not None
    monitor.requests()
    assert store.commit("r", "1", commit) is not None
    assert monitor.requests() == ["EVALSHA"]


@pytest.mark.parametrize("count", [5000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_tile_of_many_consumers_is_announced_1000_edges_a_script(store: RedisCoordination, count: int) -> None:
    """As the core says it, with the limit of the real policy: each of its commits is one script."""
    consumers = [node(number) for number in range(1, count + 1)]
    edges = CostModel(bandwidth=1e8, latency=1e-3).edges
    script = Script(graph([], *[[0]] * len(consumers), wanted=[1]), Fixed(split=3, edges=edges))
    store.create(1, [Give(script.id, (LEAF,))], {})
    assert store.start(script.id, "1") is not None
    script.start(LEAF)
    script.fetched()
    assert script.ran(idle=2) == [Store((v(0),))]
    said, told = script.stored(), []
    while isinstance(said[0], Commit):
        reply = store.commit(script.id, "1", said[0])
        assert reply is not None and reply.joined == tuple(task for task, _, _ in said[0].arrivals)
        told.append(len(reply.joined))
        said = script.committed(*reply.joined)
    assert told == [1000] * (count // 1000)
    assert isinstance(said[-1], Run) and script.core.backlog.owed | given(script) == set(consumers)


def given(script: Script) -> set[Task]:
    """What the commits of a core gave away."""
    commits = [each for _, said in script.said for each in said if isinstance(each, Commit)]
    return {task for commit in commits for give in commit.gives for task in give.todo if len(task) == 2}
