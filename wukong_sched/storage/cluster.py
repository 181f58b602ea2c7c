"""A Redis or Valkey deployment, one server or a cluster: which node has a key, connections to it, second attempts.

In a cluster, a key's slot is CRC16 (of the part between the first ``{`` and the next ``}``, if there is one) modulo
16384, and nodes answer MOVED or ASK when the key lives elsewhere. Source: the Redis cluster specification.

Every command may be sent again after a lost reply: what is stored does not change, and the scripts know a repetition.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from wukong_sched.errors import InfrastructureError
from wukong_sched.storage.resp import Address, Argument, Command, Connection, Reply, ServerError
from wukong_sched.storage.retry import Retry

T = TypeVar("T")

SLOTS = 16384
WINDOW = 64
"""Commands that are on their way at once, so that replies do not pile up in the server."""
REDIRECTS = 16
BATCH = 1000
"""Keys per step of a scan."""
PASSING = {"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "BUSY"}
"""Errors of a server that will soon answer otherwise."""


def slot(key: str) -> int:
    """The cluster slot of a key.

    >>> slot("123456789"), slot("{job}:x") == slot("job")
    (12739, True)
    """
    opening = key.find("{")
    closing = key.find("}", opening + 1)
    tag = key[opening + 1 : closing] if 0 <= opening < closing - 1 else key
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


@dataclass(slots=True)
class Node:
    """Connections to one server, lent to one thread at a time."""

    address: Address
    _idle: list[Connection] = field(default_factory=list)
    _process: int = field(default_factory=os.getpid)
    """Whose connections they are: a process that is forked off must not speak on them."""

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection; one within which anything was raised is not used again, nor are those as old."""
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = Connection(self.address)
        try:
            yield connection
        except BaseException:
            connection.close()
            self.close()
            raise
        self._idle.append(connection)

    def send(self, commands: Sequence[Command]) -> list[Reply]:
        """The replies to all commands, a window of them at a time."""
        replies: list[Reply] = []
        with self.connection() as connection:
            for start in range(0, len(commands), WINDOW):
                window = commands[start : start + WINDOW]
                connection.send(window)
                replies += [connection.receive(command.target) for command in window]
        return replies

    def close(self) -> None:
        """End all connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


class Deployment:
    """One server or a cluster, by URL (see `Address.parse`)."""

    def __init__(self, url: str, retry: Retry | None = None, retried: Callable[[], None] = lambda: None) -> None:
        self.address = Address.parse(url)
        self._retry = Retry() if retry is None else retry
        self._retried = retried
        self._lock = threading.Lock()
        self._nodes = {(self.address.host, self.address.port): Node(self.address)}
        self._owner: list[Node] = []
        """In a cluster, the node of each slot; nothing as long as nobody asked."""

    def close(self) -> None:
        """End all connections that nobody uses."""
        for node in list(self._nodes.values()):
            node.close()

    def repeat(self, attempt: Callable[[int], T]) -> T:
        """The outcome of `attempt(failures so far)`, tried again while the servers cannot be reached or are busy."""
        try:
            return self._retry(attempt, self._passes, self._retried)
        except OSError as error:
            raise InfrastructureError(f"Redis at {self.address} cannot be reached: {error}") from error

    def _passes(self, error: Exception) -> bool:
        if not isinstance(error, OSError | ServerError) or (
            isinstance(error, ServerError) and error.code not in PASSING
        ):
            return False
        self._owner = []  # the cluster may have changed
        return True

    def send(self, commands: Sequence[Command]) -> list[Reply]:
        """The replies to all commands, from wherever their keys are; errors among them are not raised."""
        return self.repeat(lambda failures: self.attempt(commands))

    def attempt(self, commands: Sequence[Command]) -> list[Reply]:
        """As `send`, but once only: raises OSError when a server cannot be reached, ServerError when it is busy."""
        replies: list[Reply] = [None] * len(commands)
        groups: dict[tuple[str, int], list[int]] = defaultdict(list)
        for position, command in enumerate(commands):
            address = self._node(command.key).address
            groups[address.host, address.port].append(position)
        for (host, port), positions in groups.items():
            received = self._at(host, port).send([commands[position] for position in positions])
            for position, reply in zip(positions, received, strict=True):
                replies[position] = self._settle(commands[position], reply)
        return replies

    def one(self, command: Command) -> Reply:
        """The reply to one command; an error is raised."""
        return raised(self.send([command])[0])

    def _settle(self, command: Command, reply: Reply) -> Reply:
        """The reply from where the key really is."""
        for _ in range(REDIRECTS):
            if not isinstance(reply, ServerError) or reply.code not in ("MOVED", "ASK"):
                break
            reply = self._redirect(command, reply)
        if isinstance(reply, ServerError) and reply.code in PASSING:
            raise reply
        return reply

    def _redirect(self, command: Command, reply: ServerError) -> Reply:
        host, _, port = str(reply).split()[2].rpartition(":")
        node = self._at(host, int(port))
        if reply.code == "MOVED":
            self._owner = []
            return node.send([command])[0]
        return node.send([Command("", ["ASKING"]), command])[1]

    def scan(self, pattern: str) -> set[str]:
        """All keys that match a pattern, on all nodes."""
        return self.repeat(lambda failures: {name for node in self.masters() for name in _scan(node, pattern)})

    def masters(self) -> list[Node]:
        """The nodes that share all keys."""
        return list({id(node): node for node in self._slots()}.values()) if self.address.cluster else self._all()

    def _all(self) -> list[Node]:
        return list(self._nodes.values())

    def _node(self, key: str) -> Node:
        return self._slots()[slot(key)] if self.address.cluster else next(iter(self._nodes.values()))

    def _at(self, host: str, port: int) -> Node:
        with self._lock:
            return self._nodes.setdefault((host, port), Node(self.address.at(host, port)))

    def _slots(self) -> list[Node]:
        owner = self._owner
        if len(owner) < SLOTS:
            owner = self._owner = self._ask()
        return owner

    def _ask(self) -> list[Node]:
        """The node of each slot, from the first node that answers; raises the last one's error if none does."""
        error: Exception = InfrastructureError(f"no node of the Redis cluster at {self.address} answers")
        for node in self._all():
            try:
                table = raised(node.send([Command("", ["CLUSTER", "SLOTS"])])[0])
            except OSError as unreachable:
                error = unreachable
                continue
            return self._spread(table, node)
        raise error

    def _spread(self, table: Iterable[Reply], asked: Node) -> list[Node]:
        owner: list[Node | None] = [None] * SLOTS
        for first, last, master, *_ in table:
            host = bytes(master[0] or b"").decode()
            node = self._at(host if host not in ("", "?") else asked.address.host, master[1])
            owner[first : last + 1] = [node] * (last + 1 - first)
        if None in owner:
            raise ServerError("CLUSTERDOWN the cluster does not serve all slots")
        return [node for node in owner if node is not None]


def _scan(node: Node, pattern: str) -> Iterator[str]:
    cursor: Reply = b"0"
    while True:
        arguments: list[Argument] = ["SCAN", bytes(cursor), "MATCH", pattern, "COUNT", BATCH]
        cursor, names = raised(node.send([Command("", arguments)])[0])
        yield from (bytes(name).decode() for name in names)
        if bytes(cursor) == b"0":
            return


def escaped(text: str) -> str:
    """Text as a pattern that only it matches.

    >>> print(escaped("a[1]*"))
    a\\[1\\]\\*
    """
    return "".join("\\" + sign if sign in "*?[]\\^" else sign for sign in text)


def raised(reply: Reply) -> Reply:
    """The reply, unless it is an error, which is raised.

    >>> raised(3)
    3
    """
    if isinstance(reply, ServerError):
        raise reply
    return reply
