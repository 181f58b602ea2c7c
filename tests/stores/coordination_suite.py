"""What every coordination store must do, to be inherited: a subclass gives the fixture `coordination`.

`coordination(**options)` makes a store of an empty job; `clock` is a list with the time in it.
"""

import pytest

from wukong_sched.coordination.protocol import Reply, State
from wukong_sched.errors import Story
from wukong_sched.messages import Commit, Give

A, B, C, D = (("t", (n,)) for n in range(4))
X, Y = ("x", (0,)), ("x", (1,))
LEAVES = ("leaf", 0, 0, 8)


class CoordinationSuite:
    @pytest.fixture
    def clock(self):
        return [1000.0]

    def test_nothing_is_there_at_first(self, coordination):
        store = coordination()
        view = store.read([A])
        assert (view.state, view.epoch, view.startable, view.arrived) == (State.MISSING, 0, (), {A: frozenset()})
        assert store.start("a", "1") is None and store.commit("a", "1", Commit(0)) is None

    def test_a_job_is_created_once_per_epoch(self, coordination):
        store = coordination()
        assert store.create(1, [Give("r", (LEAVES, A))], {B: frozenset({X})})
        assert not store.create(2, [Give("s", (A,))], {})
        view = store.read([A, B])
        assert view.state is State.RUNNING and view.epoch == 1 and view.arrived == {A: frozenset(), B: frozenset({X})}

    def test_a_start_takes_over_what_nobody_holds(self, coordination, clock):
        store = coordination(lease=10, grace=5)
        store.create(1, [Give("r", (LEAVES, A))], {})
        assert store.read().startable == ()
        lease = store.start("r", "one")
        assert (lease.seq, lease.todo, dict(lease.announced), lease.attempts) == (0, (LEAVES, A), {}, 1)
        assert store.start("r", "two") is None and store.start("other", "two") is None
        clock[0] += 10
        assert store.read().startable == ("r",)
        assert store.start("r", "two").attempts == 2
        assert store.commit("r", "one", Commit(0, discharged=(A,))) is None
        assert store.commit("r", "two", Commit(0, discharged=(A,))) == Reply((), ())

    def test_an_invocation_that_is_delivered_again_takes_over_at_once(self, coordination):
        store = coordination(lease=10, grace=5)
        store.create(1, [Give("r", (A, B))], {})
        assert store.start("r", "request~1") is not None
        assert store.start("r", "other~1") is None and store.start("r", "request") is None
        assert store.commit("r", "request~1", Commit(0, (A,))) == Reply((), ())
        lease = store.start("r", "request~2")
        assert (lease.seq, lease.todo, lease.attempts) == (1, (B,), 1)
        assert store.commit("r", "request~1", Commit(1, (B,))) is None
        assert store.commit("r", "request~2", Commit(1, (B,))) == Reply((), ())

    def test_a_token_without_an_invocation_waits_for_the_lease(self, coordination, clock):
        store = coordination(lease=10)
        store.create(1, [Give("r", (A,))], {})
        assert store.start("r", "~1") is not None and store.start("r", "~2") is None
        clock[0] += 10
        assert store.start("r", "request~3") is not None and store.start("r", "~2") is None

    def test_too_many_attempts_end_the_job(self, coordination, clock):
        store = coordination(lease=1, max_attempts=2)
        store.create(1, [Give("r", (A,))], {})
        for number in range(3):
            assert (store.start("r", f"{number}") is None) is (number == 2)
            clock[0] += 1
        view = store.read()
        assert view.state is State.FAILED
        assert view.story == Story("scheduler", "r", (), "2 attempts ended without a commit")

    @pytest.mark.parametrize(
        ("progress", "attempts"),
        [
            ({"discharged": (A,)}, 1),
            ({"cuts": ((LEAVES, ((*LEAVES[:3], 4),)),)}, 1),
            ({"yields": True, "arrivals": ((C, X, 2),)}, 1),
            ({"yields": True}, 4),
            ({}, 4),
            ({"arrivals": ((C, X, 2), (D, X, 1)), "consumed": ((X, B, 2),), "announced": ((X, 7),)}, 4),
            ({"gives": (Give("g", (B,)),)}, 4),
        ],
        ids=["discharged", "cut", "handed over", "given up", "renewed", "announced", "given"],
    )
    def test_what_a_record_owed_no_more_lets_it_be_tried_as_often_again(self, coordination, clock, progress, attempts):
        store = coordination(lease=1, max_attempts=4)
        store.create(1, [Give("r", (LEAVES, A, B))], {})
        for number in range(3):
            assert store.start("r", f"{number}").attempts == number + 1
            clock[0] += 1
        assert store.commit("r", "2", Commit(0, **progress)) is not None
        clock[0] += 1
        assert store.start("r", "3").attempts == attempts
        clock[0] += 1
        for number in range(attempts, 4):
            assert store.start("r", f"again {number}").attempts == number + 1
            clock[0] += 1
        assert store.start("r", "once more") is None
        view = store.read()
        assert view.state is State.FAILED and view.story.cause == "4 attempts ended without a commit"

    def test_one_record_s_progress_is_not_another_s(self, coordination, clock):
        store = coordination(lease=1)
        store.create(1, [Give("r", (A, B)), Give("s", (C,))], {})
        for number in range(3):
            assert [store.start(id, f"{number}").attempts for id in "rs"] == [number + 1] * 2
            clock[0] += 1
        store.commit("r", "2", Commit(0, (A,)))
        clock[0] += 1
        assert [store.start(id, "3").attempts for id in "rs"] == [1, 4]

    def test_a_root_that_owes_100_000_tasks(self, coordination):
        store = coordination()
        todo = tuple(("wide", (n,)) for n in range(100_000))
        roots = [Give("few", (A, LEAVES)), Give("r", todo), Give("even", todo[:2000]), Give("last", (B,))]
        assert store.create(1, roots, {C: frozenset({X})})
        for root in roots:
            lease = store.start(root.id, "1")
            assert (lease.seq, lease.todo, lease.attempts) == (0, root.todo, 1)
        assert store.commit("r", "1", Commit(0, todo[:2], ((D, X, 1),))).joined == (D,)
        store.commit("r", "1", Commit(1, yields=True))
        assert store.start("r", "2").todo == (*todo[2:], D)
        assert store.read([C]).arrived == {C: frozenset({X})}

    def test_arrivals_complete_a_task_once(self, coordination):
        store = coordination()
        store.create(1, [Give("r", (A, B))], {})
        store.start("r", "1")
        assert store.commit("r", "1", Commit(0, (A,), ((C, X, 2), (D, X, 1)))) == Reply((D,), ())
        assert store.read([C]).arrived == {C: frozenset({X})}
        assert store.commit("r", "1", Commit(1, (B,), ((C, X, 2), (C, Y, 2)))) == Reply((C,), ())
        assert store.commit("r", "1", Commit(2, (C,))) == Reply((), ())
        assert store.read([C]).arrived == {C: frozenset()}

    def test_a_repeated_commit_changes_nothing(self, coordination):
        store = coordination()
        store.create(1, [Give("r", (A, B))], {})
        store.start("r", "1")
        commit = Commit(0, (A,), ((C, X, 1),), ((X, A, 1),))
        assert store.commit("r", "1", commit) == store.commit("r", "1", commit) == Reply((C,), (X,))
        assert store.commit("r", "1", Commit(5)) is None
        assert store.commit("r", "2", commit) is None

    def test_gives_become_records(self, coordination, clock):
        store = coordination(lease=10, grace=5)
        store.create(1, [Give("r", (LEAVES, B))], {})
        store.start("r", "1")
        cut = ((LEAVES, (("leaf", 0, 0, 4), ("leaf", 0, 4, 8))),)
        store.commit("r", "1", Commit(0, cuts=cut, gives=(Give("g", (("leaf", 0, 4, 8), B)),)))
        clock[0] += 5
        assert store.read().startable == ("g",)
        assert store.start("g", "2").todo == (("leaf", 0, 4, 8), B)
        clock[0] += 6
        assert store.start("r", "3").todo == (("leaf", 0, 0, 4),)

    def test_a_record_that_owes_nothing_is_gone(self, coordination, clock):
        store = coordination(lease=1)
        store.create(1, [Give("r", (A,))], {})
        store.start("r", "1")
        assert store.commit("r", "1", Commit(0, (A,))) == Reply((), ())
        clock[0] += 1
        assert store.commit("r", "1", Commit(1)) is None and store.start("r", "2") is None
        assert store.read().startable == ()

    def test_a_tile_is_freed_with_its_last_consumer(self, coordination):
        store = coordination()
        store.create(1, [Give("r", (A, B))], {})
        store.start("r", "1")
        assert store.commit("r", "1", Commit(0, consumed=((X, C, 2), (Y, C, 1)))).freed == (Y,)
        assert store.commit("r", "1", Commit(1, consumed=((X, C, 2),))).freed == ()
        assert store.commit("r", "1", Commit(2, consumed=((X, D, 2),))).freed == (X,)

    def test_a_hand_over_ends_the_lease(self, coordination):
        store = coordination(lease=10)
        store.create(1, [Give("r", (A,))], {})
        store.start("r", "1")
        store.commit("r", "1", Commit(0, announced=((X, 1000),), yields=True))
        lease = store.start("r", "2")
        assert (lease.seq, dict(lease.announced), lease.attempts) == (1, {X: 1000}, 2)

    @pytest.mark.parametrize(
        ("commit", "state", "story"),
        [
            (Commit(0, done=True), State.DONE, None),
            (Commit(0, failure=Story("qr", "q", (1, 2), "boom")), State.FAILED, Story("qr", "q", (1, 2), "boom")),
            (Commit(0, lost=X), State.LOST, None),
        ],
    )
    def test_a_job_that_has_ended_stands_still(self, coordination, commit, state, story):
        store = coordination()
        store.create(1, [Give("r", (A,))], {})
        store.start("r", "1")
        assert store.commit("r", "1", commit) == Reply((), ())
        assert (store.read().state, store.read().story) == (state, story)
        assert store.commit("r", "1", Commit(1)) is None and store.start("r", "2") is None
        assert store.create(2, [Give("r", (B,))], {}) is (state is State.LOST)
        assert not store.create(2, [Give("r", (B,))], {})

    def test_a_new_epoch_knows_nothing_of_the_old(self, coordination):
        store = coordination()
        store.create(1, [Give("r", (A,)), Give("s", (B,))], {C: frozenset({X}), D: frozenset({X})})
        store.start("r", "1")
        store.commit("r", "1", Commit(0, lost=X))
        assert not store.create(1, [Give("r", (B,))], {})
        assert store.create(2, [Give("r", (B,))], {C: frozenset({Y})})
        assert store.read([C, D]).arrived == {C: frozenset({Y}), D: frozenset()}
        assert store.commit("r", "1", Commit(1)) is None and store.start("s", "1") is None
        assert store.start("r", "1").todo == (B,)

    def test_a_sweep_forgets_the_job(self, coordination):
        store = coordination()
        store.create(3, [Give("r", (A,))], {C: frozenset({X})})
        store.sweep()
        assert store.read([C]).state is State.MISSING and store.read([C]).arrived == {C: frozenset()}
        assert store.start("r", "1") is None
        assert store.create(1, [Give("r", (A,))], {})

    @pytest.mark.parametrize(
        ("ending", "leaves", "left", "story"),
        [
            ({}, State.CANCELLED, State.CANCELLED, None),
            ({"done": True}, State.SWEPT, State.SWEPT, None),
            ({"lost": X}, State.CANCELLED, State.CANCELLED, None),
            ({"failure": Story("qr", "q", (1,), "boom")}, State.SWEPT, State.FAILED, Story("qr", "q", (1,), "boom")),
        ],
        ids=["running", "done", "lost", "failed"],
    )
    def test_a_grave_keeps_a_job_from_being_made_again(self, coordination, ending, leaves, left, story):
        store = coordination()
        store.create(1, [Give("r", (A, B)), Give("s", (C,))], {C: frozenset({X})})
        store.start("r", "1")
        store.commit("r", "1", Commit(0, **ending))
        for again in (leaves, State.SWEPT, State.LOST):
            store.sweep(again)
            view = store.read([C])
            assert (view.state, view.story, view.startable, view.arrived) == (left, story, (), {C: frozenset()})
            assert store.start("s", "2") is None and store.commit("r", "1", Commit(1)) is None
            assert not store.create(2, [Give("r", (A,))], {})
        store.sweep()
        assert store.read().state is State.MISSING and store.create(1, [Give("r", (A,))], {})

    def test_no_job_leaves_no_grave(self, coordination):
        store = coordination()
        store.sweep(State.SWEPT)
        assert store.read().state is State.MISSING and store.create(1, [Give("r", (A,))], {})

    def test_only_a_job_that_is_done_can_be_made_again(self, coordination):
        store = coordination()
        store.create(1, [Give("r", (A,))], {})
        store.sweep(State.LOST)
        assert store.read().state is State.RUNNING and store.start("r", "1") is not None
        store.commit("r", "1", Commit(0, done=True))
        assert not store.create(2, [Give("r", (A,))], {})
        store.sweep(State.LOST)
        assert store.read().state is State.LOST and store.create(2, [Give("r", (A,))], {})

    def test_names_are_any_text(self, coordination):
        store = coordination()
        odd, tile = ("a[b]/{c}@1:2 ü\n", (-1, 0)), ("", ())
        ranges = ("a/b@1:2]x", 0, 3, 9)
        store.create(1, [Give("id with\nall {of} it", (odd, ranges))], {odd: frozenset({tile})})
        assert store.read([odd]).arrived == {odd: frozenset({tile})}
        assert store.start("id with\nall {of} it", "1").todo == (odd, ranges)

    def test_a_tile_with_100_000_consumers(self, coordination):
        store = coordination()
        store.create(1, [Give("r", (A,))], {})
        store.start("r", "1")
        consumers = [("wide", (n,)) for n in range(100_000)]
        for seq in range(100):
            part = consumers[1000 * seq : 1000 * (seq + 1)]
            edges = tuple((task, X, 1) for task in part)
            announced = ((X, 1000 * (seq + 1)),)
            joined = store.commit("r", "1", Commit(seq, arrivals=edges, announced=announced)).joined
            assert joined == tuple(part)
        for seq in range(100):
            part = tuple(consumers[1000 * seq : 1000 * (seq + 1)])
            consumed = tuple((X, task, 100_000) for task in part)
            freed = store.commit("r", "1", Commit(100 + seq, part, consumed=consumed)).freed
            assert freed == ((X,) if seq == 99 else ())
