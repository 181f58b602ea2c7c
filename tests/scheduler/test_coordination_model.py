"""The coordination store in memory against a model that remembers everything and works each answer out anew."""

from __future__ import annotations

from dataclasses import dataclass, field

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

from wukong_sched.coordination.memory import MemoryCoordination
from wukong_sched.coordination.protocol import Reply, State
from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Give, Owed
from wukong_sched.program import Task, Tile

LEASE, GRACE, MOST = 4.0, 2.0, 3
TASKS: list[Task] = [("t", (n,)) for n in range(6)]
TILES: list[Tile] = [("x", (n,)) for n in range(4)]
RANGE = ("leaf", 0, 0, 4)
FAN_IN = {task: number % 3 + 1 for number, task in enumerate(TASKS)}
FAN_OUT = {tile: number % 3 + 1 for number, tile in enumerate(TILES)}
EDGES = [(task, tile) for task in TASKS for tile in TILES[: FAN_IN[task]]]
STORY = Story("qr", "q", (1,), "it broke")


@dataclass
class Model:
    """A job as the list of everything that was accepted."""

    time: float = 0.0
    roots: list[Give] = field(default_factory=list)
    preset: dict[Task, frozenset[Tile]] = field(default_factory=dict)
    log: list[tuple[float, str, Commit]] = field(default_factory=list)
    """When, whose, what."""
    starts: list[tuple[float, str, str, int]] = field(default_factory=list)
    """When, whose, token, commits before it."""

    def bits(self, task: Task, log: list[tuple[float, str, Commit]]) -> frozenset[Tile]:
        """What has arrived since the task was last discharged."""
        found = self.preset.get(task, frozenset())
        for _, _, commit in log:
            found |= {tile for consumer, tile, _ in commit.arrivals if consumer == task}
            found = frozenset() if task in commit.discharged else found
        return found

    def joined(self, commit: Commit) -> tuple[Task, ...]:
        """Tasks whose last bit a commit would set now."""
        complete = []
        for place, (task, tile, total) in enumerate(commit.arrivals):
            earlier = Commit(0, arrivals=commit.arrivals[:place])
            before = self.bits(task, [*self.log, (0.0, "", earlier)])
            if total == 1 or (tile not in before and len(before) + 1 == total):
                complete.append(task)
        return tuple(complete)

    def freed(self, commit: Commit) -> tuple[Tile, ...]:
        """Tiles whose last consumer a commit would discharge now."""
        found, seen = [], {tile: set(self.used(tile)) for tile in TILES}
        for tile, task, total in commit.consumed:
            seen[tile].add(task)
            if len(seen[tile]) == total:
                found.append(tile)
                seen[tile].clear()
        return tuple(found)

    def used(self, tile: Tile) -> set[Task]:
        """Discharged consumers since the tile was last freed."""
        found: set[Task] = set()
        for _, _, commit in self.log:
            for used, task, total in commit.consumed:
                if used == tile:
                    found = found | {task}
                    found = set() if len(found) == total else found
        return found

    def records(self) -> dict[str, tuple[set[Owed], float]]:
        """What each record owes, and when it expires."""
        found = {give.id: (set(give.todo), GRACE) for give in self.roots}
        started = [(start[0], 0, number) for number, start in enumerate(self.starts)]
        events = sorted([*started, *((commit[0], 1, number) for number, commit in enumerate(self.log))])
        whole, self.log = self.log, []
        for time, kind, number in events:
            if kind == 0:
                id = self.starts[number][1]
                found[id] = (found[id][0], time + LEASE)
                continue
            _, id, commit = whole[number]
            todo = found[id][0] | set(self.joined(commit))
            self.log.append(whole[number])
            todo -= {item for item, _ in commit.cuts}
            todo |= {item for _, rest in commit.cuts for item in rest}
            todo -= {*commit.discharged, *(item for give in commit.gives for item in give.todo)}
            found[id] = (todo, time if commit.yields else time + LEASE)
            if not todo:
                del found[id]
            found.update((give.id, (set(give.todo), time + GRACE)) for give in commit.gives)
        return found


