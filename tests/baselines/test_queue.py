"""The central queue: each task is handed out until it is done, and each arrival counts once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functions.processes import until
from wukong_sched.baselines.numpywren import arrivals
from wukong_sched.baselines.pywren import levels
from wukong_sched.baselines.queue import ATTEMPTS, EDGES, READ, TAKE, Queue
from wukong_sched.baselines.standing import Standing, standing
from wukong_sched.coordination.protocol import State
from wukong_sched.coordination.scripts import Script
from wukong_sched.drivers import graphs
from wukong_sched.drivers.serial import produced
from wukong_sched.errors import Story
from wukong_sched.program import Task, Tile, range_tasks
from wukong_sched.services.valkey import Valkey
from wukong_sched.storage.cluster import Deployment
from wukong_sched.storage.resp import Argument, Reply

A, B, C = (("task", (number,)) for number in range(3))
X: Tile = ("x", (0,))
Make = Callable[..., Queue]


@pytest.fixture(scope="module")
def server() -> Iterator[Deployment]:
    with Valkey() as running:
        deployment = Deployment(running.url)
        yield deployment
        deployment.close()


@pytest.fixture
def make(server: Deployment) -> Iterator[Make]:
    """Makes queues of jobs that nobody else has."""
    made: list[Queue] = []

    def queue(total: int, lease: float = 60.0) -> Queue:
        made.append(Queue(server, f"job{random.getrandbits(64)}", lease))
        made[-1].create(total)
        return made[-1]

    yield queue
    for each in made:
        each.sweep()
    assert server.scan("*job*") == set()


def test_first_come_first_served(make: Make) -> None:
    queue = make(3)
    queue.offer([A, B, C])
    assert (queue.take(2), queue.take(2), queue.take(2)) == ([A, B], [C], [])


def test_a_job_is_created_once(make: Make) -> None:
    assert make(1).create(1) is False


def test_a_lease_that_runs_out_is_handed_out_again(make: Make) -> None:
    queue = make(1, 0.05)
    queue.offer([A])
    assert queue.take(1) == [A]
    assert until(lambda: queue.take(1)) == [A]


def test_a_renewed_lease_is_kept(make: Make) -> None:
    queue = make(1, 0.6)
    queue.offer([A])
    queue.take(1)
    for _ in range(8):
        time.sleep(0.1)
        assert queue.renew([A])
        assert queue.take(1) == []


def test_a_renewal_gives_nobody_a_lease(make: Make) -> None:
    queue = make(2)
    queue.offer([A])
    queue.renew([A, B])
    assert queue.take(2) == [A]
    assert queue.take(2) == []


def test_a_task_is_ready_when_all_its_inputs_are_stored(make: Make) -> None:
    queue = make(3)
    queue.offer([A, B])
    queue.take(2)
    queue.complete(A, [(C, ("x", (0,)), 2)])
    assert queue.take(1) == []
    queue.complete(B, [(C, ("x", (1,)), 2)])
    assert queue.take(2) == [C]


def test_a_task_that_ran_twice_counts_once(make: Make) -> None:
    queue = make(3, 0.01)
    queue.offer([A])
    queue.take(1)
    until(lambda: queue.take(1))  # both have it now
    for _ in range(2):
        assert queue.complete(A, [(C, X, 2), (B, X, 1)])
    assert queue.take(5) == [B]
    assert (queue.read().done, queue.read().taken) == (1, 3)


def test_what_is_done_is_handed_out_no_more(make: Make) -> None:
    queue = make(2, 0.01)
    queue.offer([A, A])
    assert queue.take(1) == [A]
    queue.complete(A, [])
    assert queue.take(1) == []


def test_an_arrival_at_what_is_done_makes_it_not_ready(make: Make) -> None:
    """The first half of a wide task's arrivals is counted, its worker dies, a child is done before the second try."""
    queue = make(3)
    queue.offer([B])
    queue.take(1)
    queue.complete(B, [])
    queue.offer([A])
    queue.take(1)
    queue.complete(A, [(B, X, 1)])
    assert queue.take(1) == []


