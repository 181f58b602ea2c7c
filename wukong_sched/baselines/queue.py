"""The central queue of one job, in Redis: tasks that are ready, leases on those that somebody runs, counted arrivals.

A task is handed out for the time of a lease (SQS says: its visibility timeout). Whoever has it renews the lease while
he works; when he is gone it runs out, and the task is handed out again. So a task may run twice, or twice at once, and
everything that follows is idempotent: a stored input is an element of a set, not a number added to a counter; a task
is put into the queue by the arrival that makes its set whole, which happens once; what is done stays done, and neither
counts its arrivals again nor is handed out again.

numpywren's queue is in SQS, which does not lose it. This one is lost with its server; its client writes it anew then,
from what is stored (see `standing`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from wukong_sched.baselines import queue_scripts as scripts
from wukong_sched.baselines.standing import Standing
from wukong_sched.coordination.protocol import GIVEN_UP, State
from wukong_sched.coordination.redis import SECONDS, text
from wukong_sched.coordination.scripts import Script
from wukong_sched.coordination.wire import story_text, task_text, to_story, to_task
from wukong_sched.errors import Story
from wukong_sched.program import Task, Tile
from wukong_sched.storage.cluster import Deployment, escaped, raised
from wukong_sched.storage.resp import Argument, Command, Reply, ServerError

CREATE, OFFER, TAKE = map(scripts.script, (scripts.CREATE, scripts.OFFER, scripts.TAKE))
RENEW, COMPLETE = map(scripts.script, (scripts.RENEW, scripts.COMPLETE))
FAIL, READ, RESTORE = map(scripts.script, (scripts.FAIL, scripts.READ, scripts.RESTORE))
ATTEMPTS = 8
"""Times that a task is handed out before the job is given up."""
EDGES = 1000
"""Arrivals, or tasks, per script."""

Arrival = tuple[Task, Tile, int]
"""(task, its input that is stored now, number of its inputs that tasks make)."""
Exchange = Callable[[Callable[[], Reply]], Reply]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a job is at."""

    state: State
    story: Story | None
    """Why it failed."""
    done: int
    """Tasks that were completed."""
    taken: int
    """Times that a task was handed out."""