class AgainstTheModel(RuleBasedStateMachine):
    """One running epoch; times never repeat, so that the model can order what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.store = MemoryCoordination(lambda: self.model.time, lease=LEASE, grace=GRACE)
        self.tokens: dict[str, str] = {}
        self.given = 0

    @initialize(
        split=st.integers(1, 5),
        preset=st.dictionaries(st.sampled_from(TASKS), st.frozensets(st.sampled_from(TILES), min_size=1), max_size=3),
    )
    def begin(self, split: int, preset: dict[Task, frozenset[Tile]]) -> None:
        self.model.roots = [Give("p", (RANGE, *TASKS[:split])), Give("q", tuple(TASKS[split:]))]
        known = {task: tiles.intersection(TILES[: FAN_IN[task]]) for task, tiles in preset.items()}
        self.model.preset = {task: tiles for task, tiles in known.items() if 0 < len(tiles) < FAN_IN[task]}
        assert self.store.create(1, self.model.roots, self.model.preset)

    def pass_time(self, seconds: float = 1e-3) -> None:
        self.model.time += seconds

    @rule(seconds=st.sampled_from([0.5, 2.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.pass_time()
        records = self.model.records()
        id = data.draw(st.sampled_from([*sorted(records), "nobody"]))
        token = f"token {len(self.model.starts)}"
        lease = self.store.start(id, token)
        fresh = id in records and (id not in self.tokens or self.model.time >= records[id][1])
        assert (lease is not None) is fresh
        if lease is not None:
            assert set(lease.todo) == records[id][0] and len(lease.todo) == len(records[id][0])
            self.model.starts.append((self.model.time, id, token, lease.seq))
            self.tokens[id] = token

    def seq(self, id: str) -> int:
        return sum(owner == id for _, owner, _ in self.model.log)

    @precondition(lambda self: any(id in self.model.records() for id in self.tokens))
    @rule(
        data=st.data(),
        arrivals=st.lists(st.sampled_from(EDGES), max_size=4),
        consumed=st.lists(st.tuples(st.sampled_from(TILES), st.sampled_from(TASKS)), max_size=4),
        cut=st.integers(0, 4),
        yields=st.booleans(),
        twice=st.booleans(),
    )
    def commit(
        self,
        data: st.DataObject,
        arrivals: list[tuple[Task, Tile]],
        consumed: list[tuple[Tile, Task]],
        cut: int,
        yields: bool,
        twice: bool,
    ) -> None:
        self.pass_time()
        records = self.model.records()
        id = data.draw(st.sampled_from([id for id in self.tokens if id in records]))
        todo = sorted(records[id][0], key=str)
        owed = [item for item in todo if len(item) == 2]
        discharged = data.draw(st.lists(st.sampled_from(owed), unique=True)) if owed else []
        left = [task for task in owed if task not in discharged]
        gives = data.draw(st.lists(st.sampled_from(left), unique=True, max_size=2)) if left else []
        self.given += 1
        commit = Commit(
            self.seq(id),
            tuple(discharged),
            tuple((task, tile, FAN_IN[task]) for task, tile in arrivals),
            tuple((tile, task, FAN_OUT[tile]) for tile, task in consumed),
            tuple((item, (("leaf", 0, 0, cut),) if cut else ()) for item in todo if item == RANGE and cut < 4),
            (Give(f"child {self.given}", tuple(gives)),) if gives else (),
            yields=yields,
        )
        expected = Reply(self.model.joined(commit), self.model.freed(commit))
        assert self.store.commit(id, "stranger", commit) is None
        assert self.store.commit(id, self.tokens[id], commit) == expected
        self.model.log.append((self.model.time, id, commit))
        if twice and id in self.model.records():
            assert self.store.commit(id, self.tokens[id], commit) == expected
        assert self.store.commit(id, self.tokens[id], Commit(commit.seq + 2)) is None

    @invariant()
    def same_view(self) -> None:
        if not self.model.roots:
            return
        view = self.store.read(TASKS)
        assert view.state is State.RUNNING
        assert view.arrived == {task: self.model.bits(task, self.model.log) for task in TASKS}
        expired = {id for id, (_, expiry) in self.model.records().items() if self.model.time >= expiry}
        assert set(view.startable) == expired


def test_it_agrees_with_the_model() -> None:
    run_state_machine_as_test(AgainstTheModel, settings=settings(max_examples=100, stateful_step_count=20))


@pytest.mark.long
def test_it_agrees_with_the_model_for_longer() -> None:
    run_state_machine_as_test(AgainstTheModel, settings=settings(max_examples=2000, stateful_step_count=30))


@pytest.mark.parametrize(
    ("commit", "state"),
    [
        (Commit(0, done=True), State.DONE),
        (Commit(0, failure=STORY), State.FAILED),
        (Commit(0, lost=TILES[0]), State.LOST),
    ],
)
def test_after_the_end_nobody_may_do_anything(commit: Commit, state: State) -> None:
    store = MemoryCoordination()
    store.create(1, [Give("p", (TASKS[0],)), Give("q", (TASKS[1],))], {})
    store.start("p", "1")
    store.start("q", "1")
    assert store.commit("p", "1", commit) == Reply((), ())
    assert store.commit("q", "1", Commit(0)) is None and store.start("p", "2") is None
    assert store.read().state is state


def test_attempts_without_progress_end_the_job() -> None:
    store = MemoryCoordination(lease=0.0, max_attempts=MOST)
    store.create(1, [Give("p", TASKS[:2])], {})
    for attempt in range(MOST):
        assert store.start("p", f"{attempt}") is not None
    assert store.commit("p", f"{MOST - 1}", Commit(0, (TASKS[0],))) is not None
    for attempt in range(MOST):
        assert store.start("p", f"again {attempt}") is not None
    assert store.start("p", "once too often") is None
    assert store.read().story == Story("scheduler", "p", (), "3 attempts ended without a commit")