def test_a_wide_fan_out_takes_several_scripts(make: Make) -> None:
    count = 2 * EDGES + 7
    queue = make(count + 1)
    queue.offer([A])
    queue.take(1)
    queue.complete(A, [(("wide", (number,)), X, 1) for number in range(count)])
    assert len(queue.take(count + 1) or ()) == count
    assert queue.read().done == 1


def test_the_last_task_ends_the_job(make: Make) -> None:
    queue = make(2)
    queue.offer([A, B])
    queue.take(2)
    queue.complete(A, [])
    assert queue.read().state is State.RUNNING
    queue.complete(B, [])
    assert queue.read().state is State.DONE
    assert queue.take(1) is None
    assert not queue.renew([A])


def test_a_failed_job_hands_out_nothing(make: Make) -> None:
    queue, story = make(2), Story("qr", "q", (1,), "boom")
    queue.offer([A, B])
    queue.take(1)
    queue.fail(story)
    queue.fail(Story("later", "q", (2,), "boom"))
    assert (queue.read().state, queue.read().story) == (State.FAILED, story)
    assert queue.take(1) is None
    assert queue.complete(A, []) is False


def test_a_task_that_is_never_completed_ends_the_job(make: Make) -> None:
    queue = make(1, 0.0)
    queue.offer([A])
    for _ in range(ATTEMPTS):
        assert until(lambda: queue.take(1)) == [A]
    assert until(lambda: queue.take(1) is None)
    story = queue.read().story
    assert story is not None
    assert f"{ATTEMPTS} times" in story.cause


def test_whoever_waits_is_woken(make: Make) -> None:
    queue = make(1)
    queue.offer([A])
    queue.wait(0)  # for ever, unless it is woken
    assert queue.take(1) == [A]


def test_a_job_that_was_swept_is_missing(make: Make) -> None:
    queue = make(1)
    queue.offer([A])
    queue.sweep()
    assert queue.read().state is State.MISSING
    assert queue.take(1) is None


# ---- made again


A_TO_C: list[tuple[Task, Tile, int]] = [(C, ("x", (0,)), 2)]


def test_a_queue_is_made_again_where_the_job_stood(make: Make) -> None:
    """A is done, and B, C is waiting for B."""
    queue = make(3)
    queue.sweep()
    assert queue.restore(3, Standing(done=[A], ready=[B], arrived=[(C, ("x", (0,)))]))
    assert (queue.read().state, queue.read().done) == (State.RUNNING, 1)
    assert (queue.take(3), queue.take(3)) == ([B], [])
    assert queue.complete(A, A_TO_C)  # by a worker that heard of nothing
    assert queue.take(1) == []
    assert queue.complete(B, [(C, ("x", (1,)), 2)])
    assert queue.take(1) == [C]
    assert queue.complete(C, [])
    assert queue.read().state is State.DONE


def test_a_queue_of_which_all_is_done_ends_the_job(make: Make) -> None:
    queue = make(2)
    queue.sweep()
    assert queue.restore(2, Standing(done=[A, B]))
    assert (queue.read().state, queue.take(1)) == (State.DONE, None)


def test_a_queue_that_is_there_is_not_made_again(make: Make) -> None:
    queue = make(1)
    queue.offer([A])
    assert not queue.restore(1, Standing(done=[A]))
    assert (queue.read().state, queue.take(1)) == (State.RUNNING, [A])