class Queue:
    """One job's queue; threads may share it.

    A lease lasts `lease` seconds, and a task that was handed out more than `attempts` times ends the job. `exchange`
    carries each request out, in the time that a request takes there.

    >>> from wukong_sched.services.valkey import Valkey
    >>> with Valkey() as server:
    ...     queue = Queue(Deployment(server.url), "job")
    ...     queue.create(2), queue.offer([("a", (0,))])
    ...     queue.take(5), queue.take(5)
    ...     queue.complete(("a", (0,)), [(("b", (0,)), ("x", (0,)), 1)])
    ...     queue.take(5), queue.complete(("b", (0,)), []), queue.read().state
    (True, None)
    ([('a', (0,))], [])
    True
    ([('b', (0,))], True, <State.DONE: 'done'>)
    """

    def __init__(
        self,
        server: Deployment,
        job: str,
        lease: float = 30.0,
        exchange: Exchange = lambda request: request(),
        attempts: int = ATTEMPTS,
    ) -> None:
        self._server, self._exchange, self._lease, self._attempts = server, exchange, lease, attempts
        self._base = "{" + job + "}:queue:"
        self._key = self._base + "job"

    def create(self, total: int) -> bool:
        """Begin a job of so many tasks; False if there is one."""
        return bool(self._run(CREATE, [total]))

    def offer(self, tasks: Iterable[Task]) -> None:
        """Put tasks into the queue."""
        rest = iter(tasks)
        while part := [task_text(task) for task in itertools.islice(rest, EDGES)]:
            self._run(OFFER, [len(part), *part])

    def restore(self, total: int, standing: Standing) -> bool:
        """Begin a job that is lost where it stood; False if it is there, or was lost again meanwhile."""
        steps = list(standing_steps(standing))
        ends = [(int(number == 0), int(number == len(steps) - 1)) for number in range(len(steps))]
        return all(self._run(RESTORE, [total, *end, *step]) for end, step in zip(ends, steps, strict=True))

    def take(self, most: int) -> list[Task] | None:
        """At most so many tasks, leased; None if the job does not run."""
        story = Story(GIVEN_UP, "queue", (), f"a task was handed out {self._attempts} times and never completed")
        answer = self._run(TAKE, [most, self._lease, self._attempts, story_text(story)])
        return None if answer is None else [to_task(text(task)) for task in answer]

    def renew(self, tasks: Sequence[Task]) -> bool:
        """Begin these leases anew; False if the job does not run."""
        return bool(self._run(RENEW, [self._lease, len(tasks), *map(task_text, tasks)]))

    def complete(self, task: Task, arrivals: Sequence[Arrival]) -> bool:
        """The task's outputs are stored: count them for their readers; False if the job does not run."""
        parts = [arrivals[at : at + EDGES] for at in range(0, max(1, len(arrivals)), EDGES)]
        for number, part in enumerate(parts, 1):
            arguments: list[Argument] = [task_text(task), int(number == len(parts)), len(part)]
            for child, tile, total in part:
                arguments += [task_text(child), task_text(tile), total]
            if not self._run(COMPLETE, arguments):
                return False
        return True

    def fail(self, story: Story) -> None:
        """End the job."""
        self._run(FAIL, [story_text(story)])

    def read(self) -> Progress:
        """What the job is at."""
        state, story, done, taken = self._run(READ, [])
        return Progress(State(text(state)), to_story(text(story)), int(done), int(taken))

    def wait(self, seconds: float) -> None:
        """Return when there may be something to take, or after so many seconds."""
        command = Command(self._key, ["BLPOP", self._base + "bell", seconds])
        self._exchange(lambda: self._server.one(command))

    def close(self) -> None:
        """End the connections."""
        self._server.close()

    def sweep(self) -> None:
        """Forget the job; whoever waits for its tasks finds that out when he asks again."""
        for name in (self._key, *sorted(self._server.scan(escaped(self._base) + "*"))):
            self._server.one(Command(name, ["UNLINK", name]))

    def _run(self, script: Script, arguments: Sequence[Argument]) -> Reply:
        return self._exchange(lambda: self._server.repeat(lambda failures: self._once(script, arguments)))

    def _once(self, script: Script, arguments: Sequence[Argument]) -> Reply:
        rest: list[Argument] = [1, self._key, SECONDS, *arguments]
        (answer,) = self._server.attempt([Command(self._key, ["EVALSHA", script.digest, *rest])])
        if isinstance(answer, ServerError) and answer.code == "NOSCRIPT":
            (answer,) = self._server.attempt([Command(self._key, ["EVAL", script.text, *rest])])
        return raised(answer)


def standing_steps(standing: Standing) -> Iterator[list[Argument]]:
    """The arguments of the scripts that write a queue: tasks that are done, arrivals, tasks that are ready.

    >>> list(standing_steps(Standing(done=[("a", (0,))], arrived=[(("b", (1,)), ("x", (0,)))])))
    [[1, 'a[0]', 0, 0], [0, 1, 'b[1]', 'x[0]', 0], [0, 0, 0]]
    """
    for at in range(0, len(standing.done), EDGES):
        part = standing.done[at : at + EDGES]
        yield [len(part), *map(task_text, part), 0, 0]
    for at in range(0, len(standing.arrived), EDGES):
        edges = standing.arrived[at : at + EDGES]
        yield [0, len(edges), *(task_text(each) for edge in edges for each in edge), 0]
    for at in range(0, len(standing.ready) or 1, EDGES):
        part = standing.ready[at : at + EDGES]
        yield [0, 0, len(part), *map(task_text, part)]
