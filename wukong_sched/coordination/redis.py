"""Coordination in Redis or Valkey: each method is one script (see `scripts`), which is one round trip.

A request whose reply was lost is sent again: a commit is known by its seq, a start by its token, a create by its
nonce. Agrees with `MemoryCoordination` in everything but who keeps the time: it is the server's clock.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from wukong_sched.coordination import scripts
from wukong_sched.coordination.protocol import GIVEN_UP, Coordination, Lease, Reply, State, View, invocation
from wukong_sched.coordination.wire import (
    counts_text,
    owed_text,
    story_text,
    task_text,
    to_counts,
    to_owed,
    to_story,
    to_task,
)
from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Give, Owed
from wukong_sched.program import Task, Tile
from wukong_sched.storage.cluster import Deployment, escaped, raised
from wukong_sched.storage.resp import Argument, Command, ServerError
from wukong_sched.storage.resp import Reply as Answer
from wukong_sched.storage.retry import Retry

CREATE, START = scripts.script(scripts.CREATE), scripts.script(scripts.START)
COMMIT, READ = scripts.script(scripts.COMMIT), scripts.script(scripts.READ)
BURY = scripts.script(scripts.BURY)
LEASE = 60.0
"""Seconds."""
GRACE = 15.0
"""Seconds."""
ATTEMPTS = 8
SECONDS = 7 * 86400
"""Time after which the server forgets what nobody has swept; a job must not take as long."""
GRAVE = 86400
"""Seconds for which the server knows that a job was cancelled, or swept."""
EDGES = 1000
"""Entries of a plan per script."""


class RedisCoordination:
    """One job's records in a Redis, given by its URL or as a deployment whose connections several stores share.

    A lease lasts `lease` seconds from each start and commit; a record that was not started within `grace` seconds
    counts as expired; more than `max_attempts` starts without a commit end the job. `clock` replaces the server's.
    """

    def __init__(
        self,
        server: str | Deployment,
        job: str,
        *,
        lease: float = LEASE,
        grace: float = GRACE,
        max_attempts: float = ATTEMPTS,
        ttl: int = SECONDS,
        clock: Callable[[], float] | None = None,
        retry: Retry | None = None,
    ) -> None:
        self._server = Deployment(server, retry) if isinstance(server, str) else server
        self._base = "{" + job + "}:"
        self._key = self._base + "job"
        self._lease, self._grace, self._max_attempts = lease, grace, max_attempts
        self._ttl, self._clock = ttl, clock

    def close(self) -> None:
        """End all connections."""
        self._server.close()

    def create(self, epoch: int, roots: Sequence[Give], arrived: Mapping[Task, frozenset[Tile]]) -> bool:
        nonce = secrets.token_hex(8)
        steps = list(plan_steps(roots, arrived))
        for number, step in enumerate(steps):
            last = int(number == len(steps) - 1)
            if not self._run(CREATE, [epoch, nonce, last, self._grace, *step]):
                self._unlink(nonce + ":")
                return False
        return True

    def start(self, id: str, token: str) -> Lease | None:
        cause = f"{self._max_attempts:.0f} attempts ended without a commit"
        limits: list[Argument] = [self._lease, self._max_attempts, story_text(Story(GIVEN_UP, id, (), cause))]
        answer = self._server.repeat(
            lambda failures: self._once(START, [id, token, invocation(token), int(failures > 0), *limits])
        )
        if answer is None:
            return None
        seq, todo, announced, attempts = answer
        return Lease(int(seq), tuple(to_owed(text(e)) for e in todo), to_counts(text(announced)), int(attempts))

    def commit(self, id: str, token: str, commit: Commit) -> Reply | None:
        answer = self._run(COMMIT, [id, token, commit.seq, self._lease, self._grace, *commit_arguments(commit)])
        if answer is None:
            return None
        joined, freed = answer
        return Reply(tuple(to_task(text(task)) for task in joined), tuple(to_task(text(tile)) for tile in freed))

    def read(self, tasks: Sequence[Task] = ()) -> View:
        answer = self._run(READ, [len(tasks), *map(task_text, tasks)])
        state, epoch, story, startable, sets = answer
        arrived = {
            task: frozenset(to_task(text(tile)) for tile in tiles) for task, tiles in zip(tasks, sets, strict=True)
        }
        names = tuple(map(text, startable))
        return View(State(text(state)), int(epoch), to_story(text(story)), names, arrived)

    def sweep(self, leaves: State = State.MISSING) -> None:
        if leaves is not State.MISSING:
            self._run(BURY, [leaves.value, GRAVE])
        if leaves is not State.LOST:
            self._unlink("")
        if leaves is State.MISSING:
            self._server.one(Command(self._key, ["UNLINK", self._key]))

    def _unlink(self, beneath: str) -> None:
        """Forget all keys that begin so, but not the job's own, which goes last."""
        names = self._server.scan(escaped(self._base + beneath) + "*") - {self._key}
        for reply in self._server.send([Command(name, ["UNLINK", name]) for name in names]):
            raised(reply)

    def _run(self, script: scripts.Script, arguments: Sequence[Argument]) -> Answer:
        return self._server.repeat(lambda failures: self._once(script, arguments))

    def _once(self, script: scripts.Script, arguments: Sequence[Argument]) -> Answer:
        now = "" if self._clock is None else repr(self._clock())
        rest: list[Argument] = [1, self._key, now, self._ttl, *arguments]
        (answer,) = self._server.attempt([Command(self._key, ["EVALSHA", script.digest, *rest])])
        if isinstance(answer, ServerError) and answer.code == "NOSCRIPT":
            (answer,) = self._server.attempt([Command(self._key, ["EVAL", script.text, *rest])])
        return raised(answer)