def test_a_wide_queue_is_made_in_parts_that_nobody_takes_from(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [("wide", (number,)) for number in range(2 * EDGES + 7)]
    queue, run, seen = make(3 * len(tasks)), Queue._run, []
    queue.sweep()

    def watched(self: Queue, script: Script, arguments: Sequence[Argument]) -> Reply:
        answer = run(self, script, arguments)
        seen.append((len(arguments) - 6, run(self, TAKE, [0, 1, 1, ""]), bytes(run(self, READ, [])[0])))
        return answer

    monkeypatch.setattr(Queue, "_run", watched)
    standing = Standing(done=[("done", task[1]) for task in tasks], ready=tasks, arrived=[(task, X) for task in tasks])
    assert queue.restore(3 * len(tasks), standing)
    monkeypatch.undo()
    assert [count for count, _, _ in seen] == [EDGES, EDGES, 7, 2 * EDGES, 2 * EDGES, 14, EDGES, EDGES, 7]
    assert [found for _, *found in seen] == [[None, b"missing"]] * 8 + [[[], b"running"]]
    assert queue.take(len(tasks) + 1) == tasks
    assert queue.read().done == len(tasks)


def test_a_queue_that_is_lost_again_while_it_is_made_can_be_made_once_more(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, run, steps = make(3), Queue._run, []
    queue.sweep()

    def lossy(self: Queue, script: Script, arguments: Sequence[Argument]) -> Reply:
        answer = run(self, script, arguments)
        steps.append(answer)
        if len(steps) == 1:
            self.sweep()
        return answer

    monkeypatch.setattr(Queue, "_run", lossy)
    standing = Standing(done=[A], ready=[B], arrived=[(C, X)])
    assert not queue.restore(3, standing)
    assert steps == [1, 0]
    monkeypatch.undo()
    assert queue.read().state is State.MISSING
    assert queue.restore(3, standing)
    assert (queue.read().done, queue.take(2)) == (1, [B])


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_is_lost_nothing_that_is_stored_runs_again(server: Deployment, seed: int) -> None:
    """The queue goes at any moment: also between what a worker stores and what it says, and within what it stores."""
    rng = random.Random(seed)
    program = graphs.draw(rng, 15)
    queue = Queue(server, f"lost{seed}")
    stored: set[Tile] = set()
    runs: list[Task] = []
    queue.create(len(program))
    queue.offer(range_tasks(program, program.leaves()))
    while (view := queue.read()).state is not State.DONE:
        if view.state is State.MISSING:
            assert queue.restore(len(program), standing(program, stored))
        for task in queue.take(rng.randint(1, 3)) or ():
            assert not stored.issuperset(program.outputs(task))
            assert stored.issuperset(produced(program, task))
            runs.append(task)
            stored.update(rng.sample(program.outputs(task), rng.randint(0, len(program.outputs(task)))))
            if rng.random() < 0.2:
                queue.sweep()
            elif rng.random() < 0.9:
                stored.update(program.outputs(task))
                queue.complete(task, list(arrivals(program, task)))
        if rng.random() < 0.2:
            queue.sweep()
    every = {task for level in levels(program) for task in level}
    assert set(runs) == every
    assert all(stored.issuperset(program.outputs(task)) for task in every)
    queue.sweep()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_is_done_twice_or_late_every_task_runs_in_order(server: Deployment, seed: int) -> None:
    rng = random.Random(seed)
    program = graphs.draw(rng, 15)
    queue = Queue(server, f"random{seed}", 0.0, attempts=10**9)  # each lease runs out at once
    queue.create(len(program))
    queue.offer(range_tasks(program, program.leaves()))
    run: set[Task] = set()
    held: list[Task] = []
    while (found := queue.take(rng.randint(1, 3))) is not None:
        held = [*held[-5:], *found]
        rng.shuffle(held)
        for task in held[: rng.randint(0, 2)]:
            made = {producer for tile in program.inputs(task) if (producer := program.producer(tile)) is not None}
            assert made <= run
            run.add(task)
            queue.complete(task, list(arrivals(program, task)))
    assert len(run) == len(program)
    assert (queue.read().state, queue.read().done) == (State.DONE, len(program))
    queue.sweep()