def text(answer: Answer) -> str:
    """A reply's text."""
    return bytes(answer).decode() if not isinstance(answer, int) else str(answer)


def plan_steps(roots: Sequence[Give], arrived: Mapping[Task, frozenset[Tile]]) -> Iterator[list[Argument]]:
    """The arguments of the scripts that write a plan: arrival sets, then records; at most so many entries each.

    Between them stands whether the records grow by what follows, or begin with it.
    """
    edges = [(task_text(task), task_text(tile)) for task, tiles in arrived.items() for tile in sorted(tiles)]
    while len(edges) > EDGES:
        yield [*set_arguments(edges[:EDGES]), 0, 0]
        edges = edges[EDGES:]
    *parts, (grows, gives) = record_parts(roots)
    for grow, part in parts:
        yield [0, int(grow), *give_arguments(part)]
    yield [*set_arguments(edges), int(grows), *give_arguments(gives)]


def record_parts(roots: Iterable[Give]) -> Iterator[tuple[bool, list[Give]]]:
    """Records, at most so many entries at a time, and whether the first goes on with what the last part began.

    >>> wide = Give("r", tuple(("t", (n,)) for n in range(1001)))
    >>> [(grows, [len(give.todo) for give in part]) for grows, part in record_parts([wide, Give("s", wide.todo[:2])])]
    [(False, [1000]), (True, [1]), (False, [2])]
    """
    part: list[Give] = []
    room = EDGES
    for root in roots:
        size = max(1, len(root.todo))
        if size > EDGES:
            for at in range(0, size, EDGES):
                yield at > 0, [Give(root.id, root.todo[at : at + EDGES])]
            continue
        if size > room:
            yield False, part
            part, room = [], EDGES
        part.append(root)
        room -= size
    yield False, part


def set_arguments(edges: Sequence[tuple[str, str]]) -> list[Argument]:
    """Count of tasks, then for each: itself, count of its tiles, the tiles."""
    groups = [(task, [tile for _, tile in group]) for task, group in itertools.groupby(edges, lambda edge: edge[0])]
    return [len(groups), *itertools.chain.from_iterable((task, len(tiles), *tiles) for task, tiles in groups)]


def owed_arguments(todo: Sequence[Owed]) -> list[Argument]:
    """Count, then the entries."""
    return [len(todo), *map(owed_text, todo)]


def give_arguments(gives: Sequence[Give]) -> list[Argument]:
    """Count, then for each: id, count of its todo, the todo."""
    return [len(gives), *itertools.chain.from_iterable((give.id, *owed_arguments(give.todo)) for give in gives)]


def commit_arguments(commit: Commit) -> Iterator[Argument]:
    """What the script reads after seq and times, in its order."""
    yield len(commit.arrivals)
    for task, tile, total in commit.arrivals:
        yield from (task_text(task), task_text(tile), total)
    yield len(commit.cuts)
    for whole, rest in commit.cuts:
        yield from (owed_text(whole), *owed_arguments(rest))
    yield len(commit.discharged)
    yield from map(task_text, commit.discharged)
    yield from give_arguments(commit.gives)
    yield len(commit.consumed)
    for tile, task, total in commit.consumed:
        yield from (task_text(tile), task_text(task), total)
    yield counts_text(commit.announced)
    yield from (int(commit.yields), int(commit.moves_on))
    yield from ending(commit)


def ending(commit: Commit) -> tuple[str, str]:
    """The state that the commit ends the job with, if it does, and the story."""
    if commit.done:
        return State.DONE.value, ""
    if commit.failure is not None:
        return State.FAILED.value, story_text(commit.failure)
    return (State.LOST.value if commit.lost is not None else ""), ""


_: type[Coordination] = RedisCoordination
